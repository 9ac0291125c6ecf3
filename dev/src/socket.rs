//! A connection's socket, shared: hyper reads and writes it, and raw faults write to it behind hyper's back.
//!
//! This way a single request on a kept-alive connection can receive bytes that no server would send. Unless the client
//! pipelines, hyper has nothing left to write at that moment.
//!
//! TLS, if enabled, is below both: it encrypts whatever either of them writes.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use rustls::{ServerConfig, ServerConnection};
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::lock::lock;
use crate::log::Seat;

pub(crate) struct Socket {
    stream: TcpStream,
    /// The lock satisfies the compiler; a single task reads and writes.
    tls: Option<Mutex<Session>>,
    pub(crate) seat: Seat,
}

struct Session {
    connection: ServerConnection,
    /// Received bytes that rustls has not read yet: it reads a little at a time, and nothing while plain text waits.
    sealed: Box<[u8]>,
    waiting: Range<usize>,
}

impl Session {
    fn new(config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self { connection, sealed: vec![0; 16 * 1024].into_boxed_slice(), waiting: 0..0 })
    }
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, tls: Option<Arc<ServerConfig>>, seat: Seat) -> io::Result<Self> {
        // If the peer is gone already, the first read fails.
        let _ = stream.set_nodelay(true);
        let tls = tls.map(Session::new).transpose()?.map(Mutex::new);
        Ok(Self { stream, tls, seat })
    }

    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::future::poll_fn(|cx| self.poll_write(cx, bytes)).await?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Closes in order: everything written arrives, then end of file.
    pub(crate) fn finish(&self) {
        self.seat.leave();
        if let Some(tls) = &self.tls {
            let tls = &mut lock(tls).connection;
            tls.send_close_notify();
            // It is short: if the socket does not take it, the client is not reading.
            let _ = tls.write_tls(&mut Now(&self.stream));
        }
        // An error means that it is not connected any more.
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Write);
    }

    /// Sends the alert "internal error" outside of the encryption, as a device on the way can. Nothing without TLS.
    pub(crate) fn alert(&self) {
        const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];
        if self.tls.is_some() {
            // It is short: if the socket does not take it, the client is not reading.
            let _ = Now(&self.stream).write(&ALERT);
        }
    }

    /// Makes the socket send a reset when it is closed.
    pub(crate) fn reset_on_close(&self) {
        self.seat.leave();
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(tls) = &self.tls else { return self.poll_read_stream(cx, buffer) };
        let mut session = lock(tls);
        let Session { connection, sealed, waiting } = &mut *session;
        loop {
            match connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
            // The handshake has to send before it reads on. What does not fit is sent by the next poll.
            if let Poll::Ready(Err(error)) = self.poll_send(cx, connection) {
                return Poll::Ready(Err(error));
            }
            if waiting.start == waiting.end {
                *waiting = 0..ready!(self.poll_read_stream(cx, sealed))?;
            }
            // If nothing was read, this is the end of file, which rustls learns from an empty read.
            waiting.start += connection.read_tls(&mut sealed.get(waiting.clone()).unwrap_or_default())?;
            if let Err(error) = connection.process_new_packets() {
                // Send the alert. The client may be gone, or have sent its own.
                let _ = connection.write_tls(&mut Now(&self.stream));
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(tls) = &self.tls else { return self.poll_write_stream(cx, bytes) };
        let tls = &mut lock(tls).connection;
        // Send what is encrypted already first, to keep the buffer small.
        ready!(self.poll_send(cx, tls))?;
        let written = tls.writer().write(bytes)?;
        match self.poll_send(cx, tls) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(written)),
        }
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.tls {
            Some(tls) => self.poll_send(cx, &mut lock(tls).connection),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Sends what is encrypted.
    fn poll_send(&self, cx: &mut Context<'_>, tls: &mut ServerConnection) -> Poll<io::Result<()>> {
        while tls.wants_write() {
            ready!(self.stream.poll_write_ready(cx))?;
            match tls.write_tls(&mut Now(&self.stream)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => drop(result?),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read_stream(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_write_stream(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_write(bytes) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// Writes what the socket accepts without waiting.
struct Now<'a>(&'a TcpStream);

impl io::Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
        // Through a buffer, because writing to hyper's uninitialised memory would need unsafe code.
        let mut buffer = [0; 16 * 1024];
        let room = buf.remaining().min(buffer.len());
        let chunk = buffer.get_mut(..room).unwrap_or_default();
        let read = ready!(self.0.poll_read(cx, chunk))?;
        buf.put_slice(chunk.get(..read).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl Write for SocketIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.finish();
        Poll::Ready(Ok(()))
    }
}
