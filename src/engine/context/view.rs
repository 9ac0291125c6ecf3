//! The options `targeting_key_as` and `attributes_as_custom_properties`: a client with one sees more in a
//! context.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::engine::identity::{CUSTOM_PROPERTIES, TARGETING_KEY};
use crate::json::{LossyPairs, Writer};

/// What to add to a context before it is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    /// The key that gets the value of `targetingKey` if it is absent or null.
    pub(crate) targeting_key_as: Option<Box<str>>,
    /// Whether rules see the top-level attributes, unless `custom_properties` has the same key.
    pub(crate) attributes_as_custom_properties: bool,
}

impl View {
    /// The context with the additions. Text that is not a JSON object is returned unchanged: parsing it
    /// reports the error.
    pub(crate) fn of<'a>(&self, json: &'a str) -> Cow<'a, str> {
        let Ok(LossyPairs(pairs)) = serde_json::from_str(json) else { return json.into() };
        let mut pairs = named(pairs);
        let value = |wanted: &str| {
            let found = pairs.iter().rev().find(|(key, _)| key == wanted).map(|(_, value)| *value);
            found.filter(|value| value.get() != "null")
        };
        if let Some(name) = &self.targeting_key_as
            && value(name).is_none()
            && let Some(targeting_key) = value(TARGETING_KEY)
        {
            // Any value that it has is null.
            pairs.retain(|(key, _)| *key != **name);
            pairs.push((Cow::Borrowed(name), targeting_key));
        }
        let mut text = String::with_capacity(2 * json.len() + 64);
        Writer::new(&mut text).object(|json| {
            for (key, value) in &pairs {
                if !(self.attributes_as_custom_properties && key == CUSTOM_PROPERTIES) {
                    json.key(key).raw(value.get());
                }
            }
            if self.attributes_as_custom_properties {
                json.field(CUSTOM_PROPERTIES).object(|json| push_properties(json, &pairs));
            }
        });
        text.into()
    }
}

/// The attributes, then the members of `custom_properties`: of two keys that are equal after folding the
/// later one counts.
fn push_properties(json: &mut Writer<'_>, pairs: &[(Cow<'_, str>, &RawValue)]) {
    let (own, attributes): (Vec<_>, Vec<_>) = pairs.iter().partition(|(key, _)| key == CUSTOM_PROPERTIES);
    for (key, value) in attributes {
        json.key(key).raw(value.get());
    }
    let own = own.last().and_then(|(_, json)| serde_json::from_str(json.get()).ok());
    for (key, value) in own.map_or_else(Vec::new, |LossyPairs(own)| named(own)) {
        json.key(&key).raw(value.get());
    }
}

/// The entries whose keys are text. No flag reads others.
fn named<'a>(pairs: Vec<(Option<Cow<'a, str>>, &'a RawValue)>) -> Vec<(Cow<'a, str>, &'a RawValue)> {
    pairs.into_iter().filter_map(|(key, json)| Some((key?, json))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(targeting_key_as: Option<&str>, attributes: bool, json: &str) -> String {
        let targeting_key_as = targeting_key_as.map(Box::from);
        View { targeting_key_as, attributes_as_custom_properties: attributes }.of(json).into_owned()
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
