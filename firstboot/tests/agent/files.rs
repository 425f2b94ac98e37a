//! Join files that cannot be used, that are replaced, or that come when nobody expects them.

use std::time::Duration;

use skerry_firstboot::control_plane::{ApiErrorKind, SigningState};
use skerry_firstboot::node::join_file::Reach;
use skerry_firstboot::node::state::NodeState;
use skerry_firstboot::source::Source;

use crate::api_server::{Call, Fault};
use crate::issuer::{BEGIN, Issuer, YEAR};
use crate::life::joined;
use crate::machine::blank_disk;
use crate::site::{Deed, End, Site, identity_on, join_file};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Files that can never work: no join file, one with a label that no node may have, one whose network is none.
fn bad_files(issuer: &Issuer) -> [String; 3] {
    let label = "labels = { \"node-role.kubernetes.io/master\" = \"\" }";
    let network = "[network]\naddresses = [\"192.0.2.10/24\"]\ninterface = \"a b\"";
    [
        "version = 1\nendpoints = 7\n".to_owned(),
        format!("{}{label}\n", join_file(issuer, "pole-7", "")),
        format!("{}{network}\n", join_file(issuer, "pole-7", "")),
    ]
}

fn looks(site: &Site<'_>) -> usize {
    site.count(|deed| matches!(deed, Deed::Look(_)))
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_a_join_file_says_where_it_looks_and_looks_every_minute() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.pull_sticks();
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR * 10).await, End::TimeUp);
    assert_eq!(site.said().len(), 1, "{:#?}", site.said());
    assert!(site.has_said("waiting: containerd is up; no join file found (join.toml on the EFI partition"));
    assert!((590..=610).contains(&looks(&site)), "{} looks", looks(&site));
    assert_eq!(disk.operations().changes, 0);
    // A stick is seen at once.
    let text = join_file(&issuer, "pole-7", "");
    site.later(Duration::from_secs(7), move |site| site.insert_stick(&text));
    assert_eq!(site.run(&mut agent, MINUTE).await, End::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_waits_says_which_place_it_cannot_read_and_why() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.sticks_are_broken.set(true);
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR * 3).await, End::TimeUp);
    assert_eq!(site.said().len(), 1, "{:#?}", site.said());
    assert!(
        site.has_said(
            "waiting: containerd is up; no join file found; the USB stick labelled SKERRY-JOIN cannot be mounted: \
             Input/output error (os error 5); format the stick with FAT"
        ),
        "{:#?}",
        site.said()
    );
    site.later(MINUTE, |site| site.sticks_are_broken.set(false));
    assert_eq!(site.run(&mut agent, MINUTE * 3).await, End::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_goes_on_without_a_place_it_cannot_read_says_so_once() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.sticks_are_broken.set(true);
    site.media
        .borrow_mut()
        .push((Source::Credential, join_file(&issuer, "pole-9", "")));
    site.server.controllers(|_| SigningState::Pending);
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR).await, End::TimeUp);
    assert_eq!(broken_stick_lines(&site, NodeState::Joining), 1, "{:#?}", site.said());
    site.server.sign_with(&issuer);
    assert_eq!(site.run(&mut agent, HOUR).await, End::Ready);
    // And at the next boot, on a machine that needs no join file.
    site.forget_deeds();
    assert_eq!(site.becomes_ready(&disk.reboot(0)).await.node_name, "pole-9");
    assert_eq!(broken_stick_lines(&site, NodeState::Joined), 1, "{:#?}", site.said());
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_needs_another_join_file_says_that_it_cannot_read_the_stick_that_was_brought() {
    let issuer = Issuer::new("ca");
    for expired in [true, false] {
        let (site, disk) = (Site::new(&issuer), blank_disk());
        if expired {
            site.becomes_ready(&disk).await;
            site.clock.synchronise(BEGIN + YEAR + 60);
        }
        site.media
            .borrow_mut()
            .push((Source::Credential, "version = 1\nendpoints = 7\n".to_owned()));
        site.insert_stick(&join_file(&issuer, "pole-7", ""));
        site.sticks_are_broken.set(true);
        let mut agent = site.boot(&disk.reboot(0));
        assert_eq!(site.run(&mut agent, HOUR).await, End::TimeUp);
        assert_eq!(broken_stick_lines(&site, NodeState::Failed), 1, "{:#?}", site.said());
    }
}

/// How many lines in this state tell of a stick that cannot be mounted.
fn broken_stick_lines(site: &Site<'_>, state: NodeState) -> usize {
    let begin = format!("{state}: ");
    let tells = |line: &&String| line.starts_with(&begin) && line.contains("cannot be mounted: Input/output error");
    site.said().iter().filter(tells).count()
}

