//! What happens to the server from outside: messages, time, and faults.

use std::time::Duration;

use fastrand::Rng;

use super::super::model::{Message, Says};
use super::{Checked, World};

impl World {
    /// Appends some messages.
    pub(in super::super) fn append(&mut self) {
        let mut messages = Vec::new();
        let random = &mut self.random;
        let now = self.simulation.micros() as i64 / 1000;
        let txid = (random.u32(..3) == 0).then(|| {
            self.txids += 1;
            format!("tx{}", self.txids)
        });
        let put = |random: &mut Rng| {
            let kind = usize::from(random.u32(..4) == 0);
            let value = match kind {
                0 => serde_json::json!({"g": random.i64(0..4), "n": random.i64(-9..10),
                    "at": now + random.i64(-9000..4000)}),
                _ => {
                    let name = ["a", "b", "c"][random.usize(..3)];
                    serde_json::json!({"id": random.i64(0..4), "name": name})
                }
            };
            let keys = [14, 5][kind];
            Says::Put(kind, format!("k{}", random.u32(..keys)), value)
        };
        for _ in 0..random.usize(1..5) {
            let kind = usize::from(random.u32(..4) == 0);
            match random.u32(..60) {
                0 => {
                    messages.push(Says::Reset);
                    messages.push(put(random));
                }
                1..3 => {
                    let of = (random.u32(..3) > 0).then_some(kind);
                    messages.push(Says::Begin(of));
                    for _ in 0..random.usize(..5) {
                        messages.push(put(random));
                    }
                    messages.push(Says::End(of));
                }
                3 => messages.push(Says::Bad("17")),
                4 => messages.push(Says::Bad(r#"{"type":"item","key":"k1","headers":{}}"#)),
                5..18 => messages.push(Says::Delete(kind, format!("k{}", random.u32(..14)))),
                _ => messages.push(put(random)),
            }
        }
        let operations = ["insert", "update", "upsert"];
        let operation = operations[random.usize(..3)];
        let messages: Vec<Message> = (messages.into_iter())
            .map(|says| Message {
                txid: txid.clone().filter(|_| !matches!(says, Says::Bad(_))),
                says,
                operation,
            })
            .collect();
        let count = messages.len();
        let mut upstream = self.upstream.borrow_mut();
        let Some(stream) = upstream.stream().filter(|stream| !stream.closed) else {
            return;
        };
        stream.log.extend(messages);
        let end = stream.log.len();
        upstream.wake();
        drop(upstream);
        self.say(format!("{count} messages are appended, up to {end}"));
    }

    /// Does something to the stream as a whole.
    pub(in super::super) fn upset(&mut self) -> Checked {
        let mut upstream = self.upstream.borrow_mut();
        let Some(stream) = upstream.stream().cloned() else {
            upstream.make(Vec::new());
            drop(upstream);
            self.say("there is a stream again");
            return Ok(());
        };
        let end = stream.log.len();
        let words = match self.random.u32(..6) {
            0 => {
                upstream.now = None;
                upstream.wake();
                "the stream is deleted".to_owned()
            }
            1 => {
                upstream.make(Vec::new());
                "the stream is another one".to_owned()
            }
            2 if end > 0 => {
                let upto = self.random.usize(..end);
                if stream.state(upto).is_reset() {
                    // When that takes effect is left open.
                    return Ok(());
                }
                upstream.make(stream.log[..upto].to_vec());
                format!("a fork of the stream, of {upto} messages, is in its place")
            }
            3 => {
                let start = self.random.usize(stream.start..=end);
                if stream.state(start).is_settled() {
                    let mut stream = stream;
                    stream.truncate(start);
                    upstream.put(stream);
                }
                format!("messages before {start} are no longer there")
            }
            4 if end > stream.start => {
                let upto = self.random.usize(stream.start..end);
                if stream.state(upto).is_reset() {
                    return Ok(());
                }
                let mut stream = stream;
                stream.log.truncate(upto);
                stream.closed = false;
                upstream.put(stream);
                drop(upstream);
                self.say(format!("the stream goes back to {upto}"));
                // Nobody notices who comes when it has gone on.
                return self.settle();
            }
            5 if self.random.bool() => {
                upstream.stream().expect("it is there").closed = true;
                upstream.wake();
                "the stream is closed".to_owned()
            }
            _ => return Ok(()),
        };
        drop(upstream);
        self.say(words);
        Ok(())
    }

    pub(in super::super) fn pass(&mut self, time: Duration) -> Checked {
        self.say(format!("{time:?} pass"));
        self.simulation.pass(time);
        self.turn(2)
    }

    pub(in super::super) fn pass_to_next(&mut self) -> Checked {
        let next = self.simulation.until_next().unwrap_or_default();
        self.pass(next.min(Duration::from_secs(30)))
    }

    /// Sets the time of day, forth or back.
    pub(in super::super) fn jump(&mut self) {
        let by = self.random.i64(-4_000_000_000..4_000_000_000);
        let micros = self.simulation.micros().saturating_add_signed(by);
        self.simulation.set_time(micros);
        self.say(format!("the clock is set by {by} µs"));
    }

    pub(in super::super) fn toggle_network(&mut self) {
        let mut upstream = self.upstream.borrow_mut();
        upstream.away = !upstream.away;
        upstream.wake();
        let away = upstream.away;
        drop(upstream);
        self.say(match away {
            true => "nothing gets through to the stream any more",
            false => "the way to the stream is open again",
        });
    }

    pub(in super::super) fn toggle_disk(&mut self) {
        self.full = !self.full;
        self.disk.set_full(self.full);
        self.say(match self.full {
            true => "the disk is full",
            false => "there is room on the disk again",
        });
    }

    pub(in super::super) fn arm(&mut self) {
        let operations = self.random.u32(..12);
        self.disk.kill_after(operations);
        self.say(format!("it is to be killed at the {operations}th write"));
    }
}
