//! Brings the images that lie in the root file system into containerd, so that no pod waits for a registry.
//!
//! In: an OCI image layout (image-spec 1.1, image-layout.md) whose index names each image by the annotation
//! `io.containerd.image.name`. Out: blobs in containerd's content store and images of CRI's namespace, pinned, so that
//! kubelet's garbage collection leaves them. Nothing is unpacked here: CRI does that when a container first needs the
//! image (containerd 2.3, internal/cri/opts/container.go: `WithNewSnapshot` unpacks what it does not find), through the
//! diff service, whose `sync_fs` is on.
//!
//! A second boot asks and writes nothing. Whatever somebody removed, blob or image, comes back. A power cut at any point
//! leaves blobs that are complete or absent, and images only after all their blobs.

mod content;
mod grpc;
mod images;
mod layout;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use grpc::CallError;
pub use layout::{Digest, LayoutError};

/// The image of each pod's sandbox; containerd's configuration names the same.
pub const PAUSE_IMAGE: &str = "skerry.local/pause:1";
/// Where the images lie in the root file system.
pub const LAYOUT: &str = "/usr/share/skerry/images";

/// CRI's namespace; in any other kubelet would not see the images.
const NAMESPACE: &str = "k8s.io";
/// The lease that holds blobs until the image that refers to them is there. Its name is fixed and it does not expire: on
/// a machine without a clock any date may be past, and then the garbage collector would take the blobs. If a power cut
/// leaves it, the next boot deletes it.
const LEASE: &str = "skerry-preload";

/// What became of the images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preloaded {
    /// Images that were brought in.
    pub imported: Vec<String>,
    /// Images that were complete already.
    pub present: Vec<String>,
}

/// Why the images could not be brought in.
#[derive(Debug, thiserror::Error)]
pub enum PreloadError {
    /// The layout cannot be read.
    #[error("the image's container images are not readable")]
    Layout(#[from] LayoutError),
    /// containerd does not do what it is asked to.
    #[error("containerd does not take the container images")]
    Call(#[from] CallError),
}

/// Brings all images of the layout in `folder` into the containerd behind `socket`. A layout that is not there holds no
/// image.
pub async fn preload(socket: &Path, folder: &Path) -> Result<Preloaded, PreloadError> {
    let mut outcome = Preloaded::default();
    let images = layout::read(folder)?;
    if images.is_empty() {
        return Ok(outcome);
    }
    let connection = grpc::Connection::open(socket, NAMESPACE).await?;
    let mut leased = None;
    for image in &images {
        let missing = content::missing(&connection, image).await?;
        if missing.is_empty() && images::is_current(&connection, image).await? {
            outcome.present.push(image.name.clone());
            continue;
        }
        let lease = match leased {
            Some(lease) => lease,
            None => images::take_lease(&connection, LEASE).await?,
        };
        leased = Some(lease);
        for blob in missing {
            content::write(&connection.under(LEASE), folder, blob).await?;
        }
        images::register(&connection.under(LEASE), image).await?;
        outcome.imported.push(image.name.clone());
    }
    if leased.is_some() {
        images::release_lease(&connection, LEASE).await?;
    }
    Ok(outcome)
}
