//! What can go wrong with what lasts of a join.

use std::io;
use std::path::PathBuf;

use super::pair::PairError;
use super::record::VERSION;

/// Why an identity cannot be read or kept. Nothing that was usable before is lost by any of these.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The disk.
    #[error("cannot {doing} {}", path.display())]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A later version of this program wrote it.
    #[error("{} has version {found}, and this system knows versions up to {VERSION}", path.display())]
    Newer {
        /// Where.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// What is to be kept has no form in a file.
    #[error("cannot write down what goes into {}", path.display())]
    Form {
        /// Where it was to go.
        path: PathBuf,
        /// Why.
        #[source]
        source: toml::ser::Error,
    },
    /// A certificate or key that cannot be used.
    #[error("the certificate cannot be used")]
    Pair(#[from] PairError),
    /// A certificate for another node.
    #[error("the certificate is for the node `{found}`, not for `{expected}`")]
    WrongNode {
        /// Who asked.
        expected: String,
        /// Who is in it.
        found: String,
    },
    /// There is no identity that this could be said of.
    #[error("the machine has not joined")]
    NotJoined,
    /// A token is erased only after it is certain that it is not needed any more.
    #[error("no call as this node has worked yet")]
    NotProven,
}

impl IdentityError {
    /// What a person can do about it; empty if only time helps.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Disk { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull => "free some space on /var",
                io::ErrorKind::ReadOnlyFilesystem => {
                    "/var can only be read: restart the machine so that it is checked, and replace the disk if it happens again"
                }
                _ => "restart the machine; if it happens again, replace the disk",
            },
            Self::Newer { .. } => "update the system, or wipe the identity and join anew",
            Self::Form { .. } => "correct the join file",
            Self::Pair(_) | Self::WrongNode { .. } => "look at who signs for the cluster",
            Self::NotJoined | Self::NotProven => "",
        }
    }
}
