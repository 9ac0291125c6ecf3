//! The strings of an evaluation, in one text.

use std::num::NonZeroU32;
use std::sync::Arc;

/// All strings of an evaluation, each followed by a NUL for C.
#[derive(Clone)]
pub(super) struct Text(Kind);

#[derive(Clone)]
enum Kind {
    Own(String),
    /// A part of the strings of many evaluations.
    Shared {
        whole: Arc<String>,
        start: u32,
        end: u32,
    },
}

impl Default for Text {
    fn default() -> Self {
        Text::own(String::new())
    }
}

impl Text {
    pub(super) fn own(text: String) -> Self {
        Text(Kind::Own(text))
    }

    /// The parts of `whole` that end at these places.
    pub(super) fn shared(whole: String, ends: Vec<usize>) -> impl Iterator<Item = Text> {
        let whole = Arc::new(whole);
        let mut start = 0;
        ends.into_iter().map(move |end| {
            let end = offset(end);
            let part = Kind::Shared { whole: whole.clone(), start, end };
            start = end;
            Text(part)
        })
    }

    pub(super) fn at(&self, span: Span) -> &str {
        let end = span.end.get() as usize - 1;
        self.as_str().get(span.start as usize..end).unwrap_or(terminated("\0"))
    }

    fn as_str(&self) -> &str {
        match &self.0 {
            Kind::Own(text) => text,
            Kind::Shared { whole, start, end } => {
                whole.get(*start as usize..*end as usize).unwrap_or_default()
            }
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// Where a string is in the text of its evaluation. In 32 bits, because there are many, and definitions of 4 GiB
/// are refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    start: u32,
    /// Past its NUL, so it is never 0.
    end: NonZeroU32,
}

/// Appends the strings of one evaluation to a text.
pub(super) struct Strings<'t> {
    text: &'t mut String,
    /// Where they begin.
    start: usize,
}

impl<'t> Strings<'t> {
    pub(super) fn at_the_end_of(text: &'t mut String) -> Self {
        Strings { start: text.len(), text }
    }

    pub(super) fn push(&mut self, part: &str) -> Span {
        self.write(|text| text.push_str(part))
    }

    pub(super) fn write(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let start = offset(self.text.len() - self.start);
        write(self.text);
        self.text.push('\0');
        let end = NonZeroU32::new(offset(self.text.len() - self.start)).unwrap_or(NonZeroU32::MAX);
        Span { start, end }
    }
}

/// A string of the library that, like those of an evaluation, is followed by a NUL.
pub(super) fn terminated(text: &'static str) -> &'static str {
    text.strip_suffix('\0').unwrap_or_default()
}

fn offset(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
