use super::*;
use crate::apt::index;
use crate::arch::Arch;
use crate::failure::{Diagnose, Failure};

/// A Packages file from lines of `name version; Field: value; …`.
pub fn packages(lines: &str) -> Vec<IndexEntry> {
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let stanza = |line: &str| {
        let mut parts = line.split(';').map(str::trim);
        let (name, version) = parts.next().unwrap().split_once(' ').unwrap();
        let fields: String = parts.map(|field| format!("{field}\n")).collect();
        let architecture = if fields.contains("Architecture:") {
            ""
        } else {
            "Architecture: amd64\n"
        };
        format!(
            "Package: {name}\nVersion: {version}\n{architecture}{fields}Filename: pool/{name}.deb\nSize: 1\nSHA256: {digest}\n\n"
        )
    };
    let text: String = lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(stanza)
        .collect();
    index::parse(&text).unwrap()
}

pub fn universe(lines: &str) -> Universe {
    Universe::new(Arch::X86_64, vec![(0, packages(lines))]).unwrap()
}

pub fn request(packages: &str, excluded: &str) -> Request {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    Request {
        packages: words(packages),
        excluded: words(excluded),
    }
}

fn names(selection: &Selection) -> String {
    selection
        .packages
        .keys()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

fn solve(lines: &str, packages: &str) -> String {
    names(&resolve(&universe(lines), &request(packages, "")).unwrap())
}

/// The refusal as it is shown: message, excerpt and hints.
fn refusal(lines: &str, packages: &str, excluded: &str) -> String {
    let error = resolve(&universe(lines), &request(packages, excluded)).unwrap_err();
    let excerpt = error
        .excerpt()
        .map(|excerpt| format!("\n{excerpt}"))
        .unwrap_or_default();
    let hints: String = error.hints().iter().map(|hint| format!("\nhint: {hint}")).collect();
    format!("{}{excerpt}{hints}", Failure::from(error))
}

#[test]
fn dependencies_and_theirs_come_in_and_nothing_else_does() {
    let lines = "
        aa 1; Depends: bb, cc (>= 2); Pre-Depends: dd; Recommends: xx; Suggests: yy
        bb 1; Depends: aa
        cc 2; Architecture: all
        dd 1
        xx 1
        yy 1
        zz 1; Essential: yes";
    assert_eq!(solve(lines, "aa"), "aa bb cc dd");
}

#[test]
fn the_highest_version_of_all_archives_is_the_candidate() {
    let archives = vec![
        (0, packages("aa 1.0-1+deb13u2\nbb 1")),
        (1, packages("aa 1.0-1+deb13u10\nbb 1")),
        (2, packages("aa 1.0-1")),
    ];
    let universe = Universe::new(Arch::X86_64, archives).unwrap();
    let selection = resolve(&universe, &request("aa bb", "")).unwrap();
    assert_eq!(selection.packages["aa"].entry.version.as_str(), "1.0-1+deb13u10");
    assert_eq!(
        (selection.packages["aa"].archive, selection.packages["bb"].archive),
        (1, 0)
    );
}

#[test]
fn packages_of_other_architectures_do_not_exist() {
    assert_eq!(solve("aa 1\naa 2; Architecture: arm64", "aa=1"), "aa");
    assert!(refusal("aa 2; Architecture: arm64", "aa", "").starts_with("there is no package `aa`"));
}

#[test]
fn a_requested_version_is_taken_for_dependencies_too() {
    let lines = "aa 1\naa 2\nbb 1; Depends: aa (<< 2)\ncc 1; Depends: aa (>= 2)";
    let selection = resolve(&universe(lines), &request("bb aa=1", "")).unwrap();
    assert_eq!(selection.packages["aa"].entry.version.as_str(), "1");
    assert!(refusal(lines, "cc aa=1", "").contains("Depends: aa (>= 2): aa 1 is the candidate"));
    let selection = resolve(&universe(lines), &request("aa aa=1", "")).unwrap();
    assert_eq!(selection.packages["aa"].entry.version.as_str(), "1");
}

#[test]
fn the_first_alternative_is_taken_unless_another_is_there_already() {
    let lines = "
        aa 1; Depends: bb | cc
        bb 1
        cc 1
        dd 1; Depends: ee
        ee 1; Depends: cc";
    assert_eq!(solve(lines, "aa"), "aa bb");
    assert_eq!(solve(lines, "aa cc"), "aa cc");
    assert_eq!(
        solve(lines, "aa dd"),
        "aa cc dd ee",
        "what is forced comes before what is chosen"
    );
    assert_eq!(solve("aa 1; Depends: nn | cc\ncc 1", "aa"), "aa cc");
}

#[test]
fn a_real_package_comes_before_those_that_provide_its_name() {
    let lines = "
        aa 1; Depends: mail
        mail 1
        exim 1; Provides: mail; Priority: required";
    assert_eq!(solve(lines, "aa"), "aa mail");
    assert_eq!(solve(lines, "aa exim"), "aa exim");
}

#[test]
fn the_most_important_provider_is_taken_then_the_first_by_name() {
    let lines = "
        aa 1; Depends: awk
        gawk 1; Provides: awk; Priority: optional
        busybox 1; Provides: awk; Priority: optional
        mawk 1; Provides: awk; Priority: required";
    assert_eq!(solve(lines, "aa"), "aa mawk");
    assert_eq!(solve(&lines.replace("required", "optional"), "aa"), "aa busybox");
}

#[test]
fn a_demand_on_the_version_is_only_met_by_versioned_provides() {
    let lines = "
        aa 1; Depends: bus (>= 2)
        one 3; Provides: bus
        two 1; Provides: bus (= 2.5)";
    assert_eq!(solve(lines, "aa"), "aa two");
    assert!(refusal(&lines.replace("2.5", "1.5"), "aa", "").contains("no package provides `bus (>= 2)`"));
}

#[test]
fn architecture_qualifiers_are_honoured() {
    let lines = "
        aa 1; Depends: py:any, lib:amd64
        py 1; Multi-Arch: allowed
        lib 1; Multi-Arch: same";
    assert_eq!(solve(lines, "aa"), "aa lib py");
    assert!(refusal(&lines.replace("allowed", "foreign"), "aa", "").contains("not `Multi-Arch: allowed`"));
    assert!(refusal(&lines.replace("lib:amd64", "lib:arm64"), "aa", "").contains("not for this architecture"));
}

#[test]
fn a_choice_that_leads_into_a_conflict_is_taken_back() {
    let lines = "
        aa 1; Depends: bb | cc, ee | ff
        bb 1; Depends: dd
        cc 1
        dd 1; Breaks: hh (<< 2)
        ee 1; Depends: gone
        ff 1
        hh 1";
    assert_eq!(solve(lines, "aa"), "aa bb dd ff");
    assert_eq!(solve(lines, "aa hh"), "aa cc ff hh");
}

#[test]
fn packages_do_not_conflict_with_themselves() {
    let lines = "aa 1; Provides: mta; Conflicts: mta\nbb 1; Provides: mta; Conflicts: mta";
    assert_eq!(solve(lines, "aa"), "aa");
    assert!(refusal(lines, "aa bb", "").contains("exclude each other"));
}

#[test]
fn only_versions_that_a_conflict_names_are_hit() {
    assert_eq!(
        solve("aa 1; Breaks: bb (<< 2), vv (<< 9)\nbb 2; Provides: vv", "aa bb"),
        "aa bb"
    );
    assert_eq!(solve("aa 1; Conflicts: bb:arm64\nbb 2", "aa bb"), "aa bb");
    assert!(refusal("aa 1; Breaks: vv (<< 9)\nbb 2; Provides: vv (= 8)", "aa bb", "").contains("exclude each other"));
}

#[test]
fn an_excluded_name_counts_as_there_and_stays_out() {
    let lines = "
        aa 1; Depends: adduser (>= 3), debconf | debconf-2.0, awk, bb
        bb 1
        adduser 1; Depends: passwd
        passwd 1
        debconf 1; Provides: debconf-2.0
        mawk 1; Provides: awk; Priority: required
        gawk 1; Provides: awk";
    let selection = resolve(&universe(lines), &request("aa", "adduser debconf-2.0 mawk")).unwrap();
    assert_eq!(names(&selection), "aa bb");
    let waived: Vec<_> = selection.waived.iter().map(|waived| waived.relation.as_str()).collect();
    assert_eq!(
        waived,
        [
            "Depends: adduser (>= 3)",
            "Depends: awk",
            "Depends: debconf | debconf-2.0"
        ]
    );
    let selection = resolve(&universe(lines), &request("aa debconf gawk", "adduser mawk")).unwrap();
    assert_eq!(
        selection.waived.len(),
        1,
        "what is selected for real satisfies before what is excluded"
    );
}

#[test]
fn each_package_knows_why_it_is_in() {
    let lines = "aa 1; Depends: bb (>= 1)\nbb 1; Pre-Depends: cc | dd\ncc 2";
    let selection = resolve(&universe(lines), &request("aa", "")).unwrap();
    assert_eq!(selection.packages["aa"].why, Why::Requested);
    let why = Why::DependencyOf {
        package: "bb".to_owned(),
        relation: "Pre-Depends: cc | dd".to_owned(),
    };
    assert_eq!(selection.packages["cc"].why, why);
    assert_eq!(
        selection.chain("cc").unwrap().to_string(),
        "aa 1 (requested)\n└─ Depends: bb (>= 1) → bb 1\n   └─ Pre-Depends: cc | dd → cc 2"
    );
    assert_eq!(selection.chain("dd"), None);
}

#[test]
fn requests_that_cannot_be_are_refused_with_advice() {
    let lines = "containerd 1.7\ncontainerd 2.0\nmawk 1; Provides: awk\ngawk 1; Provides: awk\n";
    assert_eq!(
        refusal(lines, "contanerd", ""),
        "there is no package `contanerd`\nhint: did you mean `containerd`?"
    );
    assert_eq!(
        refusal(lines, "awk", ""),
        "`awk` is a virtual package\nhint: request one of `gawk`, `mawk`"
    );
    assert_eq!(
        refusal(lines, "containerd=3", ""),
        "there is no version 3 of `containerd`\nhint: there is `containerd=2.0`, `containerd=1.7`"
    );
    assert_eq!(
        refusal(lines, "containerd=2.0 containerd=1.7", ""),
        "`containerd` is requested in two versions: 1.7 and 2.0"
    );
    assert_eq!(
        refusal(lines, "Mawk", ""),
        "`Mawk` is no package: write `name` or `name=version`"
    );
    assert_eq!(
        refusal(lines, "mawk=", ""),
        "`mawk=` is no package: write `name` or `name=version`"
    );
    assert_eq!(
        refusal(lines, "mawk", "mawk"),
        "`mawk` is both requested and excluded\nhint: remove `mawk` from `packages` or from `without`"
    );
    assert_eq!(
        refusal(lines, "mawk", "gwak"),
        "there is no package `gwak` to exclude\nhint: did you mean `gawk`?"
    );
}

#[test]
fn an_unsatisfiable_dependency_shows_the_whole_chain() {
    let lines = "aa 1; Depends: bb\nbb 2; Depends: cc (>= 1) | dd\ncc 3; Depends: ee (>= 5) | ff\nee 4";
    assert_eq!(
        refusal(lines, "aa", ""),
        "`Depends: ee (>= 5) | ff`, which cc 3 has, cannot be satisfied
aa 1 (requested)
└─ Depends: bb → bb 2
   └─ Depends: cc (>= 1) | dd → cc 3
      └─ Depends: ee (>= 5) | ff: ee 4 is the candidate; there is no `ff`"
    );
}

#[test]
fn a_conflict_shows_both_chains() {
    let lines = "aa 1; Depends: bb\nbb 2; Conflicts: dd (<< 9)\ncc 1; Depends: dd\ndd 3";
    assert_eq!(
        refusal(lines, "aa cc", ""),
        "bb 2 and dd 3 exclude each other: bb 2 has `Conflicts: dd (<< 9)`
aa 1 (requested)
└─ Depends: bb → bb 2

cc 1 (requested)
└─ Depends: dd → dd 3
hint: request only one of them, or exclude one by `without`"
    );
}

#[test]
fn a_malformed_field_is_only_fatal_in_a_package_that_is_needed() {
    let lines = "aa 1; Depends: bb\nbb 1\ncc 1; Depends: ${misc:Depends}";
    assert_eq!(solve(lines, "aa"), "aa bb");
    assert!(refusal(lines, "cc", "").starts_with("the field Depends of cc 1 is malformed: byte 0"));
}

#[test]
fn a_hopeless_search_ends() {
    let mut lines = String::from("top 1; Depends: last");
    for number in 0..24 {
        lines += &format!(", x{number:02}a | x{number:02}b");
    }
    lines += "\nlast 1; Depends: p1 | p2\np1 1; Depends: never1\np2 1; Depends: never2\nnever1 1; Depends: gone\nnever2 1; Depends: gone\n";
    for number in 0..24 {
        lines += &format!("x{number:02}a 1\nx{number:02}b 1\n");
    }
    let error = refusal(&lines, "top", "");
    assert!(
        error.starts_with("`Depends: gone`, which never1 1 has, cannot be satisfied") || error.starts_with("gave up"),
        "{error}"
    );
}

#[test]
fn the_order_of_the_input_does_not_matter() {
    let lines = "aa 1; Depends: bb | cc, vv\nbb 1; Conflicts: ww\ncc 1\nvv1 1; Provides: vv\nvv2 1; Provides: vv; Depends: ww\nww 1";
    let reversed: Vec<_> = lines.lines().rev().collect();
    let one = resolve(&universe(lines), &request("aa ww", "")).unwrap();
    let other = resolve(&universe(&reversed.join("\n")), &request("aa ww", "")).unwrap();
    assert_eq!(one, other);
}
