//! Strings and numbers as ECMAScript converts, prints and orders them.

use std::cmp::Ordering;

/// A number as ECMAScript's `Number::toString` prints it: `1`, `0.1`, `1e-7`, `1e+21`, `NaN`.
pub(crate) fn number_text(number: f64) -> NumberText {
    let mut buffer = ryu_js::Buffer::new();
    let printed = buffer.format(number).as_bytes();
    let mut text = NumberText { bytes: [0; CAPACITY], len: 0 };
    for (to, from) in text.bytes.iter_mut().zip(printed) {
        *to = *from;
        text.len += 1;
    }
    text
}

/// The longest numbers, such as `-1.2345678901234568e-300`, have 25 bytes.
const CAPACITY: usize = 32;

/// The text of a number, without allocation.
#[derive(Clone, Debug)]
pub(crate) struct NumberText {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl NumberText {
    pub(crate) fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }
}

impl AsRef<str> for NumberText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// ECMAScript's white space and line terminators; Rust's set has U+0085 and lacks U+FEFF.
fn is_white_space(c: char) -> bool {
    match c {
        '\u{9}'..='\u{d}' | ' ' => true,
        _ if c.is_ascii() => false,
        '\u{feff}' => true,
        '\u{85}' => false,
        _ => c.is_whitespace(),
    }
}

/// `String.prototype.trim`.
pub(super) fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim_matches(is_white_space),
    }
}

/// `Number(text)`: NaN if it is not a number.
pub(super) fn number(text: &str) -> f64 {
    let text = trim(text);
    match text.as_bytes() {
        [] => 0.0,
        [b'0', b'x' | b'X', digits @ ..] => radix(digits, 4),
        [b'0', b'o' | b'O', digits @ ..] => radix(digits, 3),
        [b'0', b'b' | b'B', digits @ ..] => radix(digits, 1),
        // Rust also parses `inf`, `nan` and more, which are not numbers in ECMAScript.
        bytes if bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) => {
            text.parse().unwrap_or(f64::NAN)
        }
        _ => match text {
            "Infinity" | "+Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            _ => f64::NAN,
        },
    }
}

/// Digits of base 2, 8 or 16, rounded once to the nearest double however many they are.
fn radix(digits: &[u8], bits: u32) -> f64 {
    if digits.is_empty() {
        return f64::NAN;
    }
    let mut head: u64 = 0;
    let mut beyond: u32 = 0;
    let mut sticky = false;
    for digit in digits {
        let Some(digit) = char::from(*digit).to_digit(1 << bits) else { return f64::NAN };
        if head >> 60 == 0 {
            head = head << bits | u64::from(digit);
        } else {
            beyond = beyond.saturating_add(bits);
            sticky |= digit != 0;
        }
    }
    // The head has more bits than a double. Setting its lowest bit for non-zero digits that follow decides
    // ties correctly.
    (head | u64::from(sticky)) as f64 * 2f64.powi(beyond.min(2000) as i32)
}

/// `parseFloat(text)`: the longest number at the beginning of the text.
pub(super) fn parse_float(text: &str) -> f64 {
    let text = text.trim_start_matches(is_white_space);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.starts_with("Infinity") {
        return if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(unsigned);
    let (mut len, mut rest) = (whole, unsigned.get(whole..).unwrap_or_default());
    if let Some(after) = rest.strip_prefix('.') {
        let fraction = digits(after);
        if whole + fraction == 0 {
            return f64::NAN;
        }
        len += 1 + fraction;
        rest = after.get(fraction..).unwrap_or_default();
    } else if whole == 0 {
        return f64::NAN;
    }
    if let Some(after) = rest.strip_prefix(['e', 'E']) {
        let unsigned = after.strip_prefix(['+', '-']).unwrap_or(after);
        let exponent = digits(unsigned);
        if exponent > 0 {
            len += 1 + (after.len() - unsigned.len()) + exponent;
        }
    }
    let sign = text.len() - unsigned.len();
    text.get(..sign + len).and_then(|t| t.parse().ok()).unwrap_or(f64::NAN)
}

/// Compares strings by UTF-16 code unit, on their UTF-8.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    match a.bytes().zip(b.bytes()).find(|(x, y)| x != y) {
        None => a.len().cmp(&b.len()),
        Some((x, y)) => rank(x).cmp(&rank(y)),
    }
}

/// The rank of the first byte that differs. The two encodings order differently only U+E000 to U+FFFF, which
/// begin with EE or EF: UTF-16 puts them after the surrogates, which encode everything above.
fn rank(byte: u8) -> u8 {
    if matches!(byte, 0xee | 0xef) { byte + 0x10 } else { byte }
}

/// `ToIntegerOrInfinity`.
pub(super) fn integer(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number.trunc() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_ecmascript() {
        let rows = [
            (1.0, "1"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (123456789012345680000.0, "123456789012345680000"),
            (-1.2345678901234568e-300, "-1.2345678901234568e-300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (number, text) in rows {
            assert_eq!(number_text(number).as_str(), text);
        }
    }

    #[test]
    fn text_converts_to_numbers_as_in_ecmascript() {
        let rows = [
            ("", 0.0),
            (" \u{feff}\u{a0}\n5\u{2029} ", 5.0),
            ("5.", 5.0),
            (".5", 0.5),
            ("-.5e1", -5.0),
            ("0x1f", 31.0),
            ("0b101", 5.0),
            ("0O17", 15.0),
            ("1e400", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("0x20000000000001", 9007199254740992.0),
            ("0x20000000000003", 9007199254740996.0),
            ("0x200000000000010000000000", 9.903520314283042e27),
            ("0x200000000000010000000001", 9.903520314283044e27),
        ];
        for (text, want) in rows {
            assert_eq!(number(text), want, "{text:?}");
        }
        for text in
            ["infinity", "nan", "inf", ".", "+", "1e", "e5", "0x", "-0x1", "1_0", "5\u{85}", "1 2", "５"]
        {
            assert!(number(text).is_nan(), "{text:?}");
        }
        assert!(number("-0").is_sign_negative());
    }

    #[test]
    fn parse_float_reads_the_longest_number() {
        let rows = [
            (" 5px", 5.0),
            ("1e", 1.0),
            ("1e+", 1.0),
            ("1e1x", 10.0),
            ("1.5.5", 1.5),
            ("-.5-", -0.5),
            ("5.e1", 50.0),
            ("0x1f", 0.0),
            ("-Infinityx", f64::NEG_INFINITY),
        ];
        for (text, want) in rows {
            assert_eq!(parse_float(text), want, "{text:?}");
        }
        for text in ["", ".", "-", "x5", "infinity", ".e1", "--5"] {
            assert!(parse_float(text).is_nan(), "{text:?}");
        }
    }

    #[test]
    fn text_orders_by_utf16_code_unit() {
        let mut texts =
            ["\u{ffff}", "\u{10000}", "\u{e000}", "\u{d7ff}", "a", "", "aa", "\u{10ffff}", "é", "a\u{10000}"];
        texts.sort_by(|a, b| compare(a, b));
        let mut want = texts;
        want.sort_by_key(|t| t.encode_utf16().collect::<Vec<_>>());
        assert_eq!(texts, want);
    }
}