#[tokio::test(start_paused = true)]
async fn a_bad_join_file_is_told_with_advice_before_its_token_is_used_and_until_it_is_replaced() {
    let issuer = Issuer::new("ca");
    for text in bad_files(&issuer) {
        let (site, disk) = (Site::new(&issuer), blank_disk());
        *site.media.borrow_mut() = Vec::new();
        site.insert_stick(&text);
        let mut agent = site.boot(&disk);
        assert_eq!(site.run(&mut agent, HOUR).await, End::TimeUp);
        assert!(
            site.has_said("failed: join.toml on the USB stick labelled SKERRY-JOIN cannot be used: "),
            "{text}"
        );
        assert_eq!(
            (site.said().len(), site.server.calls().len()),
            (1, 0),
            "{:#?}",
            site.said()
        );
        assert!(!site.deeds().iter().any(|deed| matches!(deed, Deed::Apply(_))));
        let good = join_file(&issuer, "pole-7", "");
        site.later(MINUTE, move |site| {
            site.pull_sticks();
            site.insert_stick(&good);
        });
        assert_eq!(site.run(&mut agent, MINUTE * 3).await, End::Ready);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_join_file_does_not_stop_a_machine_that_has_joined() {
    let issuer = Issuer::new("ca");
    for text in bad_files(&issuer) {
        let (site, disk, identity) = joined(&issuer).await;
        site.insert_stick(&text);
        assert_eq!(site.becomes_ready(&disk).await, identity);
        assert!(
            !site
                .deeds()
                .iter()
                .any(|deed| matches!(deed, Deed::Say(NodeState::Failed, ..)))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_file_that_is_replaced_during_the_join_is_picked_up() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.server.controllers(|_| SigningState::Pending);
    let text = join_file(&issuer, "pole-9", "");
    let good = &issuer;
    site.later(MINUTE * 20, move |site| {
        site.pull_sticks();
        site.insert_stick(&text);
        site.server.sign_with(good);
    });
    assert_eq!(site.becomes_ready(&disk).await.node_name, "pole-9");
    assert_eq!(site.server.keys(), 2, "another name has another key");
}

#[tokio::test(start_paused = true)]
async fn a_network_that_leads_nowhere_is_replaced_by_that_of_the_next_join_file() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.pull_sticks();
    let wrong = "[network]\naddresses = [\"192.0.2.10/24\"]\ngateways = [\"192.0.2.1\"]\n";
    site.insert_stick(&format!("{}{wrong}", join_file(&issuer, "pole-7", "")));
    site.server
        .trouble(|asked| (asked.at < MINUTE * 50).then_some(Fault::Refused(ApiErrorKind::Connect)));
    let right = join_file(&issuer, "pole-7", "");
    site.later(MINUTE * 49, move |site| {
        site.pull_sticks();
        site.insert_stick(&right);
    });
    site.becomes_ready(&disk).await;
    let applied = applied_addresses(&site);
    assert_eq!(
        applied,
        [1, 0, 0],
        "the wrong network, the right one, and that again with kubelet's files"
    );
}

/// How many static addresses each writing of the machine's files had.
fn applied_addresses(site: &Site<'_>) -> Vec<usize> {
    let of = |deed: Deed| match deed {
        Deed::Apply(settings) | Deed::Prepare(settings, _) => Some(settings.network.addresses.len()),
        _ => None,
    };
    site.deeds().into_iter().filter_map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn a_joined_machine_gets_its_own_network_back_when_the_new_join_file_goes() {
    let issuer = Issuer::new("ca");
    let (site, disk, identity) = joined(&issuer).await;
    let wrong = "[network]\naddresses = [\"192.0.2.10/24\"]\n";
    site.insert_stick(&format!("{}{wrong}", join_file(&issuer, "pole-8", "")));
    site.server
        .trouble(|asked| (asked.at < MINUTE * 30).then_some(Fault::Refused(ApiErrorKind::Connect)));
    site.later(MINUTE * 20, Site::pull_sticks);
    assert_eq!(site.becomes_ready(&disk).await, identity);
    assert_eq!(applied_addresses(&site), [0, 1, 0]);
    assert_eq!(site.count(|deed| *deed == Deed::StopKubelet), 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_stays_where_it_is_does_not_hide_a_new_one_on_a_stick() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    let path = "/efi/join.toml".into();
    let kept = join_file(&issuer, "pole-7", "after-join = \"keep\"");
    *site.media.borrow_mut() = vec![(Source::EfiPartition { path }, kept)];
    site.becomes_ready(&disk).await;
    site.insert_stick(&join_file(&issuer, "pole-8", ""));
    let disk = disk.reboot(0);
    assert_eq!(site.becomes_ready(&disk).await.node_name, "pole-8");
    assert_eq!(site.media.borrow().len(), 1);
    // And the machine does not go back and forth, nor does the file that stays hide one that is to be erased.
    assert_eq!(site.becomes_ready(&disk.reboot(0)).await.node_name, "pole-8");
    assert_eq!(site.server.created().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_gives_another_token_each_time_is_asked_once_a_minute_and_the_join_goes_on() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    let url = "https://join.example.org/pole-7".to_owned();
    *site.media.borrow_mut() = vec![(Source::Https { url }, join_file(&issuer, "pole-7", ""))];
    site.fresh_tokens.set(true);
    let good = &issuer;
    site.server.controllers(move |posting| match posting.age < MINUTE * 30 {
        true => SigningState::Pending,
        false => SigningState::Issued(crate::signer::sign(good, &posting.requested)),
    });
    site.becomes_ready(&disk).await;
    let asked = site.count(|deed| *deed == Deed::Look(Reach::Network));
    assert!((20..40).contains(&asked), "asked {asked} times in half an hour");
    assert_eq!((site.server.created().len(), site.server.keys()), (1, 1));
    assert_eq!(identity_on(&disk).node_name, "pole-7");
}

#[tokio::test(start_paused = true)]
async fn while_a_request_waits_for_approval_the_stick_is_looked_at_once_a_minute() {
    let issuer = Issuer::new("ca");
    let (site, disk) = (Site::new(&issuer), blank_disk());
    site.server.controllers(|_| SigningState::Pending);
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR).await, End::TimeUp);
    assert!(looks(&site) <= 61, "{} looks in an hour", looks(&site));
    assert!(site.server.times(Call::ReadRequest).len() > 30);
    assert!(site.said().len() < 8, "{:#?}", site.said());
}
