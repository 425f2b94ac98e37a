//! containerd's images and leases (api/services/{images,leases}/v1).
//!
//! Each image gets two names, as after a pull by CRI: its own, and its id, the digest of its configuration. Both carry
//! CRI's labels: `managed`, so that CRI lists it, and `pinned`, so that kubelet's garbage collection leaves it.

use std::collections::BTreeMap;

use prost::Message;

use super::grpc::{ALREADY_EXISTS, CallError, Connection, NOT_FOUND};
use super::layout::Image;

const GET: &str = "/containerd.services.images.v1.Images/Get";
const CREATE: &str = "/containerd.services.images.v1.Images/Create";
const UPDATE: &str = "/containerd.services.images.v1.Images/Update";
const LEASE_CREATE: &str = "/containerd.services.leases.v1.Leases/Create";
const LEASE_DELETE: &str = "/containerd.services.leases.v1.Leases/Delete";

/// CRI's labels (containerd 2.3, internal/cri/labels/labels.go).
const LABELS: [(&str, &str); 2] = [
    ("io.cri-containerd.image", "managed"),
    ("io.cri-containerd.pinned", "pinned"),
];

#[derive(Clone, PartialEq, Message)]
struct ImageMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(btree_map = "string, string", tag = "2")]
    labels: BTreeMap<String, String>,
    #[prost(message, optional, tag = "3")]
    target: Option<DescriptorMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct DescriptorMessage {
    #[prost(string, tag = "1")]
    media_type: String,
    #[prost(string, tag = "2")]
    digest: String,
    #[prost(int64, tag = "3")]
    size: i64,
}

#[derive(Clone, PartialEq, Message)]
struct GetRequest {
    #[prost(string, tag = "1")]
    name: String,
}

/// Request and response of Get, Create and Update: an image, and nothing else that is used here.
#[derive(Clone, PartialEq, Message)]
struct Wrapped {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct LeaseRequest {
    #[prost(string, tag = "1")]
    id: String,
}

/// A lease that was taken.
#[derive(Debug, Clone, Copy)]
pub struct Lease;

/// Whether containerd has `image` under both of its names, as it is in the layout.
pub async fn is_current(connection: &Connection, image: &Image) -> Result<bool, CallError> {
    for wanted in messages(image) {
        let request = GetRequest {
            name: wanted.name.clone(),
        };
        let found = match connection.call::<Wrapped>(GET, &request).await {
            Ok(answer) => answer.image.unwrap_or_default(),
            Err(error) if error.code() == Some(NOT_FOUND) => return Ok(false),
            Err(error) => return Err(error),
        };
        let digest = |message: &ImageMessage| message.target.as_ref().map(|target| target.digest.clone());
        let labelled = wanted
            .labels
            .iter()
            .all(|(key, value)| found.labels.get(key) == Some(value));
        if !labelled || digest(&found) != digest(&wanted) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes both names refer to the image, whatever they referred to.
pub async fn register(connection: &Connection, image: &Image) -> Result<(), CallError> {
    for message in messages(image) {
        let request = Wrapped { image: Some(message) };
        match connection.call::<Wrapped>(CREATE, &request).await {
            Err(error) if error.code() == Some(ALREADY_EXISTS) => {
                connection.call::<Wrapped>(UPDATE, &request).await?;
            }
            outcome => {
                outcome?;
            }
        }
    }
    Ok(())
}

/// Takes the lease `id` anew.
pub async fn take_lease(connection: &Connection, id: &str) -> Result<Lease, CallError> {
    release_lease(connection, id).await?;
    let request = LeaseRequest { id: id.to_owned() };
    connection.call::<()>(LEASE_CREATE, &request).await.map(|()| Lease)
}

/// Gives the lease `id` back, if there is one.
pub async fn release_lease(connection: &Connection, id: &str) -> Result<(), CallError> {
    let request = LeaseRequest { id: id.to_owned() };
    match connection.call::<()>(LEASE_DELETE, &request).await {
        Err(error) if error.code() == Some(NOT_FOUND) => Ok(()),
        outcome => outcome,
    }
}

fn messages(image: &Image) -> [ImageMessage; 2] {
    [image.name.clone(), image.id.to_string()].map(|name| ImageMessage {
        name,
        labels: LABELS.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        target: Some(DescriptorMessage {
            media_type: image.target.media_type.clone(),
            digest: image.target.digest.to_string(),
            size: i64::try_from(image.target.size).unwrap_or(i64::MAX),
        }),
    })
}
