//! The events: the committed day of flights again and again, each time as another day, and the day
//! before the last one taken out again, so that there is always about as much.

use std::collections::VecDeque;
use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::Error;

pub(crate) struct Days {
    /// What is there from the start, and what each day brings.
    once: VecDeque<Value>,
    flights: Vec<Value>,
    day: usize,
    next: usize,
    /// What the day before the last one left.
    gone: VecDeque<Value>,
}

impl Days {
    pub(crate) fn new() -> Result<Days, Error> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights/day.jsonl.gz");
        let mut text = String::new();
        GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
        let (mut once, mut flights) = (VecDeque::new(), Vec::new());
        for line in text.lines() {
            let event: Value = serde_json::from_str(line)?;
            match event["type"] == "flights" {
                true => flights.push(event),
                false => once.push_back(event),
            }
        }
        Ok(Days {
            once,
            flights,
            day: 0,
            next: 0,
            gone: VecDeque::new(),
        })
    }

    pub(crate) fn day(&self) -> usize {
        self.day
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Value {
        if let Some(event) = self.once.pop_front() {
            return event;
        }
        // They go as others come.
        if self.next.is_multiple_of(2)
            && let Some(event) = self.gone.pop_front()
        {
            self.next += 1;
            self.skip();
            return event;
        }
        let mut event = self.flights[self.next % self.flights.len()].clone();
        let key = name(self.day, &event);
        event["value"]["id"] = json!(key);
        event["key"] = json!(key);
        self.next += 1;
        self.skip();
        event
    }

    /// Goes on to the next day where one is over.
    fn skip(&mut self) {
        if self.next < self.flights.len() {
            return;
        }
        if let Some(old) = self.day.checked_sub(1) {
            let inserts = self.flights.iter();
            let inserts = inserts.filter(|event| event["headers"]["operation"] == "insert");
            self.gone.extend(inserts.map(|event| {
                json!({"type": "flights", "key": name(old, event), "headers": {"operation": "delete"}})
            }));
        }
        self.day += 1;
        self.next = 0;
    }
}

/// What a flight is called on a day.
fn name(day: usize, event: &Value) -> String {
    format!("{day}/{}", event["key"].as_str().unwrap_or_default())
}
