//! Headers and parameters that change from command to command.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// How a value comes about.
enum Kind {
    Counter(u64),
    Timestamp,
    Token(String),
}

#[derive(Default)]
pub(crate) struct Dynamic {
    headers: BTreeMap<String, Kind>,
    params: BTreeMap<String, Kind>,
}

/// The values of one command.
#[derive(Default)]
pub(crate) struct Values {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) params: BTreeMap<String, String>,
}

impl Dynamic {
    pub(crate) fn set_header(&mut self, command: &Value) {
        self.headers.insert(name(command), Kind::of(command));
    }

    pub(crate) fn set_param(&mut self, command: &Value) {
        self.params.insert(name(command), Kind::of(command));
    }

    /// Counts on, and gives the values.
    pub(crate) fn next(&mut self) -> Values {
        let next = |map: &mut BTreeMap<String, Kind>| {
            map.iter_mut()
                .map(|(name, kind)| (name.clone(), kind.next()))
                .collect()
        };
        Values {
            headers: next(&mut self.headers),
            params: next(&mut self.params),
        }
    }
}

fn name(command: &Value) -> String {
    command["name"].as_str().unwrap_or_default().to_owned()
}

impl Kind {
    fn of(command: &Value) -> Kind {
        match command["valueType"].as_str() {
            Some("counter") => Kind::Counter(0),
            Some("timestamp") => Kind::Timestamp,
            _ => Kind::Token(
                command["initialValue"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            ),
        }
    }

    fn next(&mut self) -> String {
        match self {
            Kind::Counter(n) => {
                *n += 1;
                n.to_string()
            }
            Kind::Timestamp => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                now.unwrap_or_default().as_millis().to_string()
            }
            Kind::Token(token) => token.clone(),
        }
    }
}
