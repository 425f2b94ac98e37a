use proptest::prelude::*;

use super::*;

fn version(text: &str) -> DebVersion {
    text.parse().unwrap()
}

#[test]
fn versions_sort_as_the_policy_says() {
    // Policy §5.6.12.1: "the following parts are sorted": ~~, ~~a, ~, the empty part, a.
    let ascending = [
        "0~~",
        "0~~a",
        "0~",
        "0",
        "0a",
        "0+",
        "1.0~beta1~svc1",
        "1.0~beta1",
        "1.0",
        "1.0-0ubuntu1",
        "1.0-1",
        "1.0.1",
        "1.2",
        "1.10",
        "1.10a",
        "1.10+dfsg",
        "2-1~deb13u1",
        "2-1",
        "2-1+b1",
        "2-1.1",
        "1:0",
    ];
    for (index, low) in ascending.iter().enumerate() {
        for high in &ascending[index + 1..] {
            assert!(version(low) < version(high), "{low} < {high}");
        }
    }
}

#[test]
fn different_texts_can_be_the_same_version() {
    assert_eq!(version("1.0"), version("0:1.00-0"));
    assert_eq!(version("1.000000000000000000000000000000001"), version("1.1"));
    assert_ne!(version("1.0"), version("1.0-1"));
    assert_ne!(version("1.0").as_str(), version("0:1.0").as_str());
}

#[test]
fn numbers_have_no_limit() {
    assert!(version("1.99999999999999999999999999") < version("1.100000000000000000000000000"));
}

#[test]
fn hyphens_and_colons_belong_to_the_upstream_version_but_for_the_outer_ones() {
    assert_eq!(version("1:2:3-4-5").parts(), (1, "2:3-4", "5"));
    assert_eq!(version("2-4-5").parts(), (0, "2-4", "5"));
}

#[test]
fn texts_that_are_no_versions_say_why() {
    let fault = |text: &str| text.parse::<DebVersion>().unwrap_err().fault;
    assert_eq!(fault(""), VersionFault::Empty);
    assert_eq!(fault(":1"), VersionFault::Epoch);
    assert_eq!(fault("a:1"), VersionFault::Epoch);
    assert_eq!(fault("+1:1"), VersionFault::Epoch);
    assert_eq!(fault("2147483648:1"), VersionFault::Epoch);
    assert_eq!(fault("1:"), VersionFault::NoUpstream);
    assert_eq!(fault("-1"), VersionFault::NoUpstream);
    assert_eq!(fault("1-"), VersionFault::NoRevision);
    assert_eq!(fault("1 2"), VersionFault::Character(' '));
    assert_eq!(fault("1_2"), VersionFault::Character('_'));
    assert_eq!(fault("1:1-1:1"), VersionFault::Character(':'));
    assert_eq!(
        "1_2".parse::<DebVersion>().unwrap_err().to_string(),
        "`1_2` is no Debian version: `_` is not allowed there"
    );
}

proptest! {
    #[test]
    fn any_text_is_a_version_or_refused(text in ".{0,20}") {
        let _ = text.parse::<DebVersion>();
    }

    #[test]
    fn the_order_is_total(
        a in "([0-9]:)?[0-9][0-9a-c.+~]{0,5}(-[0-9a.~+]{1,3})?",
        b in "([0-9]:)?[0-9][0-9a-c.+~]{0,5}(-[0-9a.~+]{1,3})?",
        c in "([0-9]:)?[0-9][0-9a-c.+~]{0,5}(-[0-9a.~+]{1,3})?",
    ) {
        let (a, b, c) = (version(&a), version(&b), version(&c));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&a), Ordering::Equal);
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }
}
