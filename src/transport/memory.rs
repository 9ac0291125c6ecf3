//! Connections to a server in this process, for the fuzz targets: without sockets, they get several times as many responses.

use std::sync::OnceLock;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};

/// What a server sends after it has received these bytes, and whether it then keeps the connection open. `None` if the
/// request is not complete.
pub(crate) type Server = fn(&[u8]) -> Option<(Vec<u8>, bool)>;

/// If there is one, every connection is to it.
pub(crate) static SERVER: OnceLock<Server> = OnceLock::new();

/// In bytes. ureq's own are eight times as large, and each connection clears them.
const BUFFER: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Memory;

impl<In: Transport> Connector<In> for Memory {
    type Out = Either<In, Connection>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let (Some(server), None) = (SERVER.get(), &chained) else { return Ok(chained.map(Either::A)) };
        let connection = Connection {
            server: *server,
            buffers: LazyBuffers::new(BUFFER, BUFFER),
            request: Vec::new(),
            response: Vec::new(),
            sent: 0,
            is_open: true,
        };
        Ok(Some(Either::B(connection)))
    }
}

pub(super) struct Connection {
    server: Server,
    buffers: LazyBuffers,
    request: Vec<u8>,
    response: Vec<u8>,
    /// How much of the response the client has.
    sent: usize,
    is_open: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        self.request.extend_from_slice(self.buffers.output().get(..amount).unwrap_or_default());
        if let Some((response, is_open)) = (self.server)(&self.request) {
            self.request.clear();
            (self.response, self.sent, self.is_open) = (response, 0, is_open);
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let rest = self.response.get(self.sent..).unwrap_or_default();
        let into = self.buffers.input_append_buf();
        // A response of three bytes or more arrives in at least two parts, as it may from a socket.
        let count = (self.response.len() / 2 + 1).min(rest.len()).min(into.len());
        if let (Some(into), Some(rest)) = (into.get_mut(..count), rest.get(..count)) {
            into.copy_from_slice(rest);
        }
        self.sent += count;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.is_open
    }
}
