//! Streams that come in pieces, are cut off, or were written by somebody who means harm.

use proptest::prelude::*;

use super::field::{put_bytes, put_head, put_number_field};
use super::*;

const PODS: &[u8] = include_bytes!("../../../tests/golden/wire/pods.list");
const PAGE: &[u8] = include_bytes!("../../../tests/golden/wire/page.list");
const EVENTS: &[u8] = include_bytes!("../../../tests/golden/wire/pods.watch");
const POD: &[u8] = include_bytes!("../../../tests/golden/wire/pod.object");

/// All that a list shows, and what is known at its end.
fn read_list(chunks: &[&[u8]]) -> (Vec<String>, Result<ListEnd, WireError>) {
    let mut seen = Vec::new();
    let mut reader = ListReader::new();
    for chunk in chunks {
        let mut show = |part: ListPart<'_>| {
            seen.push(match part {
                ListPart::Begin(kind) => kind.to_string(),
                ListPart::Item(object) => format!("{object:?} {:x?}", object.bytes),
            });
        };
        if let Err(error) = reader.push(chunk, &mut show) {
            return (seen, Err(error));
        }
    }
    let end = reader.finish();
    (seen, end)
}

fn read_events(chunks: &[&[u8]]) -> (Vec<String>, Result<(), WireError>) {
    let mut seen = Vec::new();
    let mut reader = WatchReader::new();
    for chunk in chunks {
        if let Err(error) = reader.push(chunk, &mut |event| seen.push(format!("{event:?}"))) {
            return (seen, Err(error));
        }
    }
    let end = reader.finish();
    (seen, end)
}

fn flaw<T>((_, end): (Vec<String>, Result<T, WireError>)) -> Option<Flaw> {
    end.err().map(|error| error.flaw)
}

/// The chunks that a stream falls into when it is cut at these places.
fn cut<'a>(stream: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = places.iter().map(|place| place.index(stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let begins = std::iter::once(0).chain(ends.iter().copied());
    begins.zip(&ends).map(|(begin, end)| &stream[begin..*end]).collect()
}

fn list_of(kind: &str, fields: &[u8]) -> Vec<u8> {
    write_object(&Kind::new("v1", kind), fields)
}

fn item(name: &str) -> Vec<u8> {
    let mut metadata = Vec::new();
    put_bytes(&mut metadata, 1, name.as_bytes());
    let mut object = Vec::new();
    put_bytes(&mut object, 1, &metadata);
    let mut field = item_head(object.len() as u64);
    field.extend(object);
    field
}

fn meta(resource_version: &str) -> Vec<u8> {
    let mut meta = Vec::new();
    put_bytes(&mut meta, 2, resource_version.as_bytes());
    let mut field = Vec::new();
    put_bytes(&mut field, 1, &meta);
    field
}

#[test]
fn metadata_may_come_before_behind_or_between_the_objects() {
    let (a, b, meta) = (item("a"), item("b"), meta("7"));
    let before = read_list(&[&list_of("PodList", &[&meta[..], &a, &b].concat())]);
    let between = read_list(&[&list_of("PodList", &[&a[..], &meta, &b].concat())]);
    let behind = read_list(&[&list_of("PodList", &[&a[..], &b, &meta].concat())]);
    assert_eq!(before.1.as_ref().unwrap().resource_version, "7");
    assert_eq!(before.0.len(), 3);
    assert_eq!((&between, &behind), (&before, &before));
}

#[test]
fn fields_that_are_not_known_are_passed_over_however_long_they_are() {
    let mut fields = item("a");
    put_bytes(&mut fields, 900, &vec![0xff; 3 * MAX_OBJECT_BYTES]);
    put_number_field(&mut fields, 901, u64::MAX);
    fields.extend(item("b"));
    let stream = list_of("PodList", &fields);
    let chunks: Vec<&[u8]> = stream.chunks(10_007).collect();
    let (seen, end) = read_list(&chunks);
    assert_eq!(seen.len(), 3);
    assert!(end.is_ok());
}

#[test]
fn a_list_that_ends_early_is_not_taken_for_whole() {
    // Behind the list itself come the two empty fields of the envelope, which nobody needs.
    let whole = PODS.len() - ENVELOPE_END.len();
    for len in 0..whole {
        let found = flaw(read_list(&[&PODS[..len]]));
        assert!(matches!(found, Some(Flaw::Cut | Flaw::BadEnvelope)), "{len}: {found:?}");
    }
    assert!(read_list(&[&PODS[..whole]]).1.is_ok());
}

#[test]
fn a_watch_may_end_between_two_events_and_nowhere_else() {
    let mut clean = 0;
    for len in 0..=EVENTS.len() {
        clean += usize::from(read_events(&[&EVENTS[..len]]).1.is_ok());
    }
    assert_eq!(clean, 7);
}

