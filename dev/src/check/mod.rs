//! Mistakes in a definitions document: what the core rejects, and what it accepts but nobody meant.

mod core;
mod finding;
mod flag;
mod rule;

use std::collections::BTreeMap;
use std::str;
use std::sync::Mutex;

use bytes::Bytes;

use crate::check::finding::Findings;
use crate::document;
use crate::lock::lock;

pub use crate::check::finding::{Finding, Severity};

/// The mistakes in a document, in its order. A document that cannot be read at all has exactly one.
pub fn check(document: &[u8]) -> Vec<Finding> {
    let whole = |line, message| {
        vec![Finding { severity: Severity::Error, flag: None, path: String::new(), line, message }]
    };
    let text = match str::from_utf8(document) {
        Ok(text) => text,
        Err(error) => {
            let line = document.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
            return whole(line, "not valid UTF-8: save the file as UTF-8".to_owned());
        }
    };
    let flags = match document::flags(document) {
        Ok(flags) => flags,
        Err(error) => {
            return whole(
                error.line().max(1),
                format!("not a definitions document, which is {{\"flags\": […]}}: {error}"),
            );
        }
    };
    let quiet = quiet(&flags);
    let mut all = Vec::new();
    let mut positions = BTreeMap::<String, usize>::new();
    for (position, flag) in flags.iter().enumerate() {
        let key = document::key(flag);
        let mut findings = Findings::default();
        if let Some(key) = &key
            && let Some(earlier) = positions.insert(key.clone(), position)
        {
            let line = flags.get(earlier).map_or(0, |flag| document::line(text, flag, ""));
            let why = format!(
                "the flag on line {line} has the same key, so that one is ignored: rename or remove one of them"
            );
            findings.error("key", why);
        }
        let usable = quiet.get(position) == Some(&true) || core::check(flag, key.as_deref(), &mut findings);
        // What the core can read but serde_json cannot, because of its nesting, is left to the core.
        if let Ok(flag) = serde_json::from_str(flag) {
            flag::check(&flag, usable, &mut findings);
        }
        let name = key.unwrap_or_else(|| format!("flags[{position}]"));
        all.extend(findings.0.into_iter().map(|(severity, path, message)| Finding {
            severity,
            flag: Some(name.clone()),
            line: document::line(text, flag, &path),
            path,
            message,
        }));
    }
    all
}

/// For each flag, whether the core has nothing to say about it. A client for each of a thousand flags would take seconds,
/// so they are loaded in groups. One of two flags with the same key hides the other, so they are not in a group.
fn quiet(flags: &[&str]) -> Vec<bool> {
    const GROUP: usize = 64;
    let keys: Vec<Option<String>> = flags.iter().map(|flag| document::key(flag)).collect();
    let mut counts = BTreeMap::<&str, usize>::new();
    for key in keys.iter().flatten() {
        *counts.entry(key).or_default() += 1;
    }
    let alone = |key: &Option<String>| key.as_deref().and_then(|key| counts.get(key)) == Some(&1);
    let mut quiet = Vec::with_capacity(flags.len());
    for (flags, keys) in flags.chunks(GROUP).zip(keys.chunks(GROUP)) {
        let group: Vec<&str> =
            flags.iter().zip(keys).filter(|(_, key)| alone(key)).map(|(flag, _)| *flag).collect();
        let silent = core::is_silent(&group);
        quiet.extend(keys.iter().map(|key| silent && alone(key)));
    }
    quiet
}

/// The findings of the last document that was checked.
#[derive(Default)]
pub(crate) struct Checked(Mutex<Option<(Bytes, Vec<Finding>)>>);

impl Checked {
    pub(crate) fn findings(&self, document: &Bytes) -> Vec<Finding> {
        // Held meanwhile, so that nobody else checks the same document.
        let mut held = lock(&self.0);
        match held.as_ref() {
            Some((of, findings)) if of == document => findings.clone(),
            _ => {
                let findings = check(document);
                *held = Some((document.clone(), findings.clone()));
                findings
            }
        }
    }
}
