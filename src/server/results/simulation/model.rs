//! What a stream adds up to, and what queries make of it: plain and slow, to compare with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The rows of a collection by key, or of a result.
pub(super) type Rows = BTreeMap<String, Value>;

pub(super) const KINDS: [&str; 2] = ["item", "team"];

/// What one message says.
#[derive(Clone, Debug)]
pub(super) enum Says {
    Put(usize, String, Value),
    Delete(usize, String),
    Reset,
    /// A snapshot of a collection, or of whatever occurs.
    Begin(Option<usize>),
    End(Option<usize>),
    /// Nothing that can be understood.
    Bad(&'static str),
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) says: Says,
    /// How a row that is put there is called: it makes no difference.
    pub(super) operation: &'static str,
    pub(super) txid: Option<String>,
}

impl Message {
    pub(super) fn of(says: Says) -> Message {
        Message {
            says,
            operation: "upsert",
            txid: None,
        }
    }

    pub(super) fn text(&self) -> String {
        let control = |control: &str, kind: &Option<usize>| match kind {
            Some(kind) => json!({"type": KINDS[*kind], "headers": {"control": control}}),
            None => json!({"headers": {"control": control}}),
        };
        let mut message = match &self.says {
            Says::Bad(text) => return (*text).to_owned(),
            Says::Put(kind, key, value) => json!({"type": KINDS[*kind], "key": key, "value": value,
                "headers": {"operation": self.operation}}),
            Says::Delete(kind, key) => {
                json!({"type": KINDS[*kind], "key": key, "headers": {"operation": "delete"}})
            }
            Says::Reset => control("reset", &None),
            Says::Begin(kind) => control("snapshot-start", kind),
            Says::End(kind) => control("snapshot-end", kind),
        };
        if let Some(txid) = &self.txid {
            message["headers"]["txid"] = json!(txid);
        }
        message.to_string()
    }
}

/// The collections as messages make them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub(super) rows: [Rows; 2],
    /// A reset waits for the next change.
    reset: bool,
    open: BTreeMap<Option<usize>, BTreeMap<usize, Rows>>,
}

impl State {
    pub(super) fn of<'m>(messages: impl IntoIterator<Item = &'m Message>) -> State {
        let mut state = State::default();
        messages.into_iter().for_each(|message| state.take(message));
        state
    }

    /// Whether nothing waits for what follows.
    pub(super) fn is_settled(&self) -> bool {
        !self.reset && self.open.is_empty()
    }

    /// Whether a reset waits for what follows it.
    pub(super) fn is_reset(&self) -> bool {
        self.reset
    }

    /// Lets a reset take effect that nothing follows.
    pub(super) fn finish(&mut self) {
        if std::mem::take(&mut self.reset) {
            self.rows = Default::default();
        }
    }

    pub(super) fn take(&mut self, message: &Message) {
        match &message.says {
            Says::Bad(_) => {}
            Says::Reset => {
                self.open.clear();
                self.reset = true;
            }
            Says::Begin(of) => {
                let none = of.map(|kind| (kind, Rows::new()));
                self.open.insert(*of, none.into_iter().collect());
            }
            Says::End(of) => {
                if let Some(snapshot) = self.open.remove(of) {
                    self.finish();
                    for (kind, rows) in snapshot {
                        self.rows[kind] = rows;
                    }
                }
            }
            Says::Put(kind, ..) | Says::Delete(kind, _) => {
                let of = [Some(*kind), None];
                let of = of.into_iter().find(|of| self.open.contains_key(of));
                let rows = match of.and_then(|of| self.open.get_mut(&of)) {
                    Some(snapshot) => snapshot.entry(*kind).or_default(),
                    None => {
                        self.finish();
                        &mut self.rows[*kind]
                    }
                };
                match &message.says {
                    Says::Put(_, key, value) => drop(rows.insert(key.clone(), value.clone())),
                    Says::Delete(_, key) => drop(rows.remove(key)),
                    _ => {}
                }
            }
        }
    }
}

/// A query: how it is asked, and what it gives for two collections at a time.
pub(super) struct Asked {
    pub(super) name: &'static str,
    /// In SQL, or as JSON.
    pub(super) text: &'static str,
    pub(super) gives: fn(&State, i64) -> Rows,
}

fn number(row: &Value, field: &str) -> i64 {
    row[field].as_i64().expect("a number")
}

fn pick(row: &Value, fields: &[&str]) -> Value {
    let fields = fields.iter().map(|f| ((*f).to_owned(), row[*f].clone()));
    Value::Object(fields.collect())
}

fn filtered(rows: &Rows, fields: &[&str], is: impl Fn(&Value) -> bool) -> Rows {
    let rows = rows.iter().filter(|(_, row)| is(row));
    rows.map(|(key, row)| (key.clone(), pick(row, fields)))
        .collect()
}

fn grouped(state: &State, least: i64) -> Rows {
    let mut groups: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for row in state.rows[0].values() {
        groups
            .entry(number(row, "g"))
            .or_default()
            .push(number(row, "n"));
    }
    let groups = groups.into_iter().filter(|(_, n)| n.len() as i64 >= least);
    let row = |(g, n): (i64, Vec<i64>)| {
        let row = json!({"g": g, "c": n.len(), "s": n.iter().sum::<i64>(),
            "lo": n.iter().min(), "hi": n.iter().max()});
        (format!("[{g}]"), row)
    };
    groups.map(row).collect()
}

