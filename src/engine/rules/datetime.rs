//! Times in whole seconds, from RFC 3339 text and from milliseconds.

use super::ecma;

/// Seconds since 1970 of strict RFC 3339 text in any case. Fractions are dropped.
pub(super) fn text_seconds(text: &str) -> Option<i64> {
    instant(text).map(|(seconds, _)| seconds)
}

/// Milliseconds since 1970 of the same. Smaller fractions are dropped.
pub(crate) fn text_milliseconds(text: &str) -> Option<i64> {
    instant(text).map(|(seconds, milliseconds)| seconds * 1000 + milliseconds)
}

fn instant(text: &str) -> Option<(i64, i64)> {
    let mut rest = ecma::trim(text).as_bytes();
    let year = digits(&mut rest, 4)?;
    byte(&mut rest, b"-")?;
    let month = digits(&mut rest, 2)?;
    byte(&mut rest, b"-")?;
    let day = digits(&mut rest, 2)?;
    byte(&mut rest, b"Tt")?;
    let hour = digits(&mut rest, 2)?;
    byte(&mut rest, b":")?;
    let minute = digits(&mut rest, 2)?;
    byte(&mut rest, b":")?;
    let second = digits(&mut rest, 2)?;
    let mut milliseconds = 0;
    if byte(&mut rest, b".").is_some() {
        let mut unit = 100;
        milliseconds = digits(&mut rest, 1)? * unit;
        while let Some(digit) = digits(&mut rest, 1) {
            unit /= 10;
            milliseconds += digit * unit;
        }
    }
    let offset = match byte(&mut rest, b"Zz+-")? {
        sign @ (b'+' | b'-') => {
            let hours = digits(&mut rest, 2)?;
            byte(&mut rest, b":")?;
            let minutes = digits(&mut rest, 2)?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            if sign == b'-' { -seconds } else { seconds }
        }
        _ => 0,
    };
    let real = rest.is_empty()
        && (1..=12).contains(&month)
        && (1..=month_days(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 59;
    let seconds = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    real.then_some((seconds, milliseconds))
}

/// Milliseconds in whole seconds, rounded toward zero. `None` if they do not fit into 64 bits.
pub(super) fn number_seconds(milliseconds: f64) -> Option<i64> {
    (milliseconds.abs() < 9_223_372_036_854_775_808.0).then(|| (milliseconds / 1000.0).trunc() as i64)
}

fn byte(rest: &mut &[u8], any_of: &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    any_of.contains(first).then(|| {
        *rest = after;
        *first
    })
}

fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (head, after) = rest.split_at_checked(count)?;
    let mut number = 0;
    for digit in head {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(digit - b'0');
    }
    *rest = after;
    Some(number)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01, by Hinnant's `days_from_civil`: a year begins in March, so that the leap day is its
/// last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_seconds() {
        let rows = [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-07-16t00:00:00z", 1_784_160_000),
            (" 2026-07-16T02:30:00.999+02:30\u{feff}", 1_784_160_000),
            ("2000-02-29T23:59:59-00:00", 951_868_799),
            ("1969-12-31T23:59:59.5Z", -1),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("9999-12-31T23:59:59-23:59", 253_402_300_799 + 86_340),
        ];
        for (text, want) in rows {
            assert_eq!(text_seconds(text), Some(want), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_strict_has_no_seconds() {
        let texts = [
            "",
            "2026-07-16",
            "2026-07-16T00:00:00",
            "2026-07-16 00:00:00Z",
            "2026-07-16T00:00Z",
            "2026-07-16T24:00:00Z",
            "2026-07-16T23:60:00Z",
            "2026-07-16T23:59:60Z",
            "2026-07-16T00:00:00.Z",
            "2026-07-16T00:00:00+0200",
            "2026-07-16T00:00:00+24:00",
            "2026-07-16T00:00:00+02:60",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-00-10T00:00:00Z",
            "2026-13-10T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "+002026-01-01T00:00:00Z",
            "२०२६-07-16T00:00:00Z",
            "2026-07-16T00:00:00ZZ",
        ];
        for text in texts {
            assert_eq!(text_seconds(text), None, "{text:?}");
        }
    }

    #[test]
    fn milliseconds_go_toward_zero() {
        let rows =
            [(1999.9, Some(1)), (-1999.9, Some(-1)), (-1.0, Some(0)), (9.3e18, None), (f64::NAN, None)];
        for (milliseconds, want) in rows {
            assert_eq!(number_seconds(milliseconds), want);
        }
        assert_eq!(number_seconds(-(2f64.powi(63))), None);
        assert_eq!(number_seconds(9223372036854774784.0), Some(9223372036854774));
    }
}
