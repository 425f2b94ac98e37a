use proptest::prelude::*;

use super::*;

const TWO: &str = "Package: a\nDepends: b,\n c,\n# not this\n\td\nEmpty:\n\n \t\n\npackage: b\nVersion:  1:2 \n";

fn all(text: &str) -> Result<Vec<Stanza<'_>>, Deb822Error> {
    stanzas(text).collect()
}

#[test]
fn stanzas_are_separated_by_any_number_of_blank_lines() {
    let stanzas = all(TWO).unwrap();
    assert_eq!(stanzas.len(), 2);
    assert_eq!(stanzas[0].get("Package"), Some("a"));
    assert_eq!(stanzas[0].get("Empty"), Some(""));
    assert_eq!(stanzas[1].place().line, 10);
    assert_eq!(stanzas[1].get("PACKAGE"), Some("b"));
    assert_eq!(stanzas[1].get("version"), Some("1:2"));
    assert_eq!(stanzas[1].get("Depends"), None);
}

#[test]
fn a_folded_value_keeps_its_lines_and_loses_its_comments() {
    let stanzas = all(TWO).unwrap();
    let field = stanzas[0].field("depends").unwrap();
    assert_eq!(field.lines().collect::<Vec<_>>(), ["b,", "c,", "d"]);
    assert_eq!(field.place, Place { line: 2, offset: 11 });
}

#[test]
fn no_text_and_blank_text_have_no_stanzas() {
    assert_eq!(all("").unwrap(), []);
    assert_eq!(all("\n\n  \n# comment\n").unwrap(), []);
}

#[test]
fn carriage_returns_before_newlines_do_not_matter() {
    let stanzas = all("A: 1\r\nB: 2\r\n\r\nA: 3\r\n").unwrap();
    assert_eq!(stanzas.len(), 2);
    assert_eq!(stanzas[0].get("B"), Some("2"));
}

#[test]
fn errors_name_the_line_and_the_byte() {
    let failed = |text| all(text).unwrap_err().to_string();
    assert_eq!(failed("A: 1\nhello\n"), "line 2 (byte 5): no colon in `hello`");
    assert_eq!(failed("A: 1\nb c: 2\n"), "line 2 (byte 5): `b c` is no field name");
    assert_eq!(failed(": 2\n"), "line 1 (byte 0): `` is no field name");
    assert_eq!(
        failed("-----BEGIN:\n"),
        "line 1 (byte 0): `-----BEGIN` is no field name"
    );
    assert_eq!(
        failed("\n x\n"),
        "line 2 (byte 1): a continuation line without a field before it"
    );
    assert_eq!(
        failed("A: 1\nB: 2\na: 3\n"),
        "line 3 (byte 10): field `a` for the second time in one stanza"
    );
}

#[test]
fn a_stanza_of_endless_fields_is_refused() {
    let text: String = (0..1000).map(|number| format!("F{number}: x\n")).collect();
    assert!(matches!(
        all(&text),
        Err(Deb822Error::TooManyFields {
            place: Place { line: 257, .. }
        })
    ));
}

#[test]
fn nothing_is_read_behind_an_error() {
    let mut iterator = stanzas("bad\n\nA: 1\n");
    assert!(iterator.next().unwrap().is_err());
    assert!(iterator.next().is_none());
}

#[test]
fn a_field_that_has_to_be_there_is_named_when_it_is_not() {
    let stanzas = all("\nA: 1\n").unwrap();
    assert_eq!(stanzas[0].require("A").unwrap(), "1");
    let error = stanzas[0].require("Version").unwrap_err();
    assert_eq!(error.to_string(), "line 2 (byte 1): the stanza has no field `Version`");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\n\t\r#:é]{0,200}") {
        let _ = all(&text);
    }

    #[test]
    fn what_was_written_is_read_back(
        fields in prop::collection::btree_map("[A-Z][a-z0-9-]{0,8}", "[!-~]{0,6}( [!-~]{1,6}){0,3}", 1..8)
    ) {
        let text: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let stanzas = all(&text).unwrap();
        let read: Vec<_> = stanzas[0].fields().iter().map(|field| (field.name.to_owned(), field.value.to_owned())).collect();
        let written: Vec<_> = fields.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect();
        prop_assert_eq!(read, written);
    }
}
