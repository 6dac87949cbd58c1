//! One message: decoded strictly, encoded again.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use smol_str::SmolStr;
use thiserror::Error;

use crate::value::{Value, from_json};

/// Why a message was refused. Names the field.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The text is not JSON.
    #[error("not valid JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// The message is not an object.
    #[error("a message must be an object, not {0}")]
    NotAnObject(&'static str),
    /// A field that must be there is not.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field holds something else than it must.
    #[error("field `{field}` must be {expected}, not {got}")]
    Wrong {
        /// The field's path.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
}

/// What a change message does to its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Creates the row; of a known key, replaces it.
    Insert,
    /// Replaces the row; of an unknown key, creates it.
    Update,
    /// Creates or replaces the row.
    Upsert,
    /// Removes the row; of an unknown key, does nothing.
    Delete,
}

/// What a control message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Control {
    /// The changes up to the next [`Control::SnapshotEnd`] are all rows of their collections.
    SnapshotStart,
    /// The snapshot is complete.
    SnapshotEnd,
    /// Everything known is void.
    Reset,
}

impl Operation {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Upsert => "upsert",
            Operation::Delete => "delete",
        }
    }

    fn parse(text: &str) -> Option<Operation> {
        use Operation::*;
        [Insert, Update, Upsert, Delete]
            .into_iter()
            .find(|o| o.as_str() == text)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Control {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Control::SnapshotStart => "snapshot-start",
            Control::SnapshotEnd => "snapshot-end",
            Control::Reset => "reset",
        }
    }

    fn parse(text: &str) -> Option<Control> {
        use Control::*;
        [SnapshotStart, SnapshotEnd, Reset]
            .into_iter()
            .find(|c| c.as_str() == text)
    }
}

/// A decoded message that borrows from its text.
#[derive(Debug)]
pub enum Message<'a> {
    /// A change of one row.
    Change(RawChange<'a>),
    /// A control message, with the collection's event type where it names one.
    Control(Control, Option<Cow<'a, str>>),
}

/// A change message whose values are still text.
#[derive(Debug)]
pub struct RawChange<'a> {
    /// The event type: which collection it belongs to.
    pub event_type: Cow<'a, str>,
    /// The row's key, not empty.
    pub key: Cow<'a, str>,
    /// What happens.
    pub operation: Operation,
    /// The new value; always there but for a delete.
    pub value: Option<&'a RawValue>,
    /// The value before, if the writer said it. Never relied on.
    pub old_value: Option<&'a RawValue>,
    /// The transaction it belongs to.
    pub txid: Option<Cow<'a, str>>,
    /// When it happened, RFC 3339.
    pub timestamp: Option<Cow<'a, str>>,
}

/// A string that borrows where it can; serde's `Option<Cow<str>>` never does.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Tells a field that is null from one that is not there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    event_type: Option<Text<'a>>,
    #[serde(borrow)]
    key: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    old_value: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<Headers<'a>>,
}

#[derive(Deserialize)]
struct Headers<'a> {
    #[serde(borrow)]
    operation: Option<Text<'a>>,
    #[serde(borrow)]
    control: Option<Text<'a>>,
    #[serde(borrow)]
    txid: Option<Text<'a>>,
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
}

fn not_empty<'a>(
    field: &'static str,
    text: Option<Text<'a>>,
) -> Result<Cow<'a, str>, MessageError> {
    match text {
        None => Err(MessageError::Missing(field)),
        Some(Text(text)) if text.is_empty() => Err(MessageError::Wrong {
            field,
            expected: "a non-empty string",
            got: "\"\"".into(),
        }),
        Some(Text(text)) => Ok(text),
    }
}

