//! A reader of results: it holds what it was told, and where it is.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::feed::{Feed, Range};
use super::super::offset::Offset;
use super::model::Rows;

pub(super) struct Reader {
    pub(super) names: Vec<&'static str>,
    /// Whether it follows over one connection, with what all who do that share.
    pub(super) follows: bool,
    pub(super) at: Option<Offset>,
    pub(super) rows: BTreeMap<&'static str, Rows>,
}

/// What reading came to.
#[derive(Debug, PartialEq)]
pub(super) enum Came {
    /// To so many messages.
    News(usize),
    Nothing,
    /// What followed is no longer there.
    Gone,
}

impl Reader {
    pub(super) fn new(names: Vec<&'static str>, follows: bool) -> Reader {
        Reader {
            names,
            follows,
            at: None,
            rows: BTreeMap::new(),
        }
    }

    /// Begins with all rows, as JSON.
    pub(super) fn begin(&mut self, at: Offset, body: &[u8]) -> Result<usize, String> {
        self.rows = self.names.iter().map(|name| (*name, Rows::new())).collect();
        self.at = Some(at);
        self.take(body)
    }

    /// Goes on where it is.
    pub(super) fn go_on(&mut self, feed: &Feed, most: usize) -> Result<Came, String> {
        let Some(at) = self.at else {
            return Ok(Came::Nothing);
        };
        if feed.has_forgotten(at) {
            return Ok(Came::Gone);
        }
        if !feed.has_been(at.epoch) {
            return Err(format!(
                "the offset {} is not known, but was given",
                at.epoch
            ));
        }
        let range = match self.follows {
            true => feed.shared(at.epoch),
            false => feed.read(at.epoch, most).map(Some),
        };
        let range: Range = match range {
            Ok(Some(range)) => range,
            Ok(None) => return Ok(Came::Nothing),
            Err(_) => return Ok(Came::Gone),
        };
        if range.end < at.epoch {
            return Err(format!("it goes back from {} to {}", at.epoch, range.end));
        }
        self.at = Some(feed.offset(range.end));
        let moved = range.end != at.epoch;
        Ok(match self.take(&range.body)? {
            0 if !moved => Came::Nothing,
            news => Came::News(news),
        })
    }

    /// Takes messages in: each has to fit to what is there.
    fn take(&mut self, body: &[u8]) -> Result<usize, String> {
        let messages: Vec<Value> =
            serde_json::from_slice(body).map_err(|error| format!("a body is no JSON: {error}"))?;
        for message in &messages {
            let headers = &message["headers"];
            if headers["control"].is_string() {
                continue;
            }
            let known = self
                .rows
                .iter_mut()
                .find(|(name, _)| message["type"] == **name);
            let (Some((_, rows)), Some(key)) = (known, message["key"].as_str()) else {
                return Err(format!("{message} is of something else"));
            };
            let value = message["value"].clone();
            let had = match headers["operation"].as_str() {
                Some("delete") => rows.remove(key).is_some(),
                Some("update") => rows.insert(key.to_owned(), value).is_some(),
                _ => rows.insert(key.to_owned(), value).is_none(),
            };
            if !had {
                return Err(format!("{message} does not fit to what was there"));
            }
        }
        Ok(messages.len())
    }
}
