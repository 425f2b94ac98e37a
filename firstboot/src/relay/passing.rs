//! A request of kubelet on its way: through to the control plane, or to what is kept.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::alone::{self, Question};
use super::asked::{Asked, Begins};
use super::body::RelayBody;
use super::keeping::{Keeping, Subject};
use super::link::{Link, Probe, Way};
use super::listener::Answerer;
use super::unpack::Encoding;
use super::upstream::Upstream;
use super::wire::MEDIA_TYPE;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::node::announce::log;

/// What a request for a token may take, in bytes.
const MAX_TOKEN_REQUEST: usize = 64 << 10;

/// What all requests share.
#[expect(missing_debug_implementations, reason = "what it holds may be secret")]
pub struct Passing<D> {
    upstream: Upstream,
    keeping: Keeping<D>,
    link: RefCell<Link>,
    way: watch::Sender<Way>,
    clock: Arc<dyn Clock>,
    last_answer: Cell<Option<u64>>,
    /// Told when the link has to be looked at sooner than it said.
    stirred: Notify,
}

/// A request, but for a body that only the control plane wants.
struct Head {
    asked: Asked,
    uri: Uri,
    headers: HeaderMap,
    /// The body of a request for a token.
    body: Bytes,
}

impl<D: Disk + Send + 'static> Passing<D> {
    /// Requests go to `upstream` or to `keeping`. `last_answer` is when the control plane answered last, seconds since
    /// 1970, if that is known from an earlier life.
    pub fn new(upstream: Upstream, keeping: Keeping<D>, clock: Arc<dyn Clock>, last_answer: Option<u64>) -> Self {
        Self {
            upstream,
            keeping,
            link: RefCell::new(Link::new(Instant::now())),
            way: watch::Sender::new(Way::Undecided),
            clock,
            last_answer: Cell::new(last_answer),
            stirred: Notify::new(),
        }
    }

    /// Where requests go, and when that changes.
    pub fn way(&self) -> watch::Receiver<Way> {
        self.way.subscribe()
    }

    /// What is kept.
    pub fn keeping(&self) -> &Keeping<D> {
        &self.keeping
    }

    /// The time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Why the control plane was not reached last.
    pub fn trouble(&self) -> String {
        self.link.borrow().trouble().to_owned()
    }

    /// When the control plane answered last, seconds since 1970.
    pub fn last_answer(&self) -> Option<u64> {
        self.last_answer.get()
    }

    /// Since when the machine is alone, if it is.
    pub fn alone_since(&self) -> Option<Instant> {
        self.link.borrow().alone_since()
    }

    /// Waits until [`Passing::tick`] is to be called although its time has not come.
    pub async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// Time has passed: whether the control plane is to be asked, and when to call this again.
    pub fn tick(&self) -> (Probe, Instant) {
        let probe = self.link.borrow_mut().tick(Instant::now());
        self.publish();
        (probe, self.link.borrow().next_tick())
    }

    /// Asks the control plane, whatever is known of it.
    pub async fn ask(&self, request: Request<RelayBody>) -> Option<Response<RelayBody>> {
        match self.upstream.send(request).await {
            Ok(response) => {
                self.judge(response.status());
                Some(response)
            }
            Err(failure) => {
                self.failed(&failure.to_string());
                None
            }
        }
    }

    /// An attempt to reach the control plane has failed.
    pub fn failed(&self, trouble: &str) {
        self.link.borrow_mut().failed(Instant::now(), trouble);
        self.publish();
        self.stirred.notify_one();
    }

    /// A server without its database answers 500, one that does not believe this node 401: neither works for it.
    fn judge(&self, status: StatusCode) {
        if status == StatusCode::UNAUTHORIZED {
            return self.failed("the control plane does not accept this node's certificate");
        }
        if status.is_server_error() {
            return self.failed(&format!("the control plane answers {status}"));
        }
        self.last_answer.set(Some(self.clock.now()));
        self.link.borrow_mut().answered(Instant::now());
        self.publish();
    }

    fn publish(&self) {
        let way = self.link.borrow().way();
        let changed = self.way.send_if_modified(|known| std::mem::replace(known, way) != way);
        if changed && way == Way::Kept {
            // What still hangs on the old connections is not waited for.
            self.upstream.reconnect();
        }
    }

    async fn decided(&self) -> Way {
        let mut receiver = self.way.subscribe();
        let decided = receiver.wait_for(|way| *way != Way::Undecided).await;
        // The sender lives as long as this does.
        decided.map_or(Way::Kept, |way| *way)
    }

    async fn becomes(&self, wanted: Way) {
        let mut receiver = self.way.subscribe();
        let _ = receiver.wait_for(|way| *way == wanted).await;
    }

    async fn answer_from_kept(&self, head: &Head) -> Response<RelayBody> {
        let mut receiver = self.way.subscribe();
        let back = async move {
            let _ = receiver.wait_for(|way| *way == Way::Through).await;
        };
        let question = Question {
            asked: &head.asked,
            uri: &head.uri,
            headers: &head.headers,
            body: &head.body,
        };
        alone::answer(&self.keeping, &question, &self.trouble(), back).await
    }

    async fn through(&self, head: &Head, request: Request<RelayBody>) -> Response<RelayBody> {
        if self.must_begin_anew(&head.asked).await {
            return alone::expired(&head.headers);
        }
        let sent = tokio::select! {
            sent = self.upstream.send(request) => sent,
            () = self.becomes(Way::Kept) => return self.answer_from_kept(head).await,
        };
        match sent {
            Ok(response) => {
                self.judge(response.status());
                self.observed(head, response)
            }
            Err(failure) => {
                self.failed(&failure.to_string());
                let way = *self.way.borrow();
                match way {
                    Way::Kept => self.answer_from_kept(head).await,
                    _ => alone::refuse(&head.headers, &self.trouble()),
                }
            }
        }
    }

    /// The events of a watch tell nothing if what came before them was not seen.
    async fn must_begin_anew(&self, asked: &Asked) -> bool {
        let Asked::Watch {
            collection,
            begins: Begins::Now,
        } = asked
        else {
            return false;
        };
        self.keeping.secrets().allow(collection) && !self.keeping.is_current(collection).await
    }

    fn observed(&self, head: &Head, response: Response<RelayBody>) -> Response<RelayBody> {
        if response.status() == StatusCode::NOT_FOUND
            && let Asked::Get(path) = &head.asked
            && self.keeping.secrets().allow_object(path)
        {
            let path = path.clone();
            self.keeping.tell(move |keeper| keeper.remove_single(&path));
        }
        if !response.status().is_success() || !is_protobuf(response.headers()) {
            return response;
        }
        // What is packed in another way passes unseen: no API server does that.
        let observer = Encoding::of(response.headers()).and_then(|encoding| {
            self.keeping.lesson(Subject {
                asked: head.asked.clone(),
                request: head.body.clone(),
                encoding,
            })
        });
        match observer {
            None => response,
            Some(observer) => response.map(|body| body.observed(observer)),
        }
    }
}

impl<D: Disk + Send + 'static> Answerer for Passing<D> {
    async fn answer(&self, request: Request<RelayBody>) -> Response<RelayBody> {
        let mut head = Head {
            asked: Asked::of(request.method(), request.uri()),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            body: Bytes::new(),
        };
        let request = match head.asked {
            Asked::Token(_) => {
                let (parts, body) = request.into_parts();
                match Limited::new(body, MAX_TOKEN_REQUEST).collect().await {
                    Ok(whole) => head.body = whole.to_bytes(),
                    Err(_) => return alone::refuse(&head.headers, "the request for a token is too long or was cut"),
                }
                Request::from_parts(parts, RelayBody::whole(head.body.clone()))
            }
            _ => request,
        };
        match self.decided().await {
            Way::Kept => self.answer_from_kept(&head).await,
            _ => self.through(&head, request).await,
        }
    }

    fn turned_away(&self, from: std::net::SocketAddr, why: &str) {
        log(&format!("turned away {from}: {why}"));
    }
}

fn is_protobuf(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.split(';').next() == Some(MEDIA_TYPE))
}
