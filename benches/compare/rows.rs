//! Whether two results are the same: results come from many engines, each with its own order of
//! fields and its own last digit of a float.

use std::collections::BTreeMap;

use serde_json::Value;

/// Floats may differ by so much, relatively: engines add in different orders.
const TOLERANCE: f64 = 1e-9;

/// A row's fields by name, without those that are null.
type Row = BTreeMap<String, Value>;

/// A result in a form that can be compared.
pub(crate) struct Rows(Vec<Row>);

impl Rows {
    /// Reads lines of JSON objects. Rows without an order are put into one.
    pub(crate) fn parse<'a>(
        lines: impl IntoIterator<Item = &'a str>,
        ordered: bool,
    ) -> Result<Rows, serde_json::Error> {
        let mut rows = lines.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
        if !ordered {
            rows.sort_by_cached_key(|row| row.values().map(sort_text).collect::<Vec<_>>());
        }
        Ok(Rows(rows))
    }

    /// Where `other` first differs, for a message; `None` if they are the same.
    pub(crate) fn difference(&self, other: &Rows) -> Option<String> {
        let (must, is) = (&self.0, &other.0);
        if must.is_empty() {
            return Some("the work gives it no rows, which tells nothing".into());
        }
        let at = (0..must.len().max(is.len())).find(|&i| match (must.get(i), is.get(i)) {
            (Some(a), Some(b)) => !same_row(a, b),
            _ => true,
        })?;
        let text = |row: Option<&Row>| match row {
            Some(row) => serde_json::to_string(row).unwrap_or_default(),
            None => "missing".into(),
        };
        Some(format!(
            "row {at} of {} is {}, must be {} of {}",
            is.len(),
            text(is.get(at)),
            text(must.get(at)),
            must.len()
        ))
    }
}

fn row(line: &str) -> Result<Row, serde_json::Error> {
    let mut row: Row = serde_json::from_str(line)?;
    row.retain(|_, value| !value.is_null());
    Ok(row)
}

fn same_row(a: &Row, b: &Row) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((n, v), (m, w))| n == m && same(v, w))
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) => (x - y).abs() <= TOLERANCE * x.abs().max(y.abs()).max(1.0),
        _ => a == b,
    }
}

/// A text to sort by, that does not depend on a float's last digits.
fn sort_text(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.6e}"),
        None => value.to_string(),
    }
}
