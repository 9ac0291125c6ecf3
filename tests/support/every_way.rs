//! One context in all of its forms, evaluated each way.
#![allow(dead_code, reason = "every test uses its part")]

use crate::forms::Tree;
use mpflags::unversioned::{self, Encoded};
use mpflags::{Client, Context, ContextBuilder, ContextValue, Error, EvaluateOptions, Evaluation};

/// Flags that read contexts in every way that an evaluation can.
pub(crate) const DEFINITIONS: &str = r#"{"flags": [
    {"key": "plain", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "a", "value": 1, "split": 0.5}, {"key": "b", "value": 2, "split": 0.5}],
                 "test": {"users": {"7": "a", "true": "b"}}, "rollout": [{"rollout_percentage": 1}]}},
    {"key": "plan", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "on", "value": true}],
                 "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}]}},
    {"key": "nested", "context": "company",
     "ruleset": {"variants": [{"key": "on", "value": true}],
                 "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule":
                    {"or": [{"in": ["a", {"var": "tags"}]}, {">": [{"var": "app.version"}, 1]}, {"missing_some": [1, ["a", "b"]]}]}}]}},
    {"key": "whole", "context": "custom_properties",
     "ruleset": {"variants": [{"key": "on", "value": true}],
                 "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"!": [{"missing": [{"var": ""}, "a"]}]}}]}},
    {"key": "many", "context": "targetingKey",
     "ruleset": {"variants": [{"key": "on", "value": true}],
                 "rollout": [{"rollout_percentage": 0.5, "runtime_evaluation_rule":
                    {"<": [{"+": [{"var": "a"}, {"var": "b"}, {"var": "c"}, {"var": "d"}, {"var": "e"}, {"var": "f"}, {"var": "g"},
                                  {"var": "h"}, {"var": "i"}]}, 5]}}]}},
    {"key": "legacy", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "on", "value": true}],
                 "rollout": [{"rollout_percentage": 1, "runtime_evaluation_definition": {"Plan": "PRO", "tags": "a,b"}}]}}
]}"#;

impl Tree {
    /// The context made by a builder, if one can make it.
    fn built(&self) -> Option<Result<Context, Error>> {
        let Tree::Object(members) = self else { panic!("a context is an object") };
        if !self.fits_a_builder() {
            return None;
        }
        let mut builder = Context::builder();
        members.iter().for_each(|(key, value)| value.set(&mut builder, key));
        Some(builder.build())
    }

    fn set(&self, builder: &mut ContextBuilder, key: &[u8]) {
        let key = str::from_utf8(key).unwrap();
        match self {
            Tree::Null => builder.set(key, None::<bool>),
            Tree::Bool(value) => builder.set(key, *value),
            Tree::Signed(value) => builder.set(key, *value),
            Tree::Unsigned(value) => builder.set(key, *value),
            Tree::Double(value) => builder.set(key, *value),
            Tree::String(text) => builder.set(key, str::from_utf8(text).unwrap()),
            Tree::Array(elements) => {
                builder.begin_array(key);
                elements.iter().for_each(|element| element.set(builder, b""));
                builder.end()
            }
            Tree::Object(members) => {
                builder.begin_object(key);
                members.iter().for_each(|(key, value)| value.set(builder, key));
                builder.end()
            }
            Tree::Unusable(why) => builder.set(key, ContextValue::Unusable(why)),
        };
    }
}

/// The same evaluation through JSON, the binary form, a builder, and contexts that are kept. Returns it.
#[track_caller]
pub(crate) fn every_way(client: &Client, key: &str, json: &str, options: EvaluateOptions) -> Evaluation {
    let once = client.evaluate_json(key, json, options);
    let Some(tree @ Tree::Object(_)) = Tree::parse(json) else { return once };
    let form = tree.form();
    let said = |evaluation: &Evaluation| {
        // The two forms hold text that is not text differently.
        let message = evaluation.message().map(|message| {
            let (place, _) = message.rsplit_once(": ").unwrap_or((message, ""));
            if message.contains(" is not text") || message.contains(" is not UTF-8") {
                place
            } else {
                message
            }
            .to_owned()
        });
        let values = (evaluation.json().map(str::to_owned), evaluation.variant().map(str::to_owned));
        (evaluation.reason(), evaluation.error_code(), values, message, evaluation.metadata_json().to_owned())
    };
    let same = |way: &str, other: Evaluation| {
        assert_eq!(said(&other), said(&once), "{way}: {key}: {json}");
        assert!(other == once || said(&once).3.is_some(), "{way}: {key}: {json}: {other:?}, {once:?}");
    };
    same("binary", unversioned::evaluate_encoded(client, key, Encoded::Binary(&form), options));
    let kept = unversioned::context(Encoded::Binary(&form)).unwrap();
    same("binary, kept", client.evaluate(key, &kept, options));
    if let Some(built) = tree.built() {
        let built = built.unwrap();
        same("built, first", client.evaluate(key, &built, options));
        same("built, second", client.evaluate(key, &built, options));
        let again = tree.built().unwrap().unwrap();
        assert_eq!(
            format!("{:?}", client.evaluate_all(&again, options)),
            format!("{:?}", client.evaluate_all(&kept, options)),
            "{json}"
        );
        assert_eq!(client.explain(key, &built).unwrap(), client.explain(key, &kept).unwrap(), "{json}");
    }
    once
}
