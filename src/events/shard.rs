//! A part of the outbox: events that wait for the sender. Adding an exposure allocates only when a buffer grows: an allocation
//! for each event would cost the evaluating thread, and the sender would free another thread's memory.

use std::sync::Arc;

use crate::engine::definitions::Flag;
use crate::engine::identity::Identity;
use crate::events::payload::Event;

#[derive(Debug, Default)]
pub(crate) struct Pending {
    exposures: Vec<Exposed>,
    /// Their users, end to end.
    users: String,
    others: Vec<Event>,
    /// After shutdown, since nothing would count a later event.
    pub(super) closed: bool,
}

/// An exposure of a variant that was assigned just now.
#[derive(Debug)]
struct Exposed {
    /// Holds the flag instead of copying its strings, so that an evaluation stays cheap.
    flag: Arc<Flag>,
    variant: usize,
    time_ms: u64,
    user_len: usize,
    quoted: bool,
    is_qa_tester: bool,
}

impl Pending {
    pub(crate) fn push(&mut self, event: Event) {
        self.others.push(event);
    }

    pub(crate) fn expose(
        &mut self,
        flag: &Arc<Flag>,
        variant: usize,
        is_qa_tester: bool,
        user: &Identity<'_>,
        time_ms: u64,
    ) {
        self.users.push_str(&user.text);
        let (user_len, quoted) = (user.text.len(), user.quoted);
        self.exposures.push(Exposed { flag: flag.clone(), variant, time_ms, user_len, quoted, is_qa_tester });
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> Taken {
        let exposures = std::mem::take(&mut self.exposures);
        let users = std::mem::take(&mut self.users);
        Taken { exposures, users, others: std::mem::take(&mut self.others) }
    }
}

/// What was taken out.
pub(super) struct Taken {
    exposures: Vec<Exposed>,
    users: String,
    others: Vec<Event>,
}

impl Taken {
    pub(super) fn len(&self) -> usize {
        self.exposures.len() + self.others.len()
    }

    pub(super) fn into_events(self) -> impl Iterator<Item = Event> {
        let (users, mut start) = (self.users, 0);
        let exposures = self.exposures.into_iter().map(move |exposed| {
            let Exposed { flag, variant, time_ms, user_len, quoted, is_qa_tester } = exposed;
            let text = users.get(start..start + user_len).unwrap_or_default();
            start += user_len;
            let user = Identity { text: text.to_owned().into(), quoted };
            Event::local(flag, variant, is_qa_tester, user, time_ms)
        });
        exposures.chain(self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::definitions::{Entry, FlagSet};
    use crate::json::Writer;

    #[test]
    fn every_exposure_keeps_its_user() {
        let body = br#"{"flags": [{"key": "f", "context": "id", "ruleset": {"variants": [{"key": "v", "value": 1}], "rollout": []}}]}"#;
        let (set, _) = FlagSet::parse(body, None, || 1).unwrap();
        let Some(Entry::Flag { flag, .. }) = set.get("f") else { panic!("no flag") };
        let mut pending = Pending::default();
        for (text, quoted) in [("u1", true), ("7", false), ("", true), ("\u{e9}\"", true)] {
            pending.expose(flag, 0, false, &Identity { text: text.into(), quoted }, 5);
        }
        let taken = pending.take();
        assert_eq!(taken.len(), 4);
        let users: Vec<String> = taken
            .into_events()
            .map(|event| {
                let mut json = String::new();
                event.write(&mut Writer::new(&mut json), "t", "i");
                let event: serde_json::Value = serde_json::from_str(&json).unwrap();
                event["properties"]["distinct_id"].to_string()
            })
            .collect();
        assert_eq!(users, [r#""u1""#, "7", r#""""#, "\"\u{e9}\\\"\""]);
        assert_eq!(pending.take().len(), 0);
    }
}
