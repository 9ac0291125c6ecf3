//! An event, read in one pass and only as far as the checks need: load tests spend most of their time here.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::marker::PhantomData;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::scalar::Scalar;
use super::{Checked, Rejection};
use crate::seen::Fingerprint;

const MOST_PROPERTIES: usize = 254;
const MOST_INSERT_ID_BYTES: usize = 36;
/// 1971-01-01, in seconds. Numbers a thousand times as large are milliseconds.
const FIRST_SECOND: f64 = 31_536_000.0;
const HOUR: f64 = 3_600.0;
/// Values that Mixpanel refuses as a `distinct_id` or an `$insert_id`, because they are usually mistakes.
const PLACEHOLDERS: [&str; 17] = [
    "00000000-0000-0000-0000-000000000000",
    "anon",
    "anonymous",
    "nil",
    "none",
    "null",
    "n/a",
    "na",
    "undefined",
    "unknown",
    "<nil>",
    "0",
    "-1",
    "true",
    "false",
    "[]",
    "{}",
];

/// The fields read from an event. If a name is repeated, its last value counts.
#[derive(Default)]
pub(super) struct Record<'a> {
    is_object: bool,
    event: Scalar<'a>,
    properties: Option<Properties<'a>>,
}

#[derive(Default)]
struct Properties<'a> {
    token: Scalar<'a>,
    time: Scalar<'a>,
    distinct_id: Scalar<'a>,
    insert_id: Scalar<'a>,
    count: usize,
}

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Checks the records as they are read, so that only the verdicts of a batch are ever in memory.
pub(super) fn each(
    json: &[u8],
    check: impl FnMut(&Record<'_>) -> Result<(), Box<Rejection>>,
) -> Result<Vec<Checked>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let mut batch = Batch { check, checked: Vec::new() };
    deserializer.deserialize_any(&mut batch)?;
    deserializer.end()?;
    Ok(batch.checked)
}

struct Batch<F> {
    check: F,
    checked: Vec<Checked>,
}

impl<F: FnMut(&Record<'_>) -> Result<(), Box<Rejection>>> Batch<F> {
    fn take(&mut self, record: &Record<'_>) {
        let checked = match (self.check)(record) {
            Ok(()) => Ok(record.fingerprint()),
            Err(mut why) => {
                why.insert_id = record.insert_id().map(str::to_owned);
                Err(why)
            }
        };
        self.checked.push(checked);
    }
}

impl<'de, F: FnMut(&Record<'_>) -> Result<(), Box<Rejection>>> Visitor<'de> for &mut Batch<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or an array of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(record) = items.next_element::<Record<'de>>()? {
            self.take(&record);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        self.take(&Record::from_entries(entries)?);
        Ok(())
    }
}

impl<'de> Record<'de> {
    fn from_entries<A: MapAccess<'de>>(mut entries: A) -> Result<Self, A::Error> {
        let mut record = Self { is_object: true, ..Self::default() };
        while let Some(name) = entries.next_key()? {
            match name {
                Name::Event => record.event = entries.next_value()?,
                Name::Properties => record.properties = entries.next_value::<PropertiesField<'de>>()?.0,
                _ => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(record)
    }
}

impl Record<'_> {
    pub(super) fn check_track(&self, token: Option<&str>) -> Result<(), Box<Rejection>> {
        let properties = self.check_shape()?;
        if let Some(token) = token {
            match properties.token.text() {
                None | Some("") => return Err(Rejection::missing("properties.token", "token")),
                Some(sent) if sent != token => {
                    return Err(Rejection::invalid("properties.token", "no such project"));
                }
                Some(_) => {}
            }
        }
        match properties.time {
            Scalar::Absent | Scalar::Number(_) => Ok(()),
            _ => Err(not_seconds()),
        }
    }

    pub(super) fn check_import(&self, now: f64) -> Result<(), Box<Rejection>> {
        let properties = self.check_shape()?;
        if properties.count > MOST_PROPERTIES {
            return Err(Rejection::invalid("properties", "must have fewer than 255 properties"));
        }
        check_time(&properties.time, now)?;
        check_distinct_id(&properties.distinct_id)?;
        check_insert_id(&properties.insert_id)
    }

    fn check_shape(&self) -> Result<&Properties<'_>, Box<Rejection>> {
        if !self.is_object {
            return Err(Rejection::new("record", "must be an object"));
        }
        match self.event.text() {
            None | Some("") => return Err(Rejection::missing("event", "event")),
            Some(_) => {}
        }
        self.properties.as_ref().ok_or_else(|| Rejection::invalid("properties", "must be an object"))
    }

    fn insert_id(&self) -> Option<&str> {
        self.properties.as_ref()?.insert_id.text().filter(|id| !id.is_empty())
    }

    /// `None` without an `$insert_id`: Mixpanel then generates one, so the event is never a duplicate.
    fn fingerprint(&self) -> Option<Fingerprint> {
        let properties = self.properties.as_ref()?;
        let mut hasher = DefaultHasher::new();
        self.insert_id()?.hash(&mut hasher);
        let insert_id = hasher.finish();
        (&self.event, &properties.time, &properties.distinct_id).hash(&mut hasher);
        Some(Fingerprint { insert_id, event: hasher.finish() })
    }
}

