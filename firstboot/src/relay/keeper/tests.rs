//! What passes is learned, outlives a power cut, and is answered alone.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;

use super::*;
use crate::disk::ModelDisk;
use crate::relay::alone::{self, Question};
use crate::relay::asked::Asked;
use crate::relay::body::{End, RelayBody};
use crate::relay::keeping::{Keeping, Subject};
use crate::relay::learn;
use crate::relay::store::Limits;
use crate::relay::store_key::StoreKey;
use crate::relay::unpack::Encoding;
use crate::relay::wire::{
    Change, ENVELOPE_END, ListHead, ListPart, ListReader, MEDIA_TYPE, Mark, WatchEvent, WatchReader, item_head,
    write_bookmark, write_event, write_object,
};

const PODS: &str = "/api/v1/pods?fieldSelector=spec.nodeName%3Dn";
const TOKEN: &str = "/api/v1/namespaces/a/serviceaccounts/default/token";

/// A field of a message whose content is `bytes`.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    field.extend_from_slice(bytes);
    field
}

/// A pod with this version, phase and, where it matters, message of its status.
fn pod(name: &str, version: &str, phase: &str, message: &str) -> Vec<u8> {
    let metadata = [
        field(1, name.as_bytes()),
        field(3, b"a"),
        field(5, format!("uid-{name}").as_bytes()),
        field(6, version.as_bytes()),
    ];
    let status = [field(1, phase.as_bytes()), field(3, message.as_bytes())];
    [field(1, &metadata.concat()), field(2, b""), field(3, &status.concat())].concat()
}

fn kind() -> Kind {
    Kind::new("v1", "Pod")
}

fn list(version: &str, pods: &[Vec<u8>]) -> Vec<u8> {
    let lengths = pods.iter().map(|pod| pod.len() as u64);
    let mut body = ListHead::new(&kind().of_list(), version, lengths).bytes;
    for pod in pods {
        body.extend(item_head(pod.len() as u64));
        body.extend_from_slice(pod);
    }
    body.extend(ENVELOPE_END);
    body
}

/// A machine whose keeper can lose its power.
struct Machine {
    disk: ModelDisk,
    keeping: Keeping<ModelDisk>,
}

impl Machine {
    fn new(secrets: Secrets) -> Self {
        Self::with(ModelDisk::new(), secrets)
    }

    fn with(disk: ModelDisk, secrets: Secrets) -> Self {
        Self::made(disk, secrets, Limits::default())
    }

    fn limited(limits: Limits) -> Self {
        Self::made(ModelDisk::new(), Secrets::Kept, limits)
    }

    fn made(disk: ModelDisk, secrets: Secrets, limits: Limits) -> Self {
        for folder in ["/var", "/var/lib", "/var/lib/skerry", "/var/lib/skerry/relay"] {
            // There after the first life.
            let _ = disk.make_folder(std::path::Path::new(folder), 0o700);
        }
        let (store, _) = Store::open(disk.clone(), StoreKey::new([7; 32]), limits);
        // Nothing is written by itself.
        let keeping = Keeping::start(Keeper::new(store, secrets), Duration::from_secs(3600));
        Self {
            disk,
            keeping: keeping.unwrap(),
        }
    }

    /// Writes what has changed, and tells how many bytes that were.
    async fn flush(&self) -> u64 {
        self.keeping.ask(Keeper::flush).await.unwrap()
    }

    /// What has been written is there after a power cut.
    async fn power_cut(self) -> Self {
        self.flush().await;
        Self::with(self.disk.reboot(1), Secrets::Kept)
    }

    fn passes(&self, address: &str, request: &[u8], body: &[u8], how: End) {
        let method = if address == TOKEN { Method::POST } else { Method::GET };
        let subject = Subject {
            asked: Asked::of(&method, &address.parse().unwrap()),
            request: Bytes::copy_from_slice(request),
            encoding: Encoding::Plain,
        };
        let mut observer = self.keeping.lesson(subject).expect("it is kept");
        body.chunks(11)
            .for_each(|chunk| observer.data(&Bytes::copy_from_slice(chunk)));
        observer.end(how);
    }

    async fn alone(&self, method: Method, address: &str, request: &[u8]) -> (StatusCode, Bytes) {
        let response = self.asks(&method, address, request, std::future::pending()).await;
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    async fn asks(
        &self,
        method: &Method,
        address: &str,
        request: &[u8],
        back: impl Future<Output = ()> + 'static,
    ) -> Response<RelayBody> {
        let uri: Uri = address.parse().unwrap();
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(MEDIA_TYPE))]);
        let question = Question {
            asked: &Asked::of(method, &uri),
            uri: &uri,
            headers: &headers,
            body: request,
        };
        alone::answer(&self.keeping, &question, "no route to host", back).await
    }

    /// Version and objects of the pods as they are answered alone.
    async fn pods(&self) -> Option<(String, Vec<Vec<u8>>)> {
        let (status, body) = self.alone(Method::GET, PODS, b"").await;
        if status != StatusCode::OK {
            return None;
        }
        let (mut reader, mut pods) = (ListReader::new(), Vec::new());
        let mut show = |part: ListPart<'_>| {
            if let ListPart::Item(object) = part {
                pods.push(object.bytes.to_vec());
            }
        };
        reader.push(&body, &mut show).unwrap();
        Some((reader.finish().unwrap().resource_version, pods))
    }
}