impl<'a> Message<'a> {
    /// Decodes one message. Unknown fields are ignored, as later versions may add some.
    ///
    /// ```
    /// use tailwater::protocol::Message;
    /// let error = Message::decode(r#"{"type":"user","key":7,"headers":{"operation":"delete"}}"#);
    /// assert_eq!(error.unwrap_err().to_string(), "field `key` must be a string, not a number");
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is not JSON, or a field is missing or of the wrong kind.
    pub fn decode(text: &'a str) -> Result<Message<'a>, MessageError> {
        let envelope: Envelope<'a> =
            serde_json::from_str(text).map_err(|error| explain(text, error))?;
        let headers = envelope.headers.ok_or(MessageError::Missing("headers"))?;
        if let Some(Text(control)) = headers.control {
            let control = Control::parse(&control).ok_or_else(|| MessageError::Wrong {
                field: "headers.control",
                expected: "one of `snapshot-start`, `snapshot-end`, `reset`",
                got: format!("`{control}`"),
            })?;
            return Ok(Message::Control(control, envelope.event_type.map(|t| t.0)));
        }
        let operation = not_empty("headers.operation", headers.operation)?;
        let operation = Operation::parse(&operation).ok_or_else(|| MessageError::Wrong {
            field: "headers.operation",
            expected: "one of `insert`, `update`, `upsert`, `delete`",
            got: format!("`{operation}`"),
        })?;
        if operation != Operation::Delete && envelope.value.is_none() {
            return Err(MessageError::Missing("value"));
        }
        let optional =
            |field, text: Option<Text<'a>>| text.map(|t| not_empty(field, Some(t))).transpose();
        Ok(Message::Change(RawChange {
            event_type: not_empty("type", envelope.event_type)?,
            key: not_empty("key", envelope.key)?,
            operation,
            value: envelope.value,
            old_value: envelope.old_value,
            txid: optional("headers.txid", headers.txid)?,
            timestamp: optional("headers.timestamp", headers.timestamp)?,
        }))
    }
}

/// Finds the field that made decoding fail. Slow, so only done then.
fn explain(text: &str, error: serde_json::Error) -> MessageError {
    let Ok(tree) = from_json(text) else {
        return MessageError::Json(error);
    };
    let tree = tree.as_ref();
    if !matches!(tree, crate::value::ValueRef::Object(_)) {
        return MessageError::NotAnObject(tree.type_name());
    }
    let headers = tree.get("headers");
    let wrong = |field, expected, value: crate::value::ValueRef<'_>| MessageError::Wrong {
        field,
        expected,
        got: value.type_name().into(),
    };
    if !headers.is_nullish() && !matches!(headers, crate::value::ValueRef::Object(_)) {
        return wrong("headers", "an object", headers);
    }
    for (field, value) in [
        ("type", tree.get("type")),
        ("key", tree.get("key")),
        ("headers.operation", headers.get("operation")),
        ("headers.control", headers.get("control")),
        ("headers.txid", headers.get("txid")),
        ("headers.timestamp", headers.get("timestamp")),
    ] {
        if !value.is_nullish() && value.as_str().is_none() {
            return wrong(field, "a string", value);
        }
    }
    MessageError::Json(error)
}

/// An owned message.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A change of one row.
    Change(ChangeEvent),
    /// A control message.
    Control(ControlEvent),
}

/// An owned change message.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeEvent {
    /// The event type: which collection it belongs to.
    pub event_type: SmolStr,
    /// The row's key.
    pub key: SmolStr,
    /// What happens.
    pub operation: Operation,
    /// The new value; missing for a delete.
    pub value: Value,
    /// The value before; missing if the writer did not say.
    pub old_value: Value,
    /// The transaction it belongs to.
    pub txid: Option<SmolStr>,
    /// When it happened, RFC 3339.
    pub timestamp: Option<SmolStr>,
    /// The headers that the protocol leaves to its users. On the wire, those that it knows take
    /// precedence over entries of their names.
    pub headers: BTreeMap<SmolStr, Value>,
}

/// An owned control message.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlEvent {
    /// What it says.
    pub control: Control,
    /// The event type it is about, where one stream carries snapshots of several collections.
    pub event_type: Option<SmolStr>,
}

impl Event {
    /// Decodes one message into owned values.
    ///
    /// # Errors
    ///
    /// As [`Message::decode`].
    pub fn decode(text: &str) -> Result<Event, MessageError> {
        let read = |raw: Option<&RawValue>| {
            raw.map_or(Ok(Value::Missing), |raw| from_json(raw.get()))
                .map_err(MessageError::Json)
        };
        Ok(match Message::decode(text)? {
            Message::Control(control, event_type) => Event::Control(ControlEvent {
                control,
                event_type: event_type.map(SmolStr::from),
            }),
            Message::Change(change) => Event::Change(ChangeEvent {
                value: read(change.value)?,
                old_value: read(change.old_value)?,
                event_type: change.event_type.into(),
                key: change.key.into(),
                operation: change.operation,
                txid: change.txid.map(SmolStr::from),
                timestamp: change.timestamp.map(SmolStr::from),
                headers: free_headers(text).map_err(MessageError::Json)?,
            }),
        })
    }
}

/// The headers of a message that [`Message::decode`] does not read.
fn free_headers(text: &str) -> serde_json::Result<BTreeMap<SmolStr, Value>> {
    #[derive(Deserialize)]
    struct Envelope {
        headers: BTreeMap<SmolStr, Value>,
    }
    let Envelope { mut headers } = serde_json::from_str(text)?;
    headers.retain(|name, _| !KNOWN_HEADERS.contains(&name.as_str()));
    Ok(headers)
}

/// The headers that the protocol gives a meaning.
const KNOWN_HEADERS: [&str; 4] = ["operation", "control", "txid", "timestamp"];

impl From<ChangeEvent> for Event {
    fn from(event: ChangeEvent) -> Self {
        Event::Change(event)
    }
}

