//! What the relay does beside answering: asks a silent control plane, says where it stands, remembers the time, tells the
//! cluster about an outage, forgets what nobody asks for any more, and learns the cluster's next authority.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::spawn_local;
use tokio::time::{sleep, sleep_until, timeout};

use super::authorities;
use super::body::RelayBody;
use super::config::{self, Config};
use super::keeper::Keeper;
use super::link::{Probe, Way};
use super::passing::Passing;
use super::status::{RelayState, STATUS_FILE, Status};
use super::wire::MEDIA_TYPE;
use crate::causes::with_causes;
use crate::clock;
use crate::disk::Disk;
use crate::join::Learnt;
use crate::node::announce::log;
use crate::node::console;

/// The Node's annotation with its last outage: an interval of ISO 8601, `BEGIN/END`.
pub const OUTAGE: &str = "skerry.local/last-outage";

/// How long the control plane may take to answer a question of the relay's own.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the status is looked over.
const LOOK: Duration = Duration::from_secs(30);
/// How often the time is remembered: what a machine without a battery starts with after a power cut, and what the age
/// of what is kept is told from.
const REMEMBER: Duration = Duration::from_secs(3600);
/// After so long with the control plane, what kubelet has not asked for is of no use any more.
const UNUSED: Duration = Duration::from_secs(24 * 3600);
/// How often the control plane is asked which authorities there are. It is to name the next one for longer than that
/// before the server's certificate is signed by it.
const LEARN: Duration = Duration::from_secs(24 * 3600);

/// What there is to be done.
#[expect(missing_debug_implementations, reason = "what it holds may be secret")]
pub struct Chores<D> {
    root: PathBuf,
    config: Config,
    /// What keeps the store's key.
    key: String,
    passing: Rc<Passing<D>>,
    asking: Cell<bool>,
    /// When the outage began that lasts, seconds since 1970.
    outage: Cell<Option<u64>>,
    said: Cell<Option<RelayState>>,
    since: Cell<u64>,
    saved: RefCell<Option<Status>>,
}

