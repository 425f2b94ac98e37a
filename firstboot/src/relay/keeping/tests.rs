use std::future::poll_fn;
use std::path::Path;
use std::task::{Context, Poll, Waker};

use http::Method;

use super::*;
use crate::disk::ModelDisk;
use crate::relay::store::{LOG, Limits, Store};
use crate::relay::store_key::StoreKey;
use crate::relay::wire::{ENVELOPE_END, Kind, ListHead};

const PODS: &str = "/api/v1/pods?fieldSelector=spec.nodeName%3Dn";
const NEVER: Duration = Duration::from_secs(3600);

/// A machine with its disk.
struct Machine {
    disk: ModelDisk,
    keeping: Keeping<ModelDisk>,
}

/// The thread hangs until this is dropped.
struct Hanging(#[expect(dead_code, reason = "only its drop is of use")] Sender<()>);

impl Machine {
    fn new(gather: Duration) -> Self {
        let disk = ModelDisk::new();
        for folder in ["/var", "/var/lib", "/var/lib/skerry", "/var/lib/skerry/relay"] {
            disk.make_folder(Path::new(folder), 0o700).unwrap();
        }
        let (store, _) = Store::open(disk.clone(), StoreKey::new([7; 32]), Limits::default());
        let keeper = Keeper::new(store, Secrets::Kept);
        Self {
            disk,
            keeping: Keeping::start(keeper, gather).unwrap(),
        }
    }

    /// As if the disk did not answer.
    fn hang(&self) -> Hanging {
        let (sender, receiver) = channel::<()>();
        self.keeping.tell(move |_| {
            let _ = receiver.recv();
        });
        Hanging(sender)
    }

    fn lesson(&self, address: &str) -> Box<dyn Observer> {
        let subject = Subject {
            asked: Asked::of(&Method::GET, &address.parse().unwrap()),
            request: Bytes::new(),
            encoding: Encoding::Plain,
        };
        self.keeping.lesson(subject).unwrap()
    }

    /// A list of no pods at this version.
    fn pass_list(&self, version: &str) {
        let mut lesson = self.lesson(PODS);
        lesson.data(&Bytes::from(list(version)));
        lesson.end(End::Complete);
    }

    async fn version(&self) -> Option<String> {
        let collection = pods();
        let known = self.keeping.ask(move |keeper| {
            keeper.flush().unwrap();
            keeper.known(&collection)
        });
        known.await.map(|known| known.resource_version)
    }
}

fn list(version: &str) -> Vec<u8> {
    let mut body = ListHead::new(&Kind::new("v1", "PodList"), version, std::iter::empty()).bytes;
    body.extend(ENVELOPE_END);
    body
}

fn pods() -> Collection {
    match Asked::of(&Method::GET, &PODS.parse().unwrap()) {
        Asked::List { collection, .. } => collection,
        other => panic!("{other:?}"),
    }
}

fn poll(lesson: &mut Box<dyn Observer>) -> Poll<()> {
    lesson.poll_ready(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn what_passes_while_the_thread_is_busy_is_learned_in_its_order() {
    let machine = Machine::new(NEVER);
    let busy = machine.hang();
    for version in ["10", "11", "12"] {
        machine.pass_list(version);
    }
    drop(busy);
    assert_eq!(machine.version().await.as_deref(), Some("12"));
}

#[tokio::test]
async fn a_question_is_answered_after_what_came_before_it_and_before_what_comes_later() {
    let machine = Machine::new(NEVER);
    let busy = machine.hang();
    machine.pass_list("10");
    let collection = pods();
    let asked = machine.keeping.ask(move |keeper| keeper.current().has(&collection));
    let lost = pods();
    machine.keeping.tell(move |keeper| keeper.lose(&lost));
    drop(busy);
    assert!(asked.await);
    machine.keeping.ask(|_| ()).await;
    assert!(!machine.keeping.is_current(&pods()).await);
}

#[tokio::test]
async fn a_collection_that_has_passed_and_is_not_read_yet_is_current_when_it_is() {
    let machine = Machine::new(NEVER);
    assert!(!machine.keeping.is_current(&pods()).await);
    let busy = machine.hang();
    machine.pass_list("10");
    let collection = pods();
    let (current, ()) = tokio::join!(machine.keeping.is_current(&collection), async { drop(busy) });
    assert!(current);
    let _busy = machine.hang();
    assert!(
        machine.keeping.is_current(&pods()).await,
        "nobody waits for what is known"
    );
}

#[tokio::test]
async fn a_body_waits_while_much_waits_to_be_read_and_goes_on_when_it_was() {
    let machine = Machine::new(NEVER);
    let busy = machine.hang();
    let mut lesson = machine.lesson(PODS);
    let piece = Bytes::from(vec![0; WAITING_BYTES / 2]);
    for _ in 0..2 {
        assert_eq!(poll(&mut lesson), Poll::Ready(()));
        lesson.data(&piece);
    }
    assert_eq!(poll(&mut lesson), Poll::Pending);
    drop(busy);
    poll_fn(|context| lesson.poll_ready(context)).await;
    lesson.end(End::Broken);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_for_too_long_passes_unseen_and_its_collection_is_to_be_listed_anew() {
    let machine = Machine::new(NEVER);
    machine.pass_list("10");
    assert_eq!(machine.version().await.as_deref(), Some("10"));
    let mut lesson = machine.lesson(&format!("{PODS}&watch=true&resourceVersion=10"));
    let busy = machine.hang();
    // The length of an event, and a part of it.
    let len = u32::try_from(WAITING_BYTES).unwrap().to_be_bytes();
    lesson.data(&Bytes::from([&len[..], &vec![0; WAITING_BYTES - 4]].concat()));
    poll_fn(|context| lesson.poll_ready(context)).await;
    lesson.data(&Bytes::from_static(b"this is not shown"));
    assert_eq!(poll(&mut lesson), Poll::Ready(()));
    drop(busy);
    lesson.end(End::Broken);
    machine.keeping.ask(|_| ()).await;
    assert!(!machine.keeping.current.has(&pods()));
    assert_eq!(machine.version().await.as_deref(), Some("10"), "what was seen is kept");
}

#[tokio::test(start_paused = true)]
async fn a_thread_that_does_not_answer_does_not_keep_a_watch_from_passing() {
    let machine = Machine::new(NEVER);
    let _busy = machine.hang();
    assert!(machine.keeping.is_current(&pods()).await);
}

#[tokio::test]
async fn what_has_changed_is_written_without_being_told() {
    let machine = Machine::new(Duration::ZERO);
    machine.pass_list("10");
    machine.keeping.ask(|_| ()).await;
    assert!(machine.disk.metadata(Path::new(LOG)).is_ok());
}

#[test]
fn what_has_passed_before_the_end_is_learned_before_the_thread_ends() {
    let machine = Machine::new(NEVER);
    machine.pass_list("10");
    let (sender, receiver) = channel();
    let collection = pods();
    machine.keeping.tell(move |keeper| {
        let _ = sender.send(keeper.current().has(&collection));
    });
    drop(machine);
    assert_eq!(receiver.recv(), Ok(true));
}
