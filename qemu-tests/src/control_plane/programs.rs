//! The programs of a control plane, built from the published Go modules and kept in the store of `skerry`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skerry_builder::arch::Arch;
use skerry_builder::component::{ComponentTable, Workshop, obtain};
use skerry_builder::env::default_cache_dir;
use skerry_builder::fetch::FetchOptions;
use skerry_builder::progress::Reporter;
use skerry_builder::store::Store;

/// What is built: see the file.
const TABLES: &str = include_str!("../../programs.toml");

/// Where the programs lie, by their name.
#[derive(Debug, Clone)]
pub struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// Takes them from the store, or builds them, which takes minutes; panics with what went wrong.
    pub fn obtain(reporter: &dyn Reporter) -> Self {
        let root = std::env::var_os("SKERRY_CACHE_DIR")
            .map(PathBuf::from)
            .or_else(default_cache_dir);
        let store = Store::open(&root.expect("there is a home folder")).expect("the store can be opened");
        let workshop = Workshop {
            store: &store,
            fetch: FetchOptions::default(),
            reporter,
            folder: Path::new("."),
        };
        let mut programs = BTreeMap::new();
        for (name, table) in tables() {
            let spec = table.validate(&name).expect("programs.toml is valid");
            let built = obtain(&spec, Arch::X86_64, None, &workshop);
            for file in built.unwrap_or_else(|error| panic!("{}", chain(&error))) {
                let name = file.path_in_image.trim_start_matches('/').to_owned();
                programs.insert(name, file.store_path);
            }
        }
        Self(programs)
    }

    /// The path of a program, such as `kubectl`.
    pub fn path(&self, name: &str) -> &Path {
        self.0.get(name).expect("programs.toml names every program")
    }
}

/// The release of Kubernetes, such as `v1.36.3`.
pub fn kubernetes_version() -> String {
    tables()["kubernetes"].version.clone()
}

fn tables() -> BTreeMap<String, ComponentTable> {
    toml::from_str(TABLES).expect("programs.toml is well formed")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("\n  caused by: {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_plane_is_of_the_release_of_the_images_kubelet() {
        #[derive(serde::Deserialize)]
        struct Definition {
            components: BTreeMap<String, ComponentTable>,
        }
        let text = include_str!("../../../images/common.toml");
        let images: Definition = toml::from_str(text).unwrap();
        let (kubelet, kubernetes) = (&images.components["kubelet"], &tables()["kubernetes"]);
        assert_eq!(kubelet.version, kubernetes.version);
        // With the same compiler the packages that both have are compiled once.
        assert_eq!(kubelet.toolchain, kubernetes.toolchain);
    }
}
