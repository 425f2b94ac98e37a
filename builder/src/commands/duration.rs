//! Spans of time on the command line.

use std::time::Duration;

use crate::failure::{Failure, FailureKind};

/// The value of `flag`: a whole number of seconds, or of minutes, hours or days by suffix: `90s`, `5m`, `1h`, `2d`.
pub fn parse(flag: &str, text: &str) -> Result<Duration, Failure> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[split..] {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = text[..split]
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor));
    let message = || format!("`{flag} {text}` is not a time (such as `90s`, `5m`, `1h` or `2d`)");
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| Failure::new(FailureKind::Usage, message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_numbers_with_a_suffix() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3_600), ("2d", 172_800)] {
            assert_eq!(parse("--ttl", text).unwrap(), Duration::from_secs(seconds));
        }
        for text in [
            "",
            "h",
            "1.5h",
            "-1h",
            "1 h",
            "1w",
            "99999999999999999999",
            "18446744073709551615d",
        ] {
            let failure = parse("--ttl", text).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Usage, "{text}");
            assert!(
                failure.chain[0].starts_with(&format!("`--ttl {text}` is not")),
                "{failure}"
            );
        }
    }
}
