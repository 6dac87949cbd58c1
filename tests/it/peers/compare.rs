//! Results of another engine beside ours.

use serde_json::Value;

/// Whether two results have the same rows, in the same order where there is one.
pub(crate) fn same_rows(
    found: &[(String, Value)],
    expected: &[(String, Value)],
    ordered: bool,
) -> bool {
    if found.len() != expected.len() {
        return false;
    }
    if ordered {
        return found.iter().zip(expected).all(|(a, b)| same(&a.1, &b.1));
    }
    // Rounding may differ, so that rows of one place in their order need not be the same.
    let mut left: Vec<&Value> = expected.iter().map(|row| &row.1).collect();
    found.iter().all(|row| {
        let place = left.iter().position(|other| same(&row.1, other));
        place.map(|place| left.remove(place)).is_some()
    })
}

/// Integers are equal exactly, floats within what SQL's inexact additions make of them, also where
/// they should be 0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => x == y,
            _ => {
                let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
                (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1.0)
            }
        },
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y))
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len()
                && x.iter()
                    .all(|(name, x)| y.get(name).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}
