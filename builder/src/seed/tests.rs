use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use super::*;
use crate::digest::Sha256;
use crate::disk::{self, DiskInput, DiskLayout, SlotInput, TableKind};
use crate::failure::{Diagnose as _, FailureKind};
use crate::fat::{FatData, FatFile};
use crate::inspect;
use crate::sample_image::{Sample, Start};

const MIB: u64 = 1 << 20;
const PIN: &str = "sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3";
const SECRET: &str = "0123456789abcdef";

fn own(id: &str) -> Vec<u8> {
    format!(
        "version = 1\nendpoints = [\"https://cp.example:6443\"]\ntoken = \"{id}.{SECRET}\"\nca-pins = [\"{PIN}\"]\n"
    )
    .into_bytes()
}

fn kubeadm(id: &str) -> Vec<u8> {
    format!("kubeadm join cp.example:6443 --token {id}.{SECRET} --discovery-token-ca-cert-hash {PIN}\n").into_bytes()
}

/// A disk image such as a build writes, with nothing in its root.
fn image(folder: &Path, esp_files: Vec<(&str, Vec<u8>)>) -> PathBuf {
    let slot = |name: &str| {
        let path = folder.join(name);
        std::fs::write(&path, vec![0x5a; 40_000]).unwrap();
        SlotInput {
            path,
            len_bytes: 40_000,
            slot_bytes: MIB,
        }
    };
    let file = |(path, content): (&str, Vec<u8>)| FatFile {
        path: path.to_owned(),
        data: FatData::Bytes(content),
    };
    let files = esp_files.into_iter().map(file).collect();
    let layout = DiskLayout::plan(DiskInput {
        arch: Arch::X86_64,
        seed: Sha256::of(b"seed"),
        label: "edge_1".to_owned(),
        esp: crate::fat::plan(files, 36 * MIB, "ESP", 1, 1_749_283_750).unwrap(),
        root: slot("root"),
        verity: slot("verity"),
        root_hash: Sha256::of(b"root hash"),
        table: TableKind::Gpt,
        first_partition: MIB,
        loaders: Vec::new(),
    })
    .unwrap();
    let path = folder.join("edge.raw");
    disk::write(&layout, &path).unwrap();
    path
}

fn ours(folder: &Path) -> PathBuf {
    image(folder, vec![("EFI/Linux/edge_1+3.efi", vec![7; 100_000])])
}

fn on_esp(path: &Path) -> Vec<(String, u64)> {
    let inspection = inspect::inspect(path).unwrap();
    let files = inspection.esp_files.into_iter();
    files.map(|file| (file.path, file.len_bytes)).collect()
}

fn put(path: &Path, bytes: &[u8]) -> Seeded {
    seed(path, Change::Put(&check_join_file(bytes).unwrap())).unwrap()
}

#[test]
fn an_image_has_one_join_file_whatever_forms_it_was_seeded_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = ours(folder.path());
    let before = std::fs::read(&path).unwrap();
    let uki = ("EFI/Linux/edge_1+3.efi".to_owned(), 100_000);
    let seeded = |updated, others| Seeded { updated, others };
    let steps = [
        (own("abcdef"), "join.toml", seeded(Updated::Added, 0)),
        (own("abcdef"), "join.toml", seeded(Updated::Unchanged, 0)),
        (kubeadm("fedcba"), "join.txt", seeded(Updated::Added, 1)),
        (kubeadm("abcdef"), "join.txt", seeded(Updated::Replaced, 0)),
    ];
    for (bytes, name, expected) in steps {
        assert_eq!(put(&path, &bytes), expected);
        assert_eq!(on_esp(&path), [uki.clone(), (name.to_owned(), bytes.len() as u64)]);
    }
    let removed = seed(&path, Change::Remove).unwrap();
    assert_eq!(removed, seeded(Updated::Removed, 0));
    assert_eq!(seed(&path, Change::Remove).unwrap().updated, Updated::Unchanged);
    assert_eq!(on_esp(&path), [uki]);
    let after = std::fs::read(&path).unwrap();
    assert!(!after.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    // Everything but the EFI system partition is as it was.
    let esp = inspect::inspect(&path).unwrap().partitions[0].clone();
    let (start, end) = (esp.offset as usize, (esp.offset + esp.len_bytes) as usize);
    assert!(before[..start] == after[..start] && before[end..] == after[end..]);
}

