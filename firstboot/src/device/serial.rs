//! Serial numbers that are none: what vendors leave in their place.

/// A shorter number is not unique.
const MIN_LEN: usize = 4;
/// A longer text is no serial number.
const MAX_LEN: usize = 64;
/// What is found instead of a serial number, in lower case, letters and digits only.
const PLACEHOLDERS: [&str; 23] = [
    "0123456789",
    "1234567",
    "12345678",
    "123456789",
    "1234567890",
    "assetserialnumber",
    "baseboardserialnumber",
    "chassisserialnumber",
    "default",
    "defaultstring",
    "empty",
    "fillbyoem",
    "invalid",
    "none",
    "notapplicable",
    "notavailable",
    "notset",
    "notsettable",
    "notspecified",
    "serialnumber",
    "systemserialnumber",
    "tobefilledbyoem",
    "unknown",
];
/// A UUID that thousands of boards share (AMI's default).
const SHARED_UUID: &str = "03000200-0400-0500-0006-000700080009";

/// `text` if it can tell one machine from another.
pub(super) fn usable(text: &str) -> Option<String> {
    let letters: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    // `0000000`, `xxxxxxx`, `ffffffff`.
    let varied = letters
        .bytes()
        .any(|letter| Some(&letter) != letters.as_bytes().first());
    let fits = letters.len() >= MIN_LEN && text.len() <= MAX_LEN;
    (fits && printable && varied && !PLACEHOLDERS.contains(&letters.as_str())).then(|| text.to_owned())
}

/// `text` in lower case if it is a UUID that can tell one machine from another.
pub(super) fn usable_uuid(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let groups: Vec<usize> = lower.split('-').map(str::len).collect();
    let hex = lower.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let well_formed = hex && groups == [8, 4, 4, 4, 12];
    (well_formed && lower != SHARED_UUID).then(|| usable(&lower)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vendors_leave_in_the_place_of_a_serial_number_is_none() {
        for text in [
            "",
            "0",
            "00000000",
            "xxxxxxxx",
            "To be filled by O.E.M.",
            "To Be Filled By O.E.M.",
            "Default string",
            "Default String",
            "None",
            "Not Specified",
            "Not Applicable",
            "System Serial Number",
            "0123456789",
            "123",
            "N/A",
            "..................",
            "INVALID",
            "ser\u{7}ial-77",
            "ümlaut-77",
            &"x1".repeat(40),
        ] {
            assert_eq!(usable(text), None, "{text:?}");
        }
        for text in ["CZC1234567", "7X2K-11", "10000000deadbeef", "VMware-56 4d 77"] {
            assert_eq!(usable(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_uuid_that_many_machines_share_is_none() {
        for text in [
            "",
            "Not Settable",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "4c4c4544004d3010804cb4c04f4a3532",
        ] {
            assert_eq!(usable_uuid(text), None, "{text}");
        }
        let uuid = "4C4C4544-004D-3010-804C-B4C04F4A3532";
        assert_eq!(usable_uuid(uuid), Some(uuid.to_lowercase()));
    }
}
