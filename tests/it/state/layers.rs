//! What stands left of the query engine: numbers 8 to 10.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tailwater::engine::Engine;
use tailwater::protocol::{Event, MaterializedState};

use super::rows;

/// What a writer of events, or a reader of plain state, needs: its modules, and which others each
/// may name. (`work` counts steps in unit tests.)
const LEFT: [(&str, &[&str]); 3] = [
    ("value", &["value", "work"]),
    ("protocol", &["protocol", "value"]),
    ("schema", &["schema", "protocol", "value"]),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// The modules of the crate that a text names, as in `crate::a::B` and `crate::{a::B, c}`.
fn modules(text: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let mut found = Vec::new();
    for (at, prefix) in text.match_indices("crate::") {
        let rest = &text[at + prefix.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.push(name(rest));
            continue;
        };
        let (mut depth, mut starts) = (0, true);
        for (i, c) in list.char_indices() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => starts = true,
                c if c.is_whitespace() => {}
                _ if starts => {
                    found.push(name(&list[i..]));
                    starts = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn b8_protocol_and_schema_do_not_reach_the_query_engine() {
    let text = "use crate::{a::{B, c}, d};\n crate::e::F";
    assert_eq!(modules(text), ["a", "d", "e"]);

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (module, may_name) in LEFT {
        let mut files = Vec::new();
        sources(&root.join(module), &mut files);
        assert!(!files.is_empty());
        for file in files {
            for named in modules(&fs::read_to_string(&file).unwrap()) {
                assert!(
                    may_name.contains(&named.as_str()),
                    "{} reaches `{named}`",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn b9_schema_events_and_plain_state_go_without_an_engine() {
    let schema = rows::schema();
    let users = schema.events::<rows::User>().unwrap();
    let event: Event = users
        .insert(&rows::user("1", "Kyle"))
        .build()
        .unwrap()
        .into();
    assert!(matches!(event, Event::Change(_)));
    let mut state = MaterializedState::new();
    state.apply(&event);
    assert_eq!(
        state.get_as("user", "1").unwrap(),
        Some(rows::user("1", "Kyle"))
    );
}

#[test]
fn b10_an_engine_takes_the_same_schema() {
    let engine = Engine::with_catalog(Arc::new(rows::schema().catalog()));
    let names: Vec<_> = engine
        .catalog()
        .collections()
        .iter()
        .map(|c| (c.name().to_string(), c.event_type().to_string()))
        .collect();
    assert_eq!(
        names,
        [("users", "user"), ("messages", "message")].map(|(a, b)| (a.into(), b.into()))
    );
    assert!(engine.catalog().by_name("user").is_none());
}
