//! S2 and S3: when the join file is taken from its medium, and what is remembered of it.

use std::time::Duration;

use skerry_firstboot::control_plane::ApiErrorKind;
use skerry_firstboot::identity::{Medium, Proven};
use skerry_firstboot::source::Source;

use crate::api_server::{Call, Fault};
use crate::issuer::Issuer;
use crate::machine::blank_disk;
use crate::site::{Deed, End, Eraser, Site, identity_on, join_file};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn is_erase(deed: &Deed) -> bool {
    *deed == Deed::Erase
}

#[tokio::test(start_paused = true)]
async fn the_file_is_erased_only_after_a_call_as_the_node_has_worked() {
    let issuer = Issuer::new("ca");
    for kind in [
        ApiErrorKind::Connect,
        ApiErrorKind::Unauthorized,
        ApiErrorKind::Forbidden,
    ] {
        let (site, disk) = (Site::new(&issuer), blank_disk());
        site.server
            .trouble(move |asked| (asked.call == Call::ReadOwnNode).then_some(Fault::Refused(kind)));
        let mut agent = site.boot(&disk);
        assert_eq!(site.run(&mut agent, HOUR).await, End::TimeUp);
        assert_eq!(site.kubelet_runs_as().as_deref(), Some("pole-7"));
        assert_eq!((site.count(is_erase), identity_on(&disk).proven), (0, Proven::No));
        assert!(site.media_hold_a_token());
        site.server.mend();
        assert_eq!(site.run(&mut agent, HOUR).await, End::Ready);
        assert_eq!((site.count(is_erase), site.media_hold_a_token()), (1, false));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_long_not_ready_erases_its_file_once() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, Duration::from_secs(6)).await, End::TimeUp);
    // As if the pods' network never came up.
    site.stop_kubelet();
    assert_eq!(site.run(&mut agent, HOUR).await, End::TimeUp);
    assert_eq!(site.count(is_erase), 1);
    let looks = site.count(|deed| matches!(deed, Deed::Look(_)));
    assert!(looks < 70, "{looks} looks for a join file in an hour");
}

#[tokio::test(start_paused = true)]
async fn a_medium_that_cannot_be_written_is_remembered_and_left_alone_from_then_on() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.eraser.set(Eraser::ReadOnly);
    site.becomes_ready(&disk).await;
    assert_eq!(site.count(is_erase), 1);
    assert_eq!(identity_on(&disk).consumed[0].medium, Medium::Stays);
    let disk = disk.reboot(0);
    site.becomes_ready(&disk).await;
    assert_eq!((site.count(is_erase), disk.operations().changes), (1, 0));
    assert_eq!(site.server.created().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_credential_and_a_file_that_shall_stay_are_never_erased() {
    let issuer = Issuer::new("ca");
    let kept = join_file(&issuer, "pole-7", "after-join = \"keep\"");
    let stick = Source::UsbStick {
        file: "join.toml".into(),
    };
    for (source, text) in [(Source::Credential, join_file(&issuer, "pole-7", "")), (stick, kept)] {
        let (site, disk) = (Site::new(&issuer), blank_disk());
        *site.media.borrow_mut() = vec![(source, text)];
        site.becomes_ready(&disk).await;
        assert_eq!(identity_on(&disk).consumed[0].medium, Medium::Stays);
        site.becomes_ready(&disk.reboot(0)).await;
        assert_eq!(site.count(is_erase), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_medium_that_breaks_is_tried_once_a_minute_and_again_at_the_next_boot() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.eraser.set(Eraser::Breaks);
    let mut agent = site.boot(&disk);
    site.run(&mut agent, Duration::from_secs(6)).await;
    site.stop_kubelet();
    site.run(&mut agent, HOUR).await;
    let tries = site.times(is_erase);
    assert!((10..=61).contains(&tries.len()), "{} tries in an hour", tries.len());
    assert!(tries.windows(2).all(|pair| pair[1] - pair[0] >= MINUTE), "{tries:?}");
    assert!(identity_on(&disk).must_scrub());
    // A node is Ready all the same.
    let disk = disk.reboot(0);
    site.becomes_ready(&disk).await;
    assert!(identity_on(&disk).must_scrub() && site.media_hold_a_token());
    site.eraser.set(Eraser::Works);
    let disk = disk.reboot(0);
    site.becomes_ready(&disk).await;
    assert!(!identity_on(&disk).must_scrub() && !site.media_hold_a_token());
}

#[tokio::test(start_paused = true)]
async fn a_stick_that_is_pulled_during_the_join_does_not_end_it_and_is_erased_when_it_comes_back() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    let text = site.media.borrow()[0].1.clone();
    site.eraser.set(Eraser::Unplugged);
    site.server
        .trouble(|asked| (asked.at < MINUTE * 10).then_some(Fault::Refused(ApiErrorKind::Connect)));
    site.later(MINUTE, Site::pull_sticks);
    site.becomes_ready(&disk).await;
    assert!(!site.has_said("put it back"), "{:#?}", site.said());
    // At a later boot the stick is somewhere else: the machine does not wait for it for ever.
    let disk = disk.reboot(0);
    site.becomes_ready(&disk).await;
    assert!(!identity_on(&disk).must_scrub());
    site.insert_stick(&text);
    site.eraser.set(Eraser::Works);
    site.becomes_ready(&disk.reboot(0)).await;
    assert!(!site.media_hold_a_token());
    assert_eq!(site.server.created().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_stays_does_not_hide_one_that_is_still_to_be_erased() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    let path = "/efi/join.toml".into();
    let kept = join_file(&issuer, "pole-7", "after-join = \"keep\"");
    *site.media.borrow_mut() = vec![(Source::EfiPartition { path }, kept)];
    site.becomes_ready(&disk).await;
    site.insert_stick(&join_file(&issuer, "pole-8", ""));
    // The power is cut between the proof and the erasing.
    let disk = disk.reboot(0);
    let mut agent = site.boot(&disk);
    site.eraser.set(Eraser::Breaks);
    while site.count(is_erase) == 0 {
        agent.turn().await;
    }
    drop(agent);
    site.eraser.set(Eraser::Works);
    site.becomes_ready(&disk.reboot(0)).await;
    assert_eq!(site.media.borrow().len(), 1, "the one that stays");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_lost_its_power_before_it_was_proven_erases_the_file_at_the_next_boot() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.server
        .trouble(|asked| (asked.call == Call::ReadOwnNode).then_some(Fault::PowerCutBefore));
    let mut agent = site.boot(&disk);
    site.run(&mut agent, Duration::from_secs(30)).await;
    assert!(site.media_hold_a_token());
    site.server.mend();
    let before = site.server.calls().len();
    site.becomes_ready(&disk.reboot(0)).await;
    assert!(!site.media_hold_a_token());
    assert!(
        site.server.calls()[before..]
            .iter()
            .all(|asked| matches!(asked.call, Call::ReadOwnNode | Call::ReadAuthorities)),
        "no token is used again"
    );
}
