//! A deserialiser without data: it walks to one place in a type and notes what the type asks for there.

use std::cell::RefCell;
use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

/// One step into a type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// Into what an `Option` holds.
    Inside,
    /// Into a list's item.
    Element,
    /// Into the value of a key.
    Key(&'static str),
    /// Into a variant's content.
    Variant(&'static str),
}

/// What is asked for at a place.
#[derive(Debug, Clone)]
pub(super) enum Hint {
    Any(String),
    Null,
    Boolean,
    Integer,
    Number,
    Text(String),
    Maybe,
    List,
    Map,
    Struct(&'static [&'static str]),
    Choice(&'static [&'static str]),
}

/// What `T` asks for at `path`; `None` where the place cannot be reached without data.
pub(super) fn hint<T: DeserializeOwned>(path: &[Step]) -> Option<Hint> {
    let found = RefCell::new(None);
    // Always an error: there is no data.
    let _no_value = T::deserialize(Tracer { path, found: &found });
    found.into_inner()
}

/// The walk is over.
#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no data")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[derive(Clone, Copy)]
struct Tracer<'a> {
    path: &'a [Step],
    found: &'a RefCell<Option<Hint>>,
}

impl Tracer<'_> {
    fn note<T>(&self, hint: Hint) -> Result<T, Stop> {
        if self.path.is_empty() {
            self.found.borrow_mut().get_or_insert(hint);
        }
        Err(Stop)
    }

    fn next(&self) -> Option<(Step, Self)> {
        let (first, path) = self.path.split_first()?;
        Some((*first, Self { path, found: self.found }))
    }

    /// A map or struct: into the key asked for.
    fn keyed<'de, V: Visitor<'de>>(self, visitor: V, hint: Hint) -> Result<V::Value, Stop> {
        match self.next() {
            Some((Step::Key(name), rest)) => visitor.visit_map(One { key: Some(name), rest }),
            Some(_) | None => self.note(hint),
        }
    }

    fn listed<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.next() {
            Some((Step::Element, rest)) => visitor.visit_seq(One { key: None, rest }),
            Some(_) | None => self.note(Hint::List),
        }
    }
}

fn words(expected: &dyn Expected) -> String {
    expected.to_string()
}

macro_rules! scalars {
    ($($method:ident => $hint:expr,)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
            self.note($hint)
        })*
    };
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Stop;

    scalars! {
        deserialize_bool => Hint::Boolean,
        deserialize_i8 => Hint::Integer,
        deserialize_i16 => Hint::Integer,
        deserialize_i32 => Hint::Integer,
        deserialize_i64 => Hint::Integer,
        deserialize_i128 => Hint::Integer,
        deserialize_u8 => Hint::Integer,
        deserialize_u16 => Hint::Integer,
        deserialize_u32 => Hint::Integer,
        deserialize_u64 => Hint::Integer,
        deserialize_u128 => Hint::Integer,
        deserialize_f32 => Hint::Number,
        deserialize_f64 => Hint::Number,
        deserialize_unit => Hint::Null,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let said = words(&visitor);
        self.note(Hint::Any(said))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_any(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let said = words(&visitor);
        self.note(Hint::Text(said))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_any(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.next() {
            Some((Step::Inside, rest)) => visitor.visit_some(rest),
            Some(_) | None => self.note(Hint::Maybe),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.listed(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        // Its items may differ; only the first could be asked for.
        let said = words(&visitor);
        self.note(Hint::Any(said))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.keyed(visitor, Hint::Map)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.keyed(visitor, Hint::Struct(fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.next() {
            Some((Step::Variant(name), rest)) => visitor.visit_enum(Chosen { name, rest }),
            Some(_) | None => self.note(Hint::Choice(variants)),
        }
    }
}

/// One entry, or one item; whatever is asked for after it, there is nothing.
struct One<'a> {
    key: Option<&'static str>,
    rest: Tracer<'a>,
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        let Some(key) = self.key.take() else { return Err(Stop) };
        seed.deserialize(de::value::StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(self.rest)
    }
}

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        seed.deserialize(self.rest).map(Some)
    }
}

struct Chosen<'a> {
    name: &'static str,
    rest: Tracer<'a>,
}

impl<'de, 'a> EnumAccess<'de> for Chosen<'a> {
    type Error = Stop;
    type Variant = Tracer<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Tracer<'a>), Stop> {
        let variant = seed.deserialize(de::value::StrDeserializer::new(self.name))?;
        Ok((variant, self.rest))
    }
}

impl<'de> VariantAccess<'de> for Tracer<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        self.note(Hint::Null)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        self.keyed(visitor, Hint::Struct(fields))
    }
}
