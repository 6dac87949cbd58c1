//! The figures as a table in Markdown and as JSON lines.

use std::fmt::Write;

use serde_json::json;

use crate::engines::Pace;
use crate::figures::{PHASES, shown};
use crate::measure::Results;

/// A table for each query set, and notes: versions, how each engine was used, what went wrong.
pub(crate) fn markdown(results: &Results, quick: bool) -> String {
    let mut out = String::new();
    let mut sets: Vec<&str> = results.cells.iter().map(|cell| cell.set.as_str()).collect();
    sets.dedup();
    writeln!(
        out,
        "Workload `{}`: {}{}.",
        results.workload.name,
        results.workload.about,
        if quick { "; a tenth of that" } else { "" }
    )
    .expect("a string");
    for set in sets {
        let titles: Vec<&str> = PHASES.iter().map(|phase| phase.title).collect();
        let align = "---:|".repeat(PHASES.len());
        writeln!(out, "\n| {set} | {} |\n|---|{align}", titles.join(" | ")).expect("a string");
        for cell in results.cells.iter().filter(|cell| cell.set == set) {
            let figures = cell.figures();
            let texts: Vec<String> = PHASES
                .iter()
                .map(|phase| figures.get(phase.name).map(shown).unwrap_or_default())
                .collect();
            writeln!(out, "| {} | {} |", cell.engine.name, texts.join(" | ")).expect("a string");
        }
    }
    out.push('\n');
    let mut named = Vec::new();
    for engine in results.cells.iter().map(|cell| cell.engine) {
        if named.contains(&engine.name) {
            continue;
        }
        named.push(engine.name);
        let version = results.versions.get(engine.name).map_or("", String::as_str);
        let (single, batched) = results.workload.changes(engine.pace, quick);
        let fewer = if engine.pace == Pace::Library {
            String::new()
        } else {
            format!(" ({single} single changes and {batched} in batches)")
        };
        writeln!(out, "- {} {version}: {}{fewer}", engine.name, engine.used).expect("a string");
    }
    for note in &results.notes {
        writeln!(out, "- {note}").expect("a string");
    }
    out
}

/// A figure a line.
pub(crate) fn json(results: &Results) -> String {
    let mut out = String::new();
    for cell in &results.cells {
        let version = results.versions.get(cell.engine.name);
        for (phase, value) in cell.figures().iter() {
            let line = json!({
                "workload": results.workload.name,
                "engine": cell.engine.name,
                "version": version,
                "query": cell.set,
                "phase": phase.name,
                "value": value,
                "unit": phase.unit,
            });
            writeln!(out, "{line}").expect("a string");
        }
    }
    out
}
