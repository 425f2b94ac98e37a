//! R1 to R5: an identity that has expired, is not known any more, or is to become another one.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::errno::Errno;
use skerry_firstboot::clock::Clock as _;
use skerry_firstboot::control_plane::ApiErrorKind;
use skerry_firstboot::disk::{Disk as _, ModelDisk};
use skerry_firstboot::identity::paths::{AUTHORITIES, KUBECONFIG};
use skerry_firstboot::identity::{Identity, Proven};
use skerry_firstboot::node::state::NodeState;

use crate::api_server::{Call, Fault};
use crate::issuer::{BEGIN, Issuer, YEAR};
use crate::life::joined;
use crate::machine::blank_disk;
use crate::site::{Deed, End, Site, found_on, identity_on, join_file};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const EXPIRED: u64 = BEGIN + YEAR + 60;

fn is_start(deed: &Deed) -> bool {
    matches!(deed, Deed::StartKubelet(_))
}

/// A machine whose join file wants no relay.
async fn joined_without_relay(issuer: &Issuer) -> (Site<'_>, ModelDisk, Identity) {
    let (site, disk) = (Site::new(issuer), blank_disk());
    site.media.borrow_mut().clear();
    site.insert_stick(&format!(
        "{}[relay]\nenabled = false\n",
        join_file(issuer, "pole-7", "")
    ));
    let identity = site.becomes_ready(&disk).await;
    site.forget_deeds();
    (site, disk.reboot(0), identity)
}

/// A signer whose certificates are good at the time of the machine's clock.
fn sign_from_now_on<'a>(site: &Site<'a>, issuer: &'a Issuer) {
    let begin = site.clock.now() - 300;
    site.server.controllers(move |posting| {
        let params = crate::signer::params(&posting.requested.common_name, begin, YEAR);
        skerry_firstboot::control_plane::SigningState::Issued(issuer.issue(&params, &posting.requested))
    });
}

fn newest_says(site: &Site<'_>, part: &str) -> bool {
    let deeds = site.deeds();
    let newest = deeds.iter().rev().find_map(|deed| match deed {
        Deed::Say(state, reason, next) => Some(format!("{state}: {reason}; {next}")),
        _ => None,
    });
    newest.is_some_and(|line| line.contains(part))
}

#[tokio::test(start_paused = true)]
async fn an_expired_certificate_without_a_join_file_is_told_and_nothing_is_tried() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined_without_relay(&issuer).await;
    site.clock.synchronise(EXPIRED);
    let before = site.server.calls().len();
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR).await, End::TimeUp);
    assert!(
        newest_says(&site, "failed: the node's certificate has expired"),
        "{:#?}",
        site.said()
    );
    assert!(newest_says(&site, "bring a new join file"));
    assert_eq!((site.count(is_start), site.said().len()), (0, 1));
    assert_eq!(site.server.calls().len(), before);
    let looks = site.count(|deed| matches!(deed, Deed::Look(_)));
    assert!((55..65).contains(&looks), "{looks} looks in an hour");
    assert_eq!(disk.operations().changes, 0, "nothing of the old identity is touched");
}

/// The relay answers in the control plane's place, which would not take the certificate.
#[tokio::test(start_paused = true)]
async fn an_expired_node_with_the_relay_starts_its_pods_and_waits_for_a_join_file() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    site.clock.synchronise(EXPIRED);
    let before = site.server.calls().len();
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR).await, End::TimeUp);
    assert_eq!(site.count(is_start), 1);
    assert!(newest_says(&site, "failed: the node's certificate has expired"));
    assert_eq!(site.server.calls().len(), before);
    assert_eq!(disk.operations().changes, 0, "nothing of the old identity is touched");
}

