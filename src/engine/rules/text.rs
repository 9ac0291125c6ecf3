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
        let (ascii, lower) = case(text.as_bytes());
        match text {
            Cow::Borrowed(text) if ascii && lower => Folded::Borrowed(text),
            Cow::Owned(text) if ascii && lower => Folded::Own(text.into_boxed_str()),
            text if ascii && text.len() <= SHORT => Folded::short(&text),
            text => Folded::Own(text.to_lowercase().into_boxed_str()),
        }
    }

    /// Of ASCII text.
    fn short(text: &str) -> Self {
        let mut short = [0; SHORT];
        for (to, from) in short.iter_mut().zip(text.bytes()) {
            *to = from.to_ascii_lowercase();
        }
        Folded::Short(text.len() as u8, short)
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

/// Whether it is in lower case for certain. Text beyond ASCII may be, too.
#[inline]
pub(super) fn is_folded(text: &str) -> bool {
    case(text.as_bytes()) == (true, true)
}

/// Whether it is all ASCII, and whether no letter of ASCII in it is in upper case.
#[inline]
fn case(text: &[u8]) -> (bool, bool) {
    // Eight bytes at a time: most names and values are short, and a loop over bytes takes most of their reading.
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const EACH: u64 = 0x0101_0101_0101_0101;
    let (mut high, mut upper) = (0, 0);
    let mut look = |eight: u64| {
        high |= eight & HIGH;
        // The high bit of each byte tells whether its low seven bits are at least "A", or beyond "Z".
        let low = eight & !HIGH;
        let (from, beyond) = (low + EACH * (0x80 - u64::from(b'A')), low + EACH * (0x7f - u64::from(b'Z')));
        upper |= from & !beyond & !eight & HIGH;
    };
    let mut rest = text;
    while let Some((eight, after)) = rest.split_first_chunk() {
        look(u64::from_le_bytes(*eight));
        rest = after;
    }
    match (rest, text.last_chunk::<8>()) {
        ([], _) => {}
        (_, Some(last)) => look(u64::from_le_bytes(*last)),
        // The text is shorter than eight bytes.
        (rest, None) => look(rest.iter().fold(0, |eight, byte| eight << 8 | u64::from(*byte))),
    }
    (high == 0, upper == 0)
}

impl Deref for Folded<'_> {
    type Target = str;

    #[inline(always)]
    fn deref(&self) -> &str {
        match self {
            Folded::Borrowed(text) => text,
            Folded::Short(length, short) => {
                let text = short.get(..usize::from(*length)).unwrap_or_default();
                // ASCII, so it is text.
                std::str::from_utf8(text).unwrap_or_default()
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
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=255 {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    let (ascii, lower) = case(&text);
                    assert_eq!((ascii, lower), (byte.is_ascii(), !byte.is_ascii_uppercase()), "{text:?}");
                }
            }
        }
        assert_eq!(case(b""), (true, true));
    }

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
