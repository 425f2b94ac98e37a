//! Skerry's own programs for the image: they lie beside the tool.

use std::path::PathBuf;

use crate::arch::Arch;
use crate::failure::{Failure, FailureKind};
use crate::tree::FileData;

/// The programs for one architecture.
#[derive(Debug)]
pub struct Programs {
    /// `skerry-init`, PID 1 of the initrd.
    pub init: FileData,
    /// `skerry-node`, the agent in the root file system.
    pub node: FileData,
    /// `skerry-pause`, PID 1 of each pod's sandbox.
    pub pause: FileData,
}

impl Programs {
    /// Finds them: in `SKERRY_PROGRAMS`, or in `../lib/skerry` from the tool; below a folder for the architecture.
    pub fn find(arch: Arch) -> Result<Self, Failure> {
        let named = std::env::var_os("SKERRY_PROGRAMS").map(PathBuf::from);
        let tool = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok());
        let beside = tool.and_then(|path| Some(path.parent()?.parent()?.join("lib/skerry")));
        let folder = named.or(beside).unwrap_or_default().join(arch.names().kernel);
        let load = |name: &str| {
            let path = folder.join(name);
            FileData::from_host_file(&path).map_err(|error| {
                let message = format!("cannot read {}: {error}", path.display());
                Failure::new(FailureKind::Request, message)
                    .hint("`./just build` leaves the tool and its programs together in target/dist")
                    .hint("or name the folder that holds them by architecture with `SKERRY_PROGRAMS`")
            })
        };
        Ok(Self {
            init: load("skerry-init")?,
            node: load("skerry-node")?,
            pause: load("skerry-pause")?,
        })
    }
}
