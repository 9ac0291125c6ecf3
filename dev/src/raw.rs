//! Responses that no HTTP library sends: written to the socket behind hyper's back, after which the connection ends.

use std::io::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use tokio::time::{Instant, sleep, sleep_until};

use crate::faults::{Fault, Kind, Part};
use crate::log::InFlight;
use crate::response::{JSON, Response};
use crate::socket::Socket;

const BOMB_BYTES: u64 = 200 << 20;
/// How much of what repeats is sent at once.
const REPEATED_BYTES: usize = 64 * 1024;

/// The bytes to send, their pace, and how the connection ends after them.
pub(crate) struct Script {
    bytes: Bytes,
    /// The first byte that is paced, and the bytes per second.
    pace: Option<(usize, u32)>,
    /// Sent again and again after the bytes; empty: nothing is.
    repeat: Bytes,
    end: End,
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Close,
    Reset,
    /// An alert below TLS, then a close.
    Alert,
}

impl Script {
    /// `None` for the kinds that hyper can send.
    pub(crate) fn new(fault: &Fault, response: &Response) -> Option<Self> {
        let length = response.body.len() as u64;
        let announced = match fault.kind {
            Kind::WrongLength => fault.content_length.unwrap_or(length + 10),
            _ => length,
        };
        let head = response.raw_head(Some(announced));
        let body_at = head.len();
        let mut bytes = head;
        bytes.extend_from_slice(&response.body);
        let plain = |bytes: Vec<u8>| Self {
            bytes: Bytes::from(bytes),
            pace: None,
            repeat: Bytes::new(),
            end: End::Close,
        };
        match fault.kind {
            Kind::Raw => {
                let body = plain(fault.body.clone().unwrap_or_default().into_bytes());
                let pace =
                    fault.bytes_per_second.map(|bytes_per_second| (body.bytes.len(), bytes_per_second));
                Some(Self { pace, repeat: Bytes::from(fault.repeat.clone().unwrap_or_default()), ..body })
            }
            Kind::WrongLength => Some(plain(bytes)),
            Kind::Cut => {
                let at = fault.at_byte.or(fault.at_body_byte.map(|byte| byte.saturating_add(body_at)));
                bytes.truncate(at.unwrap_or(0));
                Some(plain(bytes))
            }
            Kind::SlowLoris => {
                let from = if fault.part == Some(Part::Body) { body_at } else { 0 };
                let pace = fault.bytes_per_second.map(|bytes_per_second| (from, bytes_per_second));
                Some(Self { pace, ..plain(bytes) })
            }
            Kind::Reset | Kind::TlsAlert => {
                bytes.truncate(fault.at_byte.unwrap_or(0));
                let end = if fault.kind == Kind::Reset { End::Reset } else { End::Alert };
                Some(Self { end, ..plain(bytes) })
            }
            Kind::Refuse => Some(Self { end: End::Reset, ..plain(Vec::new()) }),
            Kind::Pass
            | Kind::Status
            | Kind::Delay
            | Kind::Hang
            | Kind::Garbage
            | Kind::GzipBomb
            | Kind::RejectRecords => None,
        }
    }

    /// Whether anything is sent.
    pub(crate) fn sends(&self) -> bool {
        !self.bytes.is_empty() || !self.repeat.is_empty()
    }

    /// Drops `in_flight` before the last bytes leave, so that the next request of a client that has read them does not
    /// overlap with this one.
    pub(crate) async fn play(&self, socket: &Socket, in_flight: InFlight) -> io::Result<()> {
        let (at_once, paced) = match self.pace {
            Some((from, bytes_per_second)) => {
                let (at_once, paced) = self.bytes.split_at(from.min(self.bytes.len()));
                (at_once, Some((paced, bytes_per_second)))
            }
            None => (self.bytes.as_ref(), None),
        };
        if let Some((paced, bytes_per_second)) = paced {
            socket.write_all(at_once).await?;
            dribble(socket, paced, bytes_per_second).await?;
            drop(in_flight);
        } else {
            drop(in_flight);
            socket.write_all(at_once).await?;
        }
        if !self.repeat.is_empty() {
            // Until the client disconnects, which makes a write fail.
            let block = self.repeat.repeat(REPEATED_BYTES.div_ceil(self.repeat.len()));
            loop {
                match self.pace {
                    Some((_, bytes_per_second)) => {
                        dribble(socket, &self.repeat, bytes_per_second).await?;
                        sleep(Duration::from_secs_f64(1.0 / f64::from(bytes_per_second))).await;
                    }
                    None => socket.write_all(&block).await?,
                }
            }
        }
        match self.end {
            End::Close => socket.finish(),
            End::Reset => socket.reset_on_close(),
            End::Alert => {
                socket.alert();
                socket.finish();
            }
        }
        Ok(())
    }
}

/// Sends byte n no earlier than n / `bytes_per_second` seconds after the first, in chunks of 10 ms if the pace is fast.
async fn dribble(socket: &Socket, bytes: &[u8], bytes_per_second: u32) -> io::Result<()> {
    let size = (bytes_per_second as usize / 100).max(1);
    let start = Instant::now();
    let mut last = 0;
    for chunk in bytes.chunks(size) {
        last += chunk.len();
        let due = Duration::from_secs_f64((last - 1) as f64 / f64::from(bytes_per_second));
        sleep_until(start + due).await;
        socket.write_all(chunk).await?;
    }
    Ok(())
}

/// The head of a gzip bomb.
pub(crate) fn bomb_response(mut response: Response) -> Response {
    response.replace_body(Bytes::new());
    response.with(CONTENT_TYPE, JSON).with(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
}

/// Sends `{"flags":[` and spaces, compressed on the fly, so that neither form is ever in memory as a whole.
pub(crate) async fn bomb(
    socket: &Socket,
    response: &Response,
    decoded_bytes: Option<u64>,
    in_flight: InFlight,
) -> io::Result<()> {
    static SPACES: [u8; 64 * 1024] = [b' '; 64 * 1024];
    socket.write_all(&response.raw_head(None)).await?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let opening = b"{\"flags\":[";
    let mut left = decoded_bytes.unwrap_or(BOMB_BYTES);
    let first = usize::try_from(left).unwrap_or(usize::MAX).min(opening.len());
    encoder.write_all(opening.get(..first).unwrap_or_default())?;
    left -= first as u64;
    while left > 0 {
        let next = usize::try_from(left).unwrap_or(usize::MAX).min(SPACES.len());
        encoder.write_all(SPACES.get(..next).unwrap_or_default())?;
        left -= next as u64;
        if encoder.get_ref().len() >= 4096 {
            send_chunk(socket, &std::mem::take(encoder.get_mut())).await?;
        }
        // Compressing keeps the processor busy while other tasks wait.
        tokio::task::yield_now().await;
    }
    let rest = encoder.finish()?;
    drop(in_flight);
    send_chunk(socket, &rest).await?;
    socket.write_all(b"0\r\n\r\n").await?;
    socket.finish();
    Ok(())
}

async fn send_chunk(socket: &Socket, bytes: &[u8]) -> io::Result<()> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    socket.write_all(&chunk).await
}
