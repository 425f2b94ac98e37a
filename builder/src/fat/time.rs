//! Calendar time in UTC, and its form in FAT directory entries.

use std::fmt;

const SECONDS_PER_DAY: u64 = 86_400;
/// The Gregorian calendar repeats after so many days (400 years).
const DAYS_PER_ERA: u64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;
/// The last second of the year 9999, which is as far as four-digit years go.
const LAST_SECOND: u64 = 253_402_300_799;

/// A moment in UTC without leap seconds; `Display` is RFC 3339 with a `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcTime {
    /// 1970 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl UtcTime {
    /// The time `seconds` after 1970-01-01T00:00:00Z; all beyond the year 9999 is its last second.
    pub fn from_unix(seconds: u64) -> Self {
        let seconds = seconds.min(LAST_SECOND);
        let (days, of_day) = (seconds / SECONDS_PER_DAY + DAYS_BEFORE_1970, seconds % SECONDS_PER_DAY);
        let (era, of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
        // Years that begin in March have their leap day at the end, so that plain division finds them.
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // March to July and August to December repeat the month lengths 31, 30, 31, 30, 31: 153 days.
        let month_from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month_from_march + 2) / 5 + 1;
        let (month, next_year) = if month_from_march < 10 {
            (month_from_march + 3, 0)
        } else {
            (month_from_march - 9, 1)
        };
        Self {
            year: (era * 400 + year_of_era + next_year) as u16,
            month: month as u8,
            day: day as u8,
            hour: (of_day / 3_600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
        }
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// A time as FAT stores it (FAT specification, "Date and Time Formats").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DosTime {
    /// Bits 15–9 years since 1980, 8–5 month, 4–0 day.
    pub date: u16,
    /// Bits 15–11 hours, 10–5 minutes, 4–0 seconds halved.
    pub time: u16,
    /// Hundredths of a second beyond `time`: 0 or 100 here.
    pub hundredths: u8,
}

impl From<UtcTime> for DosTime {
    fn from(utc: UtcTime) -> Self {
        let first = UtcTime {
            year: 1980,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
        };
        let last = UtcTime {
            year: 2107,
            month: 12,
            day: 31,
            hour: 23,
            minute: 59,
            second: 59,
        };
        let utc = utc.clamp(first, last);
        Self {
            date: (utc.year - 1980) << 9 | u16::from(utc.month) << 5 | u16::from(utc.day),
            time: u16::from(utc.hour) << 11 | u16::from(utc.minute) << 5 | u16::from(utc.second / 2),
            hundredths: utc.second % 2 * 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UtcTime::from_unix(seconds).to_string(), text);
        }
    }

    #[test]
    fn times_outside_of_fats_range_move_to_its_ends() {
        let dos = |seconds| DosTime::from(UtcTime::from_unix(seconds));
        assert_eq!(
            dos(0),
            DosTime {
                date: 0x0021,
                time: 0,
                hundredths: 0
            }
        );
        assert_eq!(
            dos(u64::MAX),
            DosTime {
                date: 0xff9f,
                time: 0xbf7d,
                hundredths: 100
            }
        );
        assert_eq!(
            dos(1_735_689_601),
            DosTime {
                date: 45 << 9 | 1 << 5 | 1,
                time: 0,
                hundredths: 100
            }
        );
    }
}
