//! What values are made of, as serde reads it: elements, fields, entries, variants.

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::DecodeError;
use crate::value::{Array, Object, ValueRef};

/// The elements of an array.
pub(super) struct Elements<'de> {
    array: Array<'de>,
    next: usize,
}

impl<'de> Elements<'de> {
    pub(super) fn new(array: Array<'de>) -> Self {
        Elements { array, next: 0 }
    }

    /// How many were not read.
    pub(super) fn left(&self) -> usize {
        self.array.seq().len() - self.next
    }
}

impl<'de> SeqAccess<'de> for &mut Elements<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let i = self.next;
        if self.left() == 0 {
            return Ok(None);
        }
        self.next += 1;
        let value = seed.deserialize(self.array.seq().get(i));
        value.map(Some).map_err(|e| e.within(format_args!("[{i}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left())
    }
}

/// Fields of an object as the elements of a tuple.
pub(super) struct Named<'de, 'n, S> {
    pub(super) value: ValueRef<'de>,
    pub(super) names: &'n [S],
}

impl<'de, S: AsRef<str>> Deserializer<'de> for Named<'de, '_, S> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de, S: AsRef<str>> SeqAccess<'de> for Named<'de, '_, S> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some((name, rest)) = self.names.split_first() else {
            return Ok(None);
        };
        self.names = rest;
        let name = name.as_ref();
        let value = seed.deserialize(self.value.get(name));
        value
            .map(Some)
            .map_err(|e| e.within(format_args!("{name}")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.names.len())
    }
}

/// The entries of an object.
pub(super) struct Entries<'de> {
    object: Object<'de>,
    next: usize,
}

impl<'de> Entries<'de> {
    pub(super) fn new(object: Object<'de>) -> Self {
        Entries { object, next: 0 }
    }

    fn key(&self) -> Option<&'de str> {
        self.object.entry(self.next).map(|(key, _)| key)
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.key().map(|key| seed.deserialize(Key(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let (key, value) = self.object.entry(self.next).unwrap_or_default();
        self.next += 1;
        seed.deserialize(value)
            .map_err(|e| e.within(format_args!("{key}")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.object.len() - self.next)
    }
}

/// The key of a map's entry, which may be a number or the like as text.
struct Key<'de>(&'de str);

macro_rules! parsed {
    ($($deserialize:ident $visit:ident $ty:ty,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.0.parse::<$ty>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(self.0)
    }

    parsed! {
        deserialize_bool visit_bool bool,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
        deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let text: StrDeserializer<'_, DecodeError> = self.0.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// A variant with content: the only entry of an object.
pub(super) struct Variant<'de>(pub(super) Entries<'de>);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        let name = self.0.key().unwrap_or_default();
        Ok((seed.deserialize(Key(name))?, self))
    }
}

impl<'de> Variant<'de> {
    /// Reads the content with the variant's name put into its errors.
    fn content<T>(
        self,
        read: impl FnOnce(ValueRef<'de>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let (name, content) = self.0.object.entry(0).unwrap_or_default();
        read(content).map_err(|e| e.within(format_args!("{name}")))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        self.content(de::Deserialize::deserialize)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        self.content(|content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.content(|content| content.deserialize_tuple(len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.content(|content| content.deserialize_any(visitor))
    }
}