#[tokio::test(start_paused = true)]
async fn an_expired_certificate_is_replaced_by_any_join_file_that_comes() {
    let issuer = Issuer::new("ca");
    let (site, disk, before) = joined_without_relay(&issuer).await;
    site.clock.synchronise(EXPIRED);
    sign_from_now_on(&site, &issuer);
    site.later(MINUTE * 30, {
        let text = join_file(&issuer, "pole-7", "# another one");
        move |site| site.insert_stick(&text)
    });
    let identity = site.becomes_ready(&disk).await;
    assert_eq!((identity.node_name.as_str(), identity.proven), ("pole-7", Proven::Yes));
    assert_ne!(identity.pair, before.pair);
    assert!(!site.media_hold_a_token());
    // Not before there was an identity that is of use.
    assert_eq!(site.count(is_start), 1);
    assert_eq!(site.server.created().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_makes_no_certificate_expire_once_a_time_server_answers() {
    let issuer = Issuer::new("ca");
    let (site, disk, before) = joined(&issuer).await;
    // Nobody vouches for this time.
    site.clock.set_forward(EXPIRED).unwrap();
    site.later(MINUTE * 3, |site| site.clock.synchronise(BEGIN + 3600));
    let identity = site.becomes_ready(&disk).await;
    assert_eq!(identity.pair, before.pair);
    assert!(site.has_said("this machine's clock may be ahead"), "{:#?}", site.said());
    assert!(site.times(is_start)[0] < MINUTE * 4);
}

#[tokio::test(start_paused = true)]
async fn a_new_authority_comes_with_a_bundle_before_the_old_one_goes() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let (site, disk, _) = joined(&old).await;
    let bundle = format!("{}{}", old.pem(), new.pem());
    *site.server.described.borrow_mut() = bundle.clone();
    let text = join_file(&old, "pole-7", "# with both").replace(&old.pem(), &bundle);
    site.insert_stick(&text);
    let identity = site.becomes_ready(&disk).await;
    assert_eq!(identity.cluster.authorities, bundle);
    // Then the old authority is gone.
    site.server.serves_as.set(&new);
    let disk = disk.reboot(0);
    let requests = site.server.created().len();
    assert_eq!(site.becomes_ready(&disk).await, identity);
    assert_eq!(site.server.created().len(), requests, "the machine does not join anew");
}

/// A cluster of `old`, joined by a machine, that names `new` beside it from now on.
async fn rotating<'a>(old: &'a Issuer, new: &Issuer) -> (Site<'a>, ModelDisk, Identity) {
    let (site, disk, before) = joined(old).await;
    *site.server.described.borrow_mut() = format!("{}{}", old.pem(), new.pem());
    (site, disk, before)
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_the_cluster_names_beside_the_old_one_is_learnt_and_outlives_it() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let (site, disk, before) = rotating(&old, &new).await;
    let identity = site.becomes_ready(&disk).await;
    let both = format!("{}{}", old.pem(), new.pem());
    assert_eq!((&identity.pair, &identity.cluster.authorities), (&before.pair, &both));
    assert_eq!(disk.read(Path::new(AUTHORITIES)).unwrap(), both.as_bytes());
    let known = String::from_utf8(disk.read(Path::new(KUBECONFIG)).unwrap()).unwrap();
    assert!(known.contains(&STANDARD.encode(&both)), "{known}");
    let kubelets: Vec<Deed> = site
        .deeds()
        .into_iter()
        .filter(|deed| is_start(deed) || *deed == Deed::StopKubelet)
        .collect();
    assert!(
        matches!(
            kubelets[..],
            [Deed::StartKubelet(_), Deed::StopKubelet, Deed::StartKubelet(_)]
        ),
        "kubelet reads them when it starts: {kubelets:?}"
    );
    // Then the old one is gone, and is not even named any more.
    site.server.serves_as.set(&new);
    *site.server.described.borrow_mut() = new.pem();
    let disk = disk.reboot(0);
    assert_eq!(site.becomes_ready(&disk).await, identity);
    assert_eq!((site.server.created().len(), disk.operations().changes), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_tell_its_authorities_is_asked_rarely_and_the_node_is_ready_all_the_same() {
    let issuer = Issuer::new("ca");
    for kind in [None, Some(ApiErrorKind::BadAnswer), Some(ApiErrorKind::Timeout)] {
        let (site, disk, before) = joined(&issuer).await;
        site.server.described.borrow_mut().clear();
        site.server
            .trouble(move |asked| kind.filter(|_| asked.call == Call::ReadAuthorities).map(Fault::Refused));
        assert_eq!(site.becomes_ready(&disk).await, before);
        assert_eq!((site.count(is_start), disk.operations().changes), (1, 0));
        let asked = site.server.times(Call::ReadAuthorities).len();
        assert_eq!(asked, 2, "once at each boot");
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_keep_a_new_authority_leaves_kubelet_at_work() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let (site, disk, before) = rotating(&old, &new).await;
    let mut agent = site.boot(&disk);
    disk.fail_from(1, Errno::ENOSPC);
    assert_eq!(site.run(&mut agent, HOUR).await, End::Ready);
    assert_eq!(site.count(|deed| *deed == Deed::StopKubelet), 0);
    assert_eq!(identity_on(&disk).cluster, before.cluster);
    disk.mend();
    assert_ne!(site.becomes_ready(&disk.reboot(0)).await.cluster, before.cluster);
}

#[tokio::test(start_paused = true)]
async fn the_power_may_be_cut_while_a_new_authority_is_kept() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let (site, disk, _) = rotating(&old, &new).await;
    let learnt = site.becomes_ready(&disk).await.cluster;
    for cut in 1..=disk.operations().changes {
        for seed in 0..6 {
            let (site, disk, _) = rotating(&old, &new).await;
            let mut agent = site.boot(&disk);
            disk.cut_power_at(cut);
            assert_eq!(site.run(&mut agent, HOUR).await, End::PowerGone, "cut at {cut}");
            let disk = disk.reboot(seed);
            let identity = site.becomes_ready(&disk).await;
            assert_eq!(
                identity.cluster.authorities.len(),
                learnt.authorities.len(),
                "cut at {cut}"
            );
            assert_eq!(found_on(&disk).findings, [], "cut at {cut}, seed {seed}");
            assert_eq!(site.server.created().len(), 1, "cut at {cut}, seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_was_replaced_at_once_is_not_believed_until_a_join_file_names_it() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let (site, disk, before) = joined(&old).await;
    site.server.recreate(&new);
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR * 3).await, End::TimeUp);
    assert!(site.has_said("a new join file joins anew"), "{:#?}", site.said());
    assert_eq!((identity_on(&disk), disk.operations().changes), (before, 0));
    assert_eq!(
        site.count(|deed| *deed == Deed::StopKubelet),
        0,
        "its pods and its kubelet stay"
    );
    assert_eq!(
        site.server.created().len(),
        1,
        "no token and no request goes to a stranger"
    );
    let looks = site.server.times(Call::ReadOwnNode).len();
    assert!(looks < 3 * 200, "{looks} looks in three hours");
    site.insert_stick(&join_file(&new, "pole-7", ""));
    site.later(Duration::from_secs(1), |_| {});
    assert_eq!(site.run(&mut agent, HOUR).await, End::Ready);
    let identity = identity_on(&disk);
    assert_eq!(
        (identity.cluster.authorities, identity.proven),
        (new.pem(), Proven::Yes)
    );
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_was_made_anew_is_not_joined_by_a_file_that_does_not_name_its_authority() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let (site, disk, before) = joined(&old).await;
    site.server.recreate(&new);
    let ca = format!("ca = \"\"\"\n{}\"\"\"", old.pem());
    let text = join_file(&old, "pole-7", "").replace(&ca, "unsafe-skip-ca-verification = true");
    site.insert_stick(&text);
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR).await, End::TimeUp);
    assert!(
        site.has_said("has other authorities than the cluster that this node belongs to"),
        "{:#?}",
        site.said()
    );
    assert_eq!(identity_on(&disk), before);
    assert_eq!(
        (site.server.created().len(), site.kubelet_runs_as().is_some()),
        (1, true)
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_deleted_while_the_machine_was_off_is_registered_again() {
    let issuer = Issuer::new("ca");
    let (site, disk, before) = joined(&issuer).await;
    site.server.nodes.borrow_mut().clear();
    assert_eq!(site.becomes_ready(&disk).await, before);
    assert!(site.has_said("kubelet has not registered it yet"), "{:#?}", site.said());
    assert_eq!(site.server.created().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_deleted_while_it_is_watched_is_registered_by_another_start_of_kubelet() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    site.server.nodes.borrow_mut().clear();
    site.later(Duration::from_secs(6), |site| site.server.nodes.borrow_mut().clear());
    site.becomes_ready(&disk).await;
    assert!(site.has_said("was deleted from the cluster"), "{:#?}", site.said());
    assert_eq!(
        (site.count(is_start), site.count(|deed| *deed == Deed::StopKubelet)),
        (2, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_join_file_that_renames_the_node_leads_to_another_node_and_kubelet_is_started_as_that() {
    let issuer = Issuer::new("ca");
    let (site, disk, _) = joined(&issuer).await;
    site.insert_stick(&join_file(&issuer, "pole-8", ""));
    let identity = site.becomes_ready(&disk).await;
    assert_eq!((identity.node_name.as_str(), identity.proven), ("pole-8", Proven::Yes));
    assert_eq!(site.kubelet_runs_as().as_deref(), Some("pole-8"));
    assert!(site.server.nodes.borrow()["pole-8"].ready);
    let deeds: Vec<Deed> = site
        .deeds()
        .into_iter()
        .filter(|deed| is_start(deed) || *deed == Deed::StopKubelet)
        .collect();
    assert!(
        matches!(
            deeds[..],
            [Deed::StartKubelet(_), Deed::StopKubelet, Deed::StartKubelet(_)]
        ),
        "{deeds:?}"
    );
    assert!(!site.media_hold_a_token());
}

#[tokio::test(start_paused = true)]
async fn the_old_identity_runs_kubelet_while_the_machine_joins_anew() {
    let issuer = Issuer::new("ca");
    let (site, disk, before) = joined(&issuer).await;
    let asked = site.server.calls().len();
    site.insert_stick(&join_file(&issuer, "pole-8", ""));
    site.server
        .trouble(|asked| (asked.call == Call::Discover).then_some(Fault::Refused(ApiErrorKind::Unauthorized)));
    let mut agent = site.boot(&disk);
    assert_eq!(site.run(&mut agent, HOUR * 2).await, End::TimeUp);
    assert_eq!(site.deeds().into_iter().find(is_start), Some(Deed::StartKubelet(asked)));
    assert_eq!(site.kubelet_runs_as().as_deref(), Some("pole-7"));
    assert_eq!(identity_on(&disk), before);
    assert!(
        site.deeds()
            .iter()
            .any(|deed| matches!(deed, Deed::Say(NodeState::Joining, ..)))
    );
    // When the file goes, the machine is what it was.
    site.later(Duration::from_secs(1), Site::pull_sticks);
    assert_eq!(site.run(&mut agent, HOUR).await, End::Ready);
    assert_eq!(found_on(&disk).findings, []);
}