impl From<ControlEvent> for Event {
    fn from(event: ControlEvent) -> Self {
        Event::Control(event)
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Event::Change(change) => change.serialize(serializer),
            Event::Control(control) => control.serialize(serializer),
        }
    }
}

impl Serialize for ChangeEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Headers<'a>(&'a ChangeEvent);
        impl Serialize for Headers<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Headers(event) = self;
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("operation", event.operation.as_str())?;
                for (name, text) in [("txid", &event.txid), ("timestamp", &event.timestamp)] {
                    if let Some(text) = text {
                        map.serialize_entry(name, text.as_str())?;
                    }
                }
                for (name, value) in &event.headers {
                    if !KNOWN_HEADERS.contains(&name.as_str()) && *value != Value::Missing {
                        map.serialize_entry(name.as_str(), value)?;
                    }
                }
                map.end()
            }
        }
        let mut s = serializer.serialize_struct("ChangeEvent", 5)?;
        s.serialize_field("type", self.event_type.as_str())?;
        s.serialize_field("key", self.key.as_str())?;
        for (name, value) in [("value", &self.value), ("old_value", &self.old_value)] {
            if !matches!(value, Value::Missing) {
                s.serialize_field(name, value)?;
            }
        }
        s.serialize_field("headers", &Headers(self))?;
        s.end()
    }
}

impl Serialize for ControlEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Headers {
            control: &'static str,
        }
        let mut s = serializer.serialize_struct("ControlEvent", 2)?;
        if let Some(event_type) = &self.event_type {
            s.serialize_field("type", event_type.as_str())?;
        }
        s.serialize_field(
            "headers",
            &Headers {
                control: self.control.as_str(),
            },
        )?;
        s.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were() {
        for text in [
            r#"{"type":"user","key":"1","value":{"a":[1,null]},"headers":{"operation":"insert"}}"#,
            r#"{"type":"user","key":"é\n","value":null,"old_value":{"a":1},"headers":{"operation":"update","txid":"t","timestamp":"2025-01-15T10:30:00Z"}}"#,
            r#"{"type":"user","key":"1","value":"dark","headers":{"operation":"upsert"}}"#,
            r#"{"type":"user","key":"1","headers":{"operation":"delete"}}"#,
            r#"{"type":"user","key":"1","headers":{"operation":"delete","txid":"t","actor":{"id":7},"offset":"0_1"}}"#,
            r#"{"headers":{"control":"snapshot-start"}}"#,
            r#"{"type":"user","headers":{"control":"snapshot-end"}}"#,
            r#"{"headers":{"control":"reset"}}"#,
        ] {
            let event = Event::decode(text).unwrap();
            assert_eq!(serde_json::to_string(&event).unwrap(), text);
        }
    }

    #[test]
    fn free_headers_cannot_change_what_a_message_is() {
        let mut event = ChangeEvent {
            event_type: "user".into(),
            key: "1".into(),
            operation: Operation::Delete,
            value: Value::Missing,
            old_value: Value::Missing,
            txid: None,
            timestamp: None,
            headers: BTreeMap::new(),
        };
        for name in ["operation", "control", "txid", "timestamp", "mine"] {
            event.headers.insert(name.into(), "reset".into());
        }
        event.headers.insert("none".into(), Value::Missing);
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"type":"user","key":"1","headers":{"operation":"delete","mine":"reset"}}"#
        );
    }

    #[test]
    fn errors_name_the_field() {
        for (text, expected) in [
            (
                "{\"type\":",
                "not valid JSON: EOF while parsing a value at line 1 column 8",
            ),
            ("[1]", "a message must be an object, not an array"),
            ("{}", "field `headers` is missing"),
            (
                r#"{"headers":3}"#,
                "field `headers` must be an object, not a number",
            ),
            (r#"{"headers":{}}"#, "field `headers.operation` is missing"),
            (
                r#"{"headers":{"operation":"patch"}}"#,
                "field `headers.operation` must be one of `insert`, `update`, `upsert`, `delete`, not `patch`",
            ),
            (
                r#"{"headers":{"control":"stop"}}"#,
                "field `headers.control` must be one of `snapshot-start`, `snapshot-end`, `reset`, not `stop`",
            ),
            (
                r#"{"headers":{"operation":"insert"}}"#,
                "field `value` is missing",
            ),
            (
                r#"{"headers":{"operation":"delete"}}"#,
                "field `type` is missing",
            ),
            (
                r#"{"type":"t","headers":{"operation":"delete"}}"#,
                "field `key` is missing",
            ),
            (
                r#"{"type":"t","key":"","headers":{"operation":"delete"}}"#,
                "field `key` must be a non-empty string, not \"\"",
            ),
            (
                r#"{"type":"t","key":"k","headers":{"operation":"delete","txid":5}}"#,
                "field `headers.txid` must be a string, not a number",
            ),
        ] {
            assert_eq!(
                Message::decode(text).unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
    }
}
