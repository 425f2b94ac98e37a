use std::cell::RefCell;
use std::rc::Rc;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Default)]
struct Seen(Rc<RefCell<(Vec<u8>, Option<End>)>>);

impl Learner for Seen {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.0.borrow_mut().0.extend_from_slice(bytes);
        ControlFlow::Continue(())
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

/// Somebody who has heard enough.
struct Bored;

impl Learner for Bored {
    fn data(&mut self, _bytes: &[u8]) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn end(self: Box<Self>, how: End) {
        panic!("was told {how:?}");
    }
}

fn zipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// What a learner sees of `bytes` that come in two pieces.
fn unpack(bytes: &[u8], cut: usize, encoding: Encoding) -> Seen {
    let seen = Seen::default();
    let mut unpacking = Unpacking::new(encoding, Box::new(seen.clone()));
    unpacking.data(&bytes[..cut]);
    unpacking.data(&bytes[cut..]);
    unpacking.end(End::Complete);
    seen
}

#[test]
fn only_what_an_api_server_does_is_unpacked() {
    for (names, encoding) in [
        (&[][..], Some(Encoding::Plain)),
        (&["identity"], Some(Encoding::Plain)),
        (&["gzip"], Some(Encoding::Gzip)),
        (&["zstd"], None),
        (&["gzip", "gzip"], None),
        (&["gzip, gzip"], None),
    ] {
        let values = names.iter().map(|name| HeaderValue::from_static(name));
        let headers: HeaderMap = values.map(|value| (CONTENT_ENCODING, value)).collect();
        assert_eq!(Encoding::of(&headers), encoding, "{names:?}");
    }
}

#[test]
fn what_is_not_packed_is_shown_as_it_is() {
    let seen = unpack(b"plain", 2, Encoding::Plain);
    assert_eq!((seen.bytes(), seen.end()), (b"plain".to_vec(), Some(End::Complete)));
}

#[test]
fn a_gzipped_watch_is_shown_unpacked_at_once() {
    let seen = Seen::default();
    let mut unpacking = Unpacking::new(Encoding::Gzip, Box::new(seen.clone()));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for event in ["added ", "modified ", "deleted"] {
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
        unpacking.data(&std::mem::take(encoder.get_mut()));
        assert!(seen.bytes().ends_with(event.as_bytes()), "{event}");
    }
    unpacking.data(&encoder.finish().unwrap());
    unpacking.end(End::Complete);
    assert_eq!(seen.end(), Some(End::Complete));
}

#[test]
fn bytes_that_do_not_unpack_were_not_seen() {
    let good = zipped(b"content");
    let mut wrong_sum = good.clone();
    wrong_sum[good.len() - 8] ^= 1;
    let longer = [good.as_slice(), b"more"].concat();
    let cut = &good[..good.len() - 9];
    for bytes in [b"no gzip at all".as_slice(), &wrong_sum, &longer, cut, b""] {
        assert_eq!(unpack(bytes, bytes.len() / 2, Encoding::Gzip).end(), Some(End::Unseen));
    }
}

#[test]
fn who_wants_no_more_is_shown_no_more_and_not_told_the_end() {
    for (encoding, bytes) in [
        (Encoding::Plain, b"content".to_vec()),
        (Encoding::Gzip, zipped(b"content")),
    ] {
        let mut unpacking = Unpacking::new(encoding, Box::new(Bored));
        unpacking.data(&bytes);
        assert!(matches!(unpacking.0, Way::Over));
        unpacking.end(End::Complete);
    }
}

proptest! {
    #[test]
    fn wherever_a_gzipped_body_is_cut_the_same_is_shown(content: Vec<u8>, cut: prop::sample::Index) {
        let bytes = zipped(&content);
        let seen = unpack(&bytes, cut.index(bytes.len()), Encoding::Gzip);
        prop_assert_eq!((seen.bytes(), seen.end()), (content, Some(End::Complete)));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>, damage: prop::sample::Index, mask: u8) {
        let mut zipped = zipped(&bytes);
        let at = damage.index(zipped.len());
        zipped[at] ^= mask;
        for hostile in [bytes, zipped] {
            unpack(&hostile, hostile.len() / 2, Encoding::Gzip);
        }
    }
}
