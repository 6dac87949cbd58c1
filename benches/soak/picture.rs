//! The picture and the summary: memory, delay and events over time, with the faults.

use std::fmt::Write;

use crate::schedule::{Figures, Sample};

const WIDTH: f64 = 880.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const PANEL: f64 = 150.0;
const GAP: f64 = 46.0;
const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#57606a}\
text.tick{font-size:10px}.title{font-size:13px;font-weight:600;fill:#1f2328}\
.line{fill:none;stroke:#0f8b8d;stroke-width:1.5}.high{fill:none;stroke:#9aa7b4;stroke-width:1}\
.grid{stroke:#d0d7de;stroke-width:1}.fault{stroke:#cf222e;stroke-width:1;opacity:.55}\
.lesser{stroke:#bf8700;stroke-width:1;opacity:.4}\
@media(prefers-color-scheme:dark){text{fill:#9198a1}.title{fill:#f0f6fc}.line{stroke:#2fb6b8}\
.high{stroke:#57636f}.grid{stroke:#30363d}.fault{stroke:#ff7b72}.lesser{stroke:#d29922}}";

/// What a line shows of a sample.
type Figure = fn(&Sample) -> Option<f64>;

/// A panel: what it shows of a sample, on which scale.
struct Panel {
    title: &'static str,
    logarithmic: bool,
    lines: &'static [(&'static str, Figure)],
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "The server's memory, MiB resident",
        logarithmic: false,
        lines: &[("line", |sample| Some(sample.memory))],
    },
    Panel {
        title: "From an append's acknowledgement to a reader, ms: p99 (grey) and p50 of each second",
        logarithmic: true,
        lines: &[
            ("high", |sample| sample.delays.map(|(_, high)| high)),
            ("line", |sample| sample.delays.map(|(middle, _)| middle)),
        ],
    },
    Panel {
        title: "Events taken in, a second",
        logarithmic: false,
        lines: &[("line", |sample| Some(sample.events))],
    },
];

/// The least that a logarithmic scale shows.
const LEAST: f64 = 0.1;

pub(crate) fn svg(figures: &Figures) -> String {
    let height = PANELS.len() as f64 * (PANEL + GAP) + 40.0;
    let mut out = String::new();
    let minutes = figures.seconds / 60.0;
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
         <title>A server under faults for {minutes:.0} minutes</title><style>{STYLE}</style>"
    );
    for (i, panel) in PANELS.iter().enumerate() {
        let y = i as f64 * (PANEL + GAP) + 28.0;
        let _ = write!(out, "<g transform=\"translate(0 {y})\">");
        draw(&mut out, figures, panel);
        out.push_str("</g>");
    }
    let note = "red: the server is killed or stopped, its disk full, or the stream made anew; yellow: \
                connections are cut, readers and queries come, go and stall; minutes";
    let y = height - 10.0;
    let _ = writeln!(
        out,
        "<text class=\"tick\" x=\"{LEFT}\" y=\"{y}\">{note}</text></svg>"
    );
    out
}

fn draw(out: &mut String, figures: &Figures, panel: &Panel) {
    let _ = write!(
        out,
        "<text class=\"title\" x=\"{LEFT}\" y=\"-10\">{}</text>",
        panel.title
    );
    let values = |of: fn(&Sample) -> Option<f64>| figures.samples.iter().filter_map(of);
    let most = (panel.lines.iter())
        .flat_map(|(_, of)| values(*of))
        .fold(1.0, f64::max);
    let top = match panel.logarithmic {
        true => 10f64.powf(most.log10().ceil()),
        false => round_up(most),
    };
    let x = |at: f64| LEFT + at / figures.seconds.max(1.0) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| match panel.logarithmic {
        true => PANEL * (1.0 - (value.max(LEAST) / LEAST).log10() / (top / LEAST).log10()),
        false => PANEL * (1.0 - value / top),
    };
    let ticks: Vec<f64> = match panel.logarithmic {
        true => std::iter::successors(Some(LEAST), |tick| Some(tick * 10.0))
            .take_while(|tick| *tick <= top * 1.01)
            .collect(),
        false => (0..=4).map(|tick| top * f64::from(tick) / 4.0).collect(),
    };
    for tick in ticks {
        let (y, x) = (y(tick), WIDTH - RIGHT);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{x}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>",
            LEFT - 6.0,
            y + 3.0,
            tick_text(tick)
        );
    }
    let minutes = figures.seconds / 60.0;
    let step = (minutes / 10.0).ceil().max(1.0);
    let mut minute = 0.0;
    while minute <= minutes {
        let _ = write!(
            out,
            "<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{}\">{minute}</text>",
            x(minute * 60.0),
            PANEL + 14.0
        );
        minute += step;
    }
    for (at, what) in &figures.faults {
        let class = match *what {
            "killed" | "stopped" | "anew" | "full" => "fault",
            _ => "lesser",
        };
        let x = x(*at);
        let _ = write!(
            out,
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{PANEL}\"/>",
            PANEL - 10.0
        );
    }
    for (class, of) in panel.lines {
        let points: Vec<String> = (figures.samples.iter())
            .filter_map(|sample| Some(format!("{:.1},{:.1}", x(sample.at), y(of(sample)?))))
            .collect();
        let _ = write!(
            out,
            "<polyline class=\"{class}\" points=\"{}\"/>",
            points.join(" ")
        );
    }
}

/// The next of 1, 2, 4, 5 and 8 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0];
    let fits = steps.iter().find(|step| *step * power >= value);
    fits.unwrap_or(&10.0) * power
}

fn tick_text(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{:.0}k", value / 1000.0),
        value if value >= 1.0 || value == 0.0 => format!("{value:.0}"),
        value => format!("{value}"),
    }
}

