//! Makes a failing case small by leaving things out as long as it still fails.

use super::generate::Case;
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Greedily removes batches, messages, row fields and parts of the query. `fails` must answer
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
    for batch in 0..case.batches.len() {
        let mut smaller = case.clone();
        smaller.batches.remove(batch);
        found.push(smaller);
    }
    let with_query = |query| Case {
        query,
        ..case.clone()
    };
    found.extend(smaller_queries(&case.query).into_iter().map(with_query));
    for (batch, messages) in case.batches.iter().enumerate() {
        for message in 0..messages.len() {
            let mut smaller = case.clone();
            smaller.batches[batch].remove(message);
            found.push(smaller);
        }
    }
    for (batch, messages) in case.batches.iter().enumerate() {
        for (message, fields) in messages.iter().enumerate() {
            for field in fields["value"].as_object().into_iter().flatten() {
                let mut smaller = case.clone();
                smaller.batches[batch][message]["value"]
                    .as_object_mut()
                    .unwrap()
                    .remove(field.0);
                found.push(smaller);
            }
        }
    }
    found
}

/// Every query with one clause, list item, select field or function argument less, or a function
/// replaced by one of its arguments. Many are invalid.
fn smaller_queries(tree: &Value) -> Vec<Value> {
    const NEEDED: [&str; 10] = [
        "type",
        "from",
        "alias",
        "collection",
        "query",
        "expression",
        "path",
        "name",
        "args",
        "value",
    ];
    let mut found = Vec::new();
    match tree {
        Value::Object(fields) => {
            if tree["type"] == "func" {
                found.extend(tree["args"].as_array().into_iter().flatten().cloned());
            }
            for (name, child) in fields {
                if !NEEDED.contains(&name.as_str()) {
                    let mut smaller = fields.clone();
                    smaller.remove(name);
                    found.push(Value::Object(smaller));
                }
                if name == "path" || tree["type"] == "val" {
                    continue;
                }
                for replacement in smaller_queries(child) {
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

#[cfg(test)]
mod tests {
    use super::shrink;
    use crate::oracle::generate::Case;
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
            batches: vec![vec![row("1", 1), row("2", 2)], vec![row("3", 3)], vec![]],
        };
        let small = shrink(&case, |case| {
            case.query.to_string().contains(r#""value":2"#)
                && case
                    .batches
                    .concat()
                    .iter()
                    .any(|message| message["value"]["n"] == 2)
        });
        assert_eq!(
            small.query,
            json!({"from": case.query["from"], "where": [{"expression": val(2)}]})
        );
        assert_eq!(small.batches, [[put("2", json!({"n": 2}))]]);
    }
}
