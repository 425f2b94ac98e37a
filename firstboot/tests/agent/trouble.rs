//! A machine whose own parts do not do what they should, and a control plane that is away.

use std::time::Duration;

use nix::errno::Errno;
use skerry_firstboot::clock::Start;
use skerry_firstboot::control_plane::ApiErrorKind;
use skerry_firstboot::disk::ModelDisk;
use skerry_firstboot::identity::{Home, Loaded, Proven};
use skerry_firstboot::node::radio::Radio;
use skerry_firstboot::node::state::NodeState;

use crate::api_server::{Call, Fault};
use crate::issuer::{BEGIN, Issuer};
use crate::life::joined;
use crate::machine::blank_disk;
use crate::site::{Deed, End, Site, identity_on, join_file};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn is_start(deed: &Deed) -> bool {
    matches!(deed, Deed::StartKubelet(_))
}

fn is_stop(deed: &Deed) -> bool {
    *deed == Deed::StopKubelet
}

#[tokio::test(start_paused = true)]
async fn a_machine_whose_clock_was_not_set_waits_for_a_time_server_and_goes_on_without() {
    let issuer = Issuer::new("ca");
    for start in [
        Start::Unset,
        Start::Raised {
            from: 0,
            to: BEGIN + 60,
        },
    ] {
        let (site, disk) = (Site::new(&issuer), blank_disk());
        site.clock_start.set(start);
        site.becomes_ready(&disk).await;
        assert_eq!(site.server.times(Call::Discover)[0], Duration::from_secs(30));
        assert!(site.has_said("waiting for a time server"), "{:#?}", site.said());
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_server_that_answers_ends_the_wait() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.clock_start.set(Start::Unset);
    site.clock.synchronise(BEGIN + 60);
    site.becomes_ready(&disk).await;
    assert_eq!(site.server.times(Call::Discover)[0], Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_joined_machine_whose_clock_was_not_set_starts_kubelet_at_once() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    site.clock_start.set(Start::Unset);
    let begin = site.times(|_| true).len();
    let mut agent = site.boot(&disk);
    agent.turn().await;
    assert_eq!((begin, site.count(is_start)), (0, 1));
    assert!(!site.has_said("time server"));
}

#[tokio::test(start_paused = true)]
async fn containerd_that_comes_late_is_waited_for_and_told() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    site.containerd_is_late.set(40);
    site.becomes_ready(&disk).await;
    assert!(
        site.has_said("starting: containerd does not answer yet"),
        "{:#?}",
        site.said()
    );
    assert_eq!(site.count(is_start), 1);
}

#[tokio::test(start_paused = true)]
async fn container_images_that_containerd_does_not_take_do_not_keep_kubelet_from_making_room() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    site.failing_preloads.set(5);
    site.becomes_ready(&disk).await;
    let preloads = site.times(|deed| *deed == Deed::Preload);
    assert_eq!(preloads.len(), 6);
    assert!(
        preloads.windows(2).all(|pair| pair[1] - pair[0] >= MINUTE),
        "{preloads:?}"
    );
    assert!(site.times(is_start)[0] < preloads[1]);
    assert!(
        site.has_said("containerd does not take the system's container images"),
        "{:#?}",
        site.said()
    );
}

