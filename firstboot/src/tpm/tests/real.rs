use std::error::Error as _;

use super::swtpm::{Firmware, Swtpm};
use crate::seal::{SealError, Sealer as _};
use crate::tpm::command::{Command, Handle};
use crate::tpm::{Device, MAX_SECRET_BYTES, Place as _, TpmSealer, Transport as _};

const KEY: &[u8] = b"a key of thirty-two bytes, no more";

fn reason(error: &SealError) -> String {
    error.source().unwrap().to_string()
}

#[test]
fn a_sealed_key_comes_back_and_is_not_in_the_sealed_bytes() {
    let Some(tpm) = Swtpm::new(Firmware::Starts) else {
        return;
    };
    let sealer = TpmSealer::new(&tpm);
    let sealed = sealer.seal(KEY).unwrap();
    assert_eq!(*sealer.unseal(&sealed).unwrap(), KEY);
    assert!(!sealed.windows(8).any(|part| part == &KEY[..8]));
    assert_ne!(sealer.seal(KEY).unwrap(), sealed, "two seals are told apart by nobody");
}

#[test]
fn secrets_of_every_length_a_tpm_takes_come_back_and_longer_ones_are_refused() {
    let Some(tpm) = Swtpm::new(Firmware::Starts) else {
        return;
    };
    let sealer = TpmSealer::new(&tpm);
    let secret = [7; MAX_SECRET_BYTES + 1];
    for len in [1, 32, MAX_SECRET_BYTES] {
        let sealed = sealer.seal(&secret[..len]).unwrap();
        assert_eq!(*sealer.unseal(&sealed).unwrap(), secret[..len]);
    }
    assert!(matches!(
        sealer.seal(&secret),
        Err(SealError::TooLong { len: 129, limit: 128 })
    ));
}

#[test]
fn a_power_cut_loses_nothing() {
    let Some(mut tpm) = Swtpm::new(Firmware::Starts) else {
        return;
    };
    let sealed = TpmSealer::new(&tpm).seal(KEY).unwrap();
    for _ in 0..3 {
        tpm.power_cycle();
        assert_eq!(*TpmSealer::new(&tpm).unseal(&sealed).unwrap(), KEY);
    }
}

#[test]
fn another_tpm_does_not_unseal() {
    let (Some(tpm), Some(other)) = (Swtpm::new(Firmware::Starts), Swtpm::new(Firmware::Starts)) else {
        return;
    };
    let sealed = TpmSealer::new(&tpm).seal(KEY).unwrap();
    let refused = TpmSealer::new(&other).unseal(&sealed).unwrap_err();
    assert!(matches!(refused, SealError::Foreign { .. }), "{refused:?}");
    let expected = "it was sealed by another TPM, or by this one before it was cleared";
    assert_eq!(reason(&refused), expected);
    // Not because of the name of the key alone, which anybody can write into the file.
    let own = TpmSealer::new(&other).seal(KEY).unwrap();
    let forged = [&own[..8 + 2 + 34], &sealed[8 + 2 + 34..]].concat();
    let refused = TpmSealer::new(&other).unseal(&forged).unwrap_err();
    assert!(reason(&refused).contains("TPM_RC_INTEGRITY"), "{refused:?}");
    assert!(matches!(refused, SealError::Foreign { .. }), "{refused:?}");
}

#[test]
fn a_change_of_any_sealed_byte_is_found_and_blamed_on_the_bytes() {
    let Some(tpm) = Swtpm::new(Firmware::Starts) else {
        return;
    };
    let sealer = TpmSealer::new(&tpm);
    let sealed = sealer.seal(KEY).unwrap();
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 1 << (place % 8);
        let refused = sealer.unseal(&changed).unwrap_err();
        assert!(
            matches!(refused, SealError::Foreign { .. }),
            "byte {place}: {refused:?}"
        );
    }
    assert_eq!(*sealer.unseal(&sealed).unwrap(), KEY);
}

