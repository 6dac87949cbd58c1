//! How late changes are: from the arrival of events to the result that tells of them.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::system;

/// The upper bounds of buckets, in seconds.
const BOUNDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// How often a lag was in which bucket; the last one has no bound.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Lag {
    /// Takes note of a change that is told now.
    pub(super) fn took(&self, arrived: SystemTime) {
        // A clock that was set back says nothing.
        self.add(system::time().duration_since(arrived).unwrap_or_default());
    }

    fn add(&self, lag: Duration) {
        let bucket = BOUNDS.partition_point(|bound| *bound < lag.as_secs_f64());
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Writes it as a histogram of Prometheus, its labels given without braces.
    pub(crate) fn write(&self, name: &str, labels: &str, out: &mut String) -> fmt::Result {
        let mut sum = 0;
        for (count, bound) in self
            .counts
            .iter()
            .zip(BOUNDS.map(Some).into_iter().chain([None]))
        {
            sum += count.load(Ordering::Relaxed);
            let bound = bound.map_or("+Inf".to_owned(), |bound| bound.to_string());
            writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {sum}")?;
        }
        let seconds = self.nanos.load(Ordering::Relaxed) as f64 / 1e9;
        writeln!(out, "{name}_sum{{{labels}}} {seconds}")?;
        writeln!(out, "{name}_count{{{labels}}} {sum}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up() {
        let lag = Lag::default();
        for millis in [1, 2, 80, 60_000] {
            lag.add(Duration::from_millis(millis));
        }
        let mut text = String::new();
        lag.write("l", "q=\"a\"", &mut text).unwrap();
        for line in [
            "l_bucket{q=\"a\",le=\"0.001\"} 1",
            "l_bucket{q=\"a\",le=\"0.0025\"} 2",
            "l_bucket{q=\"a\",le=\"0.05\"} 2",
            "l_bucket{q=\"a\",le=\"10\"} 3",
            "l_bucket{q=\"a\",le=\"+Inf\"} 4",
            "l_sum{q=\"a\"} 60.083",
            "l_count{q=\"a\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
