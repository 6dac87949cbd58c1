//! A State Protocol message, as much of it as the peers need.

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(crate) struct Message<'a> {
    /// The collection.
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    pub(crate) key: &'a str,
    /// The new row; a delete has none.
    #[serde(borrow)]
    pub(crate) value: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    pub(crate) fn parse(text: &'a str) -> Message<'a> {
        serde_json::from_str(text).expect("the message is right")
    }

    pub(crate) fn row<T: Deserialize<'a>>(&self) -> Option<T> {
        let decode = |value: &'a RawValue| serde_json::from_str(value.get());
        self.value
            .map(|value| decode(value).expect("the row is right"))
    }
}
