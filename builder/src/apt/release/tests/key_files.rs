use super::maker::Maker;
use crate::apt::release::{Fingerprint, SigningKeys};

#[test]
fn key_files_hold_exactly_the_expected_certificates() {
    let (one, two) = (Maker::new(1), Maker::new(2));
    let read = |text: &str, expected: &[Fingerprint]| SigningKeys::from_armored("keys.asc", text, expected);
    let both = format!("# one\n{}\n# two\n{}", one.armored(), two.armored());
    let keys = read(&both, &[one.fingerprint(), two.fingerprint()]).unwrap();
    assert_eq!(keys.fingerprints(), [one.fingerprint(), two.fingerprint()]);
    let failed = |text: &str, expected: &[Fingerprint]| read(text, expected).unwrap_err().to_string();
    assert_eq!(
        failed(&both, &[one.fingerprint()]),
        format!(
            "keys.asc holds the certificate {}, which is not among the expected fingerprints",
            two.fingerprint()
        )
    );
    assert_eq!(
        failed(&one.armored(), &[one.fingerprint(), two.fingerprint()]),
        format!("keys.asc does not hold the certificate {}", two.fingerprint())
    );
    assert_eq!(failed("nothing", &[]), "keys.asc holds no armoured OpenPGP certificate");
    assert_eq!(
        failed(&both.replace("-----END", "----END"), &[]),
        "keys.asc:2: the certificate's block has no `-----END PGP PUBLIC KEY BLOCK-----`"
    );
    assert!(failed(&one.armored().replace('m', "_"), &[]).starts_with("keys.asc:1: the certificate cannot be read"));
}

#[test]
fn fingerprints_are_read_as_they_are_printed() {
    let fingerprint: Fingerprint = "04b5 4c3c dca7 9751 b16b  c6b5 2256 29df 75b1 88bd".parse().unwrap();
    assert_eq!(fingerprint.to_string(), "04B54C3CDCA79751B16BC6B5225629DF75B188BD");
    assert!("225629DF75B188BD".parse::<Fingerprint>().is_err());
    assert!("g".repeat(40).parse::<Fingerprint>().is_err());
}
