//! Downloads from a server that does everything wrong a server can do: nothing wrong becomes visible, and each error
//! says what, from where, and what to do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

#[path = "downloads/faulty_server.rs"]
mod faulty_server;
#[path = "downloads/sets_and_indexes.rs"]
mod sets_and_indexes;
#[path = "downloads/streams.rs"]
mod streams;

use std::time::Duration;

use skerry_builder::digest::Sha256;
use skerry_builder::failure::{Diagnose, FailureKind};
use skerry_builder::fetch::{Access, Actual, FetchError, FetchOptions, FetchSummary, Patience, Wanted, fetch};
use skerry_builder::progress::Silent;
use skerry_builder::store::{Shelf, Store};

use faulty_server::{Reply, Request, Server};

const CONTENT: &[u8] = &[b'x'; 50_000];

fn options() -> FetchOptions {
    FetchOptions {
        access: Access::Online,
        parallel: 1,
        patience: Patience {
            tries: 3,
            first_delay: Duration::from_millis(1),
            max_delay: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(5),
            // A busy machine may be silent for a while; one test waits for it.
            idle_timeout: Duration::from_secs(5),
        },
    }
}

fn wanted(server: &Server, content: &[u8]) -> Wanted {
    Wanted {
        label: "curl 8.14.1-2".to_owned(),
        url: format!("{}/debian/pool/curl.deb", server.url()),
        sha256: Sha256::of(content),
        len_bytes: Some(content.len() as u64),
    }
}

/// A store, a server, and the outcome of fetching [`CONTENT`] from it.
struct Attempt {
    _folder: tempfile::TempDir,
    store: Store,
    server: Server,
    outcome: Result<FetchSummary, FetchError>,
}

impl Attempt {
    fn with(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let server = Server::start(answer);
        let outcome = fetch(vec![wanted(&server, CONTENT)], &store, &options(), &Silent);
        Self {
            _folder: folder,
            store,
            server,
            outcome,
        }
    }

    fn assert_fetched_with(&self, requests: usize) {
        let summary = self.outcome.as_ref().unwrap();
        assert_eq!((summary.fetched, summary.bytes), (1, CONTENT.len() as u64));
        assert_eq!(self.store.read(Shelf::Inputs, &Sha256::of(CONTENT)).unwrap(), CONTENT);
        assert_eq!(self.server.requests().len(), requests);
    }

    /// The error after so many requests; nothing must have become visible.
    fn error_after(self, requests: usize) -> FetchError {
        assert!(self.store.get(Shelf::Inputs, &Sha256::of(CONTENT)).is_none());
        assert_eq!(self.server.requests().len(), requests);
        let error = self.outcome.unwrap_err();
        assert!(error.to_string().contains("curl 8.14.1-2"), "{error}");
        assert!(error.to_string().contains("/debian/pool/curl.deb"), "{error}");
        error
    }
}

fn whole() -> Reply {
    Reply::ok(CONTENT)
}

#[test]
fn a_good_server_is_asked_once_and_never_again() {
    let attempt = Attempt::with(|_| whole());
    attempt.assert_fetched_with(1);
    let again = fetch(
        vec![wanted(&attempt.server, CONTENT)],
        &attempt.store,
        &options(),
        &Silent,
    );
    assert_eq!(
        again.unwrap(),
        FetchSummary {
            fetched: 0,
            cached: 1,
            bytes: 0
        }
    );
    assert_eq!(attempt.server.requests().len(), 1);
}

#[test]
fn a_broken_transfer_continues_where_it_stopped() {
    let attempt = Attempt::with(|request| match request.range_start {
        None => whole().cut_after(20_000),
        Some(start) => Reply::part(CONTENT, start),
    });
    attempt.assert_fetched_with(2);
    // How much of what was sent has arrived is up to the network.
    let start = attempt.server.requests()[1].range_start.unwrap();
    assert!((1..=20_000).contains(&start), "{start}");
}

#[test]
fn a_server_without_ranges_sends_everything_again() {
    let attempt = Attempt::with(|request| match request.number {
        0 => whole().cut_after(20_000),
        _ => whole(),
    });
    attempt.assert_fetched_with(2);
}

#[test]
fn a_server_that_continues_elsewhere_is_not_believed() {
    let attempt = Attempt::with(|request| match (request.number, request.range_start) {
        (0, _) => whole().cut_after(20_000),
        (_, Some(start)) => Reply::part(CONTENT, start + 1),
        (_, None) => whole(),
    });
    attempt.assert_fetched_with(3);
}

#[test]
fn a_range_that_cannot_be_satisfied_starts_from_the_beginning() {
    let attempt = Attempt::with(|request| match (request.number, request.range_start) {
        (0, _) => whole().cut_after(20_000),
        (_, Some(_)) => Reply::status(416),
        (_, None) => whole(),
    });
    attempt.assert_fetched_with(3);
}

