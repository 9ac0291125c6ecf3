//! What happens on the server, as it happens: server-sent events for the page.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Messages that a slow page may be behind. It misses those before.
const BEHIND: usize = 4096;
/// Messages are sent in one piece, so that a page draws ten times a second and not a thousand times.
const PIECE: Duration = Duration::from_millis(100);
/// The longest time until a page that has left is noticed.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Bytes of an event that a page gets. The whole is in `GET /__dev/events`.
const MOST_JSON: usize = 8 << 10;

/// Those who listen.
pub(crate) struct Live(broadcast::Sender<Arc<str>>);

impl Live {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }

    /// Whether anybody listens. Nothing is formatted otherwise.
    pub(crate) fn listened(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(crate) fn send(&self, kind: &str, data: impl FnOnce() -> Value) {
        if self.listened() {
            let mut message = data();
            if let Value::Object(fields) = &mut message {
                fields.insert("kind".to_owned(), Value::from(kind));
            }
            // It fails if the last one has just left.
            let _ = self.0.send(message.to_string().into());
        }
    }

    /// The event as a page gets it.
    pub(crate) fn shortened(json: &Value) -> Value {
        let text = json.to_string();
        if text.len() <= MOST_JSON {
            return json.clone();
        }
        let shown: String = text.chars().take(MOST_JSON / 4).collect();
        json!({ "event": json.get("event"), "shortened": format!("{shown}…") })
    }

    /// The stream for one page. It ends when the page leaves.
    pub(crate) fn listen(&self) -> Stream {
        let mut receiver = self.0.subscribe();
        let (sender, stream) = mpsc::channel::<Bytes>(2);
        tokio::spawn(async move {
            if sender.send(Bytes::from_static(b"retry: 1000\n\n")).await.is_err() {
                return;
            }
            loop {
                let first = tokio::time::timeout(HEARTBEAT, receiver.recv()).await;
                let piece = match first {
                    Err(_) => Bytes::from_static(b": still here\n\n"),
                    Ok(Err(RecvError::Closed)) => return,
                    Ok(first) => gather(&mut receiver, first.map_err(missed)).await,
                };
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
        });
        Stream(stream)
    }
}

fn missed(error: RecvError) -> u64 {
    match error {
        RecvError::Lagged(count) => count,
        RecvError::Closed => 0,
    }
}

/// The message and those that follow it within a piece, as one event whose data is a JSON array.
async fn gather(receiver: &mut broadcast::Receiver<Arc<str>>, first: Result<Arc<str>, u64>) -> Bytes {
    let deadline = Instant::now() + PIECE;
    let mut text = "data: [".to_owned();
    let mut count = 0;
    let mut next = first;
    loop {
        if count > 0 {
            text.push(',');
        }
        count += 1;
        match next {
            Ok(message) => text.push_str(&message),
            Err(missed) => text.push_str(&json!({ "kind": "missed", "count": missed }).to_string()),
        }
        if count >= BEHIND {
            break;
        }
        next = match timeout_at(deadline, receiver.recv()).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(RecvError::Lagged(missed))) => Err(missed),
            Ok(Err(RecvError::Closed)) | Err(_) => break,
        };
    }
    text.push_str("]\n\n");
    Bytes::from(text)
}

/// A response body without an end.
pub(crate) struct Stream(mpsc::Receiver<Bytes>);

impl Body for Stream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
