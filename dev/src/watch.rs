//! Watches the definitions, and reports what changed and which mistakes are new: on the terminal and on the page.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::changes::{Change, changes};
use crate::check::Finding;
use crate::note::Note;
use crate::world::World;

const PAUSE: Duration = Duration::from_millis(200);

/// Runs until the world is gone.
pub(crate) async fn watch(world: std::sync::Weak<World>, notes: mpsc::Sender<Note>) {
    let mut seen: Option<Seen> = None;
    loop {
        let Some(held) = world.upgrade() else { return };
        let before = seen.take();
        // Reading a file and checking a thousand flags would hold up requests.
        let looked = tokio::task::spawn_blocking(move || Seen::look(&held, before)).await;
        let Ok((now, news)) = looked else { return };
        seen = Some(now);
        for note in news {
            // It fails if the receiver is gone.
            let _ = notes.send(note);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Seen {
    document: Bytes,
    findings: Vec<Finding>,
    trouble: Option<String>,
    set: bool,
}

impl Seen {
    fn look(world: &Arc<World>, before: Option<Self>) -> (Self, Vec<Note>) {
        let document = world.definitions.current();
        let trouble = world.definitions.trouble();
        let set = world.definitions.is_set();
        let mut news = Vec::new();
        let findings = match &before {
            Some(before) if before.document == document => before.findings.clone(),
            _ => {
                let known = before.as_ref().map(|before| before.findings.as_slice()).unwrap_or_default();
                if let Some(before) = &before
                    && let Ok(list) = changes(&before.document, &document)
                {
                    news.extend(list.into_iter().map(Note::Change));
                }
                let findings = world.checked.findings(&document);
                let same = |a: &Finding, b: &Finding| {
                    (&a.flag, &a.path, &a.message) == (&b.flag, &b.path, &b.message)
                };
                let new = findings.iter().filter(|finding| !known.iter().any(|known| same(known, finding)));
                news.extend(new.cloned().map(Note::Finding));
                findings
            }
        };
        let unchanged = before.as_ref().is_some_and(|before| {
            before.document == document && before.trouble == trouble && before.set == set
        });
        match (&trouble, before.as_ref().and_then(|before| before.trouble.as_ref())) {
            (Some(text), known) if known != Some(text) => {
                news.push(Note::Trouble(format!("{text}; serving its last good contents")));
            }
            _ => {}
        }
        if !unchanged && before.is_some() {
            let changed: Vec<&Change> = news
                .iter()
                .filter_map(|note| match note {
                    Note::Change(change) => Some(change),
                    _ => None,
                })
                .collect();
            world.live.send("definitions", || json!({ "changes": changed }));
        }
        (Self { document, findings, trouble, set }, news)
    }
}
