//! The page that people read (`docs/joining.md`) says what the parser knows: no key more, none less, and its examples work.

use std::collections::{BTreeMap, BTreeSet};

use super::super::section::asked;
use super::*;

const PAGE: &str = include_str!("../../../../docs/joining.md");
/// Tables whose values stand in keys of their own; `node.labels` is a table of the user's keys.
const TABLES: [&str; 7] = ["node", "kubelet", "network", "wifi", "relay", "kkp", "registries"];

/// The examples, with a real certificate in place of the one that is left out.
fn examples() -> Vec<String> {
    let ca = authorities::tests::some_authority("example");
    let (_, body) = ca.split_once("-----\n").unwrap();
    let (body, _) = body.split_once("\n-----END").unwrap();
    let blocks = PAGE.split("```toml\n").skip(1);
    let blocks = blocks.map(|rest| {
        rest.split("```")
            .next()
            .unwrap()
            .replace("\n…\n", &format!("\n{body}\n"))
    });
    blocks.collect()
}

/// Rows of the reference: key, example.
fn rows() -> Vec<(&'static str, &'static str)> {
    let (_, rest) = PAGE.split_once("### Keys\n").unwrap();
    let (part, _) = rest.split_once("### Examples\n").unwrap();
    let cells = |line: &'static str| line.split(" | ").map(str::trim).collect::<Vec<_>>();
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `")).map(cells);
    rows.map(|cells| (cells[0].trim_end_matches('`'), cells[3])).collect()
}

/// The values of all examples by key.
fn values() -> BTreeMap<String, Vec<toml::Value>> {
    let mut values: BTreeMap<String, Vec<toml::Value>> = BTreeMap::new();
    for example in examples() {
        for (key, value) in toml::from_str::<toml::Table>(&example).unwrap() {
            let parts = match value {
                toml::Value::Table(table) if TABLES.contains(&key.as_str()) => vec![table],
                toml::Value::Array(list) if TABLES.contains(&key.as_str()) => {
                    list.into_iter().map(|item| item.as_table().unwrap().clone()).collect()
                }
                value => {
                    values.entry(key).or_default().push(value);
                    continue;
                }
            };
            for (name, value) in parts.into_iter().flatten() {
                values.entry(format!("{key}.{name}")).or_default().push(value);
            }
        }
    }
    values
}

#[test]
fn every_example_is_a_join_file_without_an_unknown_key() {
    let examples = examples();
    assert!(examples.len() >= 5, "{examples:?}");
    for example in examples {
        let parsed = parse_strict(example.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{example}"));
        assert_eq!(parsed.warnings, Vec::<String>::new());
    }
}

#[test]
fn the_page_names_every_key_that_the_parser_knows_and_no_other() {
    asked::take();
    examples()
        .iter()
        .for_each(|example| drop(parse_strict(example.as_bytes()).unwrap()));
    let mut known = asked::take();
    TABLES
        .iter()
        .for_each(|table| assert!(known.remove(*table), "no example has `{table}`"));
    let named: BTreeSet<String> = rows().into_iter().map(|(key, _)| key.to_owned()).collect();
    assert_eq!(named, known);
}

#[test]
fn every_row_has_an_example_that_stands_in_one_of_the_files() {
    let values = values();
    for (key, cell) in rows() {
        let used = values.get(key).unwrap_or_else(|| panic!("no file has `{key}`"));
        if cell == "below" {
            continue;
        }
        let text = format!("value = {}", cell.trim_matches('`'));
        let value = toml::from_str::<toml::Table>(&text).unwrap_or_else(|error| panic!("`{key}`: {error}"));
        assert!(used.contains(&value["value"]), "`{key}` is {used:?} in the files");
    }
}
