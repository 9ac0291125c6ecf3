//! Strings that are handles of their own.

use crate::guard;
use crate::handle;
use crate::strings::{Text, mpflags_str};

/// A string with an owner. Immutable.
pub struct mpflags_text(Text);

const _: () = handle::shared::<mpflags_text>();

impl From<String> for mpflags_text {
    fn from(text: String) -> Self {
        mpflags_text(Text::new(text))
    }
}

/// Returns the string.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_text_view(text: Option<&mpflags_text>) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(text?.0.view()))
}

/// Frees a text and its string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_text_free(text: *mut mpflags_text) {
    // SAFETY: as the header requires, NULL or a handle of this type that is not in use and not freed.
    unsafe { guard::free(text) };
}
