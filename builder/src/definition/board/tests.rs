use std::fs;
use std::path::PathBuf;

use super::*;
use crate::direct_boot;
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

const DIRECT: &str = "\"a/vmlinuz\" = \"kernel\"\n\"a/initrd\" = \"initrd\"\n\"a/cmdline.txt\" = \"command-line\"\n";

#[test]
fn a_board_whose_firmware_starts_linux_itself_says_where_it_finds_it() {
    let board = Project::new(&format!("{ROCK}{DIRECT}")).load("rock").unwrap();
    let expected = DirectBoot {
        kernel: "a/vmlinuz",
        initrd: "a/initrd",
        command_line: "a/cmdline.txt",
    };
    assert_eq!(board.direct_boot(), Some(expected));
    assert_eq!(Project::new(ROCK).load("rock").unwrap().direct_boot(), None);
}

#[test]
fn a_board_with_a_part_of_linux_or_one_of_them_twice_is_refused_by_name() {
    let cases = [
        ("\"a/initrd\" = \"initrd\"\n", "", "`files` has no `initrd`"),
        (
            "\"a/vmlinuz\" = \"kernel\"\n\"a/initrd\" = \"initrd\"\n",
            "",
            "`files` has no `kernel` and no `initrd`",
        ),
        (
            "\"a/vmlinuz\" = \"kernel\"\n",
            "\"a/vmlinuz\" = \"kernel\"\n\"b/vmlinuz\" = \"kernel\"\n",
            "`files` has more than one `kernel`",
        ),
    ];
    for (right, wrong, expected) in cases {
        let error = error_of(&format!("{ROCK}{}", DIRECT.replace(right, wrong)));
        assert!(error.ends_with(expected), "{error}");
    }
    let error = error_of(&format!("{ROCK}{}", DIRECT.replace("\"kernel\"", "\"kernal\"")));
    assert!(error.contains("`kernal`"), "{error}");
}

/// The board of the project whose firmware starts Linux itself.
fn raspberry_pi_5() -> BoardSpec {
    let chooser = Chooser {
        path: &Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/image.toml"),
        architecture: Arch::Aarch64,
        non_free_firmware: false,
    };
    load("raspberry-pi-5", chooser).unwrap()
}

#[test]
fn the_settings_of_the_raspberry_pi_5_name_what_is_on_its_partition_and_nothing_else() {
    let board = raspberry_pi_5();
    let settings = |name: &str| match &board.files[name] {
        BoardFile::Text(text) => text.as_str(),
        other => panic!("{name} is {other:?}"),
    };
    let [paths, tried] = direct_boot::SETTINGS.map(|name| direct_boot::parse(settings(name)).unwrap());
    let direct = board.direct_boot().unwrap();
    assert_eq!(
        [paths.kernel.as_str(), &paths.initrd, &paths.command_line],
        [direct.kernel, direct.initrd, direct.command_line]
    );
    // The same names in the other slot, of which nothing is there yet: the firmware then starts the first one again.
    let in_slot_b = |path: &str| path.replacen("a/", "b/", 1);
    assert_eq!(
        [tried.kernel, tried.initrd, tried.command_line],
        [paths.kernel, paths.initrd, paths.command_line].map(|path| in_slot_b(&path))
    );
    assert!(board.files.keys().all(|path| !path.starts_with("b/")));
    // The prefix counts only where kernel and device tree are (Raspberry Pi documentation, `os_prefix`).
    for tree in ["bcm2712-rpi-5-b", "bcm2712-d-rpi-5-b", "bcm2712d0-rpi-5-b"] {
        let file = &board.files[&format!("a/{tree}.dtb")];
        assert!(matches!(file, BoardFile::DeviceTree(_)), "{tree}: {file:?}");
    }
}

#[test]
fn no_line_of_the_settings_is_longer_than_the_firmware_reads() {
    let board = raspberry_pi_5();
    for name in direct_boot::SETTINGS {
        let BoardFile::Text(text) = &board.files[name] else {
            panic!("{name} is no text");
        };
        assert!(text.lines().all(|line| line.len() <= 98), "{name}");
        // The firmware applies what stands below a filter to some models only.
        assert!(!text.contains('['), "{name}");
    }
}
