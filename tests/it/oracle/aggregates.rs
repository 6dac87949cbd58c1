//! The aggregates of query expressions, on values that are already computed.

use super::evaluate::in_direction;
use super::value::V;
use std::cmp::Ordering;

/// An aggregate over the values its argument has in the rows of a group. Null and missing never
/// count.
pub(crate) fn aggregate(name: &str, values: Vec<V>) -> V {
    let values: Vec<V> = values.into_iter().filter(|v| !v.nullish()).collect();
    match name {
        "count" => V::int(values.len() as i128),
        "countDistinct" => {
            let mut values = values;
            values.sort_by(V::order);
            values.dedup_by(|a, b| a.same(b));
            V::int(values.len() as i128)
        }
        "median" => quantile(&values, 0.5),
        "stddev" => stddev(&values),
        "sum" => sum(&values),
        "avg" if values.is_empty() => V::Null,
        "avg" => V::float(sum(&values).as_f64() / values.len() as f64),
        "min" => values.into_iter().min_by(V::order).unwrap_or(V::Null),
        "max" => values.into_iter().max_by(V::order).unwrap_or(V::Null),
        _ => panic!("unknown aggregate {name:?}"),
    }
}

/// Whole numbers add up exactly, whatever the order; fractions as floats.
fn sum(values: &[V]) -> V {
    let (mut whole, mut fractions, mut has_fraction) = (0i128, 0f64, false);
    for value in values {
        match value.js_number() {
            V::Int(i) => whole += i,
            other => {
                fractions += other.as_f64();
                has_fraction = true;
            }
        }
    }
    if has_fraction {
        V::float(whole as f64 + fractions)
    } else {
        V::int(whole)
    }
}

/// The value at a share of the way from the least number to the greatest, interpolated. Values that
/// are no numbers do not count.
pub(super) fn quantile(values: &[V], share: f64) -> V {
    let is_number = |v: &&V| matches!(v, V::Int(_) | V::Float(_));
    let mut values: Vec<&V> = values.iter().filter(is_number).collect();
    values.sort_by(|a, b| a.order(b));
    let Some(last) = values.len().checked_sub(1) else {
        return V::Null;
    };
    let place = last as f64 * share;
    let (below, above) = (
        values[place.floor() as usize],
        values[place.ceil() as usize],
    );
    let (low, high) = (below.as_f64(), above.as_f64());
    if below.same(above) {
        return below.clone();
    }
    V::float(low + (high - low) * place.fract())
}

/// The standard deviation of a sample: from exact sums, over small whole numbers.
fn stddev(values: &[V]) -> V {
    let whole = |v: &V| match v.js_number() {
        V::Int(i) => i,
        other => panic!("a standard deviation of {other:?}"),
    };
    let (n, sum) = (values.len() as i128, values.iter().map(whole).sum::<i128>());
    if n < 2 {
        return V::Null;
    }
    let squares: i128 = values.iter().map(|v| whole(v) * whole(v)).sum();
    V::float(((n * squares - sum * sum) as f64 / (n * (n - 1)) as f64).sqrt())
}

/// The aggregates that know an order: of each row the value, what it is ordered by, and its key.
pub(super) fn ordered(name: &str, mut rows: Vec<(V, V, V)>, descending: bool) -> V {
    rows.retain(|(value, ..)| !value.nullish());
    rows.sort_by(|(_, a, a_key), (_, b, b_key)| {
        in_direction(a, b, descending, Ordering::Less).then_with(|| a_key.order(b_key))
    });
    let mut values = rows.into_iter().map(|(value, ..)| value);
    match name {
        "arrayAgg" => V::Arr(values.collect()),
        "first" => values.next().unwrap_or(V::Null),
        _ => values.next_back().unwrap_or(V::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::{aggregate, ordered, quantile};
    use crate::oracle::value::V;
    use serde_json::{Value, json};

    #[test]
    fn aggregates_skip_null_and_missing() {
        let over = |name, values: Value| {
            let mut values: Vec<V> = values
                .as_array()
                .unwrap()
                .iter()
                .map(V::from_json)
                .collect();
            values.push(V::Missing);
            aggregate(name, values).json_text()
        };
        assert_eq!(
            ["count", "sum", "avg", "min", "max"].map(|name| over(name, json!([null]))),
            ["0", "0", "null", "null", "null"]
        );
        assert_eq!(over("avg", json!([null, 7, 0])), "3.5");
        assert_eq!(over("sum", json!([0.25, 0.75, 1])), "2");
        assert_eq!(
            over("sum", json!([u64::MAX, u64::MAX, i64::MIN, i64::MIN])),
            "18446744073709551614"
        );
        assert_eq!(over("sum", json!([true, "2", "0.5"])), "3.5");
        assert_eq!(over("min", json!([0, 5])), "0");
        assert_eq!(over("min", json!(["", "a", [0]])), "\"\"");
        assert_eq!(over("max", json!([true, -5, "10", "9"])), "\"9\"");
        assert_eq!(over("count", json!([0, "", false])), "3");
        assert_eq!(
            over(
                "countDistinct",
                json!([1, 1.0, "1", true, null, [1], [1.0]])
            ),
            "4"
        );
        assert_eq!(over("stddev", json!([null, 5])), "null");
        assert_eq!(
            over("stddev", json!([2, 4, 4, 4, 5, 5, 7, 9])),
            "2.138089935299395"
        );
        assert_eq!(over("median", json!([null, "9"])), "null");
        assert_eq!(over("median", json!([3, true, 1, "9", 2])), "2");
        assert_eq!(over("median", json!([0.5, 1])), "0.75");
    }

    #[test]
    fn quantiles_are_interpolated() {
        let values: Vec<V> = [4, 1, 2, 3].map(V::int).to_vec();
        let at = |share| quantile(&values, share).json_text();
        assert_eq!(
            [at(0.0), at(0.25), at(0.5), at(0.75), at(1.0)],
            ["1", "1.75", "2.5", "3.25", "4"]
        );
    }

    #[test]
    fn nothing_stands_first_in_an_order_and_ties_go_by_key() {
        let row = |value: i128, order: V, key: i128| (V::int(value), order, V::int(key));
        let rows = vec![
            row(1, V::Int(5), 2),
            row(2, V::Missing, 9),
            row(3, V::Int(7), 3),
            row(4, V::Null, 8),
            row(5, V::Int(5), 1),
            (V::Null, V::Int(1), V::Int(4)),
        ];
        let of = |name, descending| ordered(name, rows.clone(), descending).json_text();
        assert_eq!(of("arrayAgg", false), "[4,2,5,1,3]");
        assert_eq!(of("arrayAgg", true), "[4,2,3,5,1]");
        assert_eq!([of("first", true), of("last", true)], ["4", "1"]);
        let none = |name| ordered(name, Vec::new(), false).json_text();
        assert_eq!(
            ["arrayAgg", "first", "last"].map(none),
            ["[]", "null", "null"]
        );
    }
}