#[test]
fn a_file_that_always_ends_early_is_a_network_error() {
    let attempt = Attempt::with(|_| whole().without_length().cut_after(20_000));
    let error = attempt.error_after(3);
    assert!(
        matches!(
            error,
            FetchError::Truncated {
                received: 20_000,
                expected: 50_000,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.kind(), FailureKind::Network);
}

#[test]
fn swapped_content_names_package_url_and_digests() {
    let swapped = [b'y'; CONTENT.len()];
    let attempt = Attempt::with(move |_| Reply::ok(&swapped));
    assert_eq!(attempt.server.requests()[1].cache_control.as_deref(), Some("no-cache"));
    let url = attempt.server.url();
    let error = attempt.error_after(2);
    assert_eq!(
        error.to_string(),
        format!(
            "curl 8.14.1-2 from {url}/debian/pool/curl.deb is not what is pinned: \
             expected 50000 bytes with sha256 {}, got 50000 bytes with sha256 {}",
            Sha256::of(CONTENT),
            Sha256::of(&swapped)
        )
    );
    assert_eq!(error.kind(), FailureKind::Verification);
    assert!(error.hints()[0].contains("skerry lock --update"));
}

#[test]
fn a_stale_cache_on_the_way_is_passed_by() {
    let attempt = Attempt::with(|request| match &request.cache_control {
        None => Reply::ok(b"an older version"),
        Some(_) => whole(),
    });
    attempt.assert_fetched_with(2);
}

#[test]
fn another_length_is_refused_before_the_body_is_read() {
    let attempt = Attempt::with(|_| Reply::ok(&CONTENT[1..]));
    let error = attempt.error_after(2);
    assert!(matches!(&error, FetchError::WrongContent(wrong) if wrong.actual == Actual::Length(49_999)));
}

#[test]
fn a_body_without_end_is_cut_off() {
    let attempt = Attempt::with(|_| Reply::ok(&[CONTENT, b"more"].concat()).without_length());
    let error = attempt.error_after(2);
    assert!(matches!(&error, FetchError::WrongContent(wrong) if wrong.actual == Actual::LongerThan(50_000)));
}

#[test]
fn a_vanished_file_is_asked_for_once() {
    let attempt = Attempt::with(|_| Reply::status(404));
    let error = attempt.error_after(1);
    assert!(matches!(error, FetchError::Vanished { .. }));
    assert_eq!(error.kind(), FailureKind::Request);
    assert!(error.hints()[0].contains("skerry lock --update"), "{:?}", error.hints());
}

#[test]
fn a_busy_server_is_asked_again() {
    for status in [408, 429, 500, 503] {
        let attempt = Attempt::with(move |request| match request.number {
            0 => Reply::status(status).header("Retry-After", "0"),
            1 => Reply::status(status),
            _ => whole(),
        });
        attempt.assert_fetched_with(3);
    }
}

#[test]
fn a_server_that_stays_busy_is_given_up() {
    let error = Attempt::with(|_| Reply::status(503)).error_after(3);
    assert!(matches!(error, FetchError::Status { status: 503, .. }));
    assert_eq!(error.kind(), FailureKind::Network);
}

#[test]
fn a_server_that_wants_a_long_pause_gets_it() {
    let error = Attempt::with(|_| Reply::status(429).header("Retry-After", "3600")).error_after(1);
    assert!(
        error.to_string().starts_with("the server answers 429 for curl"),
        "{error}"
    );
    assert!(error.to_string().ends_with("and asks to wait 3600 s"), "{error}");
}

#[test]
fn a_short_pause_is_kept() {
    let started = std::time::Instant::now();
    let attempt = Attempt::with(|request| match request.number {
        0 => Reply::status(503).header("Retry-After", "1"),
        _ => whole(),
    });
    attempt.assert_fetched_with(2);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_refusal_is_final() {
    let error = Attempt::with(|_| Reply::status(403)).error_after(1);
    assert!(matches!(error, FetchError::Status { status: 403, .. }));
}

#[test]
fn a_stalled_transfer_is_broken_off_and_continued() {
    let attempt = Attempt::with(|request| match request.range_start {
        None => whole().stall_after(30_000),
        Some(start) => Reply::part(CONTENT, start),
    });
    attempt.assert_fetched_with(2);
}

#[test]
fn what_an_earlier_process_left_is_continued_or_found_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| match request.range_start {
        None => whole(),
        Some(start) => Reply::part(CONTENT, start),
    });
    let partial = folder.path().join("partial").join(Sha256::of(CONTENT).to_string());
    for (left, requests) in [
        (CONTENT[..10_000].to_vec(), 1),
        (CONTENT.to_vec(), 0),
        (b"garbage".to_vec(), 2),
        (vec![0; CONTENT.len()], 1),
        (vec![0; CONTENT.len() + 1], 1),
    ] {
        let store = Store::open(folder.path()).unwrap();
        store.remove(Shelf::Inputs, &Sha256::of(CONTENT)).unwrap();
        std::fs::write(&partial, &left).unwrap();
        let before = server.requests().len();
        fetch(vec![wanted(&server, CONTENT)], &store, &options(), &Silent).unwrap();
        assert_eq!(
            server.requests().len() - before,
            requests,
            "{} bytes were left",
            left.len()
        );
        assert!(!partial.exists());
    }
}

#[test]
fn nobody_listening_is_a_network_error() {
    let server = Server::start(|_| whole());
    let file = wanted(&server, CONTENT);
    drop(server);
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(vec![file], &Store::open(folder.path()).unwrap(), &options(), &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Network { .. }));
    assert_eq!(error.kind(), FailureKind::Network);
}