#[test]
fn the_tpms_memory_is_free_after_each_use() {
    let Some(tpm) = Swtpm::new(Firmware::Starts) else {
        return;
    };
    let sealer = TpmSealer::new(&tpm);
    let sealed = sealer.seal(KEY).unwrap();
    let mut damaged = sealed.clone();
    *damaged.last_mut().unwrap() ^= 1;
    // It has room for three objects: one that stayed each time would end this soon.
    for _ in 0..5 {
        sealer.seal(KEY).unwrap();
        sealer.unseal(&sealed).unwrap();
        sealer.unseal(&damaged).unwrap_err();
    }
}

#[test]
fn a_tpm_whose_memory_is_full_is_asked_again_later() {
    let Some(tpm) = Swtpm::new(Firmware::Starts) else {
        return;
    };
    let sealer = TpmSealer::new(&tpm);
    let sealed = sealer.seal(KEY).unwrap();
    let occupy = || {
        (&tpm)
            .connect()
            .unwrap()
            .exchange(&Command::create_primary().bytes)
            .unwrap()
    };
    let occupied: Vec<Handle> = std::iter::repeat_with(occupy)
        .take_while(|answer| answer[6..10] == [0; 4])
        .map(|answer| Handle(u32::from_be_bytes([answer[10], answer[11], answer[12], answer[13]])))
        .collect();
    let refused = sealer.unseal(&sealed).unwrap_err();
    assert!(matches!(refused, SealError::Later { .. }), "{refused:?}");
    for handle in occupied {
        let flushed = (&tpm).connect().unwrap().exchange(&Command::flush(handle).bytes);
        assert_eq!(flushed.unwrap()[6..10], [0; 4]);
    }
    assert_eq!(*sealer.unseal(&sealed).unwrap(), KEY);
}

#[test]
fn a_tpm_that_the_firmware_did_not_start_is_asked_again_later() {
    let Some(tpm) = Swtpm::new(Firmware::Forgets) else {
        return;
    };
    let refused = TpmSealer::new(&tpm).seal(KEY).unwrap_err();
    assert!(matches!(refused, SealError::Later { .. }), "{refused:?}");
    let expected = "the TPM answers TPM2_CreatePrimary with TPM_RC_INITIALIZE (0x100)";
    assert_eq!(reason(&refused), expected);
}

#[test]
fn a_tpm_that_goes_away_in_the_middle_is_asked_again_later() {
    let Some(tpm) = Swtpm::new(Firmware::Starts) else {
        return;
    };
    let gone = (&tpm).connect().unwrap();
    drop(tpm);
    let sealed = crate::tpm::client::Client::new(gone).seal(KEY);
    let error = crate::tpm::sorted(sealed.unwrap_err());
    assert!(matches!(error, SealError::Later { .. }), "{error:?}");
}

#[test]
fn a_machine_without_the_device_has_no_tpm_unless_its_firmware_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let announcement = folder.path().join("TPM2");
    let sealer = TpmSealer::new(Device::at(folder.path().join("tpmrm0"), &announcement));
    let refused = sealer.seal(KEY).unwrap_err();
    assert!(matches!(refused, SealError::Absent { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), "this machine has no TPM 2.0");
    std::fs::write(announcement, "").unwrap();
    let refused = sealer.seal(KEY).unwrap_err();
    assert!(matches!(refused, SealError::Later { .. }), "{refused:?}");
}

#[test]
fn a_device_that_answers_nothing_is_unusable() {
    let sealer = TpmSealer::new(Device::at("/dev/null", "/dev/null"));
    let refused = sealer.seal(KEY).unwrap_err();
    assert!(matches!(refused, SealError::Unusable { .. }), "{refused:?}");
}

#[test]
fn a_device_that_cannot_be_opened_is_there_all_the_same() {
    let refused = TpmSealer::new(Device::at("/", "")).seal(KEY).unwrap_err();
    assert!(matches!(refused, SealError::Later { .. }), "{refused:?}");
}
