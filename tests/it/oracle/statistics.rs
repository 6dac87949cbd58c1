//! What the generator promises: varied cases, mostly with results that change.

use super::{Step, Store, case, evaluate, same_rows, with_window};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const CASES: u64 = 1000;

const CLAUSES: &str = "join where select groupBy having orderBy limit offset distinct singleResult";
const TYPES: &str = "inner left right full outer cross queryRef unionFrom unionAll includesSubquery \
    conditionalSelect";
const FUNCTIONS: &str = "eq gt gte lt lte in like ilike and or not isNull isUndefined upper lower \
    length concat coalesce add subtract multiply divide caseWhen count sum avg min max abs floor \
    ceil round mod power trim substring replace split startsWith endsWith array countDistinct \
    median quantile stddev arrayAgg first last now";
const MATERIALIZATIONS: &str = "collection array singleton concat";
const INCLUDES: &str = "correlationField parentFilters scalarField";
const MESSAGES: &str = "insert update upsert delete reset snapshot-start snapshot-end";

/// How many cases have a feature, by the feature's name.
#[derive(Default)]
struct Counts(BTreeMap<String, u64>);

impl Counts {
    fn note(&mut self, feature: &str, present: bool) {
        *self.0.entry(feature.to_owned()).or_default() += u64::from(present);
    }

    fn note_query(&mut self, query: &Value) {
        let text = query.to_string();
        for clause in CLAUSES.split_whitespace() {
            self.note(clause, query.get(clause).is_some());
        }
        for name in TYPES.split_whitespace() {
            let present = text.contains(&format!(r#""type":"{name}""#));
            self.note(&format!("type {name}"), present);
        }
        for name in FUNCTIONS.split_whitespace() {
            let present = text.contains(&format!(r#""name":"{name}""#));
            self.note(&format!("call {name}"), present);
        }
        self.note_model(query, &text);
        let joins: Vec<&Value> = query["join"].as_array().into_iter().flatten().collect();
        self.note("several joins", joins.len() > 1);
        self.note(
            "join on and",
            joins.iter().any(|join| join["on"]["name"] == "and"),
        );
        self.note(
            "join left right",
            joins.iter().any(|join| join.get("left").is_some()),
        );
        let (grouped, select) = (query.get("groupBy").is_some(), query.get("select"));
        let aggregates = query["select"].to_string().contains(r#""agg""#);
        self.note("global aggregate", aggregates && !grouped);
        self.note("groupBy without select", grouped && select.is_none());
        self.note(
            "distinct without select",
            query["distinct"] == true && select.is_none(),
        );
        self.note(
            "depth 2",
            query["from"]["query"].to_string().contains("queryRef"),
        );
    }

    /// What goes beyond the clauses of SQL.
    fn note_model(&mut self, query: &Value, text: &str) {
        for name in MATERIALIZATIONS.split_whitespace() {
            let present = text.contains(&format!(r#""materialization":"{name}""#));
            self.note(&format!("include {name}"), present);
        }
        for name in INCLUDES.split_whitespace() {
            self.note(
                &format!("include {name}"),
                text.contains(&format!(r#""{name}""#)),
            );
        }
        let depth = includes(query);
        self.note("include depth 2", depth >= 2);
        self.note("include depth 3", depth >= 3);
        let union = |name: &str| query["from"]["type"] == name;
        self.note("union on top", union("unionAll") || union("unionFrom"));
        self.note(
            "union joined",
            query.get("join").is_some() && union("unionAll"),
        );
        let spread = text.contains(r#""...""#) || text.contains("__SPREAD_SENTINEL__");
        self.note("spread", spread);
        self.note("dotted field", text.contains(r#""d."#));
        let definitions = query["withRecursive"].as_object();
        self.note("withRecursive", text.contains("withRecursive"));
        self.note("recursion on top", definitions.is_some());
        self.note(
            "recursion mutual",
            definitions.is_some_and(|names| names.len() > 1),
        );
        self.note(
            "recursion cut",
            query["maxRounds"].as_u64().is_some_and(|n| n < 10),
        );
    }

    fn note_history(&mut self, steps: &[Step]) {
        let windows = steps.iter().any(|step| matches!(step, Step::Window { .. }));
        self.note("moves the window", windows);
        let batches: Vec<&Vec<Value>> = steps.iter().filter_map(batch).collect();
        let text = json!(batches).to_string();
        for name in MESSAGES.split_whitespace() {
            self.note(
                &format!("says {name}"),
                text.contains(&format!(r#":"{name}""#)),
            );
        }
        self.note("has old_value", text.contains("old_value"));
        self.note(
            "has an empty batch",
            batches.iter().any(|batch| batch.is_empty()),
        );
    }
}

fn batch(step: &Step) -> Option<&Vec<Value>> {
    match step {
        Step::Batch(messages) => Some(messages),
        _ => None,
    }
}

/// How deep includes are nested.
fn includes(tree: &Value) -> usize {
    let inside = match tree {
        Value::Object(fields) => fields.values().map(includes).max(),
        Value::Array(items) => items.iter().map(includes).max(),
        _ => None,
    };
    inside.unwrap_or(0) + usize::from(tree["type"] == "includesSubquery")
}

#[test]
fn cases_are_varied_and_mostly_not_empty() {
    let mut counts = Counts::default();
    for seed in 0..CASES {
        let case = case(seed);
        let mut store = Store::default();
        let mut results = Vec::new();
        store.set_clock(case.start().unwrap_or(0));
        let mut query = case.query.clone();
        for step in &case.steps {
            match step {
                Step::Batch(messages) => store.apply(messages),
                Step::Clock(ms) => store.set_clock(*ms),
                Step::Window { offset, limit } => query = with_window(&query, *offset, *limit),
            }
            results.push(evaluate(&query, &store));
        }
        store.finish();
        let last = evaluate(&query, &store);
        let changes = results
            .windows(2)
            .filter(|pair| !same_rows(&pair[0], &pair[1]))
            .count();
        counts.note("= not empty", !last.is_empty());
        counts.note("= several rows", last.len() > 1);
        counts.note("= three changes", changes >= 3);
        counts.note_query(&case.query);
        counts.note_history(&case.steps);
        let keys: BTreeSet<&String> = last.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), last.len(), "seed {}: a key twice", case.seed);
    }
    let percent = |count: u64| count as f64 * 100.0 / CASES as f64;
    for (feature, count) in &counts.0 {
        println!("{:5.1} %  {feature}", percent(*count));
        assert!(percent(*count) >= 0.5, "hardly any case has {feature}");
    }
    for (feature, least) in [
        ("= not empty", 90.0),
        ("= several rows", 60.0),
        ("= three changes", 60.0),
        ("join", 40.0),
        ("groupBy", 20.0),
        ("orderBy", 40.0),
        ("type queryRef", 20.0),
    ] {
        assert!(
            percent(counts.0[feature]) >= least,
            "too few cases have {feature}"
        );
    }
}

#[test]
fn a_seed_is_a_case() {
    assert_eq!(
        (case(7).query, case(7).steps),
        (case(7).query, case(7).steps)
    );
    assert_ne!(case(7).query, case(8).query);
}
