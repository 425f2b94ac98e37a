//! Amounts of memory as Kubernetes writes them.

/// Suffixes of `resource.Quantity` that make sense for memory, with what they stand for.
const SUFFIXES: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

/// Text that is no amount of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount of memory is a whole number of bytes, or one with `Ki`, `Mi` or `Gi`, such as `64Mi`")]
pub(super) struct QuantityError;

/// The amount in bytes. It fits a TOML integer, so that the settings can be written again.
pub(super) fn bytes(text: &str) -> Result<u64, QuantityError> {
    let suffix = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (digits, unit) = suffix.map_or((text, 1), |(suffix, unit)| (&text[..text.len() - suffix.len()], *unit));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QuantityError);
    }
    let amount = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    amount
        .filter(|amount| i64::try_from(*amount).is_ok())
        .ok_or(QuantityError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_powers_of_two_or_of_ten_as_in_kubernetes() {
        for (text, expected) in [
            ("0", 0),
            ("1024", 1024),
            ("64Mi", 67_108_864),
            ("1Gi", 1 << 30),
            ("2k", 2000),
            ("3M", 3_000_000),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_amounts() {
        for text in [
            "",
            "Mi",
            "-1",
            "+1",
            "1.5Gi",
            "64 Mi",
            "64mi",
            "64MB",
            "1m",
            "9223372036854775808",
            "99999999Ti",
            "６４",
        ] {
            assert_eq!(bytes(text), Err(QuantityError), "{text}");
        }
    }
}
