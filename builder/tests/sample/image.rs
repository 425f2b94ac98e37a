//! A small image with all that a real one has: packages, units, sockets, keys, odd files; and a build's folder around it.
//! Both the unit tests and the tests in this folder use it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use skerry_builder::arch::Arch;
use skerry_builder::artifacts::manifest::{self, Manifest, ManifestLoader, ManifestPartition, PackageSize};
use skerry_builder::artifacts::{self, Artifact, ArtifactKind, CompressInput, sums};
use skerry_builder::digest::Sha256;
use skerry_builder::disk::{self, DiskInput, DiskLayout, Loader, SlotInput, TableKind};
use skerry_builder::fat::{self, FatData, FatFile};
use skerry_builder::rootfs::contents::{self, Versions};
use skerry_builder::squashfs::{self, FileRange, NoCache, Settings};
use skerry_builder::tree::{Content, FileData, Node, Origin, Stat, Tree, TreePath};
use skerry_builder::verity;

const MIB: u64 = 1 << 20;
/// 2025-06-07T08:09:10Z.
pub const TIMESTAMP: u32 = 1_749_283_750;

/// By what an image starts.
pub enum Start {
    /// By systemd-boot and a unified kernel image.
    BootLoader,
    /// By firmware that starts Linux itself: the settings are those of a Raspberry Pi.
    Firmware,
}

/// What an image is made of.
pub struct Sample {
    pub version: &'static str,
    pub kernel: &'static str,
    /// Behind the root hash on the kernel command line.
    pub words: &'static str,
    /// By what it starts.
    pub start: Start,
    /// The kind of partition table.
    pub table: TableKind,
    /// Boot loaders outside of partitions.
    pub loaders: Vec<Loader>,
    pub tree: Tree,
    pub versions: Versions,
}

/// Where an image was written.
pub struct Written {
    pub raw: PathBuf,
    pub zst: PathBuf,
    pub root_hash: Sha256,
    /// Where root and verity begin on the disk.
    pub root_offset: u64,
    pub verity_offset: u64,
}

pub fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

/// Puts a node that `package` brings into the tree, in place of what was there.
pub fn put(tree: &mut Tree, package: &str, name: &str, content: Content, stat: Stat) {
    let origin = Origin::Package(package.into());
    tree.replace(path(name), Node { stat, content, origin }).unwrap();
}

pub fn file(bytes: impl Into<Vec<u8>>) -> Content {
    Content::File(FileData::from_bytes(bytes.into()))
}

pub fn link(target: &str) -> Content {
    Content::Symlink(target.to_owned())
}

/// Text whose lines differ, so that it shrinks to about a third.
pub fn text(lines: usize, salt: usize) -> Vec<u8> {
    (0..lines)
        .flat_map(|line| format!("line {line} of {salt}: {}\n", line * line + salt * 7919).into_bytes())
        .collect()
}

/// Version 2 of `security.capability`: cap_net_raw, effective.
pub const CAPABILITY: &[u8] = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";

impl Sample {
    pub fn new() -> Self {
        let mut tree = Tree::new();
        put_files(&mut tree);
        put_units(&mut tree);
        let versions = [("base", "1.0-1"), ("containerd", "2.3.7"), ("systemd", "257.9-1")];
        Self {
            version: "1.0",
            kernel: "6.12.0-1-amd64",
            words: "quiet",
            start: Start::BootLoader,
            table: TableKind::Gpt,
            loaders: Vec::new(),
            tree,
            versions: versions
                .map(|(name, version)| (name.to_owned(), version.to_owned()))
                .into(),
        }
    }

    /// Writes the image as a build does: raw, compressed, manifest and sums.
    pub fn write(&self, folder: &Path) -> Written {
        let mut tree = self.tree.clone();
        contents::apply(&mut tree, &self.versions).unwrap();
        let root = folder.join("edge.root");
        let settings = Settings {
            block_size: 16_384,
            level: 3,
            timestamp: TIMESTAMP,
        };
        squashfs::write(&tree, &settings, &NoCache, &mut File::create(&root).unwrap()).unwrap();
        self.write_around(folder, &root)
    }

