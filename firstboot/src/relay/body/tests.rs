use std::cell::RefCell;
use std::io::Write as _;
use std::rc::Rc;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt as _;
use hyper::header::HeaderValue;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Default)]
struct Seen(Rc<RefCell<(Vec<u8>, Option<End>)>>);

impl Observer for Seen {
    fn data(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().0.extend_from_slice(bytes);
    }

    fn end(self: Box<Self>, how: End) {
        assert_eq!(self.0.borrow_mut().1.replace(how), None, "the end is told once");
    }
}

impl Seen {
    fn bytes(&self) -> Vec<u8> {
        self.0.borrow().0.clone()
    }

    fn end(&self) -> Option<End> {
        self.0.borrow().1
    }
}

fn headers(encodings: &[&'static str]) -> HeaderMap {
    let values = encodings.iter().map(|encoding| HeaderValue::from_static(encoding));
    values.map(|value| (CONTENT_ENCODING, value)).collect()
}

fn observed(body: RelayBody, encodings: &[&'static str]) -> (RelayBody, Seen) {
    let seen = Seen::default();
    let body = body.observed(&headers(encodings), Box::new(seen.clone()));
    (body, seen)
}

fn zipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

async fn next(body: &mut RelayBody) -> Option<Bytes> {
    body.frame().await.map(|frame| frame.unwrap().into_data().unwrap())
}

/// Sends `bytes` in two pieces and reads them; tells what arrived, what was shown, and how that ended.
async fn pass(bytes: &[u8], cut: usize, encodings: &[&'static str]) -> (Vec<u8>, Seen) {
    let (sender, body) = RelayBody::channel();
    let (body, seen) = observed(body, encodings);
    let send = async {
        let (first, second) = bytes.split_at(cut);
        sender.send(first.to_vec()).await.unwrap();
        sender.send(second.to_vec()).await.unwrap();
        drop(sender);
    };
    let (arrived, ()) = tokio::join!(body.collect(), send);
    (arrived.unwrap().to_bytes().to_vec(), seen)
}

#[tokio::test(flavor = "local")]
async fn an_observer_sees_each_piece_when_it_passes() {
    let (sender, body) = RelayBody::channel();
    let (mut body, seen) = observed(body, &[]);
    sender.send("one ").await.unwrap();
    assert_eq!(next(&mut body).await, Some(Bytes::from("one ")));
    assert_eq!((seen.bytes(), seen.end()), (b"one ".to_vec(), None));
    sender.send("two").await.unwrap();
    drop(sender);
    assert_eq!(next(&mut body).await, Some(Bytes::from("two")));
    assert_eq!((seen.bytes(), seen.end()), (b"one two".to_vec(), Some(End::Complete)));
}

#[tokio::test(flavor = "local")]
async fn a_gzipped_watch_is_shown_unpacked_at_once() {
    let (sender, body) = RelayBody::channel();
    let (mut body, seen) = observed(body, &["gzip"]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for event in ["added ", "modified ", "deleted"] {
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
        sender.send(std::mem::take(encoder.get_mut())).await.unwrap();
        next(&mut body).await.unwrap();
        assert!(seen.bytes().ends_with(event.as_bytes()), "{event}");
    }
    sender.send(encoder.finish().unwrap()).await.unwrap();
    drop(sender);
    while next(&mut body).await.is_some() {}
    assert_eq!(seen.end(), Some(End::Complete));
}

#[tokio::test(flavor = "local")]
async fn a_body_that_is_whole_at_once_is_seen_whole() {
    let (body, seen) = observed(RelayBody::whole("all"), &["identity"]);
    assert_eq!(body.size_hint().exact(), Some(3));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "all");
    assert_eq!((seen.bytes(), seen.end()), (b"all".to_vec(), Some(End::Complete)));
    let (body, seen) = observed(RelayBody::empty(), &[]);
    assert!(body.is_end_stream());
    assert_eq!(seen.end(), Some(End::Complete));
}

#[tokio::test(flavor = "local")]
async fn what_is_dropped_before_its_end_was_abandoned() {
    let (sender, body) = RelayBody::channel();
    let (mut body, seen) = observed(body, &[]);
    sender.send("one").await.unwrap();
    next(&mut body).await;
    drop(body);
    assert_eq!(seen.end(), Some(End::Abandoned));
    assert_eq!(sender.send("two").await, Err(Unwanted));
}

#[tokio::test(flavor = "local")]
async fn a_body_that_breaks_off_is_broken_for_reader_and_observer() {
    let (sender, body) = RelayBody::channel();
    let (mut body, seen) = observed(body, &[]);
    sender.send("one").await.unwrap();
    next(&mut body).await;
    sender.cut_short().await;
    let frame = body.frame().await.unwrap();
    assert!(matches!(frame, Err(BodyError::CutShort)));
    assert_eq!(seen.end(), Some(End::Broken));
}

#[tokio::test(flavor = "local")]
async fn bytes_that_do_not_unpack_pass_all_the_same() {
    let good = zipped(b"content");
    let mut wrong_sum = good.clone();
    wrong_sum[good.len() - 8] ^= 1;
    let longer = [good.as_slice(), b"more"].concat();
    let cut = &good[..good.len() - 9];
    for bytes in [b"no gzip at all".as_slice(), &wrong_sum, &longer, cut, b""] {
        let (arrived, seen) = pass(bytes, bytes.len() / 2, &["gzip"]).await;
        assert_eq!((arrived.as_slice(), seen.end()), (bytes, Some(End::Broken)));
    }
}

#[tokio::test(flavor = "local")]
async fn an_unknown_compression_passes_unseen() {
    for encodings in [&["zstd"][..], &["gzip", "gzip"], &["gzip, gzip"]] {
        let (arrived, seen) = pass(b"bytes", 2, encodings).await;
        assert_eq!(arrived, b"bytes");
        assert_eq!((seen.bytes(), seen.end()), (Vec::new(), Some(End::Broken)));
    }
}

proptest! {
    #[test]
    fn wherever_a_gzipped_body_is_cut_the_same_is_shown(content: Vec<u8>, cut: prop::sample::Index) {
        let bytes = zipped(&content);
        let runtime = tokio::runtime::LocalRuntime::new().unwrap();
        let (arrived, seen) = runtime.block_on(pass(&bytes, cut.index(bytes.len()), &["gzip"]));
        prop_assert_eq!(arrived, bytes);
        prop_assert_eq!((seen.bytes(), seen.end()), (content, Some(End::Complete)));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>, damage: prop::sample::Index, mask: u8) {
        let mut zipped = zipped(&bytes);
        let at = damage.index(zipped.len());
        zipped[at] ^= mask;
        let runtime = tokio::runtime::LocalRuntime::new().unwrap();
        for hostile in [bytes, zipped] {
            let (arrived, _) = runtime.block_on(pass(&hostile, hostile.len() / 2, &["gzip"]));
            prop_assert_eq!(arrived, hostile);
        }
    }
}