/// Runs a test whose tasks stay in its thread, as the relay's do.
fn in_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    tokio::task::LocalSet::new().block_on(&runtime.unwrap(), test);
}

fn watch_address() -> String {
    format!("{PODS}&watch=true&resourceVersion=10")
}

#[test]
fn a_list_that_passed_is_answered_alone_after_a_power_cut() {
    in_one_thread(async {
        let machine = Machine::new(Secrets::Kept);
        let pods = [pod("one", "8", "Running", ""), pod("two", "9", "Pending", "")];
        machine.passes(PODS, b"", &list("10", &pods), End::Complete);
        let machine = machine.power_cut().await;
        assert_eq!(machine.pods().await, Some(("10".to_owned(), pods.to_vec())));
        assert_eq!(machine.keeping.ask(|keeper| keeper.count().pods).await, 2);
    });
}

#[test]
fn a_list_that_broke_off_is_not_taken_for_all_pods() {
    in_one_thread(async {
        let body = list("10", &[pod("one", "8", "Running", ""), pod("two", "9", "Running", "")]);
        for (body, how) in [
            (&body[..], End::Broken),
            (&body[..], End::Abandoned),
            (&body[..body.len() - 9], End::Complete),
        ] {
            let machine = Machine::new(Secrets::Kept);
            machine.passes(PODS, b"", body, how);
            assert_eq!(machine.power_cut().await.pods().await, None, "{how:?}");
        }
    });
}

#[test]
fn a_list_of_which_a_pod_cannot_be_kept_is_not_taken_for_all_pods_and_may_be_watched_all_the_same() {
    in_one_thread(async {
        let machine = Machine::limited(Limits {
            object_bytes: 100,
            ..Limits::default()
        });
        let (small, large) = (
            pod("one", "8", "Running", ""),
            pod("two", "9", "Running", &"x".repeat(100)),
        );
        machine.passes(PODS, b"", &list("10", &[small.clone(), large]), End::Complete);
        machine.flush().await;
        assert_eq!(machine.pods().await, None);
        let Asked::List { collection, .. } = Asked::of(&Method::GET, &PODS.parse().unwrap()) else {
            panic!("it is a list");
        };
        assert!(machine.keeping.is_current(&collection).await);
        let event = write_event(Change::Modified, &kind(), &pod("one", "11", "Succeeded", ""));
        machine.passes(&watch_address(), b"", &event, End::Broken);
        machine.flush().await;
        assert_eq!(machine.pods().await, None, "what happens later makes it no whole");
        machine.passes(PODS, b"", &list("12", std::slice::from_ref(&small)), End::Complete);
        machine.flush().await;
        assert_eq!(machine.pods().await, Some(("12".to_owned(), vec![small])));
    });
}

#[test]
fn what_a_watch_tells_is_put_on_top_of_the_list() {
    in_one_thread(async {
        let machine = Machine::new(Secrets::Kept);
        let before = [pod("one", "8", "Running", ""), pod("two", "9", "Running", "")];
        machine.passes(PODS, b"", &list("10", &before), End::Complete);
        let ended = pod("one", "11", "Succeeded", "");
        let added = pod("three", "13", "Pending", "");
        let events = [
            write_event(Change::Modified, &kind(), &ended),
            write_event(Change::Deleted, &kind(), &pod("two", "12", "Running", "")),
            write_event(Change::Added, &kind(), &added),
            write_bookmark(&kind(), "20", Mark::Progress),
        ];
        machine.passes(&watch_address(), b"", &events.concat(), End::Broken);
        let pods = machine.power_cut().await.pods().await;
        assert_eq!(pods, Some(("20".to_owned(), vec![ended, added])));
    });
}

#[test]
fn a_watch_that_begins_with_all_objects_is_as_good_as_a_list() {
    in_one_thread(async {
        let machine = Machine::new(Secrets::Kept);
        machine.passes(PODS, b"", &list("5", &[pod("old", "4", "Running", "")]), End::Complete);
        let new = pod("new", "8", "Running", "");
        let events = [
            write_event(Change::Added, &kind(), &new),
            write_bookmark(&kind(), "10", Mark::InitialEventsEnd),
        ];
        let address = format!("{}&sendInitialEvents=true", watch_address());
        machine.passes(&address, b"", &events.concat(), End::Broken);
        assert_eq!(
            machine.power_cut().await.pods().await,
            Some(("10".to_owned(), vec![new]))
        );
    });
}