    /// The same around a root file system that is there already.
    pub fn write_around(&self, folder: &Path, root: &Path) -> Written {
        let data = File::options().read(true).write(true).open(root).unwrap();
        let len_bytes = data
            .metadata()
            .unwrap()
            .len()
            .next_multiple_of(verity::BLOCK_LEN as u64);
        data.set_len(len_bytes).unwrap();
        let verity = folder.join("edge.verity");
        let mut out = File::create(&verity).unwrap();
        let hashed = verity::build(&FileRange::whole(&data).unwrap(), [7; 32], [9; 16], &mut out).unwrap();
        let root_hash = Sha256::from_bytes(*hashed.root_hash.as_bytes());
        let layout = self.layout(root_hash, (root, len_bytes), (&verity, hashed.len_bytes));
        let (raw, zst) = (folder.join("edge.raw"), folder.join("edge.raw.zst"));
        disk::write(&layout, &raw).unwrap();
        self.write_manifest(folder, &layout, root_hash);
        Written {
            raw,
            zst,
            root_hash,
            root_offset: layout.partitions[1].offset(),
            verity_offset: layout.partitions[2].offset(),
        }
    }

    fn layout(&self, root_hash: Sha256, root: (&Path, u64), verity: (&Path, u64)) -> DiskLayout {
        let files = self.boot_files(root_hash).into_iter();
        let files = files.map(|(path, bytes)| FatFile {
            path,
            data: FatData::Bytes(bytes),
        });
        let slot = |(path, len_bytes): (&Path, u64)| SlotInput {
            path: path.to_owned(),
            len_bytes,
            slot_bytes: 4 * MIB,
        };
        DiskLayout::plan(DiskInput {
            arch: Arch::X86_64,
            seed: Sha256::of(b"seed"),
            label: format!("edge_{}", self.version),
            esp: fat::plan(files.collect(), 36 * MIB, "ESP", 1, TIMESTAMP.into()).unwrap(),
            root: slot(root),
            verity: slot(verity),
            root_hash,
            table: self.table,
            first_partition: MIB,
            loaders: self.loaders.clone(),
        })
        .unwrap()
    }

    /// The files of the first partition, by path.
    fn boot_files(&self, root_hash: Sha256) -> Vec<(String, Vec<u8>)> {
        let command_line = format!("roothash={root_hash} {}\n", self.words);
        match self.start {
            Start::BootLoader => {
                let os_release = format!("ID=skerry\nPRETTY_NAME=\"Skerry edge {}\"\n", self.version);
                let sections = [
                    (".osrel", os_release.as_str()),
                    (".uname", self.kernel),
                    (".cmdline", &command_line),
                ];
                let loader = [(".sdmagic", "#### LoaderInfo: systemd-boot 257.9 ####")];
                vec![
                    ("EFI/BOOT/BOOTX64.EFI".to_owned(), pe_file(&loader)),
                    (format!("EFI/Linux/edge_{}+3.efi", self.version), pe_file(&sections)),
                    (
                        "loader/loader.conf".to_owned(),
                        b"timeout 0\n# no\neditor no\n".to_vec(),
                    ),
                ]
            }
            Start::Firmware => {
                let settings = |slot| format!("os_prefix={slot}/\nkernel=vmlinuz\ninitramfs initrd followkernel\n");
                let kernel = format!("MZ Linux version {} (somebody@example)", self.kernel);
                let files = [
                    ("config.txt", settings("a")),
                    ("tryboot.txt", settings("b")),
                    ("a/vmlinuz", kernel),
                    ("a/initrd", "initrd".to_owned()),
                    ("a/cmdline.txt", command_line),
                    ("a/board.dtb", "device tree".to_owned()),
                ];
                files.map(|(path, text)| (path.to_owned(), text.into_bytes())).into()
            }
        }
    }

    fn write_manifest(&self, folder: &Path, layout: &DiskLayout, root_hash: Sha256) {
        let ranges = layout.ranges();
        let (raw, zst) = (folder.join("edge.raw"), folder.join("edge.raw.zst"));
        let input = CompressInput {
            raw: &raw,
            zst: &zst,
            ranges: &ranges,
        };
        let compressed = artifacts::compress(&input).unwrap();
        let artifact = |kind, file: &str, digest: artifacts::FileDigest| Artifact {
            kind,
            file: file.to_owned(),
            len_bytes: digest.len_bytes,
            sha256: digest.sha256,
        };
        let manifest = Manifest {
            version: manifest::VERSION,
            image: "edge".to_owned(),
            image_version: self.version.to_owned(),
            arch: Arch::X86_64,
            timestamp: TIMESTAMP.into(),
            root_hash,
            kernel: self.kernel.to_owned(),
            command_line: format!("roothash={root_hash} {}", self.words),
            artifacts: vec![
                artifact(ArtifactKind::Raw, "edge.raw", compressed.raw),
                artifact(ArtifactKind::RawZst, "edge.raw.zst", compressed.zst),
            ],
            board: None,
            loaders: ManifestLoader::list(&layout.loaders),
            partitions: ManifestPartition::list(&layout.partitions),
            ranges: compressed.ranges,
            packages: vec![PackageSize {
                name: "from-the-manifest".to_owned(),
                version: "1.0-1".to_owned(),
                installed_bytes: 1_000,
            }],
        };
        let text = manifest.to_json();
        fs::write(folder.join(manifest::FILE_NAME), &text).unwrap();
        let rows = [
            ("edge.raw", compressed.raw.sha256),
            ("edge.raw.zst", compressed.zst.sha256),
            (manifest::FILE_NAME, Sha256::of(text.as_bytes())),
        ];
        fs::write(folder.join("SHA256SUMS"), sums::to_text(rows)).unwrap();
    }
}

