//! The task of a producer: takes items, sends batches, hands answers to the window.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::super::error::StreamError;
use super::super::handle::{DurableStream, next_offset};
use super::super::http::names;
use super::super::offset::Offset;
use super::window::{Send, Window};
use super::{Shared, request};

/// How many commands are taken before the network is looked at again.
const TAKE: usize = 256;

type End = Result<Option<Offset>, StreamError>;

#[derive(Debug)]
pub(super) enum Command {
    Append(Bytes),
    Flush(oneshot::Sender<End>),
    Close(oneshot::Sender<End>),
}

pub(super) struct Runner {
    pub(super) window: Window,
    pub(super) stream: DurableStream,
    pub(super) id: String,
    pub(super) content_type: Arc<str>,
    pub(super) linger: Duration,
    pub(super) shared: Arc<Mutex<Shared>>,
}

/// Somebody waits until all batches before a number are acknowledged.
struct Waiter {
    number: u64,
    reply: oneshot::Sender<End>,
}

impl Runner {
    /// Runs until nobody can append any more and everything is sent, or cannot be.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut sending: FuturesUnordered<BoxFuture<'static, (u64, End)>> = FuturesUnordered::new();
        let mut waiters: Vec<Waiter> = Vec::new();
        let mut commands = Vec::with_capacity(TAKE);
        let mut seal_at: Option<Instant> = None;
        let mut closed = false;
        let mut abandoned = false;
        loop {
            while let Some(send) = self.window.next() {
                sending.push(self.post(send));
            }
            self.tell(&mut waiters);
            if abandoned && sending.is_empty() {
                return;
            }
            let linger = async {
                match seal_at {
                    Some(time) => tokio::time::sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some((number, answer)) = sending.next(), if !sending.is_empty() => {
                    self.window.settle(number, answer);
                }
                taken = queue.recv_many(&mut commands, TAKE), if !abandoned && self.window.has_room() => {
                    if taken == 0 {
                        abandoned = true;
                        self.window.seal();
                    }
                    for command in commands.drain(..) {
                        self.take(command, &mut waiters, &mut closed);
                    }
                    if !self.window.is_open() {
                        seal_at = None;
                    } else if self.linger.is_zero() {
                        self.window.seal();
                    } else if seal_at.is_none() {
                        seal_at = Some(Instant::now() + self.linger);
                    }
                }
                () = linger => {
                    self.window.seal();
                    seal_at = None;
                }
            }
        }
    }

    fn take(&mut self, command: Command, waiters: &mut Vec<Waiter>, closed: &mut bool) {
        let reply = match command {
            // It was on its way here when another clone closed the stream.
            Command::Append(_) if *closed => {
                return self.window.fail(StreamError::Closed {
                    url: self.stream.url(),
                    end: self.window.end().cloned(),
                });
            }
            Command::Append(item) => return self.window.push(item),
            Command::Flush(reply) => {
                self.window.seal();
                reply
            }
            Command::Close(reply) => {
                if !std::mem::replace(closed, true) {
                    self.window.seal_and_close();
                }
                reply
            }
        };
        waiters.push(Waiter {
            number: self.window.sealed(),
            reply,
        });
    }

    /// Answers those whose batches are acknowledged, or never will be.
    fn tell(&self, waiters: &mut Vec<Waiter>) {
        let failure = self
            .window
            .failure()
            .map(|error| StreamError::ProducerFailed {
                unacknowledged: self.window.unacknowledged_items(),
                source: Box::new(error.clone()),
            });
        waiters.retain_mut(|waiter| {
            let answer = if waiter.number <= self.window.acknowledged() {
                Ok(self.window.end().cloned())
            } else if let Some(failure) = &failure {
                Err(failure.clone())
            } else {
                return true;
            };
            let (unused, _) = oneshot::channel();
            // Who does not wait any more needs no answer.
            let _ = std::mem::replace(&mut waiter.reply, unused).send(answer);
            false
        });
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.epoch = self.window.epoch();
        shared.failure = failure;
    }

    fn post(&self, send: Send) -> BoxFuture<'static, (u64, End)> {
        let claim = (self.id.as_str(), send.epoch, send.seq);
        let mut request = request(&self.stream, &self.content_type, &send.items, claim);
        if send.close {
            request.headers.push((names::CLOSED, "true".into()));
        }
        let stream = self.stream.clone();
        async move {
            let answer = stream.http.send(&request).await;
            (send.number, answer.map(|answer| next_offset(&answer)))
        }
        .boxed()
    }
}