#[test]
fn an_object_that_is_too_large_is_refused_before_it_is_held() {
    let mut fields = item("a");
    put_head(&mut fields, 2, MAX_OBJECT_BYTES as u64 + 1);
    let mut stream = envelope(&Kind::new("v1", "PodList"), u64::from(u32::MAX));
    let at = stream.len() as u64 + item("a").len() as u64;
    stream.extend(fields);
    let (seen, end) = read_list(&[&stream]);
    assert_eq!(seen.len(), 2);
    let error = end.unwrap_err();
    assert_eq!(error.at, at);
    assert_eq!(
        error.to_string(),
        format!("byte {at} of the answer: an object of 2097153 bytes; 2097152 are allowed")
    );

    let frame = u32::MAX.to_be_bytes();
    assert!(matches!(flaw(read_events(&[&frame])), Some(Flaw::TooLarge { .. })));
}

#[test]
fn an_object_of_the_largest_size_is_read_from_small_pieces() {
    let mut content = Vec::new();
    // A tag of one byte and a length of three.
    put_bytes(&mut content, 15, &vec![0x7a; MAX_OBJECT_BYTES - 4]);
    let mut fields = item_head(content.len() as u64);
    fields.extend(content);
    let stream = list_of("ConfigMapList", &fields);
    let mut reader = ListReader::new();
    let mut lens = Vec::new();
    for chunk in stream.chunks(4099) {
        let mut show = |part: ListPart<'_>| {
            if let ListPart::Item(object) = part {
                lens.push(object.bytes.len());
            }
        };
        reader.push(chunk, &mut show).unwrap();
    }
    assert_eq!(reader.finish().unwrap().kind.kind, "ConfigMapList");
    assert_eq!(lens, [MAX_OBJECT_BYTES]);
}

#[test]
fn what_holds_no_whole_objects_is_no_list() {
    for (version, kind) in [
        ("v1", "Pod"),
        ("v1", "List"),
        ("v1", ""),
        ("meta.k8s.io/v1", "Table"),
        ("meta.k8s.io/v1", "PartialObjectMetadataList"),
        ("meta.k8s.io/v1beta1", "PartialObjectMetadataList"),
    ] {
        let kind = Kind::new(version, kind);
        let body = write_object(&kind, &item("a"));
        assert_eq!(flaw(read_list(&[&body])), Some(Flaw::NotList(kind)));
    }
}

#[test]
fn envelopes_of_another_form_are_refused() {
    let (pods, items) = (Kind::new("v1", "PodList"), item("a"));
    let good = write_object(&pods, &items);
    let (mut type_meta, mut raw) = (Vec::new(), Vec::new());
    let head = envelope(&pods, 0);
    type_meta.extend(&head[4..head.len() - 2]);
    put_bytes(&mut raw, 2, &items);
    let magic = &b"k8s\0"[..];
    let encoded = [&good[..good.len() - 4], &b"\x1a\x04gzip"[..]].concat();
    let json = [&good[..good.len() - 4], &b"\x22\x10application/json"[..]].concat();
    let cases = [
        (b"{\"kind\":\"PodList\"}".to_vec(), Flaw::NotProtobuf),
        ([magic, &raw[..], &type_meta].concat(), Flaw::BadEnvelope),
        ([magic, &type_meta[..], &raw, &raw].concat(), Flaw::BadEnvelope),
        ([magic, &type_meta[..], &type_meta, &raw].concat(), Flaw::BadEnvelope),
        ([magic, &type_meta[..]].concat(), Flaw::BadEnvelope),
        (magic.to_vec(), Flaw::BadEnvelope),
        ([magic, &b"\x08\x01"[..]].concat(), Flaw::OtherType(1)),
        (encoded, Flaw::OtherContent),
        (json, Flaw::OtherContent),
    ];
    for (body, expected) in cases {
        assert_eq!(flaw(read_list(&[&body])), Some(expected.clone()), "{body:x?}");
        assert!(open(&body).is_err(), "{expected:?}");
    }
}

#[test]
fn a_content_type_that_says_protobuf_is_no_flaw() {
    let mut body = write_object(&Kind::new("v1", "PodList"), &item("a"));
    body.truncate(body.len() - 2);
    put_bytes(&mut body, 4, MEDIA_TYPE.as_bytes());
    assert!(read_list(&[&body]).1.is_ok());
    assert!(open(&body).is_ok());
}

#[test]
fn a_field_that_reaches_beyond_the_list_is_cut() {
    let mut fields = item("a");
    put_head(&mut fields, 2, 40);
    let mut stream = list_of("PodList", &fields);
    stream.extend([0; 64]);
    assert_eq!(flaw(read_list(&[&stream])), Some(Flaw::Cut));
    // The list ends within a field's header, and the envelope goes on.
    let stream = list_of("PodList", &[&item("a")[..], &[0x92]].concat());
    assert_eq!(flaw(read_list(&[&stream])), Some(Flaw::Cut));
}

