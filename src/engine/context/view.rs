//! The options `targeting_key_as` and `attributes_as_custom_properties`: a client with one sees more in a
//! context.

use std::borrow::Cow;

use crate::binary;
use crate::engine::identity::{CUSTOM_PROPERTIES, TARGETING_KEY};
use crate::json;

use super::encoded::Encoded;
use super::raw::{Members, Raw, binary_attributes, json_attributes};
use super::recover::is_unusable;

/// What to add to a context before it is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    /// The key that gets the value of `targetingKey` if it is absent or null.
    pub(crate) targeting_key_as: Option<Box<str>>,
    /// Whether rules see the top-level attributes, unless `custom_properties` has the same key.
    pub(crate) attributes_as_custom_properties: bool,
}

/// A context with the additions of a [`View`], in the form it had.
pub(crate) enum ViewedText<'a> {
    Given(Encoded<'a>),
    Json(String),
    Binary(Vec<u8>),
}

impl ViewedText<'_> {
    pub(crate) fn encoded(&self) -> Encoded<'_> {
        match self {
            ViewedText::Given(encoded) => *encoded,
            ViewedText::Json(json) => Encoded::Json(json),
            ViewedText::Binary(form) => Encoded::Binary(form),
        }
    }
}

/// Named values in order.
type Named<'a> = Vec<(Cow<'a, str>, Raw<'a>)>;

impl View {
    /// The context with the additions. One that cannot be read is returned unchanged: reading it reports the
    /// error.
    pub(crate) fn of<'a>(&self, encoded: Encoded<'a>) -> ViewedText<'a> {
        let (attributes, length) = match encoded {
            Encoded::Json(json) => (json_attributes(json), json.len()),
            Encoded::Binary(form) => (binary_attributes(form).ok(), form.len()),
        };
        let Some(attributes) = attributes else { return ViewedText::Given(encoded) };
        let (attributes, properties) = self.add(attributes);
        match encoded {
            Encoded::Json(_) => {
                ViewedText::Json(as_json(&attributes, properties.as_deref(), 2 * length + 64))
            }
            Encoded::Binary(_) => match as_form(&attributes, properties.as_deref(), 2 * length + 64) {
                Ok(form) => ViewedText::Binary(form),
                Err(binary::TooLong) => ViewedText::Given(encoded),
            },
        }
    }

    /// The attributes, and the members of `custom_properties` unless that is still among the attributes.
    fn add<'a>(&'a self, attributes: Members<'a>) -> (Named<'a>, Option<Named<'a>>) {
        let mut attributes = named(attributes);
        let value = |wanted: &str| {
            let found = attributes.iter().rev().find(|(key, _)| key == wanted).map(|(_, value)| *value);
            found.filter(|value| !value.is_null())
        };
        let lacking = self.targeting_key_as.as_ref().filter(|name| value(name).is_none());
        if let Some((name, targeting_key)) = lacking.zip(value(TARGETING_KEY)) {
            // Any value that it has is null.
            attributes.retain(|(key, _)| *key != **name);
            attributes.push((Cow::Borrowed(name), targeting_key));
        }
        // In place of properties that cannot be used, attributes would hide that.
        let own = attributes.iter().rfind(|(key, _)| key == CUSTOM_PROPERTIES);
        if !self.attributes_as_custom_properties
            || own.is_some_and(|(_, own)| !own.is_object() && is_unusable(*own))
        {
            return (attributes, None);
        }
        // Of two keys that are equal after folding the later one counts.
        let (own, attributes): (Vec<_>, Vec<_>) =
            attributes.into_iter().partition(|(key, _)| key == CUSTOM_PROPERTIES);
        let mut properties = attributes.clone();
        properties.extend(own.last().into_iter().flat_map(|(_, own)| named(own.members())));
        (attributes, Some(properties))
    }
}

/// The members whose keys are text. No flag reads others.
fn named(members: Members<'_>) -> Named<'_> {
    members.into_iter().filter_map(|(key, value)| Some((key.ok()?, value))).collect()
}

fn as_json(
    attributes: &[(Cow<'_, str>, Raw<'_>)],
    properties: Option<&[(Cow<'_, str>, Raw<'_>)]>,
    capacity: usize,
) -> String {
    let mut text = String::with_capacity(capacity);
    let push = |json: &mut json::Writer<'_>, members: &[(Cow<'_, str>, Raw<'_>)]| {
        for (key, value) in members {
            if let Raw::Json(value) = value {
                json.key(key).raw(value.get());
            }
        }
    };
    json::Writer::new(&mut text).object(|json| {
        push(json, attributes);
        if let Some(properties) = properties {
            json.field(CUSTOM_PROPERTIES).object(|json| push(json, properties));
        }
    });
    text
}

fn as_form(
    attributes: &[(Cow<'_, str>, Raw<'_>)],
    properties: Option<&[(Cow<'_, str>, Raw<'_>)]>,
    capacity: usize,
) -> Result<Vec<u8>, binary::TooLong> {
    let mut form = binary::Writer::context(capacity);
    let push = |form: &mut binary::Writer, members: &[(Cow<'_, str>, Raw<'_>)]| {
        members.iter().try_for_each(|(key, value)| match value {
            Raw::Binary(value) => form.raw(Some(key), *value),
            Raw::Json(_) => Ok(()),
        })
    };
    push(&mut form, attributes)?;
    if let Some(properties) = properties {
        let open = form.open_object(Some(CUSTOM_PROPERTIES))?;
        push(&mut form, properties)?;
        form.close(open)?;
    }
    Ok(form.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(targeting_key_as: Option<&str>, attributes: bool, json: &str) -> String {
        let targeting_key_as = targeting_key_as.map(Box::from);
        let view = View { targeting_key_as, attributes_as_custom_properties: attributes };
        match view.of(Encoded::Json(json)).encoded() {
            Encoded::Json(json) => json.to_owned(),
            Encoded::Binary(_) => panic!("another form"),
        }
    }

    #[test]
    fn the_targeting_key_fills_a_key_that_is_absent_or_null() {
        let user = |json| seen(Some("distinct_id"), false, json);
        assert_eq!(user(r#"{"targetingKey": "t"}"#), r#"{"targetingKey":"t","distinct_id":"t"}"#);
        assert_eq!(
            user(r#"{"distinct_id": null, "targetingKey": 7}"#),
            r#"{"targetingKey":7,"distinct_id":7}"#
        );
        let given = r#"{"distinct_id":"d","targetingKey":"t"}"#;
        assert_eq!(user(given), given);
        assert_eq!(user(r#"{"targetingKey":null}"#), r#"{"targetingKey":null}"#);
        assert_eq!(user("{}"), "{}");
    }

    #[test]
    fn attributes_stand_before_custom_properties_of_the_same_name() {
        let all = |json| seen(None, true, json);
        assert_eq!(
            all(r#"{"plan": "a", "custom_properties": {"Plan": "b", "n": [1, 2]}, "x\n": {"y": 1}}"#),
            r#"{"plan":"a","x\n":{"y": 1},"custom_properties":{"plan":"a","x\n":{"y": 1},"Plan":"b","n":[1, 2]}}"#
        );
        assert_eq!(all(r#"{"custom_properties": 5}"#), r#"{"custom_properties":{}}"#);
        assert_eq!(all("{}"), r#"{"custom_properties":{}}"#);
    }

    #[test]
    fn text_that_is_not_an_object_is_unchanged() {
        for json in ["", "[1]", "{", r#"{"a": }"#, "null"] {
            assert_eq!(seen(Some("a"), true, json), json);
        }
    }
}