#[test]
fn what_is_said_of_a_join_file_is_never_its_secret() {
    for bytes in [own("abcdef"), kubeadm("abcdef")] {
        let file = check_join_file(&bytes).unwrap();
        let said = format!("{file} {file:?} {:?}", file.warnings());
        assert!(
            said.contains("token abcdef for https://cp.example:6443, 1 pinned authority"),
            "{said}"
        );
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn a_join_file_with_a_mistake_is_refused_with_its_place_and_what_to_do() {
    let text = String::from_utf8(own("abcdef")).unwrap();
    let error = check_join_file(text.replace("ca-pins", "ca-pin").as_bytes()).unwrap_err();
    assert_eq!(error.hints(), ["did you mean `ca-pins`?"]);
    assert!(error.excerpt().unwrap().contains("ca-pin"));
    let said = format!("{error:?} {}", error.excerpt().unwrap());
    assert!(!said.contains(SECRET), "{said}");
}

#[test]
fn a_setting_that_only_the_machine_could_not_carry_out_is_refused_with_its_place_too() {
    let network = "[network]\naddresses = [\"2001:db8::10/64\"]\ngateways = [\"192.0.2.1\"]\n";
    let text = format!("{}{network}", String::from_utf8(own("abcdef")).unwrap());
    let error = check_join_file(text.as_bytes()).unwrap_err();
    assert!(
        error.excerpt().is_some_and(|excerpt| excerpt.contains("gateways = [")),
        "{error:?}"
    );
    assert_eq!(
        error.hints(),
        ["add the machine's own address to `addresses`, or leave the gateway to DHCP"]
    );
}

#[test]
fn what_is_no_image_of_ours_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = check_join_file(&own("abcdef")).unwrap();
    let refuse = |path: &Path| {
        let before = std::fs::read(path).ok();
        let error = seed(path, Change::Put(&file)).unwrap_err();
        assert_eq!(std::fs::read(path).ok(), before);
        assert_eq!(error.kind(), FailureKind::Request);
        error.to_string()
    };
    let other = image(folder.path(), vec![("EFI/BOOT/BOOTX64.EFI", vec![1])]);
    assert!(refuse(&other).contains("its EFI system partition has no folder EFI/Linux"));
    // Another system's card for a Raspberry Pi.
    let settings = b"kernel=vmlinuz\ninitramfs initrd followkernel\n".to_vec();
    let card = vec![
        ("config.txt", settings),
        ("cmdline.txt", b"root=PARTUUID=1-02 rootwait\n".to_vec()),
        ("vmlinuz", vec![1]),
        ("initrd", vec![2]),
    ];
    assert!(refuse(&image(folder.path(), card)).ends_with("no config.txt whose kernel is told a root hash"));
    assert!(refuse(folder.path()).ends_with("is neither a file nor a block device"));
    let text = folder.path().join("text");
    std::fs::write(&text, vec![b'x'; 4096]).unwrap();
    assert!(refuse(&text).ends_with("has no partition table"));
    let packed = folder.path().join("edge.raw.zst");
    std::fs::write(&packed, zstd::encode_all(&[0; 4096][..], 1).unwrap()).unwrap();
    assert!(refuse(&packed).ends_with("is compressed"));
    assert!(refuse(&folder.path().join("absent")).starts_with("cannot open"));
}

#[test]
fn an_image_grown_to_the_size_of_its_card_is_seeded() {
    let folder = tempfile::tempdir().unwrap();
    let path = ours(folder.path());
    let mut file = File::options().write(true).open(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    file.seek(SeekFrom::End(-512)).unwrap();
    file.write_all(&[0xff; 512]).unwrap();
    assert_eq!(put(&path, &own("abcdef")).updated, Updated::Added);
}

#[test]
fn a_board_with_an_mbr_takes_a_join_file_too_whatever_starts_linux_on_it() {
    for start in [Start::BootLoader, Start::Firmware] {
        let folder = tempfile::tempdir().unwrap();
        let mut sample = Sample::new();
        (sample.table, sample.start) = (TableKind::Mbr, start);
        let raw = sample.write(folder.path()).raw;
        assert!(put(&raw, &own("abcdef")).changed());
        let inspection = inspect::inspect(&raw).unwrap();
        assert!(inspection.esp_files.iter().any(|file| file.path == "join.toml"));
        assert!(inspection.failed_checks().next().is_none());
    }
}
