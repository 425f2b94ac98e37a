//! What `skerry init` writes: a commented definition and the files that it is based on.

use std::path::{Path, PathBuf};

/// A file that every image needs, compiled into the tool, so that it works in an empty folder.
macro_rules! kept {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../", $path)))),*]
    };
}

/// The files that the starter is based on: path below the project folder, content.
const KEPT: &[(&str, &str)] = kept![
    "images/common.toml",
    "images/definition.schema.json",
    "images/edge-aarch64.toml",
    "images/edge-x86_64.toml",
    "images/edge.toml",
    "images/keys/debian-archive-trixie.asc",
    "images/keys/debian-security-trixie.asc",
    "images/wifi.toml",
    "overlays/node/etc/containerd/config.toml",
    "overlays/node/opt/cni/bin/README",
    "overlays/node/usr/lib/modules-load.d/skerry.conf",
    "overlays/node/usr/lib/sysctl.d/50-skerry.conf",
    "overlays/node/usr/lib/systemd/journald.conf.d/10-skerry.conf",
    "overlays/node/usr/lib/systemd/network/80-dhcp.network",
    "overlays/node/usr/lib/systemd/networkd.conf.d/10-skerry.conf",
    "overlays/node/usr/lib/systemd/resolved.conf.d/10-skerry.conf",
    "overlays/node/usr/lib/systemd/system.conf.d/10-skerry.conf",
    "overlays/node/usr/lib/systemd/system/containerd.service",
    "overlays/node/usr/lib/systemd/system/dev-skerry-esp.device.d/10-skerry.conf",
    "overlays/node/usr/lib/systemd/system/dev-skerry-var.device.d/10-skerry.conf",
    "overlays/node/usr/lib/systemd/system/efi.mount",
    "overlays/node/usr/lib/systemd/system/emergency.service",
    "overlays/node/usr/lib/systemd/system/etc-cni-net.d.mount",
    "overlays/node/usr/lib/systemd/system/etc-kubernetes.mount",
    "overlays/node/usr/lib/systemd/system/kubelet.service",
    "overlays/node/usr/lib/systemd/system/opt-cni-bin.mount",
    "overlays/node/usr/lib/systemd/system/skerry-grow-disk.service",
    "overlays/node/usr/lib/systemd/system/skerry-machine-id.service",
    "overlays/node/usr/lib/systemd/system/skerry-node.service",
    "overlays/node/usr/lib/systemd/system/skerry-relay.service",
    "overlays/node/usr/lib/systemd/system/skerry-settings.service",
    "overlays/node/usr/lib/systemd/system/var.mount",
    "overlays/node/usr/lib/tmpfiles.d/skerry.conf",
    "overlays/wifi/usr/lib/systemd/network/81-wifi.network",
    "overlays/wifi/usr/lib/systemd/system/iwd.service.d/10-skerry.conf",
    "overlays/wifi/usr/lib/tmpfiles.d/skerry-wifi.conf",
];

/// Where the definition of image `name` is.
pub fn path(project: &Path, name: &str) -> PathBuf {
    project.join("images").join(format!("{name}.toml"))
}

/// Everything that image `name` needs: path below the project folder, content.
pub fn files(name: &str) -> impl Iterator<Item = (PathBuf, &'static str)> {
    let kept = KEPT.iter().map(|(path, text)| (PathBuf::from(path), *text));
    kept.chain([(path(Path::new(""), name), STARTER)])
}

const STARTER: &str = r##"#:schema ./definition.schema.json
# An image for 64-bit x86 machines. `skerry check` validates this page, `skerry build` makes the image.
version = 1

# Everything that is not said here comes from this file; lists are extended, single values replaced. For 64-bit ARM
# machines with UEFI it is "edge-aarch64.toml", and the architecture "aarch64". It may be a list: with
# "wifi.toml" beside it the image has Wi-Fi.
base = "edge-x86_64.toml"

architecture = "x86_64"

# Debian packages beside those of the base. What they depend on follows; what they recommend does not.
packages = []

# Folders below overlays/ whose files are laid over the packages.
# overlays = ["site"]

[kernel]
# More words for the kernel command line.
command-line = []

[units]
# Units to enable; all others stay disabled.
enable = []

# Container images that the image brings along, so that no node pulls them: an OCI archive or what `docker save` writes.
# Whoever changes the archive changes the digest; `sha256sum` prints it.
# [preload.app]
# file = "app.tar"
# sha256 = "…"
# reference = "registry.example/team/app:1.0"

# What kubelet reports as the node's operating system; some tools, such as KKP's node labeler, look for a name they know.
# [os-release]
# pretty-name = "Skerry shop (Debian 13)"

# [disk]
# Room for the root file system of this and every later version.
# slot-size = "256M"
"##;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_repository_that_an_image_needs_is_compiled_in() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = Vec::new();
        let mut folders = vec![project.join("overlays"), project.join("images/keys")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push(path.strip_prefix(&project).unwrap().to_str().unwrap().to_owned()),
                }
            }
        }
        let missing: Vec<_> = found
            .iter()
            .filter(|path| !KEPT.iter().any(|(kept, _)| kept == path))
            .collect();
        assert!(missing.is_empty(), "add to KEPT: {missing:?}");
    }

    #[test]
    fn the_starter_is_a_valid_definition_in_an_empty_folder() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files("mine") {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let spec = crate::definition::spec::load(&path(folder.path(), "mine")).unwrap();
        assert_eq!(spec.name, "mine");
    }
}
