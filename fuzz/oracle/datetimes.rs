//! `datetime_compare`, by counting years and months.

use std::sync::LazyLock;

use super::json_logic::trimmed;

/// Seconds since 1970 of a date-time of RFC 3339 with an offset. Fractions are dropped.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let text = trimmed(text);
    // A digit stands for any digit.
    let shape: String =
        text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() }).collect();
    let rest = shape.strip_prefix("0000-00-00T00:00:00")?;
    let after_fraction = match rest.strip_prefix('.') {
        Some(fraction) => fraction.strip_prefix('0')?.trim_start_matches('0'),
        None => rest,
    };
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let end = text.len();
    let offset = match after_fraction {
        "Z" => 0,
        "+00:00" | "-00:00" => {
            let (hours, minutes) = (number(end - 5, end - 3), number(end - 2, end));
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            if after_fraction.starts_with('-') { -seconds } else { seconds }
        }
        _ => return None,
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    if !(1..=12).contains(&month)
        || day < 1
        || day > month_days(year, month)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let of_months: i64 = (1..month).map(|month| month_days(year, month)).sum();
    // 1970 began 719,528 days after the year 0.
    let days = YEARS[year as usize] + of_months + day - 1 - 719_528;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// How many days after the beginning of the year 0 each year begins.
static YEARS: LazyLock<Vec<i64>> = LazyLock::new(|| {
    let mut days = 0;
    let mut begin = |year| {
        let begin = days;
        days += if is_leap(year) { 366 } else { 365 };
        begin
    };
    (0..=9999).map(&mut begin).collect()
});

fn is_leap(year: i64) -> bool {
    year % 400 == 0 || (year % 4 == 0 && year % 100 != 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        _ => [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1],
    }
}
