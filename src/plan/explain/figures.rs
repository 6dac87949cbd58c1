//! What a step of a plan did so far, and how fast.

use std::time::Duration;

use serde::Serialize;

use super::Explanation;

/// What a step of a running query did since it was started, its first rows included.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Figures {
    /// The changes that came in; none of a scan, which is given only what it lets through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_in: Option<u64>,
    /// The changes that went out: an update of a row is two, the old one and the new one.
    pub rows_out: u64,
    /// How many batches it had something to do in.
    pub steps: u64,
    /// How long it worked, in nanoseconds, while times were taken
    /// ([`Engine::set_timing`](crate::engine::Engine::set_timing)).
    pub nanos: u64,
    /// The bytes that it holds.
    pub bytes: usize,
    /// The rows that it holds, where that is known: those of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// What it did lately, where that was asked for ([`Explanation::since`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<Rates>,
}

/// What a step of a running query did a second, over some time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rates {
    /// The changes that came in; none of a scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_in: Option<f64>,
    /// The changes that went out.
    pub rows_out: f64,
    /// The batches in which it had something to do.
    pub steps: f64,
    /// Which part of the time it worked, from 0 to 1.
    pub busy: f64,
}

/// An arrangement that a join reads: the rows of a collection by the join's key, kept once for all
/// queries that join by it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Arranged {
    /// The side of the join: `left` or `right`.
    pub side: &'static str,
    /// The collection.
    pub collection: String,
    /// The expressions that the key is made of.
    pub keys: Vec<String>,
    /// The conditions that the rows meet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<String>,
    /// The number of rows in it.
    pub rows: usize,
    /// Its bytes, without the rows themselves.
    pub bytes: usize,
}

impl Arranged {
    pub(crate) fn new(
        side: &'static str,
        collection: &str,
        keys: Vec<String>,
        filter: Vec<String>,
        (rows, bytes): (usize, usize),
    ) -> Arranged {
        Arranged {
            side,
            collection: collection.to_owned(),
            keys,
            filter,
            rows,
            bytes,
        }
    }
}

impl Explanation {
    /// Tells of each step what it did a second between an earlier look at the same query and this
    /// one. Steps that began anew in between, as they are shared with another query since, tell
    /// nothing.
    #[must_use]
    pub fn since(mut self, earlier: &Explanation, elapsed: Duration) -> Explanation {
        self.compare(earlier, elapsed.as_secs_f64());
        self
    }

    fn compare(&mut self, earlier: &Explanation, seconds: f64) {
        if self.operator != earlier.operator || self.inputs.len() != earlier.inputs.len() {
            return;
        }
        if let (Some(now), Some(then)) = (&mut self.figures, &earlier.figures) {
            now.per_second = rates(now, then, seconds);
        }
        for (input, earlier) in self.inputs.iter_mut().zip(&earlier.inputs) {
            input.compare(earlier, seconds);
        }
    }
}

fn rates(now: &Figures, then: &Figures, seconds: f64) -> Option<Rates> {
    let rate = |now: u64, then: u64| Some(now.checked_sub(then)? as f64 / seconds);
    let rows_in = match (now.rows_in, then.rows_in) {
        (Some(now), Some(then)) => Some(rate(now, then)?),
        _ => None,
    };
    let busy = rate(now.nanos, then.nanos)? / 1e9;
    Some(Rates {
        rows_in,
        rows_out: rate(now.rows_out, then.rows_out)?,
        steps: rate(now.steps, then.steps)?,
        busy: busy.min(1.0),
    })
    .filter(|_| seconds > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(rows_out: u64, nanos: u64, inputs: Vec<Explanation>) -> Explanation {
        let mut step = Explanation::new("filter", "WHERE", Vec::new());
        step.figures = Some(Figures {
            rows_out,
            nanos,
            ..Figures::default()
        });
        step.inputs = inputs;
        step
    }

    #[test]
    fn rates_are_of_the_time_between_and_not_of_what_began_anew() {
        let then = step(10, 0, vec![step(100, 0, Vec::new())]);
        let now = step(30, 1_000_000_000, vec![step(5, 0, Vec::new())]);
        let now = now.since(&then, Duration::from_secs(2));
        let rates = now.figures.unwrap().per_second.unwrap();
        assert_eq!(
            (rates.rows_out, rates.busy, rates.rows_in),
            (10.0, 0.5, None)
        );
        assert_eq!(now.inputs[0].figures.as_ref().unwrap().per_second, None);
    }
}
