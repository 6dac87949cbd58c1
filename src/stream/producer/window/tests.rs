//! The window against a server that follows the protocol and a network that does not behave.

use super::*;

const LIMITS: Limits = Limits {
    batch_bytes: 12,
    batch_items: 3,
    in_flight: 4,
};

/// What a server keeps of one producer.
#[derive(Debug, Default)]
struct Server {
    log: Vec<Bytes>,
    closed: bool,
    epoch: u64,
    /// The next sequence.
    expected: u64,
}

impl Server {
    fn append(&mut self, send: &Send) -> Result<Option<Offset>, StreamError> {
        let url = String::new;
        if send.epoch < self.epoch {
            return Err(StreamError::Fenced {
                url: url(),
                epoch: send.epoch,
                current: self.epoch,
            });
        }
        if send.epoch > self.epoch {
            assert_eq!(send.seq, 0, "an epoch begins with sequence 0");
            (self.epoch, self.expected) = (send.epoch, 0);
        }
        if send.seq > self.expected {
            return Err(StreamError::SequenceGap {
                url: url(),
                expected: self.expected,
                sent: send.seq,
            });
        }
        if send.seq == self.expected {
            if self.closed {
                return Err(StreamError::Closed {
                    url: url(),
                    end: None,
                });
            }
            self.expected += 1;
            self.log.extend(send.items.iter().cloned());
            self.closed = send.close;
        }
        Ok(Some(Offset::from(format!("{:04}", self.log.len()))))
    }
}

fn item(n: u32) -> Bytes {
    Bytes::from(format!("{n};"))
}

type Answer = Result<Option<Offset>, StreamError>;

/// Batches on their way, with the answers that are on their way back.
#[derive(Default)]
struct Network(Vec<(Send, Option<Answer>)>);

impl Network {
    /// Lets one thing happen: a batch leaves, arrives, arrives again as its answer was lost, or its
    /// answer comes back.
    fn step(&mut self, rng: &mut fastrand::Rng, window: &mut Window, server: &mut Server) {
        if rng.bool() {
            self.0.extend(window.next().map(|send| (send, None)));
            assert!(self.0.len() <= LIMITS.in_flight);
        }
        if self.0.is_empty() {
            return;
        }
        let at = rng.usize(..self.0.len());
        match &mut self.0[at] {
            (send, answer) if answer.is_none() || rng.u8(..4) == 0 => {
                *answer = Some(server.append(send));
            }
            _ => {
                let (send, answer) = self.0.swap_remove(at);
                window.settle(send.number, answer.unwrap());
            }
        }
    }
}

#[test]
fn every_item_is_there_once_and_in_order_whatever_the_network_does() {
    for seed in 0..2_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut window = Window::new(LIMITS, 0, false);
        let (mut server, mut network) = (Server::default(), Network::default());
        let (mut pushed, total) = (0, 60);
        while window.acknowledged() < window.sealed() || pushed < total || window.is_open() {
            match rng.u8(..8) {
                0 if pushed < total => {
                    window.push(item(pushed));
                    pushed += 1;
                }
                1 => window.seal(),
                _ => network.step(&mut rng, &mut window, &mut server),
            }
            assert!(
                window.failure().is_none(),
                "seed {seed}: {:?}",
                window.failure()
            );
        }
        assert_eq!(
            server.log,
            (0..total).map(item).collect::<Vec<_>>(),
            "seed {seed}"
        );
        assert_eq!(window.end(), Some(&Offset::from("0060")), "seed {seed}");
        assert_eq!(window.unacknowledged_items(), 0);
    }
}

#[test]
fn a_producer_that_claims_goes_on_where_it_was() {
    for seed in 0..2_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut window = Window::new(LIMITS, 0, true);
        let (mut server, mut network) = (Server::default(), Network::default());
        (0..60).for_each(|n| window.push(item(n)));
        window.seal_and_close();
        let mut fences = 3;
        while window.acknowledged() < window.sealed() {
            // Somebody else claims the id, at a moment when no answer is on its way back: one that
            // gets lost then doubles its batch.
            let quiet = network.0.iter().all(|(_, answer)| answer.is_none());
            if fences > 0 && quiet && !server.closed && rng.u8(..20) == 0 {
                fences -= 1;
                (server.epoch, server.expected) = (server.epoch + 1 + rng.u64(..2), 0);
            }
            network.step(&mut rng, &mut window, &mut server);
            assert!(
                window.failure().is_none(),
                "seed {seed}: {:?}",
                window.failure()
            );
        }
        assert_eq!(
            server.log,
            (0..60).map(item).collect::<Vec<_>>(),
            "seed {seed}"
        );
        assert!(server.closed);
        assert_eq!(window.epoch(), server.epoch);
    }
}

#[test]
fn batches_are_bounded_by_bytes_and_items() {
    let mut window = Window::new(
        Limits {
            in_flight: 100,
            ..LIMITS
        },
        0,
        false,
    );
    for text in [
        "aaaa",
        "bbbb",
        "ccccc",
        "d",
        "e",
        "f",
        "larger than any batch",
        "g",
    ] {
        window.push(text.into());
    }
    assert!(window.is_open());
    window.seal();
    let mut batches = Vec::new();
    while let Some(send) = window.next() {
        window.settle(send.number, Ok(None));
        batches.push(send.items.len());
    }
    assert_eq!(batches, [2, 3, 1, 1, 1]);
}

#[test]
fn nothing_else_is_sent_before_an_epoch_is_established() {
    let mut window = Window::new(LIMITS, 7, false);
    (0..30).for_each(|n| window.push(item(n)));
    let first = window.next().unwrap();
    assert_eq!((first.epoch, first.seq), (7, 0));
    assert!(window.next().is_none());
    window.settle(0, Ok(None));
    let seqs: Vec<u64> = std::iter::from_fn(|| window.next())
        .map(|s| s.seq)
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    assert!(!window.has_room());
}

#[test]
fn what_cannot_be_delivered_is_counted() {
    let mut window = Window::new(LIMITS, 0, false);
    (0..7).for_each(|n| window.push(item(n)));
    let first = window.next().unwrap();
    window.settle(first.number, Ok(None));
    let second = window.next().unwrap();
    let fenced = StreamError::Fenced {
        url: String::new(),
        epoch: 0,
        current: 1,
    };
    window.settle(second.number, Err(fenced));
    assert!(matches!(window.failure(), Some(StreamError::Fenced { .. })));
    assert_eq!(window.unacknowledged_items(), 4);
    assert!(window.next().is_none());
    assert!(window.has_room(), "the callers are to hear of it");
}

#[test]
fn a_gap_in_front_of_the_first_batch_is_an_error() {
    let mut window = Window::new(LIMITS, 0, false);
    (0..6).for_each(|n| window.push(item(n)));
    let first = window.next().unwrap();
    window.settle(first.number, Ok(None));
    let second = window.next().unwrap();
    // The server forgot what it had acknowledged.
    let error = Server::default().append(&second).unwrap_err();
    window.settle(second.number, Err(error));
    let gap = StreamError::SequenceGap {
        url: String::new(),
        expected: 0,
        sent: 1,
    };
    assert_eq!(window.failure().unwrap().to_string(), gap.to_string());
}
