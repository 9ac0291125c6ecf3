//! From one form of a context to the other.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::binary;
use crate::engine::rules::number_text;
use crate::json::{Text, compact, push_json_string};

use super::encoded::{Encoded, Read};

/// A context as compact JSON. Only for a context that holds nothing unusable.
pub(super) fn compact_json(encoded: Encoded<'_>) -> Box<str> {
    if let Encoded::Json(json) = encoded {
        return compact(json);
    }
    let mut json = String::new();
    match encoded.read(ToJson(&mut json)) {
        Ok(Read::Whole(())) => json.into_boxed_str(),
        Ok(Read::Recovered(_)) | Err(_) => "{}".into(),
    }
}

/// Appends a value as JSON.
struct ToJson<'t>(&'t mut String);

impl<'de> DeserializeSeed<'de> for ToJson<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ToJson<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push_str("null");
        Ok(())
    }

    fn visit_bool<E>(self, v: bool) -> Result<(), E> {
        self.0.push_str(if v { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E>(self, v: i64) -> Result<(), E> {
        self.0.push_str(&v.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, v: u64) -> Result<(), E> {
        self.0.push_str(&v.to_string());
        Ok(())
    }

    /// Whole numbers as integers, as Mixpanel's own provider sends them.
    fn visit_f64<E>(self, v: f64) -> Result<(), E> {
        self.0.push_str(number_text(v).as_str());
        Ok(())
    }

    fn visit_str<E>(self, v: &str) -> Result<(), E> {
        push_json_string(self.0, v);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.0.push('[');
        let mut comma = self.0.len();
        while seq.next_element_seed(ToJson(self.0))?.is_some() {
            comma = self.0.len();
            self.0.push(',');
        }
        self.0.truncate(comma);
        self.0.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.push('{');
        let mut comma = self.0.len();
        while let Some(Text(key)) = map.next_key()? {
            push_json_string(self.0, &key);
            self.0.push(':');
            map.next_value_seed(ToJson(self.0))?;
            comma = self.0.len();
            self.0.push(',');
        }
        self.0.truncate(comma);
        self.0.push('}');
        Ok(())
    }
}

/// Writes a value in the binary form, as a member if there is a key.
pub(super) struct ToBinary<'w, 'k> {
    pub(super) form: &'w mut binary::Writer,
    pub(super) key: Option<&'k str>,
    /// Levels of nesting that are left.
    pub(super) levels: u32,
}

pub(super) const TOO_DEEP: &str = "nested more than 127 levels deep";

impl ToBinary<'_, '_> {
    fn written<E: serde::de::Error>(result: Result<(), binary::TooLong>) -> Result<(), E> {
        result.map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for ToBinary<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ToBinary<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Self::written(self.form.null(self.key))
    }

    fn visit_bool<E: serde::de::Error>(self, v: bool) -> Result<(), E> {
        Self::written(self.form.boolean(self.key, v))
    }

    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<(), E> {
        Self::written(self.form.signed(self.key, v))
    }

    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<(), E> {
        Self::written(self.form.unsigned(self.key, v))
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<(), E> {
        Self::written(self.form.double(self.key, v))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<(), E> {
        Self::written(self.form.string(self.key, v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| A::Error::custom(TOO_DEEP))?;
        let open = self.form.open_array(self.key).map_err(A::Error::custom)?;
        while seq.next_element_seed(ToBinary { form: self.form, key: None, levels })?.is_some() {}
        Self::written(self.form.close(open))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| A::Error::custom(TOO_DEEP))?;
        let open = self.form.open_object(self.key).map_err(A::Error::custom)?;
        while let Some(Text(key)) = map.next_key()? {
            map.next_value_seed(ToBinary { form: self.form, key: Some(&key), levels })?;
        }
        Self::written(self.form.close(open))
    }
}
