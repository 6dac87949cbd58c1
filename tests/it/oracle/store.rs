//! Collections as plain maps, filled from State Protocol messages.

use super::value::V;
use serde_json::Value;
use std::collections::BTreeMap;

/// The rows of every collection: collection, key, row.
type Collections = BTreeMap<String, BTreeMap<String, V>>;

/// What a stream of messages has made of the collections so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    rows: Collections,
    /// The rows of the snapshot that is being received; readers do not see them yet.
    snapshot: Option<Collections>,
    /// A `reset` came and nothing followed yet: the old rows stay visible until then.
    reset_pending: bool,
    /// Milliseconds, for `now()`.
    clock: i64,
}

impl Store {
    /// Folds one batch of messages in.
    pub(crate) fn apply(&mut self, batch: &[Value]) {
        for message in batch {
            match message["headers"]["control"].as_str() {
                Some("reset") => {
                    self.snapshot = None;
                    self.reset_pending = true;
                }
                Some("snapshot-start") => self.snapshot = Some(Collections::new()),
                Some("snapshot-end") => {
                    if let Some(snapshot) = self.snapshot.take() {
                        self.take_reset();
                        self.rows.extend(snapshot);
                    }
                }
                Some(_) => {}
                None => self.change(message),
            }
        }
    }

    /// Moves the clock; it never goes back.
    pub(crate) fn set_clock(&mut self, ms: i64) {
        self.clock = self.clock.max(ms);
    }

    pub(crate) fn clock(&self) -> i64 {
        self.clock
    }

    /// The stream ended: a reset that nothing followed takes effect; a snapshot that never ended
    /// does not.
    pub(crate) fn finish(&mut self) {
        self.take_reset();
    }

    /// The rows of a collection by key; an unknown collection is empty.
    pub(crate) fn rows(&self, collection: &str) -> Vec<(String, V)> {
        let rows = self.rows.get(collection).into_iter().flatten();
        rows.map(|(key, row)| (key.clone(), row.clone())).collect()
    }

    fn take_reset(&mut self) {
        if self.reset_pending {
            self.rows.clear();
            self.reset_pending = false;
        }
    }

    fn change(&mut self, message: &Value) {
        if self.snapshot.is_none() {
            self.take_reset();
        }
        let text = |field: &Value| {
            field
                .as_str()
                .expect("a change message has type, key and operation")
                .to_owned()
        };
        let (collection, key) = (text(&message["type"]), text(&message["key"]));
        let collections = self.snapshot.as_mut().unwrap_or(&mut self.rows);
        let rows = collections.entry(collection).or_default();
        match message["headers"]["operation"].as_str() {
            Some("insert" | "update" | "upsert") => {
                rows.insert(key, V::from_json(&message["value"]));
            }
            Some("delete") => {
                rows.remove(&key);
            }
            other => panic!("no such operation: {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Store;
    use serde_json::{Value, json};

    fn put(collection: &str, key: &str, n: i64) -> Value {
        let headers = json!({"operation": "update"});
        json!({"type": collection, "key": key, "value": {"n": n}, "headers": headers})
    }

    fn delete(collection: &str, key: &str) -> Value {
        json!({"type": collection, "key": key, "headers": {"operation": "delete"}})
    }

    fn control(name: &str) -> Value {
        json!({"headers": {"control": name}})
    }

    /// "key:n" of every row.
    fn shown(store: &Store, collection: &str) -> String {
        let rows = store
            .rows(collection)
            .into_iter()
            .map(|(key, row)| format!("{key}:{}", row.to_json().unwrap()["n"]));
        rows.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn changes_replace_insert_and_remove() {
        let mut store = Store::default();
        store.apply(&[
            put("a", "1", 1),
            put("a", "2", 2),
            put("a", "1", 3),
            delete("a", "9"),
            delete("a", "2"),
        ]);
        assert_eq!(shown(&store, "a"), "1:3");
        store.apply(&[put("a", "2", 4)]);
        assert_eq!(shown(&store, "a"), "1:3 2:4");
        assert_eq!(shown(&store, "none"), "");
    }

    #[test]
    fn a_reset_waits_for_what_follows() {
        let mut store = Store::default();
        store.apply(&[put("a", "1", 1), put("b", "1", 1)]);
        store.apply(&[control("reset")]);
        assert_eq!(shown(&store, "a"), "1:1");
        store.apply(&[]);
        assert_eq!(shown(&store, "a"), "1:1");
        store.apply(&[put("b", "2", 2)]);
        assert_eq!(
            (shown(&store, "a"), shown(&store, "b")),
            ("".into(), "2:2".into())
        );
        store.apply(&[control("reset")]);
        store.finish();
        assert_eq!(shown(&store, "b"), "");
    }

    #[test]
    fn a_snapshot_replaces_the_collections_it_names() {
        let mut store = Store::default();
        store.apply(&[put("a", "1", 1), put("b", "1", 1), put("c", "1", 1)]);
        store.apply(&[
            control("snapshot-start"),
            put("a", "2", 2),
            delete("c", "7"),
        ]);
        assert_eq!(shown(&store, "a"), "1:1");
        store.apply(&[put("a", "3", 3), control("snapshot-end")]);
        let all = ["a", "b", "c"].map(|collection| shown(&store, collection));
        assert_eq!(all, ["2:2 3:3", "1:1", ""]);
    }

    #[test]
    fn a_second_start_and_a_reset_drop_what_was_staged() {
        let mut store = Store::default();
        store.apply(&[
            put("a", "1", 1),
            control("snapshot-start"),
            put("a", "2", 2),
        ]);
        store.apply(&[
            control("snapshot-start"),
            put("a", "3", 3),
            control("snapshot-end"),
        ]);
        assert_eq!(shown(&store, "a"), "3:3");
        store.apply(&[
            control("snapshot-start"),
            put("a", "4", 4),
            control("reset"),
        ]);
        assert_eq!(shown(&store, "a"), "3:3");
        store.apply(&[control("snapshot-end")]);
        assert_eq!(shown(&store, "a"), "3:3");
        store.apply(&[put("a", "5", 5)]);
        assert_eq!(shown(&store, "a"), "5:5");
    }
}
