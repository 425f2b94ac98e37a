//! Answers from what is kept, while the control plane cannot be reached.
//!
//! | asked for | answer |
//! |---|---|
//! | a list | the objects as last seen, at the version as last seen |
//! | a watch | the objects first, if that is asked for; then it is held open until the control plane is back |
//! | an object, a token | as last seen |
//! | a change, and what was never seen | 503, which kubelet tries again by itself |
//!
//! There is no `Retry-After` with a 503: client-go would hold the request back by itself, for ten times that long, and
//! kubelet's loops know better when to come again.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::asked::{Asked, Begins, Collection, ObjectPath};
use super::body::{BodySender, RelayBody, Unwanted};
use super::keeper::Known;
use super::keeping::Keeping;
use super::wire::{
    Change, ENVELOPE_END, ListHead, MEDIA_TYPE, Mark, Status, TokenRequest, item_head, write_bookmark, write_event,
    write_object,
};
use crate::disk::Disk;

/// The media type of a watch's events.
const WATCH_TYPE: &str = "application/vnd.kubernetes.protobuf;stream=watch";
/// How long a watch is held if kubelet does not say; it does.
const WATCH_AT_MOST: Duration = Duration::from_secs(600);

/// A request that is answered from what is kept.
#[derive(Debug)]
pub struct Question<'a> {
    /// What is asked for.
    pub asked: &'a Asked,
    /// Where, with the query.
    pub uri: &'a Uri,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The body of a request for a token.
    pub body: &'a [u8],
}

/// The answer to `question`; `back` ends when watches are to end. `trouble` says why the control plane is not asked.
pub async fn answer<D: Disk + Send + 'static>(
    keeping: &Keeping<D>,
    question: &Question<'_>,
    trouble: &str,
    back: impl Future<Output = ()> + 'static,
) -> Response<RelayBody> {
    if !accepts_protobuf(question.headers) {
        return refuse(question.headers, trouble);
    }
    let found = match question.asked {
        Asked::List { collection, .. } => list(keeping, collection).await,
        Asked::Watch { collection, begins } => watch(keeping, collection, *begins, question.uri, back).await,
        Asked::Get(path) => object(keeping, path).await,
        Asked::Token(path) => token(keeping, path, question.body).await,
        Asked::Write | Asked::Other => None,
    };
    found.unwrap_or_else(|| refuse(question.headers, trouble))
}

/// The answer to what cannot be answered: `trouble` says why the control plane is not asked.
pub fn refuse(headers: &HeaderMap, trouble: &str) -> Response<RelayBody> {
    let status = Status {
        code: StatusCode::SERVICE_UNAVAILABLE.as_u16(),
        reason: "ServiceUnavailable".to_owned(),
        message: format!("the control plane cannot be reached: {trouble}"),
        retry_after_secs: None,
    };
    say(headers, StatusCode::SERVICE_UNAVAILABLE, &status)
}

/// Tells a watch to begin anew: the relay has not seen what came before it. A control plane says the same when it does
/// not remember that far back.
pub fn expired(headers: &HeaderMap) -> Response<RelayBody> {
    let status = Status {
        code: StatusCode::GONE.as_u16(),
        reason: "Expired".to_owned(),
        message: "the relay has started anew and has not seen this collection yet".to_owned(),
        retry_after_secs: None,
    };
    say(headers, StatusCode::GONE, &status)
}

fn say(headers: &HeaderMap, code: StatusCode, status: &Status) -> Response<RelayBody> {
    let (media_type, body) = match accepts_protobuf(headers) {
        true => (MEDIA_TYPE, status.to_protobuf()),
        false => ("application/json", status.to_json()),
    };
    respond(code, media_type, RelayBody::whole(body))
}

fn respond(code: StatusCode, media_type: &'static str, body: RelayBody) -> Response<RelayBody> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Whether the first choice of media type is protobuf, whole and not as a table.
fn accepts_protobuf(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut first = accepted.split(',').next().unwrap_or_default().split(';').map(str::trim);
    first.next() == Some(MEDIA_TYPE) && first.all(|parameter| !parameter.starts_with("as="))
}

/// What is kept of a collection.
async fn known<D: Disk + Send + 'static>(keeping: &Keeping<D>, collection: &Collection) -> Option<Known> {
    let collection = collection.clone();
    keeping.ask(move |keeper| keeper.known(&collection)).await
}

/// An object of it; none if there is no such object any more, or if it cannot be read.
async fn read<D: Disk + Send + 'static>(
    keeping: &Keeping<D>,
    collection: &Collection,
    name: String,
) -> Option<Vec<u8>> {
    let collection = collection.clone();
    let object = keeping.ask(move |keeper| keeper.object(&collection, &name));
    object.await.ok().flatten()
}

