//! The picture: bars on logarithmic scales, a panel for each of four phases, of the largest query
//! set that was measured. It is readable on light and dark pages.

use std::fmt::Write;

use crate::figures::shown;
use crate::measure::Results;

/// What is shown: the phase, its title, and which end is the good one.
const PANELS: [(&str, &str, &str); 4] = [
    ("load", "Load, rows/s", "more is better"),
    (
        "latency_p50",
        "One change to its subscriber, p50 µs",
        "less is better",
    ),
    ("batch", "Batches of 1,000, changes/s", "more is better"),
    ("memory", "Peak memory, MiB", "less is better"),
];

const WIDTH: f64 = 880.0;
const PANEL: f64 = WIDTH / 2.0;
const NAMES: f64 = 138.0;
/// Room right of the longest bar, for its figure.
const FIGURE: f64 = 64.0;
const ROW: f64 = 22.0;
const HEAD: f64 = 46.0;
const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#57606a}\
text.tick{font-size:10px}\
.title{font-size:13px;font-weight:600;fill:#1f2328}.ours{font-weight:600;fill:#1f2328}\
.bar{fill:#9aa7b4}.bar.ours{fill:#0f8b8d}.grid{stroke:#d0d7de;stroke-width:1}\
@media(prefers-color-scheme:dark){text{fill:#9198a1}.title,text.ours{fill:#f0f6fc}\
.bar{fill:#57636f}.bar.ours{fill:#2fb6b8}.grid{stroke:#30363d}}";

/// One bar.
struct Bar {
    name: &'static str,
    value: f64,
}

pub(crate) fn svg(results: &Results) -> String {
    let set = results.cells.last().map_or("", |cell| cell.set.as_str());
    let panels: Vec<Vec<Bar>> = PANELS
        .iter()
        .map(|(phase, ..)| bars(results, set, phase))
        .collect();
    let rows = panels.iter().map(Vec::len).max().unwrap_or(0);
    let height = HEAD + rows as f64 * ROW + 16.0;
    let total = 2.0 * height + 24.0;
    let mut out = String::new();
    write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total}\" role=\"img\">\
         <title>{} of {}, engine by engine</title><style>{STYLE}</style>",
        if set == "all" {
            "All queries at once"
        } else {
            set
        },
        results.workload.name
    )
    .expect("a string");
    for (i, ((_, title, good), bars)) in PANELS.iter().zip(&panels).enumerate() {
        let (x, y) = ((i % 2) as f64 * PANEL, (i / 2) as f64 * height + 8.0);
        write!(out, "<g transform=\"translate({x} {y})\">").expect("a string");
        panel(&mut out, title, good, bars);
        out.push_str("</g>");
    }
    let note = "logarithmic scales; medians; each engine in a process of its own";
    let y = total - 8.0;
    writeln!(out, "<text x=\"8\" y=\"{y}\">{note}</text></svg>").expect("a string");
    out
}

fn bars(results: &Results, set: &str, phase: &str) -> Vec<Bar> {
    let cells = results.cells.iter().filter(|cell| cell.set == set);
    let bar = |cell: &crate::measure::Cell| {
        Some(Bar {
            name: cell.engine.name,
            value: cell.figures().get(phase)?,
        })
    };
    cells.filter_map(bar).collect()
}

fn panel(out: &mut String, title: &str, good: &str, bars: &[Bar]) {
    let values = || bars.iter().map(|bar| bar.value.log10());
    // Whole powers of ten around what is there.
    let low = values().fold(f64::MAX, f64::min).floor();
    let high = values().fold(f64::MIN, f64::max).ceil().max(low + 1.0);
    let room = PANEL - NAMES - FIGURE;
    let place = |log: f64| NAMES + (log - low) / (high - low) * room;
    let bottom = HEAD + bars.len() as f64 * ROW;

    let head = format!("<text class=\"title\" x=\"8\" y=\"16\">{title}</text>");
    write!(out, "{head}<text x=\"8\" y=\"34\">{good}</text>").expect("a string");
    for power in low as i32..=high as i32 {
        let (x, top) = (place(f64::from(power)), HEAD - 4.0);
        let tick = tick(power);
        write!(
            out,
            "<path class=\"grid\" d=\"M{x:.1} {top}V{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
            top - 3.0
        )
        .expect("a string");
    }
    for (i, bar) in bars.iter().enumerate() {
        let y = HEAD + i as f64 * ROW;
        let ours = if bar.name.starts_with("tailwater") {
            " ours"
        } else {
            ""
        };
        let end = place(bar.value.log10()).max(NAMES + 2.0);
        write!(
            out,
            "<text class=\"name{ours}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"bar{ours}\" x=\"{NAMES}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\" rx=\"2\"/>\
             <text class=\"figure{ours}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            NAMES - 8.0,
            y + 13.0,
            bar.name,
            y + 2.0,
            end - NAMES,
            end + 6.0,
            y + 13.0,
            shown(bar.value)
        )
        .expect("a string");
    }
}

/// A power of ten, short.
fn tick(power: i32) -> String {
    let value = 10f64.powi(power);
    match power {
        6.. => format!("{}M", value / 1e6),
        3..6 => format!("{}k", value / 1e3),
        _ => value.to_string(),
    }
}
