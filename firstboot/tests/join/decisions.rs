//! C5, C9, T4: what the control plane decides about a request, and how long that may take.

use std::time::Duration;

use skerry_firstboot::control_plane::SigningState;
use skerry_firstboot::join::JoinError;

use crate::api_server::{ApiServer, Call, Posting};
use crate::issuer::{BEGIN, Issuer, YEAR};
use crate::joiner::{HOUR, Joiner, joined};
use crate::machine::blank_disk;
use crate::signer;

fn issued(issuer: &Issuer, posting: &Posting) -> SigningState {
    SigningState::Issued(signer::sign(issuer, &posting.requested))
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_approves_for_an_hour_is_asked_about_once_a_minute_and_then_taken() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.controllers(|posting| match posting.age < HOUR {
        true => SigningState::Pending,
        false => issued(&issuer, posting),
    });
    let mut machine = Joiner::boot(&issuer, blank_disk());
    machine.run(&server, HOUR * 2).await.identity();
    let looks = server.times(Call::ReadRequest);
    assert!(looks[1] - looks[0] < Duration::from_secs(1));
    assert!((48..90).contains(&looks.len()), "{} looks", looks.len());
    assert!(*looks.last().unwrap() <= HOUR + Duration::from_secs(80));
    assert_eq!((server.created().len(), server.times(Call::Post).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_approved_and_not_issued_is_waited_for() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.controllers(|posting| match posting.looks {
        1 => SigningState::Pending,
        2..30 => SigningState::Approved,
        _ => issued(&issuer, posting),
    });
    let mut machine = Joiner::boot(&issuer, blank_disk());
    joined(&mut machine, &server).await;
    assert_eq!(server.times(Call::Post).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_denied_request_is_left_alone_and_made_again_when_somebody_deletes_it() {
    let issuer = &Issuer::new("ca");
    let server = ApiServer::new(issuer);
    let mut deleted = false;
    server.controllers(move |posting| match posting.age < HOUR * 3 && !deleted {
        true => SigningState::Denied("not one of ours".into()),
        false if !deleted => {
            deleted = true;
            SigningState::Gone
        }
        false => issued(issuer, posting),
    });
    let mut machine = Joiner::boot(issuer, blank_disk());
    let error = machine.run(&server, HOUR * 2).await.error();
    assert!(error.to_string().contains("not one of ours"), "{error}");
    assert!(
        error.advice().contains("kubectl delete csr node-csr-"),
        "{}",
        error.advice()
    );
    let looks = server.times(Call::ReadRequest).len();
    assert!((8..40).contains(&looks), "{looks} looks in two hours");
    assert_eq!(server.created().len(), 1);
    machine.run(&server, HOUR * 2).await.identity();
    // The same name: it is the same machine with the same key.
    assert_eq!(server.created().len(), 2);
    assert_eq!((server.created()[0] == server.created()[1], server.keys()), (true, 1));
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_of_the_signer_another_request_is_made_now_and_then() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.controllers(|_| SigningState::Failed("the key of the authority is gone".into()));
    let mut machine = Joiner::boot(&issuer, blank_disk());
    let error = machine.run(&server, HOUR).await.error();
    assert!(matches!(&error, JoinError::NotSigned { reason, .. } if reason.contains("authority is gone")));
    let made = server.created();
    assert!((4..16).contains(&made.len()), "{} requests in an hour", made.len());
    assert!(made.windows(2).all(|pair| pair[0] != pair[1]), "{made:?}");
    server.sign_with(&issuer);
    joined(&mut machine, &server).await;
    assert_eq!(server.keys(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_deleted_while_it_waits_is_made_again() {
    let issuer = &Issuer::new("ca");
    let server = ApiServer::new(issuer);
    let mut deleted = 0;
    server.controllers(move |posting| match (posting.looks, deleted) {
        (1..5, _) => SigningState::Pending,
        (5, 0) => {
            deleted += 1;
            SigningState::Gone
        }
        _ => issued(issuer, posting),
    });
    let mut machine = Joiner::boot(issuer, blank_disk());
    machine.run(&server, Duration::from_secs(120)).await.identity();
    assert_eq!((server.created().len(), server.keys()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_deletes_every_request_at_once_is_not_flooded() {
    let issuer = Issuer::new("ca");
    let server = ApiServer::new(&issuer);
    server.controllers(|_| SigningState::Gone);
    let mut machine = Joiner::boot(&issuer, blank_disk());
    machine.run(&server, HOUR).await.error();
    let made = server.created().len();
    assert!((4..60).contains(&made), "{made} requests in an hour");
    server.sign_with(&issuer);
    joined(&mut machine, &server).await;
    assert_eq!(server.keys(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_while_the_certificate_is_awaited_costs_time_and_not_the_join() {
    let issuer = Issuer::new("ca");
    // Forward to the right time; back to 1970; and ten years ahead until a time service sets it right.
    for (before, after, requests) in [
        (BEGIN - YEAR * 5, BEGIN + 60, 1),
        (BEGIN + 60, 17, 1),
        (BEGIN + YEAR * 10, BEGIN + YEAR * 10, 8),
    ] {
        let server = ApiServer::new(&issuer);
        server.controllers(|posting| match posting.age < Duration::from_secs(300) {
            true => SigningState::Pending,
            false => issued(&issuer, posting),
        });
        let mut machine = Joiner::boot(&issuer, blank_disk());
        machine.clock.synchronise(before);
        machine.run(&server, Duration::from_secs(120)).await;
        machine.clock.synchronise(after);
        machine.run(&server, HOUR / 2).await;
        machine.clock.synchronise(BEGIN + 3600);
        machine.run(&server, HOUR).await.identity();
        let made = server.created().len();
        assert!(made <= requests, "{before} then {after}: {made} requests");
        assert_eq!(server.keys(), 1);
    }
}
