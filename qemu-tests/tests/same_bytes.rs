//! The same lock gives the same bytes, whoever builds, wherever, however.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: a skip is printed, a surprise is a failure"
)]

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use skerry_builder::arch::Arch;
use skerry_qemu_tests::image::{Image, has_programs_for, locked_images, repository, skerry, work_folder};

/// Digest of each artifact, as SHA256SUMS has them.
fn sums(folder: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let pair = |line: &str| {
        line.split_once("  ")
            .map(|(sum, file)| (file.to_owned(), sum.to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

fn copy_tree(from: &Path, to: &Path, owner: u32) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_tree(&path, &target, owner),
            false => drop(std::fs::copy(&path, &target).unwrap()),
        }
        std::os::unix::fs::chown(&target, Some(owner), Some(owner)).unwrap();
    }
    std::os::unix::fs::chown(to, Some(owner), Some(owner)).unwrap();
}

/// The cache that this user's builds fill.
fn cache() -> std::path::PathBuf {
    skerry_builder::env::default_cache_dir().map_or_else(
        || unreachable!("HOME is set"),
        |usual| std::env::var_os("SKERRY_CACHE_DIR").map_or(usual, Into::into),
    )
}

/// `nobody` on Debian.
const NOBODY: u32 = 65_534;

#[test]
fn another_user_folder_time_zone_umask_locale_and_thread_count_give_the_same_bytes() {
    another_user_builds_the_same(Image::edge());
}

#[test]
fn so_they_do_for_all_images_of_a_processor_that_this_machine_does_not_have() {
    if !has_programs_for(Arch::Aarch64) {
        return;
    }
    for name in locked_images(Arch::Aarch64) {
        println!("{name}");
        let image = Image::build(&repository(), &name, &work_folder(&format!("image-{name}")));
        another_user_builds_the_same(&image);
    }
}

fn another_user_builds_the_same(image: &Image) {
    let reference = sums(&image.folder);
    assert!(reference.len() >= 5, "{reference:?}");
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can build as another user");
        return;
    }
    let folder = format!("skerry-other-user-{}-{}", image.name, std::process::id());
    let folder = std::env::temp_dir().join(folder);
    for part in ["images", "overlays"] {
        copy_tree(&repository().join(part), &folder.join("project").join(part), NOBODY);
    }
    for shelf in ["inputs", "components"] {
        copy_tree(&cache().join(shelf), &folder.join("cache").join(shelf), NOBODY);
    }
    copy_tree(&skerry().parent().unwrap().join(".."), &folder.join("dist"), NOBODY);
    std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
    std::os::unix::fs::chown(folder.join("project"), Some(NOBODY), Some(NOBODY)).unwrap();
    std::os::unix::fs::chown(folder.join("cache"), Some(NOBODY), Some(NOBODY)).unwrap();
    for threads in ["1", "2"] {
        let out = folder.join(format!("out-{threads}"));
        let mut command = Command::new("sh");
        // Without capabilities and in a session that may make no namespace, a chroot or a mount would fail.
        command
            .args(["-c", "umask 0077; exec \"$0\" \"$@\""])
            .arg(folder.join("dist/bin/skerry"));
        command.args([
            "build",
            &image.name,
            "--locked",
            "--offline",
            "--no-block-cache",
            "--threads",
            threads,
        ]);
        command
            .arg("--out")
            .arg(&out)
            .current_dir(folder.join("project"))
            .uid(NOBODY)
            .gid(NOBODY);
        command
            .env("SKERRY_CACHE_DIR", folder.join("cache"))
            .env("HOME", &folder);
        command.envs([
            ("TZ", "Pacific/Kiritimati"),
            ("LANG", "tr_TR.UTF-8"),
            ("LC_ALL", "tr_TR.UTF-8"),
        ]);
        let outcome = command.output().unwrap();
        assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
        assert_eq!(sums(&out), reference, "built with {threads} threads");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn no_artifact_names_the_folder_it_was_built_in() {
    let image = Image::edge();
    let folder = repository();
    let needle = folder.to_str().unwrap().as_bytes();
    for ending in ["efi", "root", "spdx.json", "cdx.json"] {
        let bytes = std::fs::read(image.artifact(ending)).unwrap();
        assert!(!bytes.windows(needle.len()).any(|window| window == needle), "{ending}");
    }
}

#[test]
fn a_second_build_is_served_from_what_is_there() {
    let image = Image::edge();
    let before = std::fs::metadata(image.artifact("raw")).unwrap().modified().unwrap();
    let again = Image::build(&repository(), &image.name, &image.folder);
    assert_eq!(
        std::fs::metadata(again.artifact("raw")).unwrap().modified().unwrap(),
        before
    );
}