#[tokio::test(start_paused = true)]
async fn kubelet_that_cannot_be_started_is_tried_again_every_minute() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    site.failing_starts.set(4);
    site.becomes_ready(&disk).await;
    let starts = site.times(is_start);
    assert_eq!(starts.len(), 5);
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= MINUTE), "{starts:?}");
    assert!(site.has_said("trying again in a minute"));
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_written_are_tried_again_every_minute() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    site.failing_files.set(3);
    site.becomes_ready(&disk).await;
    assert_eq!(
        (
            site.count(|deed| matches!(deed, Deed::Prepare(..))),
            site.count(is_start)
        ),
        (4, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_identity_does_not_take_over_before_kubelet_has_stopped() {
    let issuer = Issuer::new("ca");
    let (site, disk, before) = joined(&issuer).await;
    site.insert_stick(&join_file(&issuer, "pole-8", ""));
    site.failing_stops.set(3);
    let mut agent = site.boot(&disk);
    site.run(&mut agent, MINUTE * 2).await;
    let identity = identity_on(&disk);
    assert_eq!((identity.pair, identity.successor.is_some()), (before.pair, true));
    assert_eq!(site.kubelet_runs_as().as_deref(), Some("pole-7"));
    assert_eq!(site.run(&mut agent, HOUR).await, End::Ready);
    let stops = site.times(is_stop);
    assert_eq!(stops.len(), 4);
    assert!(stops.windows(2).all(|pair| pair[1] - pair[0] >= MINUTE), "{stops:?}");
    assert_eq!(site.kubelet_runs_as().as_deref(), Some("pole-8"));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_when_the_new_identity_takes_over_leaves_the_machine_at_work() {
    let issuer = Issuer::new("ca");
    // Wherever it fails: before anything has changed, and when the take-over has begun.
    let mut waited = 0;
    for n in 1..30 {
        let (site, disk, _) = joined(&issuer).await;
        site.insert_stick(&join_file(&issuer, "pole-8", ""));
        let mut agent = site.boot(&disk);
        while site.count(is_stop) == 0 && !certificate_waits(&disk) {
            agent.turn().await;
        }
        disk.fail_from(n, Errno::ENOSPC);
        site.run(&mut agent, MINUTE * 30).await;
        let stops = site.count(is_stop);
        assert!(stops <= 31, "failing from {n}: stopped {stops} times in half an hour");
        if still_waits(&disk) {
            assert_eq!(site.kubelet_runs_as().as_deref(), Some("pole-7"), "failing from {n}");
            waited += 1;
        }
        disk.mend();
        site.run(&mut agent, HOUR).await;
        let identity = identity_on(&disk);
        assert_eq!(
            (identity.node_name.as_str(), identity.proven),
            ("pole-8", Proven::Yes),
            "failing from {n}"
        );
        assert_eq!(site.kubelet_runs_as().as_deref(), Some("pole-8"), "failing from {n}");
        assert_eq!(site.server.created().len(), 2);
    }
    assert!((1..29).contains(&waited), "the failures fell on both sides");
}

/// Whether the take-over has not begun, as far as a failing disk tells.
fn still_waits(disk: &ModelDisk) -> bool {
    match Home::new(disk).load().map(|found| found.state) {
        Ok(Loaded::Joined(identity)) => identity.successor.is_some(),
        _ => false,
    }
}

fn certificate_waits(disk: &ModelDisk) -> bool {
    identity_on(disk)
        .successor
        .is_some_and(|successor| successor.certificate.is_some())
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_that_does_not_work_is_tried_again_and_the_old_one_stays() {
    let issuer = Issuer::new("ca");
    let (site, disk, before) = joined(&issuer).await;
    site.insert_stick(&join_file(&issuer, "pole-8", ""));
    site.server
        .trouble(|asked| (asked.call == Call::ReadOwnNode).then_some(Fault::Refused(ApiErrorKind::Unauthorized)));
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR).await, End::TimeUp);
    assert!(
        site.has_said("the new certificate does not work yet"),
        "{:#?}",
        site.said()
    );
    let identity = identity_on(&disk);
    assert_eq!((identity.pair, site.count(is_stop)), (before.pair, 0));
    assert!(site.media_hold_a_token(), "the token may still be needed");
    site.server.mend();
    assert_eq!(site.run(&mut agent, MINUTE * 5).await, End::Ready);
    assert_eq!(identity_on(&disk).node_name, "pole-8");
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_is_away_for_days_costs_few_requests_and_one_line() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    let before = site.server.calls().len();
    let back = HOUR * 72;
    site.server
        .trouble(move |asked| (asked.at < back).then_some(Fault::Refused(ApiErrorKind::Connect)));
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR * 71).await, End::TimeUp);
    assert!(site.kubelet_runs_as().is_some());
    let asked = site.server.calls().len() - before;
    assert!(asked < 71 * 180, "{asked} requests in three days");
    assert_eq!(site.said().len(), 2, "{:#?}", site.said());
    assert_eq!(site.run(&mut agent, HOUR * 2).await, End::Ready);
    let last = site.server.times(Call::ReadOwnNode);
    assert!(*last.last().unwrap() < back + MINUTE, "{:?}", last.last());
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_not_in_its_wifi_network_says_so_before_all_else_while_nobody_answers() {
    let issuer = Issuer::new("ca");
    let profile = "[wifi]\nssid = \"shop-7\"\npassphrase = \"hush hush\"\ncountry = \"DE\"\n";
    let lonely = "joining: not in the Wi-Fi network `shop-7`; ";
    for (kind, more, expected) in [
        (ApiErrorKind::Connect, profile, true),
        (ApiErrorKind::Connect, "", false),
        (ApiErrorKind::Unauthorized, profile, false),
    ] {
        let (site, disk) = (Site::new(&issuer), blank_disk());
        site.pull_sticks();
        site.insert_stick(&join_file(&issuer, "pole-7", more));
        site.radio.set(Radio::Alone);
        site.server
            .trouble(move |asked| (asked.at < MINUTE * 10).then_some(Fault::Refused(kind)));
        site.becomes_ready(&disk).await;
        let said = site.said();
        let line = said.iter().find(|line| line.starts_with(lonely));
        assert_eq!(line.is_some(), expected, "{said:#?}");
        assert!(line.is_none_or(|line| line.contains("check `wifi.ssid`")), "{said:#?}");
        assert!(!format!("{said:?}").contains("hush"), "{said:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_told_when_to_come_again_comes_then_whatever_device_comes_before() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    let told = Duration::from_secs(200);
    let kind = ApiErrorKind::Throttled {
        retry_after: Some(told),
    };
    let before = site.server.times(Call::ReadOwnNode).len();
    site.server
        .trouble(move |asked| (asked.nth <= before + 2).then_some(Fault::Refused(kind)));
    for seconds in (10..190).step_by(20) {
        site.later(Duration::from_secs(seconds), |_| {});
    }
    site.becomes_ready(&disk).await;
    let times = site.server.times(Call::ReadOwnNode);
    let times = &times[before..];
    assert!(times[1] - times[0] >= told && times[2] - times[1] >= told, "{times:?}");
    // The devices were looked at.
    assert!(site.count(|deed| matches!(deed, Deed::Look(_))) >= 9);
}

#[tokio::test(start_paused = true)]
async fn hours_of_refusals_say_the_same_thing_rarely() {
    let issuer = Issuer::new("ca");
    for (call, kind) in [
        (Call::Discover, ApiErrorKind::Connect),
        (Call::Post, ApiErrorKind::Forbidden),
        (Call::ReadRequest, ApiErrorKind::Timeout),
        (Call::ReadOwnNode, ApiErrorKind::Unauthorized),
    ] {
        let (site, disk) = (Site::new(&issuer), blank_disk());
        site.server
            .trouble(move |asked| (asked.call == call).then_some(Fault::Refused(kind)));
        let mut agent = site.boot(&disk);
        assert_eq!(site.run(&mut agent, HOUR * 6).await, End::TimeUp);
        let lines = site.said().len();
        assert!(lines <= 8, "{kind:?} of {call:?}: {lines} lines in six hours");
        let states: Vec<_> = site
            .said()
            .iter()
            .map(|line| line.split(':').next().unwrap().to_owned())
            .collect();
        assert!(!states.contains(&NodeState::Failed.to_string()));
    }
}
