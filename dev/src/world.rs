//! What the server knows: the data that handlers read and write. It has no access to the ports.

use std::io;
use std::sync::{Arc, mpsc};

use crate::access::Access;
use crate::check::Checked;
use crate::credentials::Credentials;
use crate::definitions::Definitions;
use crate::events::Events;
use crate::faults::Faults;
use crate::live::Live;
use crate::log::Log;
use crate::options::Options;
use crate::remote::{ContextForm, Remote};

pub(crate) struct World {
    pub(crate) log: Arc<Log>,
    pub(crate) faults: Faults,
    pub(crate) definitions: Definitions,
    pub(crate) checked: Checked,
    pub(crate) remote: Remote,
    pub(crate) ofrep: Remote,
    pub(crate) credentials: Credentials,
    pub(crate) events: Events,
    pub(crate) access: Access,
    pub(crate) live: Live,
    pub(crate) lines: Option<mpsc::Sender<String>>,
}

impl World {
    pub(crate) fn new(options: &Options) -> io::Result<Self> {
        Ok(Self {
            log: Arc::new(Log::new()),
            faults: Faults::default(),
            definitions: Definitions::new(options.definitions.clone())?,
            checked: Checked::default(),
            remote: Remote::default(),
            ofrep: Remote::new(ContextForm::OpenFeature),
            credentials: Credentials::new(options),
            events: Events::new(options.events),
            access: Access::new(options.host, options.token.as_deref()),
            live: Live::new(),
            lines: options.lines.clone(),
        })
    }
}
