mod key_files;
mod maker;

use pgp::composed::KeyType;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, Subpacket, SubpacketData};
use pgp::types::Duration;

use proptest::prelude::*;

use maker::{Habits, MADE, Maker, SIGNED, message};

use super::*;

const TEXT: &str = "Origin: Debian
Suite: stable
Codename: trixie
Date: Thu, 09 Oct 2025 08:53:20 UTC
Valid-Until: Thu, 16 Oct 2025 08:53:20 UTC
Acquire-By-Hash: yes
MD5Sum:
 d41d8cd98f00b204e9800998ecf8427e 5 main/binary-amd64/Packages
SHA256:
 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad        5 main/binary-amd64/Packages
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 12345678 main/binary-amd64/Packages.xz
";

fn policy() -> Policy {
    Policy {
        now: SIGNED.into(),
        check_valid_until: ValidUntil::Enforced,
        suite: "trixie".to_owned(),
        not_before: 0,
    }
}

fn verify_text(maker: &Maker, text: &str) -> Result<Release, ReleaseError> {
    let signature = maker.by_subkey(text, HashAlgorithm::Sha256);
    verify(message(text, &[signature]).as_bytes(), &maker.keys(), &policy())
}

fn verify_signed(maker: &Maker, signatures: &[Signature]) -> Result<Release, ReleaseError> {
    verify(message(TEXT, signatures).as_bytes(), &maker.keys(), &policy())
}

/// The chain of messages of a refusal.
fn refusal(result: Result<Release, ReleaseError>) -> String {
    crate::failure::Failure::from(result.unwrap_err()).to_string()
}

fn refusal_of(habits: &Habits) -> String {
    let maker = Maker::with(1, KeyType::Ed25519Legacy, habits);
    refusal(verify_text(&maker, TEXT))
}

#[test]
fn a_release_signed_by_a_subkey_or_the_primary_key_is_read() {
    let maker = Maker::new(1);
    let release = verify_text(&maker, TEXT).unwrap();
    assert_eq!(
        (release.suite.as_str(), release.codename.as_str()),
        ("stable", "trixie")
    );
    assert_eq!(
        (release.date, release.valid_until),
        (u64::from(SIGNED), Some(u64::from(SIGNED) + 7 * 86_400))
    );
    assert_eq!(release.by_hash, ByHash::Offered);
    assert_eq!(release.files.len(), 2);
    assert_eq!(release.files["main/binary-amd64/Packages"], (Sha256::of(b"abc"), 5));
    let by_primary = maker.by_primary(TEXT, HashAlgorithm::Sha512);
    assert_eq!(verify_signed(&maker, &[by_primary]).unwrap(), release);
}

#[test]
fn one_good_signature_among_unknown_ones_is_enough() {
    let (maker, other) = (Maker::new(1), Maker::new(2));
    let signatures = [
        other.by_subkey(TEXT, HashAlgorithm::Sha256),
        maker.by_subkey(TEXT, HashAlgorithm::Sha256),
    ];
    assert!(verify_signed(&maker, &signatures).is_ok());
}

#[test]
fn a_changed_text_is_refused() {
    let maker = Maker::new(1);
    let signature = maker.by_subkey(TEXT, HashAlgorithm::Sha256);
    let changed = message(&TEXT.replace("12345678", "12345679"), &[signature]);
    let refused = refusal(verify(changed.as_bytes(), &maker.keys(), &policy()));
    assert!(
        refused.contains("none of the 1 signatures of the InRelease file can be trusted"),
        "{refused}"
    );
    assert!(refused.contains("but not on this text"), "{refused}");
}

#[test]
fn a_key_that_is_not_trusted_is_named() {
    let (maker, other) = (Maker::new(1), Maker::new(2));
    let signature = other.by_primary(TEXT, HashAlgorithm::Sha256);
    let refused = refusal(verify_signed(&maker, &[signature]));
    let expected = format!(
        "it was made by {}, which is not among the trusted keys",
        other.fingerprint()
    );
    assert!(refused.ends_with(&expected), "{refused}");
}

#[test]
fn another_key_that_claims_a_trusted_fingerprint_is_refused() {
    let (maker, other) = (Maker::new(1), Maker::new(2));
    let mut signature = other.by_primary(TEXT, HashAlgorithm::Sha256);
    let own = maker.by_primary(TEXT, HashAlgorithm::Sha256);
    for fingerprint in own.issuer_fingerprint() {
        let data = SubpacketData::IssuerFingerprint(fingerprint.clone());
        signature
            .unhashed_subpacket_push(Subpacket::regular(data).unwrap())
            .unwrap();
    }
    assert!(refusal(verify_signed(&maker, &[signature])).contains("but not on this text"));
}

#[test]
fn an_expired_key_is_refused() {
    let habits = Habits {
        lifetime_secs: SIGNED - MADE,
        ..Habits::default()
    };
    assert!(refusal_of(&habits).ends_with("which cannot be used: it expired on 2025-10-09 08:53:20 UTC"));
    let habits = Habits {
        subkey_lifetime_secs: 86_400,
        ..Habits::default()
    };
    assert!(refusal_of(&habits).ends_with("which cannot be used: it expired on 2023-11-15 22:13:20 UTC"));
    let habits = Habits {
        lifetime_secs: SIGNED - MADE + 1,
        ..Habits::default()
    };
    assert!(verify_text(&Maker::with(1, KeyType::Ed25519Legacy, &habits), TEXT).is_ok());
}

