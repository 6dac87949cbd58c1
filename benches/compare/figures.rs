//! What is measured: phases, their units, medians.

use serde_json::{Map, Value};

pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) title: &'static str,
}

const fn phase(name: &'static str, unit: &'static str, title: &'static str) -> Phase {
    Phase { name, unit, title }
}

pub(crate) const PHASES: [Phase; 7] = [
    phase("load", "rows/s", "load, rows/s"),
    phase("latency_p50", "µs", "one change, p50 µs"),
    phase("latency_p99", "µs", "p99 µs"),
    phase("latency_p999", "µs", "p99.9 µs"),
    phase("batch", "changes/s", "batches, changes/s"),
    phase("memory", "MiB", "peak MiB"),
    phase("install", "ms", "install, ms"),
];

/// The figures of one run, or the medians of several; what was not measured is not there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures([Option<f64>; PHASES.len()]);

impl Figures {
    /// Of the object that a program printed.
    pub(crate) fn of(object: &Map<String, Value>) -> Figures {
        Figures(PHASES.map(|phase| object.get(phase.name).and_then(Value::as_f64)))
    }

    /// Each figure's median over the runs.
    pub(crate) fn median(runs: &[Figures]) -> Figures {
        Figures(std::array::from_fn(|i| {
            let mut values: Vec<f64> = runs.iter().filter_map(|run| run.0[i]).collect();
            values.sort_by(f64::total_cmp);
            let last = values.len().checked_sub(1)?;
            Some((values[last / 2] + values[last.div_ceil(2)]) / 2.0)
        }))
    }

    pub(crate) fn get(&self, phase: &str) -> Option<f64> {
        let at = PHASES.iter().position(|p| p.name == phase)?;
        self.0[at]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static Phase, f64)> + '_ {
        let pairs = PHASES.iter().zip(&self.0);
        pairs.filter_map(|(phase, value)| Some((phase, (*value)?)))
    }
}

/// A figure for people: three digits, thousands apart.
pub(crate) fn shown(value: f64) -> String {
    if value < 100.0 {
        let digits = if value < 1.0 {
            2
        } else {
            usize::from(value < 10.0)
        };
        return format!("{value:.digits$}");
    }
    let step = 10f64.powi((value.log10().floor() as i32 - 2).max(0));
    let digits = format!("{:.0}", (value / step).round() * step);
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
