//! containerd's content store: which blobs it has, and writing those that it lacks
//! (api/services/content/v1/content.proto).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use prost::Message;

use super::grpc::{ALREADY_EXISTS, CallError, Connection, NOT_FOUND, Sent};
use super::layout::{Blob, Image, blob_path};

const INFO: &str = "/containerd.services.content.v1.Content/Info";
const WRITE: &str = "/containerd.services.content.v1.Content/Write";

/// How much of a blob goes into one message: small machines have little memory, and each message is answered.
const CHUNK_BYTES: usize = 256 << 10;

/// `WriteAction`.
const ACTION_WRITE: i32 = 1;
const ACTION_COMMIT: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct InfoRequest {
    #[prost(string, tag = "1")]
    digest: String,
}

#[derive(Clone, PartialEq, Message)]
struct InfoResponse {
    #[prost(message, optional, tag = "1")]
    info: Option<Info>,
}

#[derive(Clone, PartialEq, Message)]
struct Info {
    #[prost(int64, tag = "2")]
    size: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteRequest {
    #[prost(int32, tag = "1")]
    pub(super) action: i32,
    #[prost(string, tag = "2")]
    pub(super) reference: String,
    #[prost(int64, tag = "3")]
    pub(super) total: i64,
    #[prost(string, tag = "4")]
    pub(super) expected: String,
    #[prost(int64, tag = "5")]
    pub(super) offset: i64,
    #[prost(bytes = "vec", tag = "6")]
    pub(super) data: Vec<u8>,
    #[prost(btree_map = "string, string", tag = "7")]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteResponse {
    #[prost(int64, tag = "4")]
    pub(super) offset: i64,
}

/// The blobs of `image` that the store lacks, in the order in which they are to be written.
pub async fn missing<'a>(connection: &Connection, image: &'a Image) -> Result<Vec<&'a Blob>, CallError> {
    let mut missing = Vec::new();
    for blob in &image.blobs {
        let request = InfoRequest {
            digest: blob.descriptor.digest.to_string(),
        };
        match connection.call::<InfoResponse>(INFO, &request).await {
            Ok(_) => {}
            Err(error) if error.code() == Some(NOT_FOUND) => missing.push(blob),
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}

/// Writes a blob of the layout in `folder`. What an earlier try left of it is overwritten: after a power cut nobody knows
/// what is in it. containerd compares the digest and syncs the file before it says that it has it.
pub async fn write(connection: &Connection, folder: &Path, blob: &Blob) -> Result<(), CallError> {
    match send(connection, folder, blob).await {
        Err(error) if error.code() == Some(ALREADY_EXISTS) => Ok(()),
        outcome => outcome,
    }
}

async fn send(connection: &Connection, folder: &Path, blob: &Blob) -> Result<(), CallError> {
    let path = blob_path(folder, &blob.descriptor.digest);
    let unreadable = |source| CallError::Blob {
        path: path.display().to_string(),
        source,
    };
    let mut file = File::open(&path).map_err(unreadable)?;
    let mut request = WriteRequest {
        action: ACTION_WRITE,
        reference: format!("skerry-preload-{}", blob.descriptor.digest),
        total: i64::try_from(blob.descriptor.size).unwrap_or(i64::MAX),
        expected: blob.descriptor.digest.to_string(),
        ..WriteRequest::default()
    };
    let mut stream = connection.stream(WRITE).await?;
    loop {
        request.data.resize(CHUNK_BYTES, 0);
        let length = file.read(&mut request.data).map_err(unreadable)?;
        request.data.truncate(length);
        if length == 0 {
            break;
        }
        stream.send(&request, Sent::MoreFollow).await?;
        let answer: Option<WriteResponse> = stream.receive().await?;
        request.offset += length as i64;
        if answer.is_none_or(|answer| answer.offset != request.offset) {
            let what = "it counts other bytes than were sent";
            return Err(CallError::Malformed { method: WRITE, what });
        }
    }
    request.action = ACTION_COMMIT;
    request.labels = blob.labels.clone();
    stream.send(&request, Sent::Last).await?;
    while stream.receive::<WriteResponse>().await?.is_some() {}
    Ok(())
}
