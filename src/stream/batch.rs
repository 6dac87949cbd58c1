//! What a read brings: items, and where they end.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::offset::Offset;

/// What one answer of a server brought: a response of a catch-up or long-poll read, or what came up
/// to one control event of SSE. It may hold nothing but news of the offset.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The content, which ends at [`offset`](Self::offset).
    pub items: Items,
    /// Where to go on reading. Store it together with what was made of the items.
    pub offset: Offset,
    /// What the server wants to hear again at the next live request. The reader does that by
    /// itself.
    pub cursor: Option<String>,
    /// Whether this was all there was when the server answered.
    pub up_to_date: bool,
    /// Whether nothing will ever follow.
    pub closed: bool,
}

/// The content of a batch.
#[derive(Clone, Debug)]
pub enum Items {
    /// Messages of a JSON stream.
    Json(JsonItems),
    /// The next bytes of a stream of another type, in pieces of any size.
    Bytes(Bytes),
}

impl Items {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        match self {
            Items::Json(items) => items.is_empty(),
            Items::Bytes(bytes) => bytes.is_empty(),
        }
    }

    /// The messages; of a byte stream, none.
    pub fn json(&self) -> impl ExactSizeIterator<Item = &str> {
        match self {
            Items::Json(items) => items.iter(),
            Items::Bytes(_) => JsonItems::EMPTY.iter(),
        }
    }

    /// The bytes; of a JSON stream, an array with the messages.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Items::Json(items) => Cow::Owned(items.to_array().into_bytes()),
            Items::Bytes(bytes) => Cow::Borrowed(bytes),
        }
    }
}

/// JSON messages, as the texts they came in: numbers keep all their digits.
///
/// ```
/// use tailwater::stream::JsonItems;
/// let items = JsonItems::parse(r#"[{"n": 9007199254740993}, [1,2]]"#.into())?;
/// assert_eq!(items.iter().collect::<Vec<_>>(), [r#"{"n": 9007199254740993}"#, "[1,2]"]);
/// assert_eq!(items.to_array(), r#"[{"n": 9007199254740993},[1,2]]"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct JsonItems {
    text: String,
    spans: Vec<Range<usize>>,
}

impl JsonItems {
    const EMPTY: &JsonItems = &JsonItems {
        text: String::new(),
        spans: Vec::new(),
    };

    /// Takes a JSON array apart.
    ///
    /// # Errors
    ///
    /// If the text is anything else than one JSON array.
    pub fn parse(text: String) -> Result<JsonItems, serde_json::Error> {
        let start = text.as_ptr() as usize;
        let spans = serde_json::from_str::<Vec<&RawValue>>(&text)?
            .into_iter()
            .map(|item| {
                let at = item.get().as_ptr() as usize - start;
                at..at + item.get().len()
            })
            .collect();
        Ok(JsonItems { text, spans })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The messages in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.spans.iter().map(|span| &self.text[span.clone()])
    }

    /// The messages as values of a type.
    ///
    /// # Errors
    ///
    /// Of the first message that is none.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Vec<T>, serde_json::Error> {
        self.iter().map(serde_json::from_str).collect()
    }

    /// One JSON array of the messages.
    pub fn to_array(&self) -> String {
        let mut array = String::with_capacity(self.text.len() + 2);
        array.push('[');
        for (i, item) in self.iter().enumerate() {
            if i > 0 {
                array.push(',');
            }
            array.push_str(item);
        }
        array.push(']');
        array
    }

    /// How many bytes are held for them.
    pub(super) fn text_len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn append(&mut self, other: JsonItems) {
        if self.is_empty() {
            *self = other;
            return;
        }
        let shift = self.text.len();
        self.text.push_str(&other.text);
        let moved = |span: Range<usize>| span.start + shift..span.end + shift;
        self.spans.extend(other.spans.into_iter().map(moved));
    }
}

/// Whether a content type is JSON, whatever its parameters.
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_array_is_a_batch() {
        for bad in ["", "{}", "[1", "[1]]", "[1,]", "1", "[1] [2]"] {
            assert!(JsonItems::parse(bad.into()).is_err(), "{bad}");
        }
        assert!(JsonItems::parse(" [ ] ".into()).unwrap().is_empty());
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(JsonItems::parse(deep).unwrap().len(), 1);
    }

    #[test]
    fn batches_are_joined() {
        let mut items = JsonItems::default();
        items.append(JsonItems::parse("[]".into()).unwrap());
        items.append(JsonItems::parse(r#"[ "ä" , 2]"#.into()).unwrap());
        items.append(JsonItems::parse("[[3],\n{}]".into()).unwrap());
        assert_eq!(items.to_array(), r#"["ä",2,[3],{}]"#);
        assert_eq!(items.iter().len(), 4);
    }

    #[test]
    fn content_types() {
        assert!(is_json("application/json"));
        assert!(is_json("Application/JSON; charset=utf-8"));
        assert!(!is_json("application/jsonl"));
        assert!(!is_json("text/plain; application/json"));
    }
}
