//! Colours, if standard output is a terminal and nobody objects.

use std::env;
use std::io::{self, IsTerminal as _};

#[derive(Clone, Copy)]
pub(crate) struct Colours(bool);

impl Colours {
    pub(crate) fn new() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(io::stdout().is_terminal() && !refused)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Characters of a text, without its colours.
    pub(crate) fn width(text: &str) -> usize {
        let mut rest = text.chars();
        let mut count = 0;
        while let Some(c) = rest.next() {
            if c == '\x1b' {
                rest.by_ref().find(|c| *c == 'm');
            } else {
                count += 1;
            }
        }
        count
    }
}