pub(crate) fn summary(figures: &Figures) -> String {
    let mut delays = figures.delays.clone();
    delays.sort_by(f64::total_cmp);
    let delay = |part: f64| {
        let at = (delays.len().saturating_sub(1)) as f64 * part;
        delays.get(at as usize).copied().unwrap_or_default()
    };
    let count = |what: &str| figures.faults.iter().filter(|(_, w)| *w == what).count();
    let memory = |part: &[Sample]| {
        let mut all: Vec<f64> = part.iter().map(|sample| sample.memory).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let tenth = (figures.samples.len() / 10)
        .max(1)
        .min(figures.samples.len());
    let first = memory(
        &figures.samples[figures.samples.len().min(tenth)..figures.samples.len().min(2 * tenth)],
    );
    let last = memory(&figures.samples[figures.samples.len() - tenth..]);
    let most = figures.samples.iter().map(|s| s.memory).fold(0.0, f64::max);
    format!(
        "# Soak

    cargo bench --bench soak -- --minutes 60

The committed day of flights again and again at full speed, by one producer, through `tailwater serve` with a data directory and the
queries of `queries/flights`. Readers follow six more queries, over server-sent events and long-poll; each reads its query together with a
row that says after which append it is. What it has put together is compared with a recomputation of the same appends, whenever one is
known (every hundredth append) and at barriers, where all readers have to have everything. A seed says when the server is killed
(`kill -9`) or stopped, when its disk is full, when connections are cut, the stream is made anew, queries and readers come, go and stall. The first wrong
result ends it, with exit status 1, the seed, and the data where they are.

The last run, on two cores that readers, producer and recomputation share with the server:

| | |
|---|---:|
| minutes | {:.0} |
| seed | {} |
| events taken in | {} |
| events a second | {:.0} |
| comparisons on the way, all right | {} |
| barriers, all right | {} |
| killed, stopped, disks full | {}, {}, {} |
| connections cut, streams made anew | {}, {} |
| queries come or gone, readers come or gone, stalls | {}, {}, {} |
| readers told to begin again (`410`) | {} |
| delay p50, p99, p99.9, most, ms | {:.1}, {:.1}, {:.0}, {:.0} |
| memory in the second tenth, in the last tenth, most, MiB | {first:.0}, {last:.0}, {most:.0} |
| on disk at the end, MB | {} |

![Memory, delay and events over time](../../docs/images/soak.svg)
",
        figures.seconds / 60.0,
        figures.seed,
        figures.events,
        figures.events as f64 / figures.seconds.max(1.0),
        figures.compared,
        figures.barriers,
        count("killed"),
        count("stopped"),
        count("full"),
        count("cut"),
        count("anew"),
        count("query"),
        count("reader"),
        count("stall"),
        figures.gone,
        delay(0.5),
        delay(0.99),
        delay(0.999),
        delay(1.0),
        figures.disk / 1_000_000,
    )
}