async fn list<D: Disk + Send + 'static>(keeping: &Keeping<D>, collection: &Collection) -> Option<Response<RelayBody>> {
    let known = known(keeping, collection).await?;
    let lengths = known.objects.iter().map(|(_, len)| *len as u64);
    let head = ListHead::new(&known.kind.of_list(), &known.resource_version, lengths);
    let len = HeaderValue::from(head.body_len);
    let (sender, body) = RelayBody::channel();
    let (keeping, collection) = (keeping.clone(), collection.clone());
    spawn_local(async move {
        let written = write_list(&keeping, &collection, known, head.bytes, &sender).await;
        if matches!(written, Ok(Whole::No)) {
            sender.cut_short().await;
        }
    });
    let mut response = respond(StatusCode::OK, MEDIA_TYPE, body);
    response.headers_mut().insert(CONTENT_LENGTH, len);
    Some(response)
}

/// Whether all of a list could be written.
enum Whole {
    Yes,
    /// An object has changed or cannot be read: its length was promised already.
    No,
}

async fn write_list<D: Disk + Send + 'static>(
    keeping: &Keeping<D>,
    collection: &Collection,
    known: Known,
    head: Vec<u8>,
    sender: &BodySender,
) -> Result<Whole, Unwanted> {
    sender.send(head).await?;
    for (name, len) in known.objects {
        match read(keeping, collection, name).await {
            Some(object) if object.len() == len => {
                let mut piece = item_head(len as u64);
                piece.extend_from_slice(&object);
                sender.send(piece).await?;
            }
            _ => return Ok(Whole::No),
        }
    }
    sender.send(ENVELOPE_END.to_vec()).await?;
    Ok(Whole::Yes)
}

async fn watch<D: Disk + Send + 'static>(
    keeping: &Keeping<D>,
    collection: &Collection,
    begins: Begins,
    uri: &Uri,
    back: impl Future<Output = ()> + 'static,
) -> Option<Response<RelayBody>> {
    let known = known(keeping, collection).await?;
    let at_most = timeout_of(uri);
    let (sender, body) = RelayBody::channel();
    let (keeping, collection) = (keeping.clone(), collection.clone());
    spawn_local(async move {
        let begun = match begins {
            Begins::WithObjects => write_beginning(&keeping, &collection, known, &sender).await,
            Begins::Now => Ok(()),
        };
        if begun.is_ok() {
            tokio::select! {
                () = back => {}
                () = sleep(at_most) => {}
                () = sender.unwanted() => {}
            }
        }
    });
    Some(respond(StatusCode::OK, WATCH_TYPE, body))
}

async fn write_beginning<D: Disk + Send + 'static>(
    keeping: &Keeping<D>,
    collection: &Collection,
    known: Known,
    sender: &BodySender,
) -> Result<(), Unwanted> {
    for (name, _) in known.objects {
        // Without it the beginning must not look like a whole one: the watch ends before its bookmark.
        let Some(object) = read(keeping, collection, name).await else {
            return Err(Unwanted);
        };
        sender.send(write_event(Change::Added, &known.kind, &object)).await?;
    }
    let mark = write_bookmark(&known.kind, &known.resource_version, Mark::InitialEventsEnd);
    sender.send(mark).await
}

/// How long a watch shall last (`timeoutSeconds`).
fn timeout_of(uri: &Uri) -> Duration {
    let parameters = uri.query().unwrap_or_default().split('&');
    let seconds = parameters
        .filter_map(|parameter| parameter.strip_prefix("timeoutSeconds="))
        .find_map(|value| value.parse().ok());
    seconds.map_or(WATCH_AT_MOST, |seconds| Duration::from_secs(seconds).min(WATCH_AT_MOST))
}

async fn object<D: Disk + Send + 'static>(keeping: &Keeping<D>, path: &ObjectPath) -> Option<Response<RelayBody>> {
    let path = path.clone();
    let found = keeping.ask(move |keeper| match keeper.anywhere(&path) {
        Some((kind, bare)) => Some(write_object(&kind, &bare)),
        None => keeper.single(&path).ok()?,
    });
    Some(respond(StatusCode::OK, MEDIA_TYPE, RelayBody::whole(found.await?)))
}

async fn token<D: Disk + Send + 'static>(
    keeping: &Keeping<D>,
    path: &ObjectPath,
    body: &[u8],
) -> Option<Response<RelayBody>> {
    let (path, body) = (path.clone(), body.to_vec());
    let found = keeping.ask(move |keeper| {
        let request = TokenRequest::parse(&body).ok()?;
        keeper.token(&path, &request).ok()?
    });
    Some(respond(StatusCode::CREATED, MEDIA_TYPE, RelayBody::whole(found.await?)))
}
