//! P1: the power is cut before every change of the disk and around every request.

use proptest::prelude::*;
use skerry_firstboot::identity::{Loaded, Proven};

use crate::api_server::{ApiServer, Asked, Fault};
use crate::issuer::Issuer;
use crate::joiner::{End, HOUR, Joiner, joined};
use crate::machine::{TOKEN_SECRET, assert_kubelet_can_start, blank_disk, kubelet_pair};

const SEEDS: u64 = 8;

/// Runs `test` in a time that passes only while everybody waits.
fn in_virtual_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(test);
}

/// Switches the machine on again, once for each seed, and lets it go on to the end.
async fn comes_back(cut: &Joiner, server: &ApiServer<'_>, what: &str) {
    server.mend();
    for seed in 0..SEEDS {
        let mut machine = cut.reboot(seed);
        // Also before anything is repaired, kubelet finds no half identity.
        kubelet_pair(&machine.disk);
        let identity = joined(&mut machine, server).await;
        assert_eq!(identity.proven, Proven::No);
        assert_kubelet_can_start(&machine.disk);
        assert!(!holds_token(&machine), "{what}, seed {seed}");
        assert_eq!(
            found_again(&machine),
            Loaded::Joined(Box::new(identity)),
            "{what}, seed {seed}"
        );
    }
}

fn found_again(machine: &Joiner) -> Loaded {
    let found = skerry_firstboot::identity::Home::new(machine.disk.reboot(0)).load();
    let found = found.unwrap();
    assert_eq!(found.findings, []);
    found.state
}

fn holds_token(machine: &Joiner) -> bool {
    let written = machine.disk.ever_written();
    written
        .windows(TOKEN_SECRET.len())
        .any(|part| part == TOKEN_SECRET.as_bytes())
}

/// A join that nothing interrupts: how many changes of the disk and how many requests it takes.
async fn undisturbed(issuer: &Issuer) -> (usize, usize) {
    let server = ApiServer::new(issuer);
    let mut machine = Joiner::boot(issuer, blank_disk());
    joined(&mut machine, &server).await;
    assert_eq!(server.created().len(), 1);
    (machine.disk.operations().changes, server.calls().len())
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_cut_at_any_change_of_the_disk_ends_certified_by_one_request() {
    let issuer = Issuer::new("ca");
    let (changes, _) = undisturbed(&issuer).await;
    for cut in 1..=changes {
        // Every seed is a world of its own: what reached the control plane before the cut is the same in each.
        for seed in 0..SEEDS {
            let server = ApiServer::new(&issuer);
            let mut machine = Joiner::boot(&issuer, blank_disk());
            machine.disk.cut_power_at(cut);
            assert!(
                matches!(machine.run(&server, HOUR).await, End::PowerGone),
                "cut at {cut}"
            );
            let mut machine = machine.reboot(seed);
            joined(&mut machine, &server).await;
            let (requests, keys) = (server.created().len(), server.keys());
            assert_eq!((requests, keys), (1, 1), "cut at {cut}, seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_at_any_change_of_the_disk_leaves_no_half_identity_and_no_token() {
    let issuer = Issuer::new("ca");
    let (changes, _) = undisturbed(&issuer).await;
    for cut in 1..=changes {
        let server = ApiServer::new(&issuer);
        let mut machine = Joiner::boot(&issuer, blank_disk());
        machine.disk.cut_power_at(cut);
        machine.run(&server, HOUR).await;
        comes_back(&machine, &server, &format!("cut at {cut}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_cut_before_or_after_any_request_ends_certified_by_one_request() {
    let issuer = Issuer::new("ca");
    let (_, requests) = undisturbed(&issuer).await;
    assert_eq!(
        requests, 4,
        "discovery, the node's name, the request and its certificate"
    );
    for fault in [Fault::PowerCutBefore, Fault::PowerCutAfter] {
        for cut in 1..=requests {
            for seed in 0..SEEDS {
                let server = ApiServer::new(&issuer);
                server.trouble(move |asked: Asked| (asked.number == cut).then_some(fault));
                let mut machine = Joiner::boot(&issuer, blank_disk());
                assert!(matches!(machine.run(&server, HOUR).await, End::PowerGone));
                server.mend();
                let mut machine = machine.reboot(seed);
                joined(&mut machine, &server).await;
                assert_eq!((server.created().len(), server.keys()), (1, 1), "{fault:?} of {cut}");
                assert!(!holds_token(&machine));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_leads_to_no_second_request() {
    let issuer = Issuer::new("ca");
    for lost in 1..=4 {
        let server = ApiServer::new(&issuer);
        server.trouble(move |asked: Asked| (asked.number == lost).then_some(Fault::AnswerLost));
        let mut machine = Joiner::boot(&issuer, blank_disk());
        joined(&mut machine, &server).await;
        assert_eq!((server.created().len(), server.keys()), (1, 1), "answer {lost}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn however_often_the_power_is_cut_there_is_one_request(
        cuts in prop::collection::vec((0usize..60, 1usize..6, any::<u64>()), 1..12),
    ) {
        in_virtual_time(async {
            let issuer = Issuer::new("ca");
            let server = ApiServer::new(&issuer);
            let mut machine = Joiner::boot(&issuer, blank_disk());
            for (change, request, seed) in cuts {
                let earlier = server.calls().len();
                match change {
                    0 => server.trouble(move |asked: Asked| {
                        (asked.number == earlier + request).then_some(Fault::PowerCutAfter)
                    }),
                    change => machine.disk.cut_power_at(change),
                }
                machine.run(&server, HOUR).await;
                server.mend();
                machine = machine.reboot(seed);
            }
            joined(&mut machine, &server).await;
            assert_eq!((server.created().len(), server.keys()), (1, 1));
            assert!(!holds_token(&machine));
        });
    }
}
