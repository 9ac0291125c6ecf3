//! Explains an outcome to people, as JSON: the steps of an evaluation, recorded while it runs.

use crate::engine::context::ReadContext;
use crate::engine::decide::{FlagHash, Trace};
use crate::engine::definitions::{Admits, Choice, Condition, Flag, Rollout};
use crate::engine::evaluation::Evaluation;
use crate::engine::outcome::{NO_PROPERTIES, Outcome};
use crate::json::Writer;

/// Records one evaluation.
pub(crate) struct Explanation<'c> {
    context: &'c dyn ReadContext,
    /// A JSON array, not empty.
    unsupported: Option<String>,
    /// `{"key": …, "text": …}`
    subject: Option<String>,
    tester: bool,
    /// One object each.
    rollouts: Vec<String>,
    choice: Option<String>,
}

impl<'c> Explanation<'c> {
    pub(crate) fn new(context: &'c dyn ReadContext) -> Self {
        Explanation {
            context,
            unsupported: None,
            subject: None,
            tester: false,
            rollouts: Vec::new(),
            choice: None,
        }
    }

    /// The explanation as JSON: each step, and what it led to.
    pub(crate) fn json(self, outcome: &Outcome<'_>, evaluation: &Evaluation) -> String {
        let mut out = String::new();
        Writer::new(&mut out).object(|json| {
            json.field("flag").string(evaluation.key());
            json.field("step").string(step(outcome, self.tester));
            json.field("subject").raw(self.subject.as_deref().unwrap_or("null"));
            json.field("rollouts").array(|json| self.rollouts.iter().for_each(|rollout| json.raw(rollout)));
            json.field("choice").raw(self.choice.as_deref().unwrap_or("null"));
            json.field("variant").string_or_null(evaluation.variant());
            json.field("reason").string(&evaluation.reason().to_string());
            let code = evaluation.error_code().map(|code| code.to_string());
            json.field("error_code").string_or_null(code.as_deref());
            json.field("message").string_or_null(evaluation.message());
            json.field("value").raw(evaluation.json().unwrap_or("null"));
            json.field("metadata").raw(evaluation.metadata_json());
            if let Some(unsupported) = &self.unsupported {
                json.field("unsupported").raw(unsupported);
            }
        });
        out
    }
}

/// The step that decided.
fn step(outcome: &Outcome<'_>, tester: bool) -> &'static str {
    match outcome {
        Outcome::Override(_) => "override",
        Outcome::Unavailable(_) => "not_ready",
        Outcome::FlagNotFound(_) | Outcome::NotAnswered => "flag_not_found",
        Outcome::Malformed(_) => "malformed",
        Outcome::InvalidContext(_) => "invalid_context",
        Outcome::Disabled => "disabled",
        Outcome::MissingContextKey { .. } => "missing_context_key",
        Outcome::Variant(_) if tester => "tester",
        Outcome::Variant(_) => "rollout",
        Outcome::NoRolloutMatch { .. } => "no_rollout_match",
        // `explain` fails for a remote client, so these are never recorded.
        Outcome::Remote(_) | Outcome::Failed(_) => "remote",
    }
}

impl Trace for Explanation<'_> {
    fn flag(&mut self, flag: &Flag) {
        self.unsupported = flag.unsupported.as_ref().map(|unsupported| {
            written(|json| json.array(|json| unsupported.names.iter().for_each(|name| json.string(name))))
        });
    }

    fn subject(&mut self, key: &str, text: &str) {
        self.subject = Some(written(|json| {
            json.object(|json| {
                json.field("key").string(key);
                json.field("text").string(text);
            });
        }));
    }

    fn tester(&mut self) {
        self.tester = true;
    }

    fn rollout(
        &mut self,
        index: usize,
        rollout: &Rollout,
        hash: &mut FlagHash<'_>,
        admitted: bool,
        taken: bool,
    ) {
        let percentage = match rollout.admits {
            Admits::All => 1.0,
            Admits::None => 0.0,
            Admits::Below(percentage) => percentage,
        };
        self.rollouts.push(written(|json| {
            json.object(|json| {
                json.field("index").display(index);
                push_bucket(json, hash, &rollout.salt);
                json.field("percentage").display(percentage);
                json.field("admitted").display(admitted);
                if let Some(condition) = &rollout.condition {
                    json.field("rule");
                    let properties = self.context.properties();
                    match condition {
                        Condition::Rule(rule) => rule.explain(properties.as_ref(), json),
                        Condition::Legacy(legacy) => legacy.explain(properties.as_ref(), json),
                    }
                    // If the percentage does not admit the subject, the rule is not evaluated.
                    json.field("matches");
                    if admitted {
                        json.display(taken)
                    } else {
                        json.raw("null")
                    }
                    if admitted && properties.is_none() {
                        json.field("why").string(NO_PROPERTIES);
                    }
                }
                json.field("taken").display(taken);
            });
        }));
    }

    fn choice(&mut self, flag: &Flag, choice: &Choice, hash: &mut FlagHash<'_>) {
        let name = |index: usize| flag.variants.get(index).map_or("", |variant| &variant.key);
        self.choice = Some(written(|json| {
            json.object(|json| match choice {
                Choice::Fixed(index) => json.field("fixed").string(name(*index)),
                Choice::Split(sums) => {
                    push_bucket(json, hash, &flag.variant_salt);
                    json.field("cumulative").array(|json| {
                        for (index, sum) in sums.iter().enumerate() {
                            json.object(|json| {
                                json.field("variant").string(name(index));
                                json.field("below");
                                // Splits are finite; their sum need not be.
                                if sum.is_finite() { json.display(sum) } else { json.raw("null") }
                            });
                        }
                    });
                }
            });
        }));
    }
}

/// The salt, which begins with the flag's key, and the bucket under it.
fn push_bucket(json: &mut Writer<'_>, hash: &mut FlagHash<'_>, rest: &str) {
    json.field("salt").string(&format!("{}{rest}", hash.key()));
    json.field("bucket").display(hash.get().with(rest).bucket());
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
    let mut out = String::new();
    write(&mut Writer::new(&mut out));
    out
}
