//! How an outcome came about, as JSON for people: what an evaluation did on its way, written down while it did it.

use std::fmt::Write;

use crate::engine::context::Facts;
use crate::engine::decide::{Keyed, Trace};
use crate::engine::definitions::{Choice, Condition, Flag, Group, Rollout};
use crate::engine::evaluation::Evaluation;
use crate::engine::identity::push_json_string;
use crate::engine::outcome::Outcome;

/// Listens to one evaluation.
pub(crate) struct Steps<'c> {
    facts: &'c dyn Facts,
    /// A JSON array, where there is something in it.
    unsupported: Option<String>,
    /// `{"key": …, "text": …}`
    subject: Option<String>,
    tester: bool,
    /// One object each.
    rollouts: Vec<String>,
    choice: Option<String>,
}

impl<'c> Steps<'c> {
    pub(crate) fn new(facts: &'c dyn Facts) -> Self {
        Steps { facts, unsupported: None, subject: None, tester: false, rollouts: Vec::new(), choice: None }
    }

    /// Everything that was heard, and what it led to.
    pub(crate) fn json(self, outcome: &Outcome<'_>, evaluation: &Evaluation) -> String {
        let mut out = String::from("{\"flag\":");
        push_json_string(&mut out, evaluation.key());
        out.push_str(",\"step\":");
        push_json_string(&mut out, step(outcome, self.tester));
        out.push_str(",\"subject\":");
        out.push_str(self.subject.as_deref().unwrap_or("null"));
        out.push_str(",\"rollouts\":[");
        out.push_str(&self.rollouts.join(","));
        out.push_str("],\"choice\":");
        out.push_str(self.choice.as_deref().unwrap_or("null"));
        let mut text = |name: &str, value: Option<&str>| {
            out.push_str(name);
            match value {
                Some(value) => push_json_string(&mut out, value),
                None => out.push_str("null"),
            }
        };
        text(",\"variant\":", evaluation.variant());
        text(",\"reason\":", Some(&evaluation.reason().to_string()));
        text(",\"error_code\":", evaluation.error_code().map(|code| code.to_string()).as_deref());
        text(",\"message\":", evaluation.message());
        out.push_str(",\"value\":");
        out.push_str(evaluation.json().unwrap_or("null"));
        out.push_str(",\"metadata\":");
        out.push_str(evaluation.metadata_json());
        if let Some(unsupported) = self.unsupported {
            out.push_str(",\"unsupported\":");
            out.push_str(&unsupported);
        }
        out.push('}');
        out
    }
}

/// The step that decided.
fn step(outcome: &Outcome<'_>, tester: bool) -> &'static str {
    match outcome {
        Outcome::Override(_) => "override",
        Outcome::Unavailable(_) => "not_ready",
        Outcome::FlagNotFound | Outcome::NotAnswered => "flag_not_found",
        Outcome::Malformed(_) => "malformed",
        Outcome::InvalidContext(_) => "invalid_context",
        Outcome::Disabled => "disabled",
        Outcome::MissingContextKey { .. } => "missing_context_key",
        Outcome::Variant(_) if tester => "tester",
        Outcome::Variant(_) => "rollout",
        Outcome::NoRolloutMatch => "no_rollout_match",
        // Never listened to.
        Outcome::Remote(_) | Outcome::Failed(_) => "remote",
    }
}

impl Trace for Steps<'_> {
    fn flag(&mut self, flag: &Flag) {
        let Some(unsupported) = &flag.unsupported else { return };
        let mut out = String::from("[");
        for (index, name) in unsupported.names.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_json_string(&mut out, name);
        }
        out.push(']');
        self.unsupported = Some(out);
    }

    fn subject(&mut self, key: &str, text: &str) {
        let mut subject = String::from("{\"key\":");
        push_json_string(&mut subject, key);
        subject.push_str(",\"text\":");
        push_json_string(&mut subject, text);
        subject.push('}');
        self.subject = Some(subject);
    }

    fn tester(&mut self) {
        self.tester = true;
    }

    fn group(&mut self, index: usize, group: &Group, hash: &mut Keyed<'_>, admitted: bool, taken: bool) {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = write!(out, "{{\"index\":{index},\"salt\":");
        push_salt(&mut out, hash, &group.salt);
        let percentage = match group.rollout {
            Rollout::All => 1.0,
            Rollout::None => 0.0,
            Rollout::Below(percentage) => percentage,
        };
        let bucket = hash.get().with(&group.salt).bucket();
        let _ = write!(out, ",\"bucket\":{bucket},\"percentage\":{percentage},\"admitted\":{admitted}");
        if let Some(condition) = &group.condition {
            out.push_str(",\"rule\":");
            let properties = self.facts.properties();
            match condition {
                Condition::Rule(rule) => rule.explain(properties, &mut out),
                Condition::Legacy(legacy) => legacy.explain(properties, &mut out),
            }
            // A rule that nobody came to has neither matched nor failed to.
            let _ = match admitted {
                true => write!(out, ",\"matches\":{taken}"),
                false => write!(out, ",\"matches\":null"),
            };
        }
        let _ = write!(out, ",\"taken\":{taken}}}");
        self.rollouts.push(out);
    }

    fn choice(&mut self, flag: &Flag, choice: &Choice, hash: &mut Keyed<'_>) {
        let mut out = String::new();
        let name = |index: usize| flag.variants.get(index).map_or("", |variant| &variant.key);
        match choice {
            Choice::Fixed(index) => {
                out.push_str("{\"fixed\":");
                push_json_string(&mut out, name(*index));
            }
            Choice::Split(sums) => {
                out.push_str("{\"salt\":");
                push_salt(&mut out, hash, &flag.variant_salt);
                let bucket = hash.get().with(&flag.variant_salt).bucket();
                let _ = write!(out, ",\"bucket\":{bucket},\"cumulative\":[");
                for (index, sum) in sums.iter().enumerate() {
                    out.push_str(if index > 0 { ",{\"variant\":" } else { "{\"variant\":" });
                    push_json_string(&mut out, name(index));
                    out.push_str(",\"below\":");
                    push_sum(&mut out, *sum);
                    out.push('}');
                }
                out.push(']');
            }
        }
        out.push('}');
        self.choice = Some(out);
    }
}

/// A sum of splits, which need not be finite.
fn push_sum(out: &mut String, sum: f64) {
    if sum.is_finite() {
        let _ = write!(out, "{sum}");
    } else {
        out.push_str("null");
    }
}

/// The whole salt: the flag's key, and what follows it.
fn push_salt(out: &mut String, hash: &Keyed<'_>, rest: &str) {
    push_json_string(out, &format!("{}{rest}", hash.key()));
}
