//! What the library sets up once per process: the fork handler, the panic hook, and the signal mask of its
//! threads.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;
use crate::guard;
#[cfg(unix)]
use crate::signals;

/// Prepares the process. Takes no lock, because a process may be forked during the call, and the child calls
/// it again. If two threads make the first call at the same time, both register the handler, and a fork then
/// adds 2 to the counter instead of 1, which does no harm: only a change matters.
pub(crate) fn prepare_process() -> Result<(), Failure> {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    static HOOKED: AtomicBool = AtomicBool::new(false);
    if !HOOKED.swap(true, Ordering::AcqRel) {
        guard::install_hook();
        #[cfg(unix)]
        mpflags_core::unversioned::set_spawn_guard(signals::blocked);
    }
    if REGISTERED.load(Ordering::Acquire) {
        return Ok(());
    }
    #[cfg(unix)]
    register_fork_handler()?;
    #[cfg(target_os = "macos")]
    crate::pin::keep_loaded();
    REGISTERED.store(true, Ordering::Release);
    Ok(())
}

#[cfg(unix)]
fn register_fork_handler() -> Result<(), Failure> {
    // SAFETY: the handler only adds to an atomic, and the library that has it is never unloaded.
    let refused = unsafe { libc::pthread_atfork(None, None, Some(child)) };
    if refused != 0 {
        let error = std::io::Error::from_raw_os_error(refused);
        let message = format!("cannot register a fork handler: {error}");
        return Err(Failure::new(crate::status::MPFLAGS_SYSTEM, message));
    }
    Ok(())
}

/// Runs in the child before `fork` returns.
#[cfg(unix)]
unsafe extern "C" fn child() {
    mpflags_core::after_fork_in_child();
}
