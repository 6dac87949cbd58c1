//! A served result put together from its messages, in its order.

use serde::Deserialize;
use serde_json::value::RawValue;

use tailwater::value::{Value, from_json};

/// The rows of a result.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// In the result's order; without one, by key.
    rows: Vec<(String, Box<RawValue>)>,
    /// The rows of a snapshot that is open.
    open: Option<Vec<(String, Box<RawValue>)>>,
    /// The changes of the step that is read.
    step: Vec<Message>,
    changes: u64,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    key: String,
    value: Option<Box<RawValue>>,
    headers: Headers,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Headers {
    control: Option<String>,
    epoch: Option<u64>,
    index: Option<usize>,
    previous_index: Option<usize>,
}

impl Fold {
    /// Takes in a message. What is no message of a result is left out.
    pub(super) fn take(&mut self, text: &str) {
        let Ok(message) = serde_json::from_str::<Message>(text) else {
            return;
        };
        if self
            .step
            .first()
            .is_some_and(|first| first.headers.epoch != message.headers.epoch)
        {
            self.end();
        }
        match message.headers.control.as_deref() {
            Some("snapshot-start") => self.open = Some(Vec::new()),
            Some("snapshot-end") => self.rows = self.open.take().unwrap_or_default(),
            Some("reset") => self.rows.clear(),
            Some(_) => {}
            None => match (&mut self.open, message.value) {
                (Some(open), Some(value)) => open.push((message.key, value)),
                (Some(_), None) => {}
                (None, value) => self.step.push(Message { value, ..message }),
            },
        }
    }

    /// Shows the step that was read.
    pub(super) fn end(&mut self) {
        let step = std::mem::take(&mut self.step);
        self.changes += step.len() as u64;
        let ordered = |m: &Message| m.headers.index.or(m.headers.previous_index).is_some();
        if step.iter().any(ordered) {
            self.end_ordered(step);
        } else {
            self.end_by_key(step);
        }
    }

    fn end_ordered(&mut self, mut step: Vec<Message>) {
        let mut leave: Vec<usize> = step
            .iter()
            .filter_map(|m| m.headers.previous_index)
            .collect();
        leave.sort_unstable();
        for index in leave.into_iter().rev() {
            if index < self.rows.len() {
                self.rows.remove(index);
            }
        }
        step.sort_by_key(|message| message.headers.index);
        for message in step {
            if let (Some(index), Some(value)) = (message.headers.index, message.value) {
                self.rows
                    .insert(index.min(self.rows.len()), (message.key, value));
            }
        }
    }

    /// Without an order, rows are sorted by key: text, or part by part where keys are lists.
    fn end_by_key(&mut self, step: Vec<Message>) {
        let sort = |key: &str| match from_json(key) {
            Ok(parts) if key.starts_with('[') => parts,
            _ => Value::from(key),
        };
        for message in step {
            let by = sort(&message.key);
            let place = self.rows.binary_search_by(|(key, _)| sort(key).cmp(&by));
            match (place, message.value) {
                (Ok(place), Some(value)) => self.rows[place].1 = value,
                (Ok(place), None) => drop(self.rows.remove(place)),
                (Err(place), Some(value)) => self.rows.insert(place, (message.key, value)),
                (Err(_), None) => {}
            }
        }
    }

    /// The changes since the first snapshot.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (String, &RawValue)> {
        self.rows.iter().map(|(key, value)| (key.clone(), &**value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(fold: &Fold) -> Vec<(String, String)> {
        fold.rows()
            .map(|(key, value)| (key, value.to_string()))
            .collect()
    }

    #[test]
    fn ordered_steps_move_rows() {
        let mut fold = Fold::default();
        fold.take(r#"{"type":"q","headers":{"control":"snapshot-start"}}"#);
        for (index, key) in ["a", "b", "c"].iter().enumerate() {
            fold.take(&format!(
                r#"{{"type":"q","key":"{key}","value":{index},"headers":{{"operation":"insert","epoch":3,"index":{index}}}}}"#
            ));
        }
        assert_eq!(fold.len(), 0);
        fold.take(r#"{"type":"q","headers":{"control":"snapshot-end"}}"#);
        assert_eq!(fold.len(), 3);
        fold.take(r#"{"type":"q","key":"b","headers":{"operation":"delete","epoch":4,"previousIndex":1}}"#);
        fold.take(r#"{"type":"q","key":"a","value":9,"headers":{"operation":"update","epoch":4,"index":1,"previousIndex":0}}"#);
        fold.take(r#"{"type":"q","key":"d","value":7,"headers":{"operation":"insert","epoch":5,"index":0}}"#);
        fold.end();
        let expected = [("d", "7"), ("c", "2"), ("a", "9")];
        assert_eq!(
            rows(&fold),
            expected.map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        assert_eq!(fold.changes(), 3);
    }

    #[test]
    fn without_an_order_keys_sort() {
        let mut fold = Fold::default();
        for (key, value) in [("b", "1"), ("a", "2"), ("b", "3")] {
            fold.take(&format!(
                r#"{{"type":"q","key":"{key}","value":{value},"headers":{{"operation":"upsert"}}}}"#
            ));
            fold.end();
        }
        fold.take("no message");
        // Keys of groups are lists: numbers among them sort as numbers.
        for key in ["[10]", "[9]", "[null]", "[10]"] {
            fold.take(&format!(
                r#"{{"type":"q","key":"{key}","value":0,"headers":{{"operation":"upsert"}}}}"#
            ));
            fold.end();
        }
        let expected = [
            ("a", "2"),
            ("b", "3"),
            ("[null]", "0"),
            ("[9]", "0"),
            ("[10]", "0"),
        ];
        assert_eq!(
            rows(&fold),
            expected.map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
    }
}
