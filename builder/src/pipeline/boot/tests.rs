use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::arch::Arch;
use crate::definition::spec;
use crate::rootfs::assemble::BootFiles;
use crate::rootfs::board::BoardFiles;
use crate::tree::Tree;

const IMAGE: &str = "version = 1\narchitecture = \"aarch64\"\nboard = \"rock\"\nkernel.package = \"linux\"\n\
    [[archives]]\narchive = \"debian\"\nsuites = [\"trixie\"]\ncomponents = [\"main\"]\nkeys = \"k\"\nfingerprints = [\"0\"]\n";
const BOARD: &str =
    "version = 1\ntitle = \"Rock\"\narchitecture = \"aarch64\"\n[files]\n\"config.txt\" = { text = \"\" }\n";
const DIRECT: &str = "\"a/vmlinuz\" = \"kernel\"\n\"a/initrd\" = \"initrd\"\n\"a/cmdline.txt\" = \"command-line\"\n";

fn image(board: &str) -> ImageSpec {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("boards")).unwrap();
    fs::write(folder.path().join("boards/rock.toml"), board).unwrap();
    let path = folder.path().join("edge.toml");
    fs::write(&path, IMAGE).unwrap();
    spec::load(&path).unwrap()
}

fn data(bytes: &[u8]) -> FileData {
    FileData::from_bytes(bytes.to_vec())
}

fn kernel() -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x38..0x3c].copy_from_slice(b"ARM\x64");
    bytes
}

/// The files of the first partition: path, content.
fn files(spec: &ImageSpec, kernel: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let root = RootFs {
        tree: Tree::new(),
        boot: BootFiles {
            kernel_release: "7.3".to_owned(),
            kernel: data(kernel),
            stub: data(b"stub"),
            loader: data(b"systemd-boot"),
        },
        board: BoardFiles {
            files: [("config.txt".to_owned(), data(b"settings"))].into(),
            ..BoardFiles::default()
        },
        warnings: Vec::new(),
    };
    let uki = Uki {
        bytes: b"unified".to_vec(),
        initrd: b"initrd".to_vec(),
        command_line: "roothash=1 quiet".to_owned(),
    };
    let files = boot_files(&root, spec, "1", &uki)?.into_iter();
    let file = |file: FatFile| match file.data {
        FatData::Bytes(bytes) => (file.path, bytes),
        other => panic!("{} is {other:?}", file.path),
    };
    Ok(files.map(file).collect())
}

#[test]
fn firmware_that_starts_linux_itself_finds_its_parts_and_no_boot_loader() {
    let files = files(&image(&format!("{BOARD}{DIRECT}")), &kernel()).unwrap();
    let packed = kernel_image::for_firmware(Arch::Aarch64, kernel()).unwrap();
    let expected: [(&str, &[u8]); 4] = [
        ("a/cmdline.txt", b"roothash=1 quiet\n"),
        ("a/initrd", b"initrd"),
        ("a/vmlinuz", &packed),
        ("config.txt", b"settings"),
    ];
    let found: Vec<_> = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn without_such_firmware_a_boot_loader_starts_the_unified_kernel_image_whatever_the_kernel_is() {
    let files = files(&image(BOARD), b"MZ\0\0zimg").unwrap();
    let paths: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "EFI/BOOT/BOOTAA64.EFI",
            "EFI/Linux/edge_1+3.efi",
            "config.txt",
            "loader/loader.conf"
        ]
    );
}

#[test]
fn a_kernel_that_such_firmware_cannot_start_stops_the_build() {
    let failure = files(&image(&format!("{BOARD}{DIRECT}")), b"MZ\0\0zimg").unwrap_err();
    assert!(
        failure.chain[0].starts_with("the kernel is a compressed EFI program"),
        "{failure:?}"
    );
}
