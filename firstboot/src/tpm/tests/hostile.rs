use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;

use proptest::prelude::*;
use zeroize::Zeroizing;

use crate::seal::{SealError, Sealer as _};
use crate::tpm::sealed::Sealed;
use crate::tpm::{Place, TpmSealer, Transport};

const SECRET: &[u8] = b"the secret";

/// A TPM whose answers are written down beforehand, whatever it is asked; when they are used up it says nothing.
struct Script(RefCell<VecDeque<Vec<u8>>>);

impl Script {
    fn new(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(RefCell::new(answers.into_iter().collect()))
    }
}

impl<'a> Place for &'a Script {
    type Connection = &'a Script;

    fn connect(&self) -> io::Result<&'a Script> {
        Ok(self)
    }
}

impl Transport for &Script {
    fn exchange(&mut self, _: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(self.0.borrow_mut().pop_front().unwrap_or_default()))
    }
}

fn sized(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

fn answer(tag: u16, rest: &[u8]) -> Vec<u8> {
    let len = u32::try_from(10 + rest.len()).unwrap();
    [&tag.to_be_bytes()[..], &len.to_be_bytes(), &[0; 4], rest].concat()
}

fn authorized(handle: &[u8], parameters: &[Vec<u8>]) -> Vec<u8> {
    let parameters = parameters.concat();
    let len = u32::try_from(parameters.len()).unwrap().to_be_bytes();
    answer(0x8002, &[handle, &len, &parameters, &[0, 0, 0, 0, 0]].concat())
}

/// Creation data, its digest, and a ticket.
fn circumstances() -> Vec<u8> {
    [
        sized(b"data"),
        sized(b"digest"),
        vec![0x80, 0x21, 0x40, 0, 0, 1],
        sized(b"ticket"),
    ]
    .concat()
}

fn storage_key() -> Vec<u8> {
    authorized(
        &[0x80, 0, 0, 0],
        &[sized(b"public"), circumstances(), sized(b"the key's name")],
    )
}

fn flushed() -> Vec<u8> {
    answer(0x8001, &[])
}

/// What a good TPM says while it unseals [`sealed`].
fn unsealing() -> [Vec<u8>; 5] {
    let object = authorized(&[0x80, 0, 0, 1], &[sized(b"the object's name")]);
    let secret = authorized(&[], &[sized(SECRET)]);
    [storage_key(), object, flushed(), secret, flushed()]
}

/// What a good TPM says while it seals.
fn sealing() -> [Vec<u8>; 3] {
    let made = authorized(&[], &[sized(b"private"), sized(b"public"), circumstances()]);
    [storage_key(), made, flushed()]
}

fn sealed() -> Vec<u8> {
    let sealed = Sealed {
        parent: b"the key's name".to_vec(),
        private: b"private".to_vec(),
        public: b"public".to_vec(),
    };
    sealed.to_bytes()
}

fn unseal(answers: impl IntoIterator<Item = Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, SealError> {
    TpmSealer::new(&Script::new(answers)).unseal(&sealed())
}

/// The answers, with the one that the secret or the next step depends on changed.
fn changed(mut answers: [Vec<u8>; 5], which: usize, change: impl Fn(&mut Vec<u8>)) -> [Vec<u8>; 5] {
    // The answers to the two flushes are not looked at.
    change(&mut answers[[0, 1, 3][which % 3]]);
    answers
}

#[test]
fn a_script_of_good_answers_seals_and_unseals() {
    assert_eq!(*unseal(unsealing()).unwrap(), SECRET);
    let made = TpmSealer::new(&Script::new(sealing())).seal(SECRET).unwrap();
    assert_eq!(made, sealed());
}

#[test]
fn a_truncated_answer_is_refused_wherever_it_ends() {
    for which in 0..3 {
        let whole = &unsealing()[[0, 1, 3][which]];
        for len in 0..whole.len() {
            let cut = changed(unsealing(), which, |answer| answer.truncate(len));
            assert!(
                matches!(unseal(cut), Err(SealError::Unusable { .. })),
                "{which} cut at {len}"
            );
        }
    }
}

#[test]
fn an_answer_that_ends_early_and_says_so_in_its_header_is_refused_too() {
    let parameters_end = |answer: &[u8]| answer.len() - 5;
    for which in 0..3 {
        let whole = &unsealing()[[0, 1, 3][which]];
        for len in 10..parameters_end(whole) {
            let cut = changed(unsealing(), which, |answer| {
                answer.truncate(len);
                answer[2..6].copy_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
            });
            assert!(
                matches!(unseal(cut), Err(SealError::Unusable { .. })),
                "{which} cut at {len}"
            );
        }
    }
}

#[test]
fn an_answer_longer_than_the_kernels_buffer_is_refused() {
    let oversized = changed(unsealing(), 2, |answer| {
        *answer = authorized(&[], &[sized(&[1; 5000])]);
    });
    assert!(matches!(unseal(oversized), Err(SealError::Unusable { .. })));
}

#[test]
fn an_object_that_would_not_be_read_back_is_not_made() {
    let made = authorized(&[], &[sized(&[1; 600]), sized(b"public"), circumstances()]);
    let refused = TpmSealer::new(&Script::new([storage_key(), made, flushed()])).seal(SECRET);
    assert!(matches!(refused, Err(SealError::Unusable { .. })), "{refused:?}");
}

#[test]
fn a_yes_with_the_tag_of_a_no_is_refused() {
    for which in 0..3 {
        let wrong = changed(unsealing(), which, |answer| answer[1] = 0x01);
        assert!(matches!(unseal(wrong), Err(SealError::Unusable { .. })), "{which}");
    }
}

#[test]
fn a_handle_that_is_no_loaded_object_is_refused() {
    for which in 0..2 {
        let wrong = changed(unsealing(), which, |answer| answer[10] = 0x40);
        assert!(matches!(unseal(wrong), Err(SealError::Unusable { .. })), "{which}");
    }
}

#[test]
fn what_a_tpm_asks_to_retry_is_not_given_up() {
    for which in 0..3 {
        let busy = changed(unsealing(), which, |answer| {
            *answer = vec![0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, 0x22];
        });
        assert!(matches!(unseal(busy), Err(SealError::Later { .. })), "{which}");
    }
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(answers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..6)) {
        let _ = unseal(answers.clone());
        let _ = TpmSealer::new(&Script::new(answers)).seal(SECRET);
    }

    #[test]
    fn no_answer_with_a_right_header_makes_it_panic(
        rests in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..6),
    ) {
        let framed = |(sessions, rest): &(bool, Vec<u8>)| answer(0x8001 + u16::from(*sessions), rest);
        let answers: Vec<Vec<u8>> = rests.iter().map(framed).collect();
        let _ = unseal(answers.clone());
        let _ = TpmSealer::new(&Script::new(answers)).seal(SECRET);
    }

    #[test]
    fn flipped_bits_in_good_answers_give_a_secret_or_an_error(
        flips in prop::collection::vec((0_usize..3, any::<prop::sample::Index>(), 0_u32..8), 1..4),
    ) {
        let mut answers = unsealing();
        for (which, place, bit) in flips {
            answers = changed(answers, which, |answer| {
                let place = place.index(answer.len());
                answer[place] ^= 1 << bit;
            });
        }
        if let Ok(secret) = unseal(answers) {
            prop_assert!(secret.len() <= SECRET.len());
        }
    }
}
