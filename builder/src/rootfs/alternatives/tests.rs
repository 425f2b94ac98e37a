use super::*;

fn tree_with(programs: &[&str]) -> Tree {
    let mut tree = Tree::new();
    tree.insert(path("usr/bin"), BY.folder(0o755)).unwrap();
    tree.insert(path("bin"), BY.link("usr/bin")).unwrap();
    for program in programs {
        tree.insert(path(program), BY.file(0o755, "ELF")).unwrap();
    }
    tree
}

#[test]
fn iptables_is_nft_by_two_links_and_its_followers_go_along() {
    let mut tree = tree_with(&[
        "usr/sbin/iptables-nft",
        "usr/sbin/iptables-nft-save",
        "usr/sbin/iptables-legacy",
    ]);
    apply(&mut tree).unwrap();
    let target = |place: &str| tree.at(place).map(|node| node.content.clone());
    assert_eq!(
        target("usr/sbin/iptables"),
        Some(BY.link("/etc/alternatives/iptables").content)
    );
    assert_eq!(
        target("etc/alternatives/iptables"),
        Some(BY.link("/usr/sbin/iptables-nft").content)
    );
    assert!(tree.file("usr/sbin/iptables-save").is_some());
    // No dangling link where the program is left out.
    assert_eq!(target("usr/sbin/iptables-restore"), None);
    assert_eq!(target("usr/bin/awk"), None);
}

#[test]
fn the_highest_priority_that_is_installed_wins() {
    let mut tree = tree_with(&["usr/bin/mawk", "usr/bin/more"]);
    apply(&mut tree).unwrap();
    let resolved = tree.resolve(&path("usr/bin/awk")).unwrap();
    assert_eq!(resolved.as_str(), "usr/bin/mawk");
    assert_eq!(tree.resolve(&path("usr/bin/pager")).unwrap().as_str(), "usr/bin/more");
    let mut tree = tree_with(&["usr/bin/mawk", "usr/bin/gawk"]);
    apply(&mut tree).unwrap();
    assert_eq!(tree.resolve(&path("usr/bin/nawk")).unwrap().as_str(), "usr/bin/gawk");
}

#[test]
fn a_real_file_in_the_place_of_a_link_is_a_conflict() {
    let mut tree = tree_with(&["usr/bin/mawk", "usr/bin/awk"]);
    assert!(matches!(apply(&mut tree), Err(TreeError::Conflict { .. })));
}

#[test]
fn choices_of_one_name_agree_on_their_link() {
    for choice in table::CHOICES {
        let same = table::CHOICES.iter().filter(|other| other.name == choice.name);
        assert!(same.clone().all(|other| other.link == choice.link), "{}", choice.name);
        assert!(choice.target.starts_with('/') && !choice.link.starts_with('/'));
    }
}
