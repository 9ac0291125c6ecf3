//! Events as the JSON that is sent to Mixpanel.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde::de::IgnoredAny;

use crate::engine::definitions::Flag;
use crate::engine::exposure::{Exposure, Fetch};
use crate::engine::identity::Identity;
use crate::engine::rules::text_milliseconds;
use crate::engine::variant::FlagValue;
use crate::error::{Error, ErrorKind};
use crate::json::{RawPairs, Writer, json_kind, plain, syntax};

/// An event or profile update for Mixpanel.
#[derive(Debug)]
pub(crate) enum Event {
    Exposure { exposed: Exposed, user: Identity<'static>, time_ms: u64 },
    Track(Track),
    Profile(Profile),
}

/// The variant that a user was shown.
#[derive(Debug)]
pub(crate) enum Exposed {
    /// Assigned here.
    Local { flag: Arc<Flag>, variant: usize, is_qa_tester: bool },
    /// Written when it was reported, as the members of `properties`.
    Written(Box<str>),
}

/// An event of the program.
#[derive(Debug)]
pub(crate) struct Track {
    name: Box<str>,
    /// The members of `properties`, joined by commas.
    members: String,
    has_time: bool,
    has_insert_id: bool,
    user: Identity<'static>,
    time_ms: u64,
}

/// An update of the profile of a user or a group.
#[derive(Debug)]
pub(crate) struct Profile {
    operation: &'static str,
    value: Box<str>,
    owner: Owner,
}

#[derive(Debug)]
pub(crate) enum Owner {
    User(Identity<'static>),
    /// The group whose property `key`, such as `company`, is `id`.
    Group {
        key: Box<str>,
        id: Box<str>,
    },
}

/// The operations of profile updates, and the values that they take. Groups have neither of the last two.
const OPERATIONS: [(&str, &str); 8] = [
    ("$set", "an object"),
    ("$set_once", "an object"),
    ("$union", "an object of arrays"),
    ("$remove", "an object"),
    ("$unset", "an array of strings"),
    ("$delete", "null"),
    ("$add", "an object of numbers"),
    ("$append", "an object"),
];
const GROUP_OPERATIONS: usize = 6;

/// The largest event in bytes of JSON, which is also the largest request.
pub(crate) const EVENT_LIMIT: usize = 1024 * 1024;

impl Event {
    pub(crate) fn local(
        flag: Arc<Flag>,
        variant: usize,
        is_qa_tester: bool,
        user: Identity<'static>,
        time_ms: u64,
    ) -> Self {
        Event::Exposure { exposed: Exposed::Local { flag, variant, is_qa_tester }, user, time_ms }
    }

    pub(crate) fn exposure(exposure: &Exposure<'_>, user: &Identity<'_>, time_ms: u64) -> Self {
        let mut members = String::new();
        write_exposure(&mut Writer::new(&mut members), exposure);
        let exposed = Exposed::Written(members.into_boxed_str());
        Event::Exposure { exposed, user: user.clone().into_owned(), time_ms }
    }

    /// The owner of the profile that it updates: updates go to other endpoints than events.
    pub(crate) fn profile_of(&self) -> Option<&Owner> {
        match self {
            Event::Profile(profile) => Some(&profile.owner),
            Event::Exposure { .. } | Event::Track(_) => None,
        }
    }