#[test]
fn a_revoked_key_or_subkey_is_refused() {
    let revoked = |typ| {
        refusal_of(&Habits {
            revokes: Some(typ),
            ..Habits::default()
        })
    };
    assert!(revoked(SignatureType::KeyRevocation).ends_with("the certificate is revoked"));
    assert!(revoked(SignatureType::SubkeyRevocation).ends_with("the subkey is revoked"));
}

#[test]
fn a_key_from_the_future_is_refused() {
    let habits = Habits {
        made: SIGNED + 1,
        ..Habits::default()
    };
    // Its self-signatures are from the future as well, so nothing vouches for it yet.
    assert!(refusal_of(&habits).ends_with("the certificate has no valid self-signature"));
}

#[test]
fn sha_1_is_refused_in_signatures_and_in_certificates() {
    let mut maker = Maker::with(1, KeyType::Rsa(2048), &Habits::default());
    // Right by the mathematics, refused all the same.
    let signature = maker.by_primary(TEXT, HashAlgorithm::Sha1);
    signature
        .verify(&maker.certificate.primary_key, TEXT.trim_end().as_bytes())
        .unwrap();
    let refused = refusal(verify_signed(&maker, &[signature]));
    assert!(
        refused.ends_with("it uses the digest SHA1, which can be forged"),
        "{refused}"
    );
    // Without the back-signature, as an Ed25519 subkey does not sign SHA-1 digests.
    maker.certify_again(&Habits {
        digest: HashAlgorithm::Sha1,
        back_signature: false,
        ..Habits::default()
    });
    let signature = maker.by_primary(TEXT, HashAlgorithm::Sha256);
    assert!(refusal(verify_signed(&maker, &[signature])).ends_with("the certificate has no valid self-signature"));
}

#[test]
fn a_subkey_has_to_agree_to_be_bound() {
    let habits = Habits {
        back_signature: false,
        ..Habits::default()
    };
    assert!(refusal_of(&habits).ends_with("the subkey has no valid back-signature on its primary key"));
}

#[test]
fn a_subkey_bound_by_another_certificate_is_refused() {
    let (maker, other) = (Maker::new(1), Maker::new(2));
    let mut thief = maker.certificate.clone();
    thief.public_subkeys = other.certificate.public_subkeys.clone();
    let keys = SigningKeys {
        certificates: vec![thief],
    };
    let signed = message(TEXT, &[other.by_subkey(TEXT, HashAlgorithm::Sha256)]);
    let refused = refusal(verify(signed.as_bytes(), &keys, &policy()));
    assert!(
        refused.ends_with("the subkey has no valid binding by its primary key"),
        "{refused}"
    );
}

#[test]
fn a_primary_key_that_only_certifies_does_not_sign() {
    let habits = Habits {
        primary_may_sign: false,
        ..Habits::default()
    };
    let maker = Maker::with(1, KeyType::Ed25519Legacy, &habits);
    let signature = maker.by_primary(TEXT, HashAlgorithm::Sha256);
    assert!(refusal(verify_signed(&maker, &[signature])).ends_with("it may not sign data"));
    assert!(verify_text(&maker, TEXT).is_ok());
}

#[test]
fn a_signature_that_expired_or_says_more_than_we_understand_is_refused() {
    let maker = Maker::new(1);
    let refused = |more| refusal(verify_signed(&maker, &[maker.by_subkey_with(TEXT, vec![more])]));
    let old = SubpacketData::SignatureExpirationTime(Duration::from_secs(0));
    assert!(
        verify_signed(
            &maker,
            &[maker.by_subkey_with(TEXT, vec![Subpacket::regular(old).unwrap()])]
        )
        .is_ok()
    );
    let unknown = Subpacket::critical(SubpacketData::Experimental(101, b"x".to_vec().into())).unwrap();
    assert!(refused(unknown).ends_with("it has a critical part that is not understood"));
    let short = Subpacket::regular(SubpacketData::SignatureExpirationTime(Duration::from_secs(60))).unwrap();
    let late = Policy {
        now: u64::from(SIGNED) + 60,
        ..policy()
    };
    let signed = message(TEXT, &[maker.by_subkey_with(TEXT, vec![short])]);
    let refused = refusal(verify(signed.as_bytes(), &maker.keys(), &late));
    assert!(refused.ends_with("it expired on 2025-10-09 08:54:20 UTC"), "{refused}");
}