#[test]
fn a_status_that_changes_all_day_is_not_written() {
    in_one_thread(async {
        let machine = Machine::new(Secrets::Kept);
        machine.passes(PODS, b"", &list("10", &[pod("one", "8", "Running", "")]), End::Complete);
        assert_ne!(machine.flush().await, 0);
        let event = write_event(Change::Modified, &kind(), &pod("one", "11", "Running", "probe failed"));
        machine.passes(&watch_address(), b"", &event, End::Broken);
        assert_eq!(machine.flush().await, 0);
    });
}

#[test]
fn a_token_is_answered_for_the_same_terms_until_its_pod_is_gone() {
    in_one_thread(async {
        let terms = |audience: &[u8], uid: &[u8]| {
            let spec = [field(1, audience), field(3, &field(4, uid))].concat();
            write_object(&Kind::new("authentication.k8s.io/v1", "TokenRequest"), &field(2, &spec))
        };
        let (own, other) = (terms(b"api", b"uid-one"), terms(b"vault", b"uid-one"));
        let machine = Machine::new(Secrets::Kept);
        machine.passes(PODS, b"", &list("10", &[pod("one", "8", "Running", "")]), End::Complete);
        let issued = write_object(&Kind::new("authentication.k8s.io/v1", "TokenRequest"), b"");
        machine.passes(TOKEN, &own, &issued, End::Complete);
        let machine = machine.power_cut().await;
        let (status, body) = machine.alone(Method::POST, TOKEN, &own).await;
        assert_eq!((status, &body[..]), (StatusCode::CREATED, &issued[..]));
        let (status, _) = machine.alone(Method::POST, TOKEN, &other).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        machine.passes(PODS, b"", &list("12", &[]), End::Complete);
        let (status, _) = machine.alone(Method::POST, TOKEN, &own).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    });
}

#[test]
fn secrets_and_tokens_are_not_kept_where_they_must_not() {
    let learns = |method: Method, address: &str| {
        let asked = Asked::of(&method, &address.parse().unwrap());
        learn::teaches(&asked, Secrets::NotKept)
    };
    assert!(!learns(
        Method::GET,
        "/api/v1/namespaces/a/secrets?fieldSelector=metadata.name%3Ds"
    ));
    assert!(!learns(Method::GET, "/api/v1/namespaces/a/secrets/s"));
    assert!(!learns(Method::POST, TOKEN));
    assert!(learns(
        Method::GET,
        "/api/v1/namespaces/a/configmaps?fieldSelector=metadata.name%3Dc"
    ));
}

#[test]
fn a_watch_alone_begins_with_what_is_kept_and_ends_when_the_control_plane_is_back() {
    in_one_thread(async {
        let machine = Machine::new(Secrets::Kept);
        let one = pod("one", "8", "Running", "");
        machine.passes(PODS, b"", &list("10", std::slice::from_ref(&one)), End::Complete);
        machine.flush().await;
        let (back, is_back) = oneshot::channel::<()>();
        let address = format!("{}&sendInitialEvents=true", watch_address());
        let until = async move {
            let _ = is_back.await;
        };
        let mut body = machine.asks(&Method::GET, &address, b"", until).await.into_body();
        let mut reader = WatchReader::new();
        let mut told = Vec::new();
        let mut begun = false;
        while !begun {
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            let mut show = |event: WatchEvent<'_>| match event {
                WatchEvent::Added(object, _) => told.push(object.bytes.to_vec()),
                WatchEvent::Bookmark {
                    resource_version,
                    initial_events_end,
                } => begun = initial_events_end && resource_version == "10",
                other => panic!("{other:?}"),
            };
            reader.push(&piece, &mut show).unwrap();
        }
        assert_eq!(told, [one]);
        back.send(()).unwrap();
        assert!(body.frame().await.is_none());
    });
}

#[test]
fn a_change_alone_is_refused_so_that_kubelet_comes_again_by_itself() {
    in_one_thread(async {
        let machine = Machine::new(Secrets::Kept);
        let status = "/api/v1/nodes/n/status";
        let response = machine.asks(&Method::PUT, status, b"", std::future::pending()).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get(RETRY_AFTER), None);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("no route to host"));
    });
}

#[test]
fn a_node_that_was_listed_is_found_by_its_path() {
    in_one_thread(async {
        let machine = Machine::new(Secrets::Kept);
        let pods = [pod("one", "8", "Running", "")];
        machine.passes(PODS, b"", &list("10", &pods), End::Complete);
        let (status, body) = machine.alone(Method::GET, "/api/v1/namespaces/a/pods/one", b"").await;
        assert_eq!(
            (status, &body[..]),
            (StatusCode::OK, &write_object(&kind(), &pods[0])[..])
        );
        let (status, _) = machine.alone(Method::GET, "/api/v1/namespaces/a/pods/two", b"").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    });
}
