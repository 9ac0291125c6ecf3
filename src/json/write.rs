//! JSON text, written.

use std::fmt::{Display, Write};

/// The beginning of `text`: whole characters, at most `limit` bytes.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rfind(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// `json` without the white space outside strings.
pub(crate) fn compact(json: &str) -> Box<str> {
    let mut out = String::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    out.into_boxed_str()
}

/// Appends `string` as a JSON string.
pub(crate) fn push_json_string(out: &mut String, string: &str) {
    if needs_escape(string.as_bytes()) {
        out.push_str(&serde_json::Value::from(string).to_string());
    } else {
        out.push('"');
        out.push_str(string);
        out.push('"');
    }
}

/// Whether a control character, a quote or a backslash is in a text.
fn needs_escape(text: &[u8]) -> bool {
    // Eight bytes at a time: a loop over bytes takes three times as long for the keys and values of a context.
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const EACH: u64 = 0x0101_0101_0101_0101;
    const SPACES: u64 = EACH * b' ' as u64;
    let below = |eight: u64, bound: u64| eight.wrapping_sub(bound) & !eight & HIGH;
    let mut found = 0;
    let mut look = |eight: u64| {
        found |= below(eight, SPACES)
            | below(eight ^ (EACH * u64::from(b'"')), EACH)
            | below(eight ^ (EACH * u64::from(b'\\')), EACH);
    };
    let mut rest = text;
    while let Some((eight, after)) = rest.split_first_chunk() {
        look(u64::from_le_bytes(*eight));
        rest = after;
    }
    look(rest.iter().fold(SPACES, |eight, byte| eight << 8 | u64::from(*byte)));
    found != 0
}

/// Appends JSON to a text, and puts the commas.
pub(crate) struct Writer<'t> {
    out: &'t mut String,
    /// Whether the next key or value follows another one.
    comma: bool,
}

impl<'t> Writer<'t> {
    pub(crate) fn new(out: &'t mut String) -> Self {
        Writer { out, comma: false }
    }

    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.nested('{', members, '}');
    }

    pub(crate) fn array(&mut self, items: impl FnOnce(&mut Self)) {
        self.nested('[', items, ']');
    }

    fn nested(&mut self, open: char, content: impl FnOnce(&mut Self), close: char) {
        self.next().push(open);
        self.comma = false;
        content(self);
        self.out.push(close);
        self.comma = true;
    }

    /// The key of a member whose value is written next.
    pub(crate) fn key(&mut self, key: &str) -> &mut Self {
        self.string(key);
        self.out.push(':');
        self.comma = false;
        self
    }

    /// [`key`](Self::key) for a literal that needs no escape.
    pub(crate) fn field(&mut self, name: &'static str) -> &mut Self {
        let out = self.next();
        out.push('"');
        out.push_str(name);
        out.push_str("\":");
        self.comma = false;
        self
    }

    pub(crate) fn string(&mut self, text: &str) {
        push_json_string(self.next(), text);
    }

    pub(crate) fn string_or_null(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.raw("null"),
        }
    }

    /// A finite number or a boolean.
    pub(crate) fn display(&mut self, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.next(), "{value}");
    }

    /// Text that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.next().push_str(json);
    }

    /// Bytes in the whole text so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    fn next(&mut self) -> &mut String {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=255_u8 {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    let expected = byte < b' ' || byte == b'"' || byte == b'\\';
                    assert_eq!(needs_escape(&text), expected, "{text:?}");
                }
            }
        }
        assert!(!needs_escape(b""));
    }

    #[test]
    fn commas() {
        let mut out = "before: ".to_owned();
        Writer::new(&mut out).object(|json| {
            json.field("a").array(|json| {
                json.display(1);
                json.object(|_| {});
                json.array(|json| json.string_or_null(None));
                json.string("\n");
            });
            json.key("\"").display(true);
            json.raw(r#""c":{},"d":0"#);
        });
        assert_eq!(out, r#"before: {"a":[1,{},[null],"\n"],"\"":true,"c":{},"d":0}"#);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        for (limit, want) in [(0, ""), (1, "a"), (2, "a"), (3, "aé"), (4, "aéb"), (5, "aéb")] {
            assert_eq!(cut("aéb", limit), want);
        }
    }
}
