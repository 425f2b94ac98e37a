use std::fs;
use std::path::PathBuf;

use super::*;
use crate::failure::Diagnose as _;

const ROCK: &str = r#"
version = 1
title = "Rock"
architecture = "aarch64"
packages = ["u-boot-rockchip"]
first-partition = "16M"
loaders = [{ file = "usr/lib/u-boot/rock/idbloader.img", offset = "32K" }]
device-trees = ["rockchip/rock.dtb"]
[files]
"config.txt" = { text = "a=b\n" }
"#;

struct Project(tempfile::TempDir);

impl Project {
    fn new(board: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        fs::write(folder.path().join(FOLDER).join("rock.toml"), board).unwrap();
        Self(folder)
    }

    fn definition(&self) -> PathBuf {
        self.0.path().join("image.toml")
    }

    fn load(&self, name: &str) -> Result<BoardSpec, DefinitionError> {
        load(
            name,
            Chooser {
                path: &self.definition(),
                architecture: Arch::Aarch64,
                non_free_firmware: false,
            },
        )
    }
}

fn error_of(board: &str) -> String {
    Project::new(board).load("rock").unwrap_err().to_string()
}

#[test]
fn a_board_is_a_file_of_its_name() {
    let board = Project::new(ROCK).load("rock").unwrap();
    assert_eq!((board.name.as_str(), board.first_partition), ("rock", 16 << 20));
    assert_eq!(board.partition_table, TableKind::Gpt);
    assert_eq!(board.files["config.txt"], BoardFile::Text("a=b\n".to_owned()));
}

#[test]
fn a_wrong_name_lists_the_right_ones() {
    let error = Project::new(ROCK).load("rocky").unwrap_err();
    assert!(error.to_string().ends_with("there is no board `rocky`"), "{error}");
    assert_eq!(error.hints(), ["did you mean `rock`? boards are: rock"]);
    for name in ["../rock", "boards/rock", ""] {
        assert!(Project::new(ROCK).load(name).is_err(), "{name}");
    }
}

#[test]
fn what_a_board_gets_wrong_is_refused_with_its_place() {
    let places = [
        (
            "title = \"Rock\"",
            "titel = \"Rock\"",
            "rock.toml:3:1: unknown key `titel`",
        ),
        (
            "version = 1",
            "version = 2",
            "`version = 2` is not known to this skerry",
        ),
        (
            "\"16M\"",
            "\"1000K\"",
            "`first-partition = \"1000K\"` is not a whole number",
        ),
        ("\"32K\"", "\"100\"", "at \"100\" is not between the partition table"),
        ("\"32K\"", "\"16M\"", "at \"16M\" is not between the partition table"),
    ];
    for (right, wrong, expected) in places {
        let error = error_of(&ROCK.replace(right, wrong));
        assert!(error.contains(expected), "{wrong}: {error}");
    }
}

#[test]
fn a_board_of_another_processor_and_one_without_the_consent_to_its_firmware_are_refused() {
    let error = error_of(&ROCK.replace("aarch64", "x86_64"));
    assert!(
        error.ends_with("board `rock` is for x86_64, the image for aarch64"),
        "{error}"
    );
    let error = Project::new(&format!("non-free-firmware = true\n{ROCK}"))
        .load("rock")
        .unwrap_err();
    assert!(error.hints()[0].starts_with("`non-free-firmware = true`"), "{error}");
}
