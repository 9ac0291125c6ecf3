//! A connection's socket, shared: hyper reads and writes it, and a raw fault writes past hyper.
//!
//! This is how one request of a kept connection can be answered with bytes that no server would send. A client that
//! waits for an answer before it asks again leaves nothing of hyper's in between; one that pipelines might.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::log::Seat;

pub(crate) struct Socket {
    stream: TcpStream,
    pub(crate) seat: Seat,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, seat: Seat) -> Self {
        // A peer that is already gone shows itself at the first read.
        let _ = stream.set_nodelay(true);
        Self { stream, seat }
    }

    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// An orderly end: what was written arrives, then end of file.
    pub(crate) fn finish(&self) {
        self.seat.leave();
        // Not connected any more is as good.
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Write);
    }

    /// Makes the coming close a reset.
    pub(crate) fn reset_on_close(&self) {
        self.seat.leave();
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.seat.leave();
    }
}

/// The socket as hyper wants it.
pub(crate) struct SocketIo(pub(crate) Arc<Socket>);

impl Read for SocketIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // A buffer between: writing into the uninitialised rest of hyper's own takes unsafe code.
        let mut buffer = [0; 16 * 1024];
        let room = buf.remaining().min(buffer.len());
        let chunk = buffer.get_mut(..room).unwrap_or_default();
        loop {
            ready!(self.0.stream.poll_read_ready(cx))?;
            match self.0.stream.try_read(chunk) {
                Ok(read) => {
                    buf.put_slice(chunk.get(..read).unwrap_or_default());
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Write for SocketIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.stream.poll_write_ready(cx))?;
            match self.0.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.finish();
        Poll::Ready(Ok(()))
    }
}
