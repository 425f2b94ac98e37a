use proptest::prelude::*;

use super::*;

const THROTTLED: ApiErrorKind = ApiErrorKind::Throttled {
    retry_after: Some(Duration::from_secs(40)),
};

#[test]
fn waits_after_failures_that_pass_grow_to_five_minutes_and_no_further() {
    let (mut backoff, mut jitter) = (Backoff::default(), Jitter::seeded(7));
    let waits: Vec<Duration> = (0..200)
        .map(|_| backoff.after(ApiErrorKind::Connect, &mut jitter))
        .collect();
    assert!(waits[0] <= FIRST * 2, "{:?}", waits[0]);
    assert!(waits.iter().all(|wait| (FIRST..=LONGEST).contains(wait)));
    assert!(waits.iter().any(|wait| *wait > LONGEST / 2), "{waits:?}");
    backoff.reset();
    assert!(backoff.after(ApiErrorKind::Connect, &mut jitter) <= FIRST * 2);
}

#[test]
fn an_expired_token_is_tried_again_every_ten_minutes_give_or_take_a_half() {
    let (mut backoff, mut jitter) = (Backoff::default(), Jitter::seeded(1));
    for _ in 0..EARLY_TRIES {
        assert!(backoff.after(ApiErrorKind::Unauthorized, &mut jitter) < Duration::from_secs(60));
    }
    for _ in 0..100 {
        let wait = backoff.after(ApiErrorKind::Unauthorized, &mut jitter);
        assert!((PERSON / 2..PERSON * 3 / 2).contains(&wait), "{wait:?}");
    }
}

#[test]
fn a_missing_signature_is_asked_for_every_few_seconds_for_five_minutes_and_then_rarely() {
    let (mut backoff, mut jitter) = (Backoff::default(), Jitter::seeded(2));
    let early: Duration = (0..SIGNATURE_PATIENCE)
        .map(|_| backoff.after(ApiErrorKind::NotSigned, &mut jitter))
        .sum();
    assert!((200..400).contains(&early.as_secs()), "{early:?}");
    for _ in 0..=EARLY_TRIES {
        backoff.after(ApiErrorKind::NotSigned, &mut jitter);
    }
    assert!(backoff.after(ApiErrorKind::NotSigned, &mut jitter) >= PERSON / 2);
}

#[test]
fn machines_that_failed_together_do_not_come_back_together() {
    let mut waits: Vec<u128> = (0..1000)
        .map(|seed| {
            Backoff::default()
                .after(THROTTLED, &mut Jitter::seeded(seed))
                .as_millis()
        })
        .collect();
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 900, "{} different waits", waits.len());
}

#[test]
fn polls_begin_within_a_second_and_end_at_a_minute() {
    let (mut polls, mut jitter) = (Polls::default(), Jitter::seeded(3));
    let waits: Vec<Duration> = (0..100).map(|_| polls.next(&mut jitter)).collect();
    assert!(waits[0] < Duration::from_secs(1));
    assert!(waits.iter().all(|wait| *wait <= LONGEST_POLL * 5 / 4));
    assert!(waits[99] >= LONGEST_POLL * 3 / 4);
}

proptest! {
    #[test]
    fn nobody_comes_before_the_time_it_was_told(seed: u64, told in 0_u64..100_000, failures in 0_usize..50) {
        let (mut backoff, mut jitter) = (Backoff::default(), Jitter::seeded(seed));
        for _ in 0..failures {
            backoff.after(ApiErrorKind::Timeout, &mut jitter);
        }
        let retry_after = Some(Duration::from_secs(told));
        for kind in [ApiErrorKind::Throttled { retry_after }, ApiErrorKind::Server { status: 503, retry_after }] {
            let wait = backoff.after(kind, &mut jitter);
            prop_assert!(wait >= Duration::from_secs(told));
            prop_assert!(wait <= Duration::from_secs(told) * 3 / 2 + LONGEST);
        }
    }

    #[test]
    fn every_number_is_at_least_zero_and_below_one(seed: u64) {
        let mut jitter = Jitter::seeded(seed);
        for _ in 0..100 {
            let number = jitter.next();
            prop_assert!((0.0..1.0).contains(&number));
        }
    }
}
