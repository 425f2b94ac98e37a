use super::release::generalise;
use super::*;

const TABLE: &str = "
[rules]
units = \"pass units\"
depmod = \"pass depmod\"
[triggers]
ldconfig = \"depmod\"
[[script]]
package = \"known\"
kind = \"postinst\"
sha256 = [\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"]
rules = [\"units\"]
";

fn scripts(entries: &[(&str, &str)]) -> Scripts {
    let entry = |(kind, text): &(&str, &str)| ((*kind).to_owned(), (Sha256::of(text.as_bytes()), (*text).to_owned()));
    entries.iter().map(entry).collect()
}

#[test]
fn the_table_of_the_repository_is_sound_and_uses_every_rule() {
    let table = ScriptTable::standard();
    assert!(table.explain("accounts").is_some());
    for rule in table.rules() {
        assert!(table.users_of(rule) > 0, "no row or trigger names the rule `{rule}`");
    }
}

#[test]
fn known_scripts_pass_and_removal_scripts_do_not_matter() {
    let table = ScriptTable::parse(TABLE).unwrap();
    let known = scripts(&[
        ("postinst", "abc"),
        ("prerm", "rm -rf /"),
        ("triggers", "activate-noawait ldconfig\n"),
    ]);
    table
        .check(&[("known", "1-1", &known), ("bare", "2", &Scripts::new())])
        .unwrap();
}

#[test]
fn an_unknown_script_stops_with_its_text_and_the_row_to_add() {
    let table = ScriptTable::parse(TABLE).unwrap();
    let other = scripts(&[("postinst", "#!/bin/sh\nadduser evil\x1b[2J\n")]);
    let error = table
        .check(&[("known", "2-1", &other), ("new", "3", &other)])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "nobody has decided what stands for the postinst of known 2-1, the postinst of new 3"
    );
    assert_eq!(error.kind(), FailureKind::Verification);
    let digest = &other["postinst"].0;
    let excerpt = error.excerpt().unwrap();
    assert!(excerpt.starts_with(&format!(
        "── postinst of known 2-1, sha256 {digest}\n   1 │ #!/bin/sh\n   2 │ adduser evil[2J\n"
    )));
    let hints = error.hints();
    assert!(hints[0].contains(&format!("sha256 = [\"{digest}\"]\nrules = [\"units\"]")));
    assert!(hints[1].starts_with("another version of this script is known (units)"));
    assert!(hints[2].ends_with("rules = [\"RULE\"]"));
}

#[test]
fn an_unknown_trigger_is_named() {
    let table = ScriptTable::parse(TABLE).unwrap();
    let scripts = scripts(&[("triggers", "# x\ninterest-noawait /etc/a\nactivate-await mystery\n")]);
    let error = table.check(&[("p", "1", &scripts)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "p 1 activates the trigger `mystery`, for which there is no rule"
    );
}

#[test]
fn a_kernel_s_scripts_are_known_in_every_release_and_only_there() {
    assert_eq!(generalise("a6.12.117+deb13-amd64", "6.12.117-1"), "a{release}-amd64");
    assert_eq!(
        generalise("6.12.115\\+deb13.1-x 6.12.115", "1:6.12.115-1"),
        "{release}-x {release}"
    );
    assert_eq!(generalise("6.12.117+deb13.", "6.12.117-1"), "{release}.");
    assert_eq!(generalise("abc", "-1"), "abc");

    let text = |release: &str| format!("version={release}\ndepmod $version\n");
    let row = format!(
        "{TABLE}[[script]]\npackage = \"linux-image-{{release}}-amd64\"\nkind = \"postinst\"\nsha256-release = [\"{}\"]\nrules = [\"depmod\"]\n",
        Sha256::of(text("{release}-amd64").as_bytes())
    );
    let table = ScriptTable::parse(&row).unwrap();
    for (release, version) in [
        ("6.12.117+deb13-amd64", "6.12.117-1"),
        ("6.12.200+deb13.2-amd64", "6.12.200-3"),
    ] {
        let known = scripts(&[("postinst", &text(release))]);
        table
            .check(&[(&format!("linux-image-{release}"), version, &known)])
            .unwrap();
        let changed = scripts(&[("postinst", &format!("{}reboot\n", text(release)))]);
        assert!(
            table
                .check(&[(&format!("linux-image-{release}"), version, &changed)])
                .is_err()
        );
    }
}

#[test]
fn a_table_with_a_gap_is_refused() {
    let broken = [
        (
            TABLE.replace("rules = [\"units\"]", "rules = []"),
            "the row for the postinst of known has no digest or no rule",
        ),
        (
            TABLE.replace("units = \"pass units\"\n", ""),
            "`the postinst of known` names the rule `units`, which [rules] does not explain",
        ),
        (
            format!("{TABLE}{}", &TABLE[TABLE.find("[[script]]").unwrap()..]),
            "there are two rows for the postinst of known",
        ),
        (TABLE.replace("kind", "kin"), "the table of script rules cannot be read"),
    ];
    for (text, message) in broken {
        assert_eq!(ScriptTable::parse(&text).unwrap_err().to_string(), message);
    }
}