/// The first items by `n`, then by key.
fn first(state: &State, descending: bool, skip: usize, most: usize) -> Rows {
    let mut items: Vec<_> = state.rows[0].iter().collect();
    let rank = |row: &Value| match descending {
        true => -number(row, "n"),
        false => number(row, "n"),
    };
    items.sort_by_key(|(key, row)| (rank(row), (*key).clone()));
    let items = items.into_iter().skip(skip).take(most);
    items
        .map(|(key, row)| (key.clone(), pick(row, &["n"])))
        .collect()
}

fn joined(state: &State, outer: bool) -> Rows {
    let mut rows = Rows::new();
    for (key, item) in &state.rows[0] {
        let mut alone = true;
        for (id, team) in &state.rows[1] {
            if number(item, "g") == number(team, "id") {
                alone = false;
                let row = json!({"n": item["n"], "name": team["name"]});
                rows.insert(json!([key, id]).to_string(), row);
            }
        }
        if alone && outer {
            rows.insert(
                json!([key, null]).to_string(),
                json!({"n": item["n"], "name": null}),
            );
        }
    }
    rows
}

fn by_team(state: &State) -> Rows {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for row in joined(state, false).values() {
        *counts.entry(row["name"].to_string()).or_default() += 1;
    }
    let row = |(name, c): (String, i64)| {
        let value: Value = serde_json::from_str(&name).expect("a name");
        (format!("[{name}]"), json!({"name": value, "c": c}))
    };
    counts.into_iter().map(row).collect()
}

fn total(state: &State, _: i64) -> Rows {
    let items = state.rows[0].values().map(|row| number(row, "n"));
    // The sum of nothing is none in SQL.
    let sum = items.reduce(|sum, n| sum + n);
    let row = json!({"c": state.rows[0].len(), "s": sum});
    [("[]".to_owned(), row)].into()
}

/// All queries there are. Some have the same name: one takes the place of the other.
pub(super) static ASKED: [Asked; 14] = [
    Asked {
        name: "all",
        text: "SELECT * FROM item",
        gives: |state, _| state.rows[0].clone(),
    },
    Asked {
        name: "some",
        text: "SELECT g, n FROM item WHERE n > 0",
        gives: |state, _| filtered(&state.rows[0], &["g", "n"], |row| number(row, "n") > 0),
    },
    Asked {
        name: "some",
        text: "SELECT g, n FROM item WHERE n > 5",
        gives: |state, _| filtered(&state.rows[0], &["g", "n"], |row| number(row, "n") > 5),
    },
    Asked {
        name: "joined",
        text: "SELECT i.n AS n, t.name AS name FROM item i JOIN team t ON i.g = t.id",
        gives: |state, _| joined(state, false),
    },
    Asked {
        name: "outer",
        text: "SELECT i.n AS n, t.name AS name FROM item i LEFT JOIN team t ON i.g = t.id",
        gives: |state, _| joined(state, true),
    },
    Asked {
        name: "teams",
        text: "SELECT t.name AS name, count(*) AS c FROM item i JOIN team t ON i.g = t.id GROUP BY t.name",
        gives: |state, _| by_team(state),
    },
    Asked {
        name: "groups",
        text: "SELECT g, count(*) AS c, sum(n) AS s, min(n) AS lo, max(n) AS hi FROM item GROUP BY g",
        gives: |state, _| grouped(state, 0),
    },
    Asked {
        name: "groups",
        text: "SELECT g, count(*) AS c, sum(n) AS s, min(n) AS lo, max(n) AS hi FROM item GROUP BY g HAVING count(*) > 2",
        gives: |state, _| grouped(state, 3),
    },
    Asked {
        name: "large",
        text: "SELECT g, count(*) AS c, sum(n) AS s, min(n) AS lo, max(n) AS hi FROM item GROUP BY g HAVING count(*) > 1",
        gives: |state, _| grouped(state, 2),
    },
    Asked {
        name: "top",
        text: "SELECT n FROM item ORDER BY n DESC LIMIT 4",
        gives: |state, _| first(state, true, 0, 4),
    },
    Asked {
        name: "page",
        text: "SELECT n FROM item ORDER BY n LIMIT 3 OFFSET 2",
        gives: |state, _| first(state, false, 2, 3),
    },
    Asked {
        name: "page",
        text: "SELECT n FROM item ORDER BY n LIMIT 3 OFFSET 1",
        gives: |state, _| first(state, false, 1, 3),
    },
    Asked {
        name: "total",
        text: "SELECT count(*) AS c, sum(n) AS s FROM item",
        gives: total,
    },
    Asked {
        name: DUE,
        text: r#"{"from":{"type":"collectionRef","collection":"item","alias":"i"},
            "where":[{"type":"func","name":"gt","args":[{"type":"ref","path":["i","at"]},
                {"type":"func","name":"subtract","args":[{"type":"func","name":"now","args":[]},
                    {"type":"val","value":5000}]}]}],
            "select":{"at":{"type":"ref","path":["i","at"]}}}"#,
        gives: |state, now| {
            filtered(&state.rows[0], &["at"], |row| {
                number(row, "at") > now - 5000
            })
        },
    },
];

/// The query that reads the clock.
pub(super) const DUE: &str = "due";
