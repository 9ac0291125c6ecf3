//! Text in lower case.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// Text in lower case. Borrowed if it was, and in place if it is short: most contexts have some upper case, a
/// country or the name of a plan, and an allocation costs more than the rest of reading it.
#[derive(Clone)]
pub(crate) enum Folded<'a> {
    Borrowed(&'a str),
    Short(u8, [u8; SHORT]),
    Own(Box<str>),
}

/// As long as the other variants allow.
const SHORT: usize = 22;

impl<'a> Folded<'a> {
    /// Converts to lower case by Unicode's full rules, as JavaScript's `toLowerCase` does.
    #[inline]
    pub(crate) fn new(text: Cow<'a, str>) -> Self {
        // Without a branch per byte, the compiler can vectorise this.
        let (ascii, upper) = text
            .bytes()
            .fold((true, false), |(ascii, upper), b| (ascii & b.is_ascii(), upper | b.is_ascii_uppercase()));
        match text {
            Cow::Borrowed(text) if ascii && !upper => Folded::Borrowed(text),
            Cow::Owned(text) if ascii && !upper => Folded::Own(text.into_boxed_str()),
            text if ascii && text.len() <= SHORT => {
                let mut short = [0; SHORT];
                for (to, from) in short.iter_mut().zip(text.bytes()) {
                    *to = from.to_ascii_lowercase();
                }
                Folded::Short(text.len() as u8, short)
            }
            text => Folded::Own(text.to_lowercase().into_boxed_str()),
        }
    }

    pub(crate) fn into_cow(self) -> Cow<'a, str> {
        match self {
            Folded::Borrowed(text) => Cow::Borrowed(text),
            Folded::Own(text) => Cow::Owned(text.into_string()),
            short => Cow::Owned(short.to_string()),
        }
    }

    pub(crate) fn into_owned(self) -> Folded<'static> {
        match self {
            Folded::Own(text) => Folded::Own(text),
            // A text that is kept is read more often than it is made, which is cheaper if it is not in place.
            text => Folded::Own((*text).into()),
        }
    }
}

impl Deref for Folded<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match self {
            Folded::Borrowed(text) => text,
            Folded::Short(length, short) => {
                let text = short.get(..usize::from(*length)).unwrap_or_default();
                // ASCII, so it is text.
                str::from_utf8(text).unwrap_or_default()
            }
            Folded::Own(text) => text,
        }
    }
}

impl fmt::Debug for Folded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl PartialEq for Folded<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let long = "A".repeat(23);
        for text in ["", "a", "A", "aB9", "É", "é", "ǅ", "İ", "\u{0}Z", &long[1..], &long, "😀"] {
            for given in [Cow::Borrowed(text), Cow::Owned(text.to_owned())] {
                let folded = Folded::new(given);
                assert_eq!(&*folded, text.to_lowercase());
                assert_eq!(folded.clone().into_owned(), folded);
                assert_eq!(folded.into_cow(), text.to_lowercase());
            }
        }
        assert!(matches!(Folded::new(Cow::Borrowed(&long[1..])), Folded::Short(22, _)));
        assert_eq!(size_of::<Folded<'_>>(), 24);
    }
}
