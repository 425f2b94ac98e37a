//! Header fields of HTTP responses (RFC 9110).

use std::time::Duration;

/// Where a partial body begins, and how long the whole is if the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) first: u64,
    pub(super) whole: Option<u64>,
}

/// Parses `Content-Range: bytes 100-199/200` (§14.4).
pub(super) fn content_range(value: &str) -> Option<ContentRange> {
    let (range, whole) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let whole = match whole {
        "*" => None,
        digits => Some(number(digits)?),
    };
    (first <= last && whole.is_none_or(|whole| last < whole)).then_some(ContentRange { first, whole })
}

/// Parses `Retry-After: 120` (§10.2.3). The form with a date needs the server's clock to be ours, and counts as none.
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    number(value.trim()).map(Duration::from_secs)
}

/// Digits only: `parse` would also take a sign.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood_and_nonsense_is_not() {
        let range = |first, whole| Some(ContentRange { first, whole });
        assert_eq!(content_range("bytes 0-0/1"), range(0, Some(1)));
        assert_eq!(content_range("bytes 100-199/*"), range(100, None));
        for bad in [
            "",
            "bytes */5",
            "bytes 5-4/9",
            "bytes 0-9/9",
            "bytes +1-2/9",
            "items 0-1/2",
            "bytes 0-99999999999999999999/*",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_wait_is_a_number_of_seconds() {
        assert_eq!(retry_after(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        assert_eq!(retry_after("-1"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_parsed_without_a_panic(text in "(bytes )?[0-9*/ -]{0,50}|\\PC{0,20}") {
            content_range(&text);
            retry_after(&text);
        }
    }
}
