//! The text of an error response, made safe for a message: one line, bounded, without secrets.

use crate::json::{RawPairs, cut};

/// The most bytes that a message quotes.
const QUOTED: usize = 1024;
/// The most bytes of the body that are read.
const READ: usize = 64 * 1024;
/// Replaces what is left out.
const HIDDEN: &str = "…";

/// The error text of a response: Mixpanel's `error`, any other text, or the text of an HTML page without markup. `private`:
/// texts to leave out, such as credentials and the context. None if nothing readable remains.
pub(super) fn error_text(body: &[u8], private: &[&str]) -> Option<String> {
    let text = match own_text(body) {
        Some(text) => text,
        None => plain_text(body)?,
    };
    let text = without_escapes(&text);
    let text = without_queries(&without_private(&text, private));
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then(|| cut(&line, QUOTED).trim_end().to_owned())
}

/// Mixpanel's `error`, or a body that is a JSON string.
fn own_text(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let string = |json: &str| serde_json::from_str::<Box<str>>(json).ok().map(String::from);
    match serde_json::from_str::<RawPairs<'_>>(body) {
        Ok(RawPairs(fields)) => string(fields.iter().rev().find(|(name, _)| name == "error")?.1.get()),
        Err(_) => string(body),
    }
}

/// A body that is not JSON. If it contains a NUL, it is not text either.
fn plain_text(body: &[u8]) -> Option<String> {
    let body = body.get(..READ).unwrap_or(body);
    if body.contains(&0) {
        return None;
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    Some(if text.starts_with('<') { without_markup(text) } else { text.to_owned() })
}

/// The text of a page, without tags, comments, styles and scripts.
fn without_markup(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let end = ["!--", "script", "style"].into_iter().zip(["-->", "</script", "</style"]).find_map(
            |(start, end)| {
                let starts = tag.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start));
                starts.then_some(end)
            },
        );
        let behind = match end {
            None => Some(tag),
            Some(end) => (0..tag.len())
                .find(|at| tag.get(*at..at + end.len()).is_some_and(|here| here.eq_ignore_ascii_case(end)))
                .and_then(|at| tag.get(at..)),
        };
        rest = behind.and_then(|tag| tag.split_once('>')).map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    for (entity, character) in
        [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        if text.contains(entity) {
            text = text.replace(entity, character);
        }
    }
    text
}

/// Without control characters, the escape sequences of terminals, and marks that turn the direction of text or have no width.
/// White space stays, as a space.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let introducer = match c {
            '\u{1b}' => characters.next(),
            '\u{9b}' => Some('['),
            '\u{90}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => Some(']'),
            _ => {
                let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
                if c.is_whitespace() {
                    out.push(' ');
                } else if !c.is_control() && !invisible {
                    out.push(c);
                }
                continue;
            }
        };
        match introducer {
            // Parameters, then one final character.
            Some('[') => _ = characters.find(|c| matches!(c, '\u{40}'..='\u{7e}')),
            // A string, terminated by BEL or ST.
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while let Some(c) = characters.next() {
                    if c == '\u{1b}' {
                        let _ = characters.next_if_eq(&'\\');
                    }
                    if matches!(c, '\u{7}' | '\u{1b}' | '\u{9c}') {
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    out
}

/// Hides `private` wherever it is a whole word, and anything that looks like credentials of HTTP's `Basic` scheme.
fn without_private(text: &str, private: &[&str]) -> String {
    let mut text = text.to_owned();
    for private in private.iter().filter(|private| private.len() > 1) {
        text = hide(&text, private);
    }
    let lower = text.to_ascii_lowercase();
    let Some(at) = lower.find("basic ") else { return text };
    let Some((before, after)) = text.split_at_checked(at + "basic ".len()) else { return text };
    let encoded = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let rest = after.trim_start_matches(encoded);
    // Too short for credentials: an ordinary word.
    if after.len() - rest.len() < 8 { text } else { format!("{before}{HIDDEN}{rest}") }
}

fn hide(text: &str, private: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(private) {
        let (Some(before), Some(after)) = (rest.get(..at), rest.get(at + private.len()..)) else { break };
        let within = |inner: Option<char>, outer: Option<char>| {
            let word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            word(inner) && word(outer)
        };
        let before_it = before.chars().next_back().or(out.chars().next_back());
        let is_part = within(private.chars().next(), before_it)
            || within(private.chars().next_back(), after.chars().next());
        out.push_str(before);
        out.push_str(if is_part { private } else { HIDDEN });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Hides the query of each URL, which contains the token and the context.
fn without_queries(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, query)) = rest.split_once('?') {
        let end = query.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>')).unwrap_or(query.len());
        let (query, behind) = query.split_at_checked(end).unwrap_or((query, ""));
        out.push_str(before);
        out.push('?');
        out.push_str(if query.contains('=') { HIDDEN } else { query });
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> Option<String> {
        error_text(body.as_bytes(), &["T0KEN", "s3cret"])
    }

    #[test]
    fn what_is_private_stays_so() {
        assert_eq!(text("T0KEN,s3cret"), Some("…,…".to_owned()));
        assert_eq!(text("aT0KEN T0KENb"), Some("aT0KEN T0KENb".to_owned()));
        assert_eq!(
            text("see http://h/a?token=T0KEN&b=1 and /c?d=e. Really? Yes"),
            Some("see http://h/a?… and /c?… Really? Yes".to_owned())
        );
        assert_eq!(text("Authorization: Basic czNjcmV0Og=="), Some("Authorization: Basic …".to_owned()));
        assert_eq!(text("basic auth required"), Some("basic auth required".to_owned()));
        // An escape sequence must not hide a secret by splitting it.
        assert_eq!(text("T0\u{1b}[1mKEN"), Some("…".to_owned()));
    }

    #[test]
    fn what_is_no_text() {
        assert_eq!(text(""), None);
        assert_eq!(text(" \r\n\t"), None);
        assert_eq!(text("\u{1f}\u{8b}\0\0"), None);
        assert_eq!(text("<"), None);
        assert_eq!(text("<!-- only"), None);
        assert_eq!(text("<script>unclosed"), None);
        assert_eq!(text("\u{1b}]0;unclosed"), None);
        assert_eq!(error_text(b"caf\xe9 closed", &[]), Some("caf\u{fffd} closed".to_owned()));
    }

    #[test]
    fn bounded() {
        let long = text(&"é ".repeat(100_000)).unwrap();
        assert!(long.len() <= QUOTED && long.len() > QUOTED - 4);
    }
}
