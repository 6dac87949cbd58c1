//! The book in `docs/`: its examples give what it says, its chapters are all there, its links lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tailwater::engine::Engine;
use tailwater::query::Query;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced blocks of a page: what stands behind the fence, and the lines.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let (mut blocks, mut open) = (Vec::new(), None);
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some((info, String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn queries_by_example_give_what_the_page_says() {
    let page = read(&docs().join("tour.md"));
    let mut engine = Engine::new();
    let (mut query, mut checked) = (None, 0);
    for (info, text) in blocks(&page) {
        match info {
            "json events" => {
                let batch = engine.decode(text.lines()).unwrap();
                engine.apply(batch);
            }
            "sql" => query = Some(text),
            "json rows" => {
                let sql = query.take().expect("rows are of the query before them");
                let id = Query::from_sql(&sql).unwrap_or_else(|error| panic!("{sql}{error}"));
                let id = engine.install(&id).unwrap();
                let view = engine.view(id).unwrap();
                let rows: Vec<Value> = view
                    .rows()
                    .map(|row| json(&row.value().to_string()))
                    .collect();
                let said: Vec<Value> = text.lines().map(json).collect();
                assert_eq!(rows, said, "{sql}");
                checked += 1;
            }
            _ => {}
        }
    }
    assert!(checked >= 11, "only {checked} examples were found");
}

#[test]
fn every_page_is_a_chapter() {
    let summary = read(&docs().join("SUMMARY.md"));
    for entry in fs::read_dir(docs()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") && name != "SUMMARY.md" {
            assert!(
                summary.contains(&format!("({name})")),
                "{name} is in no chapter"
            );
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for entry in fs::read_dir(docs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let page = read(&path);
        for link in page.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => docs().join(file),
            };
            assert!(target.exists(), "{}: {link}", path.display());
            let text = || read(&target);
            let is_heading = |line: &str| line.starts_with('#') && slug(line) == anchor;
            assert!(
                anchor.is_empty() || text().lines().any(is_heading),
                "{}: {link}",
                path.display()
            );
        }
    }
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept: String = heading.chars().filter(kept).collect();
    kept.replace(' ', "-")
}