impl<D: Disk + Send + 'static> Chores<D> {
    /// For the machine whose files lie below `root`.
    pub fn new(root: &Path, config: Config, key: String, passing: Rc<Passing<D>>) -> Rc<Self> {
        let now = passing.clock().now();
        Rc::new(Self {
            root: root.to_owned(),
            config,
            key,
            passing,
            asking: Cell::new(false),
            outage: Cell::new(None),
            said: Cell::new(None),
            since: Cell::new(now),
            saved: RefCell::new(None),
        })
    }

    /// Ends when the relay has to begin anew, to trust what it did not know at its start.
    pub async fn go_on(self: Rc<Self>) {
        spawn_local(Rc::clone(&self).tend_the_link());
        spawn_local(Rc::clone(&self).remember());
        spawn_local(Rc::clone(&self).forget());
        spawn_local(Rc::clone(&self).look_again_and_again());
        self.learn().await;
    }

    async fn look_again_and_again(self: Rc<Self>) {
        let mut way = self.passing.way();
        loop {
            let now = *way.borrow_and_update();
            self.look(now).await;
            tokio::select! {
                _ = way.changed() => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    async fn tend_the_link(self: Rc<Self>) {
        loop {
            let (probe, next) = self.passing.tick();
            if probe == Probe::Now && !self.asking.replace(true) {
                spawn_local(Rc::clone(&self).probe());
            }
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.passing.stirred() => {}
            }
        }
    }

    /// Asks for the node's own lease, which is small, comes from the database, and only this node may read.
    async fn probe(self: Rc<Self>) {
        let name = &self.config.node_name;
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}");
        if let Some(request) = request(Method::GET, &path, RelayBody::empty())
            && timeout(PATIENCE, self.passing.ask(request)).await.is_err()
        {
            self.passing.failed("the control plane does not answer in time");
        }
        self.asking.set(false);
    }

    async fn remember(self: Rc<Self>) {
        loop {
            sleep(REMEMBER).await;
            let connected = *self.passing.way().borrow() == Way::Through;
            if connected
                && self.passing.clock().synchronised()
                && let Err(error) = clock::remember(&self.root, self.passing.clock().now())
            {
                log(&format!("cannot keep the time: {error}"));
            }
        }
    }

    async fn forget(self: Rc<Self>) {
        loop {
            sleep(UNUSED).await;
            if *self.passing.way().borrow() == Way::Through {
                self.passing.keeping().tell(Keeper::forget_unused);
            }
        }
    }

    async fn learn(&self) {
        loop {
            sleep(LEARN).await;
            // Lives as long as this.
            let _ = self.passing.way().wait_for(|way| *way == Way::Through).await;
            match authorities::learn(&self.root, self.passing.clock()).await {
                Ok(Learnt::Nothing) => {}
                Ok(Learnt::More) => {
                    log("the cluster names another authority beside the known ones; beginning anew with all of them");
                    return;
                }
                Err(error) => log(&format!("the cluster's authorities: {}", with_causes(&error))),
            }
        }
    }

    /// Says where the relay stands, and tells the cluster of an outage that is over.
    async fn look(self: &Rc<Self>, way: Way) {
        let state = match way {
            Way::Undecided => RelayState::Starting,
            Way::Through => RelayState::Connected,
            Way::Kept => RelayState::Alone,
        };
        let now = self.passing.clock().now();
        let before = self.said.replace(Some(state));
        if before != Some(state) {
            let ago = self.passing.alone_since().map_or(0, |since| since.elapsed().as_secs());
            self.since.set(now.saturating_sub(ago));
        }
        let status = self.status(state).await;
        self.save(&status);
        // That all is well is no news at the start.
        let news = match (before, state) {
            (Some(before), state) if before == state => false,
            (None | Some(RelayState::Starting), RelayState::Connected) | (_, RelayState::Starting) => false,
            _ => true,
        };
        if news {
            let line = status.line(now);
            console::say(&self.root, &line);
            log(&line);
        }
        match state {
            RelayState::Alone if self.outage.get().is_none() => {
                self.outage
                    .set(Some(self.passing.last_answer().unwrap_or(status.since)));
            }
            RelayState::Connected => {
                if let Some(begin) = self.outage.take() {
                    spawn_local(Rc::clone(self).tell_outage(begin, now));
                }
            }
            _ => {}
        }
    }

    fn save(&self, status: &Status) {
        if self
            .saved
            .borrow()
            .as_ref()
            .is_some_and(|saved| saved.still_tells(status))
        {
            return;
        }
        match status.save(&self.root.join(STATUS_FILE.trim_start_matches('/'))) {
            Ok(()) => *self.saved.borrow_mut() = Some(status.clone()),
            Err(error) => log(&format!("cannot write {STATUS_FILE}: {error}")),
        }
    }

    async fn status(&self, state: RelayState) -> Status {
        let count = self.passing.keeping().ask(|keeper| keeper.count()).await;
        let certificate = config::pair(&self.config.certificate);
        let expires = certificate.map(|pair| pair.leaf.not_after).unwrap_or_else(|error| {
            log(&with_causes(&error));
            0
        });
        Status {
            version: 1,
            state,
            since: self.since.get(),
            trouble: (state == RelayState::Alone).then(|| self.passing.trouble()),
            last_answer: self.passing.last_answer(),
            pods: count.pods,
            objects: count.objects,
            bytes: count.bytes,
            certificate_expires: expires,
            key: self.key.clone(),
        }
    }

    /// Writes an outage to the Node object. Once: if the line is down again, the next outage will tell.
    async fn tell_outage(self: Rc<Self>, begin: u64, end: u64) {
        let value = format!("{}/{}", date(begin), date(end));
        let patch = serde_json::json!({ "metadata": { "annotations": { OUTAGE: value } } }).to_string();
        let path = format!("/api/v1/nodes/{}", self.config.node_name);
        let Some(mut request) = request(Method::PATCH, &path, RelayBody::whole(patch)) else {
            return;
        };
        let merge = HeaderValue::from_static("application/merge-patch+json");
        request.headers_mut().insert(CONTENT_TYPE, merge);
        match timeout(PATIENCE, self.passing.ask(request)).await {
            Ok(Some(response)) if response.status().is_success() => {}
            Ok(Some(response)) => log(&format!(
                "the cluster does not take note of the outage: {}",
                response.status()
            )),
            Ok(None) | Err(_) => log("the outage could not be told: no answer"),
        }
    }
}

fn request(method: Method, path: &str, body: RelayBody) -> Option<Request<RelayBody>> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = path.parse::<Uri>().ok()?;
    request
        .headers_mut()
        .insert(ACCEPT, HeaderValue::from_static(MEDIA_TYPE));
    Some(request)
}

fn date(seconds: u64) -> String {
    let at = i64::try_from(seconds)
        .ok()
        .and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}
