use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;

use http_body_util::BodyExt as _;

use super::*;

#[derive(Debug, Clone, Default)]
struct Seen(Rc<RefCell<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    bytes: Vec<u8>,
    end: Option<End>,
    is_full: bool,
    waits: Option<Waker>,
}

impl Observer for Seen {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut memory = self.0.borrow_mut();
        if memory.is_full {
            memory.waits = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn data(&mut self, bytes: &Bytes) {
        self.0.borrow_mut().bytes.extend_from_slice(bytes);
    }

    fn end(self: Box<Self>, how: End) {
        assert_eq!(self.0.borrow_mut().end.replace(how), None, "the end is told once");
    }
}

impl Seen {
    fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }

    fn end(&self) -> Option<End> {
        self.0.borrow().end
    }

    fn fill(&self) {
        self.0.borrow_mut().is_full = true;
    }

    fn make_room(&self) {
        let mut memory = self.0.borrow_mut();
        memory.is_full = false;
        memory.waits.take().unwrap().wake();
    }
}

fn observed(body: RelayBody) -> (RelayBody, Seen) {
    let seen = Seen::default();
    let body = body.observed(Box::new(seen.clone()));
    (body, seen)
}

async fn next(body: &mut RelayBody) -> Option<Bytes> {
    body.frame().await.map(|frame| frame.unwrap().into_data().unwrap())
}

#[tokio::test(flavor = "local")]
async fn an_observer_sees_each_piece_when_it_passes() {
    let (sender, body) = RelayBody::channel();
    let (mut body, seen) = observed(body);
    sender.send("one ").await.unwrap();
    assert_eq!(next(&mut body).await, Some(Bytes::from("one ")));
    assert_eq!((seen.bytes(), seen.end()), (b"one ".to_vec(), None));
    sender.send("two").await.unwrap();
    drop(sender);
    assert_eq!(next(&mut body).await, Some(Bytes::from("two")));
    assert_eq!((seen.bytes(), seen.end()), (b"one two".to_vec(), Some(End::Complete)));
}

#[tokio::test(flavor = "local")]
async fn a_body_is_read_on_when_its_observer_has_room_for_more() {
    let (sender, body) = RelayBody::channel();
    let (mut body, seen) = observed(body);
    sender.send("one ").await.unwrap();
    next(&mut body).await;
    seen.fill();
    sender.send("two").await.unwrap();
    drop(sender);
    let (piece, ()) = tokio::join!(next(&mut body), async {
        tokio::task::yield_now().await;
        assert_eq!(seen.bytes(), b"one ");
        seen.make_room();
    });
    assert_eq!(piece, Some(Bytes::from("two")));
    assert_eq!((seen.bytes(), seen.end()), (b"one two".to_vec(), Some(End::Complete)));
}

#[tokio::test(flavor = "local")]
async fn a_body_that_is_whole_at_once_is_seen_whole() {
    let (body, seen) = observed(RelayBody::whole("all"));
    assert_eq!(body.size_hint().exact(), Some(3));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "all");
    assert_eq!((seen.bytes(), seen.end()), (b"all".to_vec(), Some(End::Complete)));
    let (body, seen) = observed(RelayBody::empty());
    assert!(body.is_end_stream());
    assert_eq!(seen.end(), Some(End::Complete));
}

#[tokio::test(flavor = "local")]
async fn what_is_dropped_before_its_end_was_abandoned() {
    let (sender, body) = RelayBody::channel();
    let (mut body, seen) = observed(body);
    sender.send("one").await.unwrap();
    next(&mut body).await;
    drop(body);
    assert_eq!(seen.end(), Some(End::Abandoned));
    assert_eq!(sender.send("two").await, Err(Unwanted));
}

#[tokio::test(flavor = "local")]
async fn a_body_that_breaks_off_is_broken_for_reader_and_observer() {
    let (sender, body) = RelayBody::channel();
    let (mut body, seen) = observed(body);
    sender.send("one").await.unwrap();
    next(&mut body).await;
    sender.cut_short().await;
    let frame = body.frame().await.unwrap();
    assert!(matches!(frame, Err(BodyError::CutShort)));
    assert_eq!(seen.end(), Some(End::Broken));
}
