//! Several files at once, files on this machine, indexes, and progress.

use std::sync::Mutex;

use skerry_builder::fetch::fetch_index;
use skerry_builder::progress::{Reporter, TaskId, Work};

use super::*;

/// Files of different lengths, by their paths.
fn several(server: &Server) -> Vec<Wanted> {
    [300u64, 5000, 40, 20_000]
        .into_iter()
        .map(|len| Wanted {
            label: format!("package {len}"),
            url: format!("{}/{len}", server.url()),
            sha256: Sha256::of(&vec![b'z'; usize::try_from(len).unwrap()]),
            len_bytes: Some(len),
        })
        .collect()
}

fn serve_by_length(request: &Request) -> Reply {
    Reply::ok(&vec![b'z'; request.path[1..].parse().unwrap()])
}

#[test]
fn the_biggest_is_fetched_first_and_each_digest_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let server = Server::start(serve_by_length);
    let twice = [several(&server), several(&server)].concat();
    let summary = fetch(twice, &store, &options(), &Silent).unwrap();
    assert_eq!(
        summary,
        FetchSummary {
            fetched: 4,
            cached: 0,
            bytes: 25_340
        }
    );
    let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/20000", "/5000", "/300", "/40"]);
}

#[test]
fn two_at_once_share_each_download() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| {
        std::thread::sleep(Duration::from_millis(20));
        serve_by_length(request)
    });
    let options = FetchOptions {
        parallel: 4,
        ..options()
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let store = Store::open(folder.path()).unwrap();
                fetch(several(&server), &store, &options, &Silent).unwrap();
            });
        }
    });
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn offline_names_what_is_missing_and_uses_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let server = Server::start(serve_by_length);
    let offline = FetchOptions {
        access: Access::Offline,
        ..options()
    };
    let files = several(&server);
    fetch(files[..3].to_vec(), &store, &options(), &Silent).unwrap();
    let error = fetch(files.clone(), &store, &offline, &Silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 file is not in the cache, and --offline forbids fetching: package 20000"
    );
    assert_eq!(error.hints(), ["run the command once without `--offline`"]);
    let summary = fetch(files[..3].to_vec(), &store, &offline, &Silent).unwrap();
    assert_eq!((summary.fetched, summary.cached), (0, 3));
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn an_entry_of_another_length_than_pinned_is_fetched_again() {
    let attempt = Attempt::with(|_| whole());
    let path = attempt.store.get(Shelf::Inputs, &Sha256::of(CONTENT)).unwrap();
    std::fs::write(&path, b"spoiled by somebody").unwrap();
    fetch(
        vec![wanted(&attempt.server, CONTENT)],
        &attempt.store,
        &options(),
        &Silent,
    )
    .unwrap();
    attempt.assert_fetched_with(2);
}

#[test]
fn mirrors_on_this_machine_need_no_network() {
    let mirror = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let path = mirror.path().join("a file");
    let file = |url: String, content: &[u8]| Wanted {
        label: "local 1".to_owned(),
        url,
        sha256: Sha256::of(content),
        len_bytes: Some(content.len() as u64),
    };
    std::fs::write(&path, CONTENT).unwrap();
    let url = format!("file://{}/a%20file", mirror.path().display());
    fetch(vec![file(url.clone(), CONTENT)], &store, &options(), &Silent).unwrap();
    assert_eq!(store.read(Shelf::Inputs, &Sha256::of(CONTENT)).unwrap(), CONTENT);
    let plain = path.display().to_string();
    for expected in [&CONTENT[1..], b"other", &[CONTENT, b"more"].concat()] {
        let error = fetch(vec![file(plain.clone(), expected)], &store, &options(), &Silent).unwrap_err();
        assert!(matches!(error, FetchError::WrongContent(_)));
        assert!(store.get(Shelf::Inputs, &Sha256::of(expected)).is_none());
    }
    std::fs::remove_file(&path).unwrap();
    let error = fetch(vec![file(plain, b"gone")], &store, &options(), &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Vanished { .. }));
    assert!(matches!(
        fetch_index("InRelease", &url, 10, &options()).unwrap_err(),
        FetchError::Vanished { .. }
    ));
}

#[test]
fn an_index_is_bounded_and_asked_for_past_caches() {
    let server = Server::start(|request| match request.number {
        0 => Reply::status(503),
        _ => whole().without_length(),
    });
    let url = format!("{}/dists/trixie/InRelease", server.url());
    assert_eq!(fetch_index("InRelease", &url, 50_000, &options()).unwrap(), CONTENT);
    assert_eq!(server.requests()[0].cache_control.as_deref(), Some("no-cache"));
    let error = fetch_index("InRelease", &url, 49_999, &options()).unwrap_err();
    assert!(matches!(error, FetchError::TooLong { max_bytes: 49_999, .. }));
    let offline = FetchOptions {
        access: Access::Offline,
        ..options()
    };
    assert!(matches!(
        fetch_index("InRelease", &url, 1, &offline).unwrap_err(),
        FetchError::Offline { .. }
    ));
}

#[test]
fn credentials_in_a_url_are_sent_and_not_shown() {
    let server = Server::start(|_| Reply::status(404));
    let url = server.url().replace("http://", "http://me:secret@");
    let error = fetch_index("InRelease", &url, 1, &options()).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(server.requests()[0].authorization.is_some());
}

/// Adds up what it is told.
#[derive(Default)]
struct Sum(Mutex<(u64, Vec<String>, usize)>);

impl Reporter for Sum {
    fn start(&self, name: &str, work: Work) -> TaskId {
        assert_eq!(work, Work::Bytes(CONTENT.len() as u64));
        self.0.lock().unwrap().1.push(name.to_owned());
        TaskId(0)
    }

    fn advance(&self, _task: TaskId, amount: u64) {
        self.0.lock().unwrap().0 += amount;
    }

    fn finish(&self, _task: TaskId) {
        self.0.lock().unwrap().2 += 1;
    }
}

#[test]
fn progress_adds_up_to_the_length_even_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let server = Server::start(|request| match request.number {
        0 => whole().cut_after(20_000),
        _ => whole(),
    });
    let sum = Sum::default();
    fetch(vec![wanted(&server, CONTENT)], &store, &options(), &sum).unwrap();
    let told = sum.0.into_inner().unwrap();
    assert_eq!(told, (CONTENT.len() as u64, vec!["curl 8.14.1-2".to_owned()], 1));
}