#[test]
fn names_that_are_no_text_are_refused() {
    assert_eq!(ObjectView::parse(b"\x0a\x04\x0a\x02\xff\xfe"), Err(Flaw::NotText(1)));
    assert_eq!(ObjectView::parse(b"\x08\x01"), Err(Flaw::OtherType(1)));
    assert_eq!(ObjectView::parse(b"\x0a\x02\x28\x01"), Err(Flaw::OtherType(5)));
}

#[test]
fn an_event_that_is_not_known_ends_the_reading() {
    let mut event = write_event(Change::Added, &Kind::new("v1", "Pod"), b"");
    let place = event.windows(5).position(|window| window == b"ADDED").unwrap();
    event[place] = b'X';
    let mut reader = WatchReader::new();
    let first = reader.push(&event, &mut |_| {}).unwrap_err();
    assert_eq!((first.at, first.flaw), (4, Flaw::UnknownEvent));
    let again = reader.push(EVENTS, &mut |_| panic!("it goes on")).unwrap_err();
    assert_eq!(again.flaw, Flaw::Lost);
    assert_eq!(reader.finish().unwrap_err().flaw, Flaw::Lost);
}

#[test]
fn an_event_without_object_is_refused() {
    for message in [&b""[..], b"\x0a\x05ADDED", b"\x0a\x05ADDED\x12\x00"] {
        let mut frame = u32::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        frame.extend(message);
        assert_eq!(flaw(read_events(&[&frame])), Some(Flaw::BadEnvelope));
    }
}

#[test]
fn nothing_of_an_object_is_in_its_debug_text() {
    let (_, raw) = open(POD).unwrap();
    let text = format!("{:?}", ObjectView::parse(raw).unwrap());
    assert!(text.contains("till-0") && !text.contains("registry"), "{text}");
}

#[test]
fn fields_of_the_metadata_are_not_taken_for_fields_of_the_object() {
    let substance = |bytes: &[u8]| ObjectView::parse(bytes).unwrap().substance("Secret");
    let inner = b"\x12\x01x";
    let mut within = Vec::new();
    put_bytes(&mut within, 1, inner);
    let outside = [&inner[..], b"\x0a\x00"].concat();
    let before = [&b"\x0a\x00"[..], inner].concat();
    assert_ne!(substance(&within), substance(&outside));
    assert_ne!(substance(&within), substance(&before));
    assert_ne!(substance(inner), substance(&before));
}

proptest! {
    #[test]
    fn a_list_reads_the_same_wherever_it_is_cut(places: Vec<prop::sample::Index>) {
        for stream in [PODS, PAGE] {
            prop_assert_eq!(read_list(&cut(stream, &places)), read_list(&[stream]));
        }
    }

    #[test]
    fn a_watch_reads_the_same_wherever_it_is_cut(places: Vec<prop::sample::Index>) {
        prop_assert_eq!(read_events(&cut(EVENTS, &places)), read_events(&[EVENTS]));
    }

    /// Flaws too are the same, and at the same place.
    #[test]
    fn damage_reads_the_same_wherever_it_is_cut(
        places: Vec<prop::sample::Index>,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mut list, mut events) = (PODS.to_vec(), EVENTS.to_vec());
        for (place, byte) in &damage {
            list[place.index(PODS.len())] = *byte;
            events[place.index(EVENTS.len())] = *byte;
        }
        prop_assert_eq!(read_list(&cut(&list, &places)), read_list(&[&list]));
        prop_assert_eq!(read_events(&cut(&events, &places)), read_events(&[&events]));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(mut body: Vec<u8>, places: Vec<prop::sample::Index>) {
        let _ = read_events(&cut(&body, &places));
        let _ = (open(&body).is_ok(), Status::parse(&body).is_ok(), TokenRequest::parse(&body).is_ok());
        if let Ok(object) = ObjectView::parse(&body) {
            let _ = (object.substance("Pod"), object.substance("Secret"));
        }
        let mut list = envelope(&Kind::new("v1", "PodList"), body.len() as u64);
        list.append(&mut body);
        let _ = read_list(&cut(&list, &places));
    }

    #[test]
    fn what_is_written_is_read(names in prop::collection::vec("[a-z]{1,9}", 0..5), version in "[0-9]{0,9}") {
        let objects: Vec<Vec<u8>> = names.iter().map(|name| item(name)[2..].to_vec()).collect();
        let head = ListHead::new(&Kind::new("v1", "PodList"), &version, objects.iter().map(|object| object.len() as u64));
        let mut body = head.bytes;
        for object in &objects {
            body.extend(item_head(object.len() as u64));
            body.extend(object);
        }
        body.extend(ENVELOPE_END);
        prop_assert_eq!(body.len() as u64, head.body_len);
        let (seen, end) = read_list(&[&body]);
        prop_assert_eq!(seen.len(), names.len() + 1);
        prop_assert_eq!(end.unwrap().resource_version, version);
    }
}