fn not_seconds() -> Box<Rejection> {
    Rejection::invalid("properties.time", "must be specified as seconds since epoch")
}

fn check_time(time: &Scalar<'_>, now: f64) -> Result<(), Box<Rejection>> {
    let Scalar::Number(time) = *time else { return Err(not_seconds()) };
    let seconds = if time >= FIRST_SECOND * 1_000.0 { time / 1_000.0 } else { time };
    if seconds < FIRST_SECOND {
        return Err(Rejection::invalid("properties.time", "must not be before 1971-01-01"));
    }
    if seconds > now + HOUR {
        return Err(Rejection::invalid("properties.time", "must not be more than 1 hour in the future"));
    }
    Ok(())
}

/// An empty one is allowed: it means no user.
fn check_distinct_id(id: &Scalar<'_>) -> Result<(), Box<Rejection>> {
    let placeholder = match id {
        Scalar::Text(id) => PLACEHOLDERS.contains(&id.as_ref()),
        Scalar::Number(id) => *id == 0.0 || *id == -1.0,
        Scalar::Null | Scalar::Bool(_) => true,
        Scalar::Absent | Scalar::Other => {
            return Err(Rejection::invalid("properties.distinct_id", "must be specified as a string"));
        }
    };
    if placeholder {
        return Err(Rejection::invalid("properties.distinct_id", "this value is not allowed"));
    }
    Ok(())
}

fn check_insert_id(id: &Scalar<'_>) -> Result<(), Box<Rejection>> {
    let field = "properties.$insert_id";
    let id = match id.text() {
        None | Some("") => return Err(Rejection::invalid(field, "must be specified as a non-empty string")),
        Some(id) => id,
    };
    if id.len() > MOST_INSERT_ID_BYTES {
        return Err(Rejection::invalid(field, "must be at most 36 bytes"));
    }
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Rejection::invalid(field, "must contain only alphanumeric characters or '-'"));
    }
    if PLACEHOLDERS.contains(&id) {
        return Err(Rejection::invalid(field, "this value is not allowed"));
    }
    Ok(())
}

/// The names that matter; no other is copied.
enum Name {
    Event,
    Properties,
    Token,
    Time,
    DistinctId,
    InsertId,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(match name {
                    b"event" => Name::Event,
                    b"properties" => Name::Properties,
                    b"token" => Name::Token,
                    b"time" => Name::Time,
                    b"distinct_id" => Name::DistinctId,
                    b"$insert_id" => Name::InsertId,
                    _ => Name::Other,
                })
            }
        }
        // As bytes, to skip the check for UTF-8: other names are ignored anyway.
        deserializer.deserialize_bytes(Reader)
    }
}

/// Reads a `T` from an object, and the default from anything else.
struct ObjectOr<T>(PhantomData<T>);

trait FromEntries<'de>: Default {
    fn from_entries<A: MapAccess<'de>>(entries: A) -> Result<Self, A::Error>;
}

impl<'de, T: FromEntries<'de>> DeserializeSeed<'de> for ObjectOr<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: FromEntries<'de>> Visitor<'de> for ObjectOr<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<T, A::Error> {
        T::from_entries(entries)
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }
}

impl<'de> FromEntries<'de> for Record<'de> {
    fn from_entries<A: MapAccess<'de>>(entries: A) -> Result<Self, A::Error> {
        Self::from_entries(entries)
    }
}

impl<'de> Deserialize<'de> for Record<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ObjectOr(PhantomData).deserialize(deserializer)
    }
}

#[derive(Default)]
struct PropertiesField<'a>(Option<Properties<'a>>);

impl<'de> FromEntries<'de> for PropertiesField<'de> {
    fn from_entries<A: MapAccess<'de>>(mut entries: A) -> Result<Self, A::Error> {
        let mut properties = Properties::default();
        while let Some(name) = entries.next_key()? {
            properties.count += 1;
            match name {
                Name::Token => properties.token = entries.next_value()?,
                Name::Time => properties.time = entries.next_value()?,
                Name::DistinctId => properties.distinct_id = entries.next_value()?,
                Name::InsertId => properties.insert_id = entries.next_value()?,
                _ => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Self(Some(properties)))
    }
}

impl<'de> Deserialize<'de> for PropertiesField<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ObjectOr(PhantomData).deserialize(deserializer)
    }
}
