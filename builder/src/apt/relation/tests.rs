use proptest::prelude::*;

use super::*;

fn texts(value: &str) -> Vec<String> {
    parse_dependencies(value)
        .unwrap()
        .iter()
        .map(Dependency::to_string)
        .collect()
}

#[test]
fn dependencies_of_every_form_are_read() {
    let value = "libc6 (>= 2.34), python3:any (>=3.11~),\n default-dbus-session-bus|dbus-session-bus, aa:amd64(<< 1:2-3) ,gcc-14:native,";
    assert_eq!(
        texts(value),
        [
            "libc6 (>= 2.34)",
            "python3:any (>= 3.11~)",
            "default-dbus-session-bus | dbus-session-bus",
            "aa:amd64 (<< 1:2-3)",
            "gcc-14:native",
        ]
    );
    assert_eq!(
        parse_dependencies("aa:any").unwrap()[0].alternatives[0].qualifier,
        Some(Qualifier::Any)
    );
    assert_eq!(texts(""), Vec::<String>::new());
}

#[test]
fn the_old_spellings_of_operators_allow_equality() {
    let relations = parse_relations("aa (< 2), bb (> 2)").unwrap();
    for relation in relations {
        assert!(relation.constraint.unwrap().allows(&"2".parse().unwrap()));
    }
}

#[test]
fn constraints_compare_as_their_operators_say() {
    let allowed = |text: &str| {
        let constraint = parse_relations(&format!("aa ({text} 2)"))
            .unwrap()
            .remove(0)
            .constraint
            .unwrap();
        ["1", "2", "3"].map(|version| constraint.allows(&version.parse().unwrap()))
    };
    assert_eq!(allowed("<<"), [true, false, false]);
    assert_eq!(allowed("<="), [true, true, false]);
    assert_eq!(allowed("="), [false, true, false]);
    assert_eq!(allowed(">="), [false, true, true]);
    assert_eq!(allowed(">>"), [false, false, true]);
}

#[test]
fn provided_names_have_a_version_or_none() {
    let provided = parse_provides("awk, dbus-system-bus (= 1.16), x11 ( = 2 )").unwrap();
    let versions: Vec<_> = provided
        .iter()
        .map(|(name, version)| (name.as_str(), version.as_ref().map(|v| v.as_str())))
        .collect();
    assert_eq!(
        versions,
        [("awk", None), ("dbus-system-bus", Some("1.16")), ("x11", Some("2"))]
    );
    assert_eq!(
        parse_provides("aa, bb (>= 1)").unwrap_err(),
        RelationError::ProvidesOperator { offset: 4 }
    );
}

#[test]
fn errors_say_at_which_byte_and_what() {
    let failed = |value: &str| parse_dependencies(value).unwrap_err().to_string();
    assert_eq!(failed("aa, B"), "byte 4: `B` is no package name");
    assert_eq!(failed("aa | "), "byte 4: `` is no package name");
    assert_eq!(failed("aa (1.0)"), "byte 3: `(1.0)` is no version constraint");
    assert_eq!(failed("aa (>= 1.0"), "byte 3: `(>= 1.0` is no version constraint");
    assert_eq!(failed("aa (>= )"), "byte 3: a version constraint cannot be read");
    assert_eq!(
        failed("aa (>= 1) bb"),
        "byte 9: ` bb` does not belong into a relation of binary packages"
    );
    assert_eq!(
        failed("aa [amd64]"),
        "byte 3: `[amd64]` does not belong into a relation of binary packages"
    );
    assert_eq!(
        failed("aa <!nocheck>"),
        "byte 3: `<!nocheck>` does not belong into a relation of binary packages"
    );
    assert_eq!(failed("${misc:Depends}"), "byte 0: `${misc` is no package name");
    assert_eq!(
        parse_relations("aa, bb | cc").unwrap_err(),
        RelationError::Alternatives { offset: 7 }
    );
}

proptest! {
    #[test]
    fn any_value_is_read_or_refused(value in "[ -~é\n]{0,60}") {
        let _ = parse_dependencies(&value);
        let _ = parse_relations(&value);
        let _ = parse_provides(&value);
    }

    #[test]
    fn what_is_printed_reads_the_same(
        value in "[a-z][a-z0-9+.-]{1,6}(:any|:amd64)?( ?\\((<<|<=|=|>=|>>) ?[0-9][0-9.~+]{0,4}\\))?( ?\\| ?[a-z][a-z0-9]{1,4})?"
    ) {
        let read = parse_dependencies(&value).unwrap();
        let printed: Vec<_> = read.iter().map(Dependency::to_string).collect();
        prop_assert_eq!(parse_dependencies(&printed.join(", ")).unwrap(), read);
    }
}
