//! Points in time as Release files write them: `Sat, 21 Nov 2026 09:15:44 UTC` (RFC 5322 with the zone UTC).

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAY_SECS: u64 = 86_400;

/// The UNIX time in seconds of a date, or `None` if `text` is none or lies before 1970 or behind 9999.
pub fn parse(text: &str) -> Option<u64> {
    // The day of the week says nothing that the date does not.
    let text = text.split_once(',').map_or(text, |(_, rest)| rest);
    let mut words = text.split_ascii_whitespace();
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let (time, zone) = (words.next()?, words.next()?);
    if words.next().is_some() || !matches!(zone, "UTC" | "GMT" | "Z" | "+0000") {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)?;
    let (year, day) = (number(year, 4)?, number(day, 2)?);
    if !(1970..=9999).contains(&year) || day == 0 || day > month_days(year, month) {
        return None;
    }
    let mut parts = time.split(':');
    let (hour, minute, second) = (
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_before_year(year) + (0..month).map(|month| month_days(year, month)).sum::<u64>() + day - 1;
    Some(days * DAY_SECS + hour * 3600 + minute * 60 + second)
}

/// `2026-11-21 09:15:44 UTC` for a UNIX time in seconds.
pub fn format(seconds: u64) -> String {
    let (mut days, second) = (seconds / DAY_SECS, seconds % DAY_SECS);
    // 146,097 days are 400 years; counting the rest by the year is quick enough for messages.
    let mut year = 1970 + days / 146_097 * 400;
    days %= 146_097;
    while days >= year_days(year) {
        days -= year_days(year);
        year += 1;
    }
    let mut month = 0;
    while days >= month_days(year, month) {
        days -= month_days(year, month);
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}-{:02}-{:02} {hour:02}:{minute:02}:{:02} UTC",
        month + 1,
        days + 1,
        second % 60
    )
}

fn number(text: &str, most_digits: usize) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= most_digits && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

const fn year_days(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

/// Days from 1970 to the start of `year`.
const fn days_before_year(year: u64) -> u64 {
    let before = year - 1;
    (year - 1970) * 365 + (before / 4 - before / 100 + before / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400)
}

const fn month_days(year: u64, month: usize) -> u64 {
    match month {
        1 => 28 + is_leap(year) as u64,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_of_release_files_are_read() {
        assert_eq!(parse("Thu, 01 Jan 1970 00:00:00 UTC"), Some(0));
        assert_eq!(parse("Sat, 21 Nov 2026 09:15:44 UTC"), Some(1_795_252_544));
        assert_eq!(parse("Tue, 29 Feb 2000 23:59:59 +0000"), Some(951_868_799));
        assert_eq!(parse("1 Mar 2000 0:00:00 GMT"), Some(951_868_800));
    }

    #[test]
    fn what_is_no_date_in_utc_is_refused() {
        for text in [
            "",
            "Sat, 21 Nov 2026 09:15:44",
            "Sat, 21 Nov 2026 09:15:44 CET",
            "Sat, 21 Nov 2026 09:15:44 +0100",
            "Sun, 29 Feb 2026 00:00:00 UTC",
            "Sat, 31 Nov 2026 00:00:00 UTC",
            "Sat, 00 Nov 2026 00:00:00 UTC",
            "Sat, 21 nov 2026 00:00:00 UTC",
            "Sat, 21 Nov 1969 00:00:00 UTC",
            "Sat, 21 Nov 2026 24:00:00 UTC",
            "Sat, 21 Nov 2026 00:60:00 UTC",
            "Sat, 21 Nov 2026 00:00 UTC",
            "Sat, +1 Nov 2026 00:00:00 UTC",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_shown_in_full() {
        assert_eq!(format(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(format(1_795_252_544), "2026-11-21 09:15:44 UTC");
        assert_eq!(format(951_868_799), "2000-02-29 23:59:59 UTC");
    }

    proptest! {
        #[test]
        fn every_time_reads_back(seconds in 0_u64..253_402_300_800) {
            let shown = format(seconds);
            let (year, month, day) = (&shown[..4], shown[5..7].parse::<usize>().unwrap(), &shown[8..10]);
            let text = format!("{day} {} {year} {} UTC", MONTHS[month - 1], &shown[11..19]);
            prop_assert_eq!(parse(&text), Some(seconds));
        }

        #[test]
        fn any_text_is_a_date_or_none(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