#[test]
fn a_signature_or_a_date_from_the_future_is_refused() {
    let maker = Maker::new(1);
    let early = |now: u32| {
        let signed = message(TEXT, &[maker.by_subkey(TEXT, HashAlgorithm::Sha256)]);
        verify(
            signed.as_bytes(),
            &maker.keys(),
            &Policy {
                now: now.into(),
                ..policy()
            },
        )
    };
    assert!(early(SIGNED - 86_400).is_ok());
    assert!(
        refusal(early(SIGNED - 86_401)).ends_with("it was made on 2025-10-09 08:53:20 UTC, which is in the future")
    );
    let text = TEXT.replace("Date: Thu, 09 Oct 2025", "Date: Sat, 11 Oct 2025");
    assert!(matches!(
        verify_text(&maker, &text),
        Err(ReleaseError::FromTheFuture { .. })
    ));
}

#[test]
fn valid_until_is_honoured_unless_told_otherwise() {
    let maker = Maker::new(1);
    let signed = message(TEXT, &[maker.by_subkey(TEXT, HashAlgorithm::Sha256)]);
    let late = Policy {
        now: u64::from(SIGNED) + 7 * 86_400 + 1,
        ..policy()
    };
    let refused = verify(signed.as_bytes(), &maker.keys(), &late).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the Release file was valid until 2025-10-16 08:53:20 UTC"
    );
    assert_eq!(refused.kind(), FailureKind::Verification);
    let lenient = Policy {
        check_valid_until: ValidUntil::Ignored,
        ..late
    };
    assert!(verify(signed.as_bytes(), &maker.keys(), &lenient).is_ok());
}

#[test]
fn another_suite_and_an_older_file_are_refused() {
    let maker = Maker::new(1);
    let signed = message(TEXT, &[maker.by_subkey(TEXT, HashAlgorithm::Sha256)]);
    let by = |policy: Policy| verify(signed.as_bytes(), &maker.keys(), &policy);
    assert!(
        by(Policy {
            suite: "stable".to_owned(),
            ..policy()
        })
        .is_ok()
    );
    let refused = by(Policy {
        suite: "trixie-updates".to_owned(),
        ..policy()
    })
    .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the Release file is that of `stable` (`trixie`), not of `trixie-updates`"
    );
    assert!(
        by(Policy {
            not_before: SIGNED.into(),
            ..policy()
        })
        .is_ok()
    );
    assert!(matches!(
        by(Policy {
            not_before: u64::from(SIGNED) + 1,
            ..policy()
        }),
        Err(ReleaseError::StepBack { .. })
    ));
}

#[test]
fn unsigned_text_is_refused() {
    let maker = Maker::new(1);
    let refused = |text: &str| refusal(verify(text.as_bytes(), &maker.keys(), &policy()));
    assert!(refused(TEXT).ends_with("it is not signed"));
    let signed = message(TEXT, &[maker.by_subkey(TEXT, HashAlgorithm::Sha256)]);
    assert!(refused(&format!("{TEXT}\n{signed}")).contains("before the signed part"));
    assert!(refused(&format!("{signed}{TEXT}")).contains("behind the signature"));
    assert!(refused(&message(TEXT, &[])).contains("signature block"));
    let armor = signed.find("SIGNATURE-----\n\n").unwrap() + 16;
    let mut damaged = signed.clone();
    damaged.replace_range(armor..armor + 8, "");
    assert!(matches!(
        verify(damaged.as_bytes(), &maker.keys(), &policy()),
        Err(ReleaseError::Armor(_))
    ));
}

#[test]
fn a_malformed_release_is_refused_with_its_line() {
    let maker = Maker::new(1);
    let failed = |from: &str, to: &str| verify_text(&maker, &TEXT.replace(from, to)).unwrap_err().to_string();
    let value = |line: usize, value: &str, field: &str| {
        format!("the Release file is malformed: line {line} of the signed text: `{value}` is no valid {field}")
    };
    assert_eq!(
        failed("Thu, 09 Oct 2025 08:53:20 UTC", "yesterday"),
        value(4, "yesterday", "Date")
    );
    assert_eq!(
        failed("Thu, 16 Oct 2025 08:53:20 UTC", "ever"),
        value(5, "ever", "Valid-Until")
    );
    let digest = Sha256::of(b"").to_string();
    for path in ["../x", "main//x", "/x"] {
        let line = format!("{digest} 12345678 {path}");
        assert_eq!(
            failed("main/binary-amd64/Packages.xz", path),
            value(11, &line, "SHA256")
        );
    }
    assert_eq!(
        failed("Acquire", "\nAcquire"),
        "the Release file has 2 stanzas instead of one"
    );
    assert_eq!(failed("Codename", "Code-name"), "the Release file is malformed");
}

#[test]
fn a_damaged_message_never_says_anything_else() {
    let maker = Maker::new(1);
    let (keys, policy) = (maker.keys(), policy());
    let signed = message(TEXT, &[maker.by_subkey(TEXT, HashAlgorithm::Sha256)]);
    let original = verify(signed.as_bytes(), &keys, &policy).unwrap();
    proptest!(ProptestConfig::with_cases(32), |(at in 0..signed.len(), cut in 0..4_usize, with in "[ -~\n\r]{0,3}")| {
        let damaged = format!("{}{with}{}", &signed[..at], &signed[(at + cut).min(signed.len())..]);
        if let Ok(release) = verify(damaged.as_bytes(), &keys, &policy) {
            prop_assert_eq!(release, original.clone());
        }
    });
}
