//! A first boot, a second one, and power cuts in between: P1, P2, P5.

use std::time::Duration;

use nix::errno::Errno;
use skerry_firstboot::disk::ModelDisk;
use skerry_firstboot::identity::{Identity, Medium, Proven};
use skerry_firstboot::node::join_file::Reach;
use skerry_firstboot::node::state::NodeState;

use crate::api_server::Call;
use crate::issuer::Issuer;
use crate::machine::blank_disk;
use crate::site::{Deed, End, Site, held_a_token, identity_on};

const HOUR: Duration = Duration::from_secs(3600);
const SEEDS: u64 = 6;

fn is_start(deed: &Deed) -> bool {
    matches!(deed, Deed::StartKubelet(_))
}

/// A machine that has joined, and what is around it.
pub async fn joined(issuer: &Issuer) -> (Site<'_>, ModelDisk, Identity) {
    let (site, disk) = (Site::new(issuer), blank_disk());
    let identity = site.becomes_ready(&disk).await;
    site.forget_deeds();
    (site, disk.reboot(0), identity)
}

fn assert_done(site: &Site<'_>, disk: &ModelDisk, what: &str) {
    let identity = identity_on(disk);
    assert_eq!((identity.proven, identity.must_scrub()), (Proven::Yes, false), "{what}");
    assert!(!site.media_hold_a_token() && !held_a_token(disk), "{what}");
    assert_eq!((site.server.created().len(), site.server.keys()), (1, 1), "{what}");
    assert_eq!(site.kubelet_runs_as().as_deref(), Some("pole-7"), "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_with_a_join_file_becomes_a_ready_node_and_the_program_ends() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    let identity = site.becomes_ready(&disk).await;
    assert_eq!(identity.consumed[0].medium, Medium::Erased);
    assert_done(&site, &disk, "a first boot");
    let mut states: Vec<NodeState> = Vec::new();
    for deed in site.deeds() {
        if let Deed::Say(state, ..) = deed {
            states.push(state);
        }
    }
    states.dedup();
    assert_eq!(states, [NodeState::Joining, NodeState::Joined, NodeState::Ready]);
    let order: Vec<Deed> = site
        .deeds()
        .into_iter()
        .filter(|deed| !matches!(deed, Deed::Say(..)))
        .collect();
    assert!(
        matches!(
            order[..],
            [
                Deed::Look(Reach::Network),
                Deed::Apply(_),
                Deed::Look(Reach::Local),
                Deed::Prepare(..),
                Deed::Preload,
                Deed::StartKubelet(_),
                Deed::Erase,
                Deed::Look(Reach::Local),
            ]
        ),
        "{order:#?}"
    );
    assert_eq!(site.times_remembered.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_power_may_be_cut_at_any_change_of_the_disk() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.becomes_ready(&disk).await;
    let changes = disk.operations().changes;
    for cut in 1..=changes {
        for seed in 0..SEEDS {
            let (site, disk) = (Site::new(&issuer), blank_disk());
            let mut agent = site.boot(&disk);
            disk.cut_power_at(cut);
            assert_eq!(site.run(&mut agent, HOUR).await, End::PowerGone, "cut at {cut}");
            let disk = disk.reboot(seed);
            site.becomes_ready(&disk).await;
            assert_done(&site, &disk, &format!("cut at {cut}, seed {seed}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_power_may_be_cut_before_anything_that_the_machine_is_asked_to_do() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.becomes_ready(&disk).await;
    let deeds = site.deeds().len();
    for cut in 1..deeds {
        for seed in 0..SEEDS {
            let (site, disk) = (Site::new(&issuer), blank_disk());
            let mut agent = site.boot(&disk);
            site.cut_power_at(cut);
            assert_eq!(site.run(&mut agent, HOUR).await, End::PowerGone, "cut at {cut}");
            let disk = disk.reboot(seed);
            site.becomes_ready(&disk).await;
            assert_done(&site, &disk, &format!("cut at {cut}, seed {seed}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_boot_starts_kubelet_without_a_request_and_changes_nothing_on_the_disk() {
    let issuer = Issuer::new("ca");
    let (site, disk, identity) = joined(&issuer).await;
    let before = site.server.calls().len();
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR).await, End::Ready);
    let deeds = site.deeds();
    let start = deeds.iter().position(is_start).unwrap();
    assert_eq!(deeds[start], Deed::StartKubelet(before), "no request before");
    assert_eq!(site.times(is_start).len(), 1);
    let looks = deeds[..start].iter().filter(|deed| matches!(deed, Deed::Look(_)));
    assert_eq!(looks.collect::<Vec<_>>(), [&Deed::Look(Reach::Local)]);
    assert_eq!(disk.operations().changes, 0);
    let asked: Vec<Call> = site.server.calls()[before..].iter().map(|asked| asked.call).collect();
    assert_eq!(asked[..2], [Call::ReadOwnNode, Call::ReadAuthorities]);
    assert!(asked[2..].iter().all(|call| *call == Call::ReadOwnNode), "{asked:?}");
    assert_eq!(identity_on(&disk), identity);
}

#[tokio::test(start_paused = true)]
async fn until_kubelet_is_started_a_second_boot_reads_each_file_once_and_waits_for_nothing() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    let mut agent = site.boot(&disk);
    let begin = tokio::time::Instant::now();
    // Kubelet does not come up in the first turn.
    agent.turn().await;
    assert_eq!(site.count(is_start), 1);
    let started_at = site.times(is_start)[0];
    let last = site.times(|_| true)[0];
    assert_eq!(started_at, last, "no wait before kubelet is started");
    assert!(begin.elapsed() < Duration::from_secs(2));
    let reads = disk.operations().reads;
    assert!(reads <= 40, "{reads} operations on the disk");
}

#[tokio::test(start_paused = true)]
async fn a_joined_machine_starts_from_a_disk_that_can_only_be_read() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    disk.fail_from(1, Errno::EROFS);
    site.becomes_ready(&disk).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_during_a_first_boot_is_told_and_the_node_is_ready_when_it_is_mended() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.becomes_ready(&disk).await;
    let changes = disk.operations().changes;
    for errno in [Errno::ENOSPC, Errno::EROFS, Errno::EIO] {
        for n in 1..=changes {
            let (site, disk) = (Site::new(&issuer), blank_disk());
            let mut agent = site.boot(&disk);
            disk.fail_from(n, errno);
            let end = site.run(&mut agent, HOUR).await;
            let lines = site.said().len();
            assert!(lines < 200, "{errno} from {n}: {lines} lines in an hour");
            disk.mend();
            if end != End::Ready {
                assert!(
                    site.deeds()
                        .iter()
                        .any(|deed| matches!(deed, Deed::Say(_, reason, _) if reason.contains("/var"))),
                    "{errno} from {n}: {:#?}",
                    site.said()
                );
                assert_eq!(site.run(&mut agent, HOUR).await, End::Ready, "{errno} from {n}");
            }
            let disk = disk.reboot(0);
            site.becomes_ready(&disk).await;
            assert_done(&site, &disk, &format!("{errno} from {n}"));
        }
    }
}