fn put_files(tree: &mut Tree) {
    let plain = Stat::root(0o644);
    put(tree, "base", "usr/bin/large", file(text(20_000, 1)), Stat::root(0o755));
    put(tree, "base", "usr/bin/copy", file(text(20_000, 1)), plain.clone());
    put(tree, "base", "usr/lib/small", file("small"), plain.clone());
    let hard_link = Content::HardLink(path("usr/bin/large"));
    put(tree, "base", "usr/bin/name", hard_link, Stat::root(0o755));
    let capable = Stat {
        xattrs: [("security.capability".to_owned(), CAPABILITY.to_vec())].into(),
        ..Stat::root(0o755)
    };
    put(tree, "base", "usr/bin/ping", file(text(300, 2)), capable);
    put(tree, "base", "usr/share/odd \u{fc} name", file("odd"), plain.clone());
    put(tree, "base", "usr/share/two  spaces ", file("odd"), plain.clone());
    let null = Content::CharDevice { major: 1, minor: 3 };
    put(tree, "base", "dev/null", null, Stat::root(0o666));
    put(tree, "base", "run/pipe", Content::Fifo, Stat::root(0o600));
    let bundle = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".repeat(3);
    put(
        tree,
        "base",
        "etc/ssl/certs/ca-certificates.crt",
        file(bundle),
        plain.clone(),
    );
    put(tree, "base", "usr/lib/verity.d/vendor.crt", file("x"), plain);
}

fn put_units(tree: &mut Tree) {
    let plain = Stat::root(0o644);
    let units = [
        (
            "containerd",
            "containerd.service",
            "[Service]\nExecStart=/usr/bin/containerd\n",
        ),
        (
            "systemd",
            "dbus.socket",
            "[Socket]\nListenStream=/run/dbus/system_bus_socket\n",
        ),
        (
            "systemd",
            "web.socket",
            "[Socket]\nListenStream=8080\nListenStream=127.0.0.1:9\n",
        ),
        ("systemd", "kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet\n"),
    ];
    for (package, name, text) in units {
        let place = format!("usr/lib/systemd/system/{name}");
        put(tree, package, &place, file(text), plain.clone());
    }
    let links = [
        (
            "etc/systemd/system/multi-user.target.wants/containerd.service",
            "/usr/lib/systemd/system/containerd.service",
        ),
        (
            "etc/systemd/system/sockets.target.wants/web.socket",
            "/usr/lib/systemd/system/web.socket",
        ),
        (
            "usr/lib/systemd/system/sockets.target.wants/dbus.socket",
            "../dbus.socket",
        ),
        ("etc/systemd/system/getty@.service", "/dev/null"),
        (
            "etc/systemd/system/default.target",
            "/usr/lib/systemd/system/multi-user.target",
        ),
    ];
    for (place, target) in links {
        put(tree, "systemd", place, link(target), Stat::root(0o777));
    }
    let drop_in = "[Socket]\nListenStream=\nListenStream=10.0.0.1:443\nListenDatagram=53\n";
    put(
        tree,
        "systemd",
        "etc/systemd/system/web.socket.d/10.conf",
        file(drop_in),
        plain,
    );
}

/// A PE file with sections as a UKI has them, each padded to 512 bytes.
pub fn pe_file(sections: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x80;
    bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
    bytes[0x86] = sections.len() as u8;
    bytes[0x94] = 16; // an optional header of that size
    for ((name, content), at) in sections.iter().zip((0x80 + 24 + 16..).step_by(40)) {
        let offset = bytes.len() as u32;
        bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
        bytes[at + 8..at + 12].copy_from_slice(&(content.len() as u32).to_le_bytes());
        bytes[at + 16..at + 20].copy_from_slice(&512_u32.to_le_bytes());
        bytes[at + 20..at + 24].copy_from_slice(&offset.to_le_bytes());
        bytes.extend(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes
}
