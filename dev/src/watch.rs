//! Watches the definitions, and reports what changed and which mistakes are new: on the terminal and on the page.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::changes::changes;
use crate::check::Finding;
use crate::note::Note;
use crate::world::World;

const PAUSE: Duration = Duration::from_millis(200);

/// Watches from now on, until the world is gone.
pub(crate) fn watch(
    world: &Arc<World>,
    notes: mpsc::Sender<Note>,
) -> impl Future<Output = ()> + Send + 'static {
    let mut seen = Seen::first(world);
    let world = Arc::downgrade(world);
    async move {
        while let Some(held) = world.upgrade() {
            // Reading a file and checking a thousand flags would hold up requests.
            let looked = tokio::task::spawn_blocking(move || seen.look(&held)).await;
            let Ok((now, news)) = looked else { return };
            seen = now;
            for note in news {
                // It fails if the receiver is gone.
                let _ = notes.send(note);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

struct Seen {
    document: Bytes,
    /// `None` before the document is checked.
    findings: Option<Vec<Finding>>,
    trouble: Option<String>,
    set: bool,
}

impl Seen {
    fn first(world: &World) -> Self {
        let definitions = &world.definitions;
        Self { document: definitions.current(), findings: None, trouble: None, set: definitions.is_set() }
    }

    fn look(self, world: &World) -> (Self, Vec<Note>) {
        let document = world.definitions.current();
        let trouble = world.definitions.trouble();
        let set = world.definitions.is_set();
        let changed = match document == self.document {
            true => Vec::new(),
            false => changes(&self.document, &document).unwrap_or_default(),
        };
        if document != self.document || trouble != self.trouble || set != self.set {
            world.live.send("definitions", || json!({ "changes": changed }));
        }
        let mut news: Vec<Note> = changed.into_iter().map(Note::Change).collect();
        let findings = match self.findings {
            Some(findings) if document == self.document => findings,
            known => {
                let known = known.unwrap_or_default();
                let findings = world.checked.findings(&document);
                let same = |a: &Finding, b: &Finding| {
                    (&a.flag, &a.path, &a.message) == (&b.flag, &b.path, &b.message)
                };
                let new = findings.iter().filter(|finding| !known.iter().any(|known| same(known, finding)));
                news.extend(new.cloned().map(Note::Finding));
                findings
            }
        };
        if let Some(text) = trouble.as_ref().filter(|_| trouble != self.trouble) {
            news.push(Note::Trouble(format!("{text}; serving its last good contents")));
        }
        (Self { document, findings: Some(findings), trouble, set }, news)
    }
}