    /// Writes the event as JSON. Mixpanel recognises a retry by its `insert_id`.
    pub(crate) fn write(&self, json: &mut Writer<'_>, token: &str, insert_id: &str) {
        match self {
            Event::Exposure { exposed, user, time_ms } => {
                write_event(json, "$experiment_started", token, user, |json| {
                    json.field("time").display(time_ms);
                    json.field("$insert_id").string(insert_id);
                    match exposed {
                        Exposed::Local { flag, variant, is_qa_tester } => {
                            if let Some(variant) = flag.variants.get(*variant) {
                                write_exposure(json, &flag.exposure(variant, *is_qa_tester, 0));
                            }
                        }
                        Exposed::Written(members) => json.raw(members),
                    }
                });
            }
            Event::Track(track) => write_event(json, &track.name, token, &track.user, |json| {
                if !track.has_time {
                    json.field("time").display(track.time_ms);
                }
                if !track.has_insert_id {
                    json.field("$insert_id").string(insert_id);
                }
                if !track.members.is_empty() {
                    json.raw(&track.members);
                }
            }),
            Event::Profile(profile) => json.object(|json| {
                json.field("$token").string(token);
                match &profile.owner {
                    Owner::User(user) => user.write(json.field("$distinct_id")),
                    Owner::Group { key, id } => {
                        json.field("$group_key").string(key);
                        json.field("$group_id").string(id);
                    }
                }
                json.field(profile.operation).raw(&profile.value);
            }),
        }
    }
}

fn write_event(
    json: &mut Writer<'_>,
    name: &str,
    token: &str,
    user: &Identity<'_>,
    properties: impl FnOnce(&mut Writer<'_>),
) {
    json.object(|json| {
        json.field("event").string(name);
        json.field("properties").object(|json| {
            json.field("token").string(token);
            user.write(json.field("distinct_id"));
            json.field("mp_lib").string("mpflags");
            json.field("$lib_version").string(env!("CARGO_PKG_VERSION"));
            properties(json);
        });
    });
}

fn write_exposure(json: &mut Writer<'_>, exposure: &Exposure<'_>) {
    json.field("Experiment name").string(exposure.flag);
    json.field("Variant name").string_or_null(exposure.variant);
    json.field("$experiment_type").string("feature_flag");
    json.field("Flag evaluation mode").string(if exposure.fetch.is_some() { "remote" } else { "local" });
    if let Some(id) = exposure.experiment.id {
        json.field("$experiment_id").string(id);
    }
    if let Some(is_active) = exposure.experiment.is_active {
        json.field("$is_experiment_active").display(is_active);
    }
    if let Some(is_qa_tester) = exposure.is_qa_tester {
        json.field("$is_qa_tester").display(is_qa_tester);
    }
    if let Some(Fetch { latency_ms, start, complete }) = exposure.fetch {
        // Always with a fraction, so that the property has one type in Mixpanel.
        json.field("Variant fetch latency (ms)").display(format_args!("{latency_ms:.3}"));
        json.field("Variant fetch start time").string(start);
        json.field("Variant fetch complete time").string(complete);
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

const NO_USER: &str = "distinct_id: expected a non-empty string";

impl Owner {
    pub(crate) fn user(distinct_id: &str) -> Result<Self, Error> {
        match distinct_id {
            "" => Err(invalid(NO_USER.to_owned())),
            id => Ok(Owner::User(Identity::named(id.to_owned()))),
        }
    }

    pub(crate) fn group(key: &str, id: &str) -> Result<Self, Error> {
        match (key, id) {
            ("", _) => Err(invalid("group_key: expected a non-empty string, such as company".to_owned())),
            (_, "") => Err(invalid("group_id: expected a non-empty string".to_owned())),
            _ => Ok(Owner::Group { key: key.into(), id: id.into() }),
        }
    }

    /// The operations on its profile, and the values that they take.
    fn operations(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Owner::User(_) => &OPERATIONS,
            Owner::Group { .. } => OPERATIONS.split_at(GROUP_OPERATIONS).0,
        }
    }
}

/// `time` as Mixpanel's import accepts it, which rejects times before 1971: a number as it is written, RFC 3339 text as
/// milliseconds.
fn event_time(value: &FlagValue) -> Option<String> {
    const YEAR_1971: f64 = 31_536_000.0;
    // A larger number is in micro- or nanoseconds.
    const YEAR_10000_MS: f64 = 253_402_300_800_000.0;
    let valid = |time: f64| (YEAR_1971..YEAR_10000_MS).contains(&time);
    match value {
        FlagValue::Integer(time) => valid(*time as f64).then(|| time.to_string()),
        FlagValue::Double { number, text } => valid(*number).then(|| text.to_string()),
        FlagValue::String(text) => {
            let ms = text_milliseconds(text)?;
            valid(ms as f64 / 1000.0).then(|| ms.to_string())
        }
        _ => None,
    }
}

/// Whether Mixpanel's import accepts `value` as an `$insert_id`.
fn is_insert_id(value: &FlagValue) -> bool {
    value.string().is_some_and(|id| {
        (1..=36).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

impl Track {
    /// An event called `name` with the members of the JSON object `properties`. Its `time` and `$insert_id` replace ours, and
    /// are refused if Mixpanel would refuse them; its `token` and `distinct_id` are ignored. An event without a user needs a
    /// `$device_id`.
    pub(crate) fn new(name: &str, distinct_id: &str, properties: &str, time_ms: u64) -> Result<Self, Error> {
        if name.is_empty() {
            return Err(invalid("event: expected a non-empty name".to_owned()));
        }
        let wrong = |e: &dyn std::fmt::Display| invalid(format!("event `{name}`: properties: {e}"));
        if properties.len() > EVENT_LIMIT {
            return Err(wrong(&format_args!("larger than {EVENT_LIMIT} bytes")));
        }
        let properties = if properties.trim().is_empty() { "{}" } else { properties };
        if !properties.trim_start().starts_with('{') {
            // serde_json's own message would quote the value, which may be personal data.
            return Err(wrong(&format_args!("expected a JSON object, found {}", json_kind(properties))));
        }
        let RawPairs(pairs) = serde_json::from_str(properties).map_err(|e| wrong(&syntax(properties, &e)))?;
        let mut track = Track {
            name: name.into(),
            members: String::new(),
            has_time: false,
            has_insert_id: false,
            user: Identity::named(distinct_id.to_owned()),
            time_ms,
        };
        let mut has_device = false;
        let mut members = String::with_capacity(properties.len());
        let mut json = Writer::new(&mut members);
        for (key, value) in &pairs {
            // Decoded to be checked: a lone surrogate or 1e400 would make Mixpanel reject the whole request.
            let mut text = Cow::Borrowed(value.get());
            let value = FlagValue::parse(&text).map_err(|e| wrong(&format_args!("{key}: {}", plain(&e))))?;
            match key.as_ref() {
                "token" | "distinct_id" | "mp_lib" | "$lib_version" => continue,
                "time" => {
                    let time = event_time(&value);
                    text = Cow::Owned(time.ok_or_else(|| {
                        wrong(
                            &"time: expected seconds or milliseconds since 1970 as a number, or RFC 3339 as in \
                              2026-01-31T12:00:00Z, from 1971 on",
                        )
                    })?);
                    track.has_time = true;
                }
                "$insert_id" if !is_insert_id(&value) => {
                    return Err(wrong(
                        &"$insert_id: expected a string of 1 to 36 ASCII letters, digits or `-`",
                    ));
                }
                "$insert_id" => track.has_insert_id = true,
                "$device_id" => has_device = value.string().is_some_and(|id| !id.is_empty()),
                _ => {}
            }
            json.key(key).raw(&text);
        }
        track.members = members;
        if distinct_id.is_empty() && !has_device {
            return Err(invalid(format!(
                "event `{name}`: {NO_USER}; an event without a user needs a `$device_id` among its properties, a \
                 non-empty string"
            )));
        }
        Ok(track)
    }
}

impl Profile {
    /// `operation` on the profile of `owner`. `value` is the JSON that the operation takes.
    pub(crate) fn new(operation: &str, owner: Owner, value: &str) -> Result<Self, Error> {
        let operations = owner.operations();
        let Some((operation, allowed)) = operations.iter().copied().find(|(known, _)| *known == operation)
        else {
            let known: Vec<&str> = operations.iter().map(|(known, _)| *known).collect();
            return Err(invalid(format!("operation: expected one of {}", known.join(", "))));
        };
        let wrong = |e: &dyn std::fmt::Display| invalid(format!("{operation}: expected {allowed}: {e}"));
        if value.len() > EVENT_LIMIT {
            return Err(wrong(&format_args!("larger than {EVENT_LIMIT} bytes")));
        }
        if operation == "$delete" {
            if !matches!(value.trim(), "" | "null" | "\"\"") {
                return Err(wrong(&"it deletes the whole profile and takes no value"));
            }
            return Ok(Profile { operation, value: "\"\"".into(), owner });
        }
        let read = FlagValue::parse(value).map_err(|e| wrong(&syntax(value, &e)))?;
        // serde_json's own message would quote the values.
        let fits = match (operation, &read) {
            ("$unset", FlagValue::Array(json)) => serde_json::from_str::<Vec<String>>(json).is_ok(),
            ("$add", FlagValue::Object(json)) => serde_json::from_str::<HashMap<String, f64>>(json).is_ok(),
            ("$union", FlagValue::Object(json)) => {
                serde_json::from_str::<HashMap<String, Vec<IgnoredAny>>>(json).is_ok()
            }
            ("$set" | "$set_once" | "$append" | "$remove", FlagValue::Object(_)) => true,
            (_, other) => return Err(wrong(&format_args!("found {}", other.described()))),
        };
        if !fits {
            return Err(wrong(&"a value in it has another type"));
        }
        Ok(Profile { operation, value: value.trim().into(), owner })
    }
}
