//! Makes a failing case small by leaving things out as long as it still fails.

use super::generate::{Case, Step};
use serde_json::{Map, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Greedily removes steps, messages, row fields and parts of the query. `fails` must answer
/// false, or panic as `evaluate` does, for a query that removal made invalid.
pub(crate) fn shrink(case: &Case, fails: impl Fn(&Case) -> bool) -> Case {
    let still_fails =
        |candidate: &Case| catch_unwind(AssertUnwindSafe(|| fails(candidate))).unwrap_or(false);
    let mut best = case.clone();
    while let Some(smaller) = smaller_cases(&best)
        .into_iter()
        .find(|candidate| still_fails(candidate))
    {
        best = smaller;
    }
    best
}

/// Every case that is one removal away; the big removals first.
fn smaller_cases(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    for step in 0..case.steps.len() {
        let mut smaller = case.clone();
        smaller.steps.remove(step);
        found.push(smaller);
    }
    let with_query = |query| Case {
        query,
        ..case.clone()
    };
    found.extend(smaller_queries(&case.query).into_iter().map(with_query));
    let batches = case.steps.iter().enumerate().filter_map(|(i, step)| {
        let Step::Batch(messages) = step else {
            return None;
        };
        Some((i, messages))
    });
    let with_batch = |step: usize, messages| {
        let mut smaller = case.clone();
        smaller.steps[step] = Step::Batch(messages);
        smaller
    };
    for (step, messages) in batches.clone() {
        for message in 0..messages.len() {
            let mut fewer = messages.clone();
            fewer.remove(message);
            found.push(with_batch(step, fewer));
        }
    }
    for (step, messages) in batches {
        for (message, said) in messages.iter().enumerate() {
            for name in said["value"].as_object().into_iter().flat_map(Map::keys) {
                let mut fewer = messages.clone();
                fewer[message]["value"]
                    .as_object_mut()
                    .unwrap()
                    .remove(name);
                found.push(with_batch(step, fewer));
            }
        }
    }
    found
}

/// What an object cannot do without, or must not: without its rounds a recursion may never end.
const NEEDED: [&str; 17] = [
    "type",
    "from",
    "alias",
    "collection",
    "query",
    "queries",
    "sources",
    "expression",
    "path",
    "name",
    "args",
    "value",
    "condition",
    "branches",
    "materialization",
    "maxRounds",
    "childCorrelationField", // goes with its other half
];

/// Every query with one clause, list item, select field or function argument less, or a function, a
/// union or a condition replaced by one of its parts. Many are invalid.
fn smaller_queries(tree: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    match tree {
        Value::Object(fields) => {
            found.extend(parts(tree));
            for (name, child) in fields {
                if !NEEDED.contains(&name.as_str()) {
                    let mut smaller = fields.clone();
                    smaller.remove(name);
                    if name == "correlationField" {
                        smaller.remove("childCorrelationField");
                    }
                    found.push(Value::Object(smaller));
                }
                if name == "path" || tree["type"] == "val" {
                    continue;
                }
                // A union of one is something else.
                let few = child.as_array().is_some_and(|items| items.len() < 3);
                let is_union = few && matches!(name.as_str(), "queries" | "sources");
                for replacement in smaller_queries(child) {
                    if is_union && replacement.as_array().is_some_and(|items| items.len() < 2) {
                        continue;
                    }
                    let mut smaller = fields.clone();
                    smaller.insert(name.clone(), replacement);
                    found.push(Value::Object(smaller));
                }
            }
        }
        Value::Array(items) => {
            for (i, child) in items.iter().enumerate() {
                let mut smaller = items.clone();
                smaller.remove(i);
                found.push(Value::Array(smaller));
                for replacement in smaller_queries(child) {
                    let mut smaller = items.clone();
                    smaller[i] = replacement;
                    found.push(Value::Array(smaller));
                }
            }
        }
        _ => {}
    }
    found
}

/// What may stand in the place of something: a function's arguments, the values of a conditional
/// select, and for a query over a union or a subquery that one's queries, with what definitions it
/// needs.
fn parts(tree: &Value) -> Vec<Value> {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let from = &tree["from"];
    let mut found = match (tree["type"].as_str(), from["type"].as_str()) {
        (Some("func"), _) => items(&tree["args"]),
        (Some("conditionalSelect"), _) => {
            let branches = items(&tree["branches"]).into_iter();
            let mut values: Vec<Value> = branches.map(|branch| branch["value"].clone()).collect();
            values.extend(tree.get("defaultValue").cloned());
            values
        }
        (Some("unionFrom"), _) => items(&tree["sources"]),
        (_, Some("unionAll")) => items(&from["queries"]),
        (_, Some("queryRef")) => vec![from["query"].clone()],
        _ => Vec::new(),
    };
    for name in ["withRecursive", "maxRounds"] {
        if let (Some(value), true) = (tree.get(name), from.is_object()) {
            for part in &mut found {
                part[name] = value.clone();
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::shrink;
    use crate::oracle::generate::{Case, Step};
    use serde_json::{Value, json};

    #[test]
    fn only_what_fails_is_left() {
        let func = |name: &str, args: &[Value]| json!({"type": "func", "name": name, "args": args});
        let val = |value: u32| json!({"type": "val", "value": value});
        let eq = |n| func("eq", &[json!({"type": "ref", "path": ["a", "n"]}), val(n)]);
        let put = |key: &str, value: Value| {
            let headers = json!({"operation": "insert"});
            json!({"type": "a", "key": key, "value": value, "headers": headers})
        };
        let row = |key, n| put(key, json!({"m": n, "n": n}));
        let case = Case {
            seed: 0,
            query: json!({
                "from": {"type": "collectionRef", "collection": "a", "alias": "a"},
                "where": [{"expression": func("or", &[eq(1), eq(2)])}, eq(3)],
                "limit": 3,
                "distinct": true
            }),
            steps: vec![
                Step::Batch(vec![row("1", 1), row("2", 2)]),
                Step::Clock(5),
                Step::Batch(vec![row("3", 3)]),
                Step::Batch(vec![]),
            ],
        };
        let small = shrink(&case, |case| {
            case.query.to_string().contains(r#""value":2"#)
                && case.steps.iter().any(|step| match step {
                    Step::Batch(messages) => {
                        messages.iter().any(|message| message["value"]["n"] == 2)
                    }
                    _ => false,
                })
        });
        assert_eq!(
            small.query,
            json!({"from": case.query["from"], "where": [{"expression": val(2)}]})
        );
        assert_eq!(small.steps, [Step::Batch(vec![put("2", json!({"n": 2}))])]);
    }

    #[test]
    fn unions_includes_spreads_and_definitions_go() {
        let from =
            |collection| json!({"type": "collectionRef", "collection": collection, "alias": "a"});
        let plain = |collection| json!({"from": from(collection)});
        let field = json!({"type": "ref", "path": ["a", "n"]});
        let include = json!({
            "type": "includesSubquery",
            "query": plain("wanted"),
            "materialization": "array",
            "correlationField": field,
            "childCorrelationField": field,
        });
        let branch = json!({"condition": field, "value": {"i": include}});
        let case = Case {
            seed: 0,
            query: json!({
                "withRecursive": {"p": plain("b"), "q": plain("b")},
                "maxRounds": 3,
                "from": {"type": "unionAll", "queries": [plain("p"), {
                    "from": from("p"),
                    "select": {
                        "...": {"type": "ref", "path": ["a"]},
                        "c": {"type": "conditionalSelect", "branches": [branch]},
                    },
                }]},
                "limit": 3,
            }),
            steps: vec![],
        };
        let small = shrink(&case, |case| {
            let text = case.query.to_string();
            text.contains("wanted") && text.contains(r#""p":"#)
        });
        let mut least = include.as_object().unwrap().clone();
        least.remove("correlationField");
        least.remove("childCorrelationField");
        assert_eq!(
            small.query,
            json!({
                "withRecursive": {"p": plain("b")},
                "maxRounds": 3,
                "from": from("p"),
                "select": {"c": {"i": least}},
            })
        );
    }
}
