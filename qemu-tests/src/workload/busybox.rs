//! Debian's static busybox: this machine's own, or the archive's for other architectures.

use std::fs::File;

use skerry_builder::arch::Arch;
use skerry_builder::squashfs::FileRange;
use skerry_builder::squashfs::read::{self, EntryContent};

use crate::image::{Image, Project, edge_name};

/// Where the package `busybox-static` has it.
const INSTALLED: &str = "/bin/busybox";
/// Where it is in an image.
const IN_IMAGE: &str = "usr/bin/busybox";
/// It is 2 MB long.
const MAX_BYTES: u64 = 16 << 20;

/// The program for machines of this architecture.
pub fn program(arch: Arch) -> Vec<u8> {
    match arch.names().kernel == std::env::consts::ARCH {
        true => std::fs::read(INSTALLED).expect("busybox is installed (package busybox-static)"),
        false => from_archive(arch),
    }
}

/// Out of the root of an image with that package: `skerry lock` finds and verifies it, for whatever architecture.
fn from_archive(arch: Arch) -> Vec<u8> {
    let project = Project::copy(&format!("busybox-{arch}"));
    let base = edge_name(arch);
    let definition = format!("version = 1\nbase = \"{base}.toml\"\npackages = [\"busybox-static\"]\n");
    project.write("images/busybox.toml", definition);
    file(&project.build("busybox"), IN_IMAGE)
}

fn file(image: &Image, path: &str) -> Vec<u8> {
    let root = File::open(image.artifact("root")).expect("a built image has a root");
    let range = FileRange::whole(&root).expect("its length can be read");
    let root = read::Image::open(&range).expect("it is a squashfs");
    let entries = root.entries().expect("it is a squashfs");
    let found = entries.iter().find(|entry| entry.path.as_str() == Some(path));
    match found.map(|entry| &entry.content) {
        Some(EntryContent::File(file)) => root.read_file(file, MAX_BYTES).expect("it is a program"),
        other => panic!("{path} is no file of the image but {other:?}"),
    }
}
