//! Plans as text, for workers in other processes, which know the same collections.

use std::cell::RefCell;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{NativeCall, Node};
use crate::schema::{Catalog, CollectionDef};

thread_local! {
    /// Where collections are looked up by their number while a plan is read.
    static KNOWN: RefCell<Vec<Arc<CollectionDef>>> = const { RefCell::new(Vec::new()) };
}

impl Node {
    /// The node as text.
    ///
    /// # Errors
    ///
    /// If it calls a Rust function, which has no text.
    pub(crate) fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Reads what [`Node::to_text`] wrote, where the same collections are known.
    pub(crate) fn from_text(text: &str, catalog: &Catalog) -> Result<Node, serde_json::Error> {
        KNOWN.replace(catalog.collections());
        let node = serde_json::from_str(text);
        KNOWN.take();
        node
    }
}

pub(super) mod collection {
    use super::*;

    pub(in crate::plan) fn serialize<S: Serializer>(
        collection: &Arc<CollectionDef>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        collection.id().serialize(serializer)
    }

    pub(in crate::plan) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<CollectionDef>, D::Error> {
        let id = usize::deserialize(deserializer)?;
        let found = KNOWN.with_borrow(|known| known.get(id).cloned());
        found.ok_or_else(|| de::Error::custom(format!("there is no collection {id}")))
    }
}

pub(super) mod names {
    use super::*;
    use crate::value::SmolStr;

    pub(in crate::plan) fn serialize<S: Serializer>(
        names: &Arc<[SmolStr]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        names[..].serialize(serializer)
    }

    pub(in crate::plan) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<[SmolStr]>, D::Error> {
        Vec::deserialize(deserializer).map(Arc::from)
    }
}

/// A constant in its packed form: JSON has no word for missing, nor for all numbers.
pub(super) mod constant {
    use super::*;
    use crate::value::{Value, decode, encode};

    pub(in crate::plan) fn serialize<S: Serializer>(
        value: &Value,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        encode(value.as_ref(), &mut bytes);
        bytes.serialize(serializer)
    }

    pub(in crate::plan) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Value, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        Ok(decode(&bytes).to_owned())
    }
}

impl Serialize for NativeCall {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        let name = &self.name;
        let message = format!("the Rust function `{name}` cannot run in another process");
        Err(ser::Error::custom(message))
    }
}

impl<'de> Deserialize<'de> for NativeCall {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<NativeCall, D::Error> {
        Err(de::Error::custom("a Rust function has no text"))
    }
}
