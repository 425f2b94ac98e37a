//! C3, C4, D5, D10: a control plane that does not do what it is asked to, and when it is asked again.

use std::time::Duration;

use skerry_firstboot::control_plane::{ApiErrorKind, SigningState};
use skerry_firstboot::join::JoinError;

use crate::api_server::{ApiServer, Asked, Call, Fault};
use crate::issuer::Issuer;
use crate::joiner::{End, HOUR, Joiner, joined};
use crate::machine::blank_disk;

const MINUTE: Duration = Duration::from_secs(60);
/// What only a person can mend is looked at again after ten minutes, give or take a half.
const PERSON: Duration = Duration::from_secs(600);

fn gaps(times: &[Duration]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Lets all requests of one kind fail.
fn always(call: Call, kind: ApiErrorKind) -> impl FnMut(Asked) -> Option<Fault> {
    move |asked| (asked.call == call).then_some(Fault::Refused(kind))
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_leads_to_another_name_for_the_same_key() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.reserve(|name| !name.ends_with("-2"));
    let mut machine = Joiner::boot(&issuer, blank_disk());
    joined(&mut machine, &server).await;
    assert_eq!((server.created().len(), server.keys()), (1, 1));
    assert!(server.created()[0].ends_with("-2"));
}

#[tokio::test(start_paused = true)]
async fn the_other_name_is_remembered_over_a_reboot() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.reserve(|name| !name.ends_with("-1"));
    server.trouble(|asked| (asked.call == Call::Post && asked.nth == 2).then_some(Fault::PowerCutAfter));
    let mut machine = Joiner::boot(&issuer, blank_disk());
    assert!(matches!(machine.run(&server, HOUR).await, End::PowerGone));
    server.mend();
    // Whose name it was gives it back: asking for it again would make a second request.
    server.reserve(|_| false);
    joined(&mut machine.reboot(0), &server).await;
    assert_eq!((server.created().len(), server.keys()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn where_every_name_is_taken_the_machine_neither_loops_nor_gives_up() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.reserve(|_| true);
    let mut machine = Joiner::boot(&issuer, blank_disk());
    let error = machine.run(&server, HOUR).await.error();
    assert!(matches!(error, JoinError::NoFreeName { .. }), "{error}");
    assert!(!error.advice().is_empty());
    let posts = server.times(Call::Post).len();
    assert!((5..120).contains(&posts), "{posts} posts in an hour");
    server.reserve(|_| false);
    joined(&mut machine, &server).await;
}

#[tokio::test(start_paused = true)]
async fn what_only_a_person_can_mend_is_asked_for_every_ten_minutes_wherever_it_is_refused() {
    let issuer = Issuer::new("ca");
    for kind in [ApiErrorKind::Unauthorized, ApiErrorKind::Forbidden] {
        for call in [Call::Discover, Call::Post, Call::ReadRequest] {
            let server = ApiServer::new(&issuer);
            server.trouble(always(call, kind));
            let mut machine = Joiner::boot(&issuer, blank_disk());
            let error = machine.run(&server, HOUR * 6).await.error();
            assert!(matches!(&error, JoinError::Api(api) if api.kind == kind), "{error}");
            let gaps = gaps(&server.times(call));
            assert!(gaps.len() >= 20, "{kind:?} of {call:?}: gave up? {gaps:?}");
            let quick = gaps.iter().filter(|gap| **gap < PERSON / 2).count();
            assert!(quick <= 3, "{kind:?} of {call:?}: {quick} of {}", gaps.len());
            assert!(
                gaps.iter().all(|gap| *gap <= PERSON * 2),
                "{kind:?} of {call:?}: {gaps:?}"
            );
            // Everything else is asked no more often than what is refused.
            let most = gaps.len() + 2;
            assert!(server.calls().len() <= most * 4, "{} requests", server.calls().len());
            server.mend();
            joined(&mut machine, &server).await;
            assert!(server.keys() <= 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_in_trouble_is_asked_in_growing_intervals_up_to_five_minutes() {
    let issuer = Issuer::new("ca");
    let kinds = [
        ApiErrorKind::Server {
            status: 503,
            retry_after: None,
        },
        ApiErrorKind::Throttled { retry_after: None },
        ApiErrorKind::Connect,
        ApiErrorKind::Timeout,
        ApiErrorKind::Dns,
        ApiErrorKind::BadAnswer,
    ];
    for kind in kinds {
        for call in [Call::Discover, Call::Post, Call::ReadRequest] {
            let server = ApiServer::new(&issuer);
            server.trouble(always(call, kind));
            let mut machine = Joiner::boot(&issuer, blank_disk());
            machine.run(&server, HOUR * 6).await.error();
            let gaps = gaps(&server.times(call));
            assert!(gaps.len() > 60, "{kind:?} of {call:?}: gave up? {gaps:?}");
            assert!(gaps.len() < 400, "{kind:?} of {call:?}: {} in six hours", gaps.len());
            assert!(
                gaps.iter().any(|gap| *gap > MINUTE * 2),
                "{kind:?} of {call:?}: {gaps:?}"
            );
            assert!(
                gaps.iter().all(|gap| *gap <= MINUTE * 5),
                "{kind:?} of {call:?}: {gaps:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_told_when_to_come_again_comes_then_and_not_before() {
    let issuer = Issuer::new("ca");
    let told = Duration::from_secs(97);
    let retry_after = Some(told);
    let kinds = [
        ApiErrorKind::Throttled { retry_after },
        ApiErrorKind::Server {
            status: 503,
            retry_after,
        },
    ];
    for kind in kinds {
        for call in [Call::Discover, Call::ReadNode, Call::Post, Call::ReadRequest] {
            let server = ApiServer::new(&issuer);
            server.trouble(move |asked| (asked.call == call && asked.nth < 4).then_some(Fault::Refused(kind)));
            let mut machine = Joiner::boot(&issuer, blank_disk());
            joined(&mut machine, &server).await;
            let gaps = gaps(&server.times(call)[..4]);
            assert!(
                gaps.iter().all(|gap| (told..MINUTE * 4).contains(gap)),
                "{kind:?} of {call:?}: {gaps:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_comes_and_goes_does_not_shorten_what_the_control_plane_has_asked_for() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    let told = Duration::from_secs(97);
    let retry_after = Some(told);
    let kind = ApiErrorKind::Throttled { retry_after };
    server.trouble(move |asked| (asked.nth < 3).then_some(Fault::Refused(kind)));
    let mut machine = Joiner::boot(&issuer, blank_disk());
    while server.times(Call::Discover).len() < 3 {
        machine.advance(&server).await;
        machine.hurry();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let gaps = gaps(&server.times(Call::Discover));
    assert!(gaps.iter().all(|gap| *gap >= told), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_the_control_plane_cannot_mend_is_no_reason_to_ask_every_second() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    let kind = ApiErrorKind::Clock { server_time: Some(1) };
    server.trouble(always(Call::Discover, kind));
    let mut machine = Joiner::boot(&issuer, blank_disk());
    machine.run(&server, HOUR).await.error();
    let gaps = gaps(&server.times(Call::Discover));
    assert!(
        gaps[0] <= Duration::from_secs(2),
        "the first try comes with a mended clock"
    );
    assert!((12..60).contains(&gaps.len()), "{} in an hour", gaps.len());
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_appears_after_many_looks_is_waited_for_every_few_seconds() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.trouble(|asked| {
        (asked.call == Call::Discover && asked.nth <= 40).then_some(Fault::Refused(ApiErrorKind::NotSigned))
    });
    let mut machine = Joiner::boot(&issuer, blank_disk());
    joined(&mut machine, &server).await;
    let gaps = gaps(&server.times(Call::Discover));
    assert_eq!(gaps.len(), 40);
    assert!(gaps.iter().all(|gap| *gap <= Duration::from_secs(8)), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_was_down_for_days_is_found_within_minutes_when_it_is_up() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    let up = HOUR * 72;
    server.trouble(move |asked| (asked.at < up).then_some(Fault::Refused(ApiErrorKind::Connect)));
    let mut machine = Joiner::boot(&issuer, blank_disk());
    machine.run(&server, HOUR * 73).await.identity();
    let times = server.times(Call::Discover);
    assert!(*times.last().unwrap() <= up + MINUTE * 5);
    assert!(times.len() < 72 * 60, "{} requests in three days", times.len());
}

#[tokio::test(start_paused = true)]
async fn what_was_found_out_is_not_asked_again_while_the_next_request_fails() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.trouble(|asked| {
        (asked.call == Call::ReadRequest && asked.nth <= 3).then_some(Fault::Refused(ApiErrorKind::Timeout))
    });
    let mut machine = Joiner::boot(&issuer, blank_disk());
    joined(&mut machine, &server).await;
    assert_eq!(server.times(Call::Discover).len(), 1);
    assert_eq!(server.times(Call::Post).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_while_the_request_waits_is_replaced_by_another_join_file() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.controllers(|_| SigningState::Pending);
    server.trouble(|asked| {
        (asked.at > MINUTE * 30 && asked.call != Call::Discover).then_some(Fault::Refused(ApiErrorKind::Unauthorized))
    });
    let mut machine = Joiner::boot(&issuer, blank_disk());
    machine.run(&server, HOUR).await.error();
    server.mend();
    server.sign_with(&issuer);
    machine.content = "a join file with a fresh token".into();
    joined(&mut machine, &server).await;
    assert_eq!((server.created().len(), server.keys()), (1, 1));
}
