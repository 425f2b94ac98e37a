//! The import against the real containerd, and against servers that misbehave.

mod fake;
mod mock_layout;
mod server;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use prost::Message;

use super::content::WriteRequest;
use super::grpc::{Connection, Sent};
use super::*;
use fake::Reply;
use mock_layout::MockLayout;
use server::Server;

const CONTENT_DELETE: &str = "/containerd.services.content.v1.Content/Delete";
const CONTENT_WRITE: &str = "/containerd.services.content.v1.Content/Write";
const IMAGE_DELETE: &str = "/containerd.services.images.v1.Images/Delete";
const LEASES: &str = "/containerd.services.leases.v1.Leases/List";
const CRI_LIST: &str = "/runtime.v1.ImageService/ListImages";

/// A request whose only field is a name.
#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

/// What CRI answers: `runtime.v1.ListImagesResponse`.
#[derive(Clone, PartialEq, Message)]
struct CriImages {
    #[prost(message, repeated, tag = "1")]
    images: Vec<CriImage>,
}

#[derive(Clone, PartialEq, Message)]
struct CriImage {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, repeated, tag = "2")]
    tags: Vec<String>,
    #[prost(bool, tag = "8")]
    pinned: bool,
}

#[derive(Clone, PartialEq, Message)]
struct LeaseList {
    #[prost(message, repeated, tag = "1")]
    leases: Vec<Name>,
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

fn two_images() -> MockLayout {
    let mut layout = MockLayout::new();
    layout.image(PAUSE_IMAGE, &[b"pause's layer".to_vec()]);
    // Larger than a message, and than HTTP/2's first window.
    layout.image("docker.io/library/demo:1", &[vec![7; 700_000], b"second".to_vec()]);
    layout.finish();
    layout
}

async fn connect(server: &Server) -> Connection {
    Connection::open(&server.socket(), NAMESPACE).await.unwrap()
}

/// CRI hears of new images by events: asks until it knows `count` of them.
async fn cri_images(connection: &Connection, count: usize) -> Vec<CriImage> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer: CriImages = connection.call(CRI_LIST, &()).await.unwrap();
        if answer.images.iter().filter(|image| !image.tags.is_empty()).count() == count {
            return answer.images;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn images_are_brought_in_once_and_cri_sees_them_pinned() {
    let Some(server) = Server::start() else { return };
    let layout = two_images();
    run(async {
        let names = vec![PAUSE_IMAGE.to_owned(), "docker.io/library/demo:1".to_owned()];
        let first = preload(&server.socket(), layout.folder()).await.unwrap();
        assert_eq!(
            (first.imported, first.present),
            (names.clone(), vec![]),
            "{}",
            server.log()
        );
        let connection = connect(&server).await;
        let images = cri_images(&connection, 2).await;
        for name in &names {
            let found = images.iter().find(|image| image.tags.contains(name)).unwrap();
            assert!(found.pinned && found.id == layout.id(name), "{found:?}");
        }
        let second = preload(&server.socket(), layout.folder()).await.unwrap();
        assert_eq!((second.imported, second.present), (vec![], names));
        let leases: LeaseList = connection.call(LEASES, &()).await.unwrap();
        assert_eq!(leases.leases, []);
    });
}

#[test]
fn what_somebody_removed_comes_back() {
    let Some(server) = Server::start() else { return };
    let layout = two_images();
    run(async {
        preload(&server.socket(), layout.folder()).await.unwrap();
        let connection = connect(&server).await;
        let name = |name: String| Name { name };
        connection
            .call::<()>(IMAGE_DELETE, &name(PAUSE_IMAGE.to_owned()))
            .await
            .unwrap();
        let again = preload(&server.socket(), layout.folder()).await.unwrap();
        assert_eq!(again.imported, [PAUSE_IMAGE]);
        let layer = layout.layers("docker.io/library/demo:1")[1].clone();
        connection.call::<()>(CONTENT_DELETE, &name(layer)).await.unwrap();
        let again = preload(&server.socket(), layout.folder()).await.unwrap();
        assert_eq!(again.imported, ["docker.io/library/demo:1"]);
        cri_images(&connection, 2).await;
    });
}

#[test]
fn the_remains_of_an_interrupted_import_are_overwritten() {
    let Some(server) = Server::start() else { return };
    let layout = two_images();
    run(async {
        let connection = connect(&server).await;
        images::take_lease(&connection, LEASE).await.unwrap();
        let digest = layout.layers(PAUSE_IMAGE)[0].clone();
        let torn = WriteRequest {
            action: 1,
            reference: format!("skerry-preload-{digest}"),
            total: 13,
            expected: digest,
            data: b"zero".to_vec(),
            labels: BTreeMap::new(),
            offset: 0,
        };
        let mut stream = connection.under(LEASE).stream(CONTENT_WRITE).await.unwrap();
        stream.send(&torn, Sent::Last).await.unwrap();
        while stream.receive::<content::WriteResponse>().await.unwrap().is_some() {}
        let outcome = preload(&server.socket(), layout.folder()).await.unwrap();
        assert_eq!(outcome.imported.len(), 2);
    });
}

#[test]
fn a_blob_that_is_not_what_its_digest_says_makes_no_image() {
    let Some(server) = Server::start() else { return };
    let layout = two_images();
    layout.damage(&layout.layers(PAUSE_IMAGE)[0]);
    run(async {
        let error = preload(&server.socket(), layout.folder()).await.unwrap_err();
        let PreloadError::Call(CallError::Status { code, message, .. }) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*code, 9, "{message}");
        let connection = connect(&server).await;
        assert_eq!(cri_images(&connection, 0).await, []);
    });
}

#[test]
fn without_a_layout_nobody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(preload(Path::new("/nonexistent/socket"), folder.path())).unwrap();
    assert_eq!(outcome, Preloaded::default());
}

#[test]
fn a_server_that_misbehaves_is_an_error_that_says_how() {
    let layout = two_images();
    for (reply, expected) in [
        (Reply::Status(14, "shutting down"), "shutting down (gRPC status 14)"),
        (Reply::Trailers(13), "no reason given (gRPC status 13)"),
        (Reply::NoStatus, "it ends without a status"),
        (Reply::Http(503), "no gRPC"),
        (Reply::Compressed, "compressed or too long"),
        (Reply::Garbage, "a message of another type"),
        (Reply::Reset, "the connection broke"),
    ] {
        let error = run(async {
            let server = fake::serve(reply);
            preload(&server.socket(), layout.folder()).await.unwrap_err()
        });
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.ends_with(expected), "{reply:?}: {cause}");
    }
}

#[test]
fn a_socket_that_nobody_listens_on_is_named() {
    let layout = two_images();
    let error = run(preload(Path::new("/nonexistent/socket"), layout.folder())).unwrap_err();
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("/nonexistent/socket")
    );
}
