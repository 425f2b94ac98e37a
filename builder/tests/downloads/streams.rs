//! Files that are used while they arrive.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use skerry_builder::fetch::HttpStream;

use super::*;

fn read(server: &Server) -> (Vec<u8>, io::Result<usize>) {
    let url = format!("{}/edge.raw", server.url());
    let mut stream = HttpStream::new("the image", &url, options().patience, Arc::default()).unwrap();
    let mut content = Vec::new();
    let outcome = stream.read_to_end(&mut content);
    (content, outcome)
}

fn error(outcome: io::Result<usize>) -> FetchError {
    outcome.unwrap_err().downcast().unwrap()
}

#[test]
fn a_broken_stream_continues_where_it_stopped_however_often() {
    let server = Server::start(|request| match request.range_start {
        None => whole().cut_after(10_000),
        // More breaks than a download may fail in a row: each of them got further.
        Some(start) if start < 45_000 => Reply::part(CONTENT, start).cut_after(5_000),
        Some(start) => Reply::part(CONTENT, start),
    });
    let (content, outcome) = read(&server);
    outcome.unwrap();
    assert!(content == CONTENT);
    assert!(server.requests().len() > 5);
}

#[test]
fn a_stream_without_ranges_passes_over_what_is_known() {
    let numbered: Vec<u8> = (0..50_000_u32).map(|at| (at % 251) as u8).collect();
    let sent = numbered.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::ok(&sent).cut_after(20_000),
        _ => Reply::ok(&sent),
    });
    let (content, outcome) = read(&server);
    outcome.unwrap();
    assert!(content == numbered);
}

#[test]
fn a_stream_that_never_gets_further_is_given_up() {
    let server = Server::start(|request| match request.range_start {
        None => whole().cut_after(20_000),
        Some(_) => Reply::status(503),
    });
    let (content, outcome) = read(&server);
    assert!(!content.is_empty() && content.len() <= 20_000);
    assert!(matches!(error(outcome), FetchError::Status { status: 503, .. }));
}

#[test]
fn a_file_that_became_another_one_meanwhile_is_not_continued() {
    let server = Server::start(|request| match request.range_start {
        None => whole().cut_after(20_000),
        Some(start) => Reply::part(&CONTENT[..40_000], start),
    });
    let (_, outcome) = read(&server);
    let error = error(outcome);
    assert!(matches!(error, FetchError::BadRange { .. }), "{error}");
}

#[test]
fn whoever_stops_a_stream_does_not_wait_for_the_server() {
    let server = Server::start(|_| whole().stall_after(100));
    let url = format!("{}/edge.raw", server.url());
    let stop = Arc::new(AtomicBool::new(true));
    let mut stream = HttpStream::new("the image", &url, options().patience, stop).unwrap();
    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
}
