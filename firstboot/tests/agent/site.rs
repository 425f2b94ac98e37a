//! A machine in memory and what is around it: media, a control plane, a kubelet that registers its node.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use skerry_firstboot::clock::{ManualClock, Start};
use skerry_firstboot::control_plane::NodeView;
use skerry_firstboot::disk::ModelDisk;
use skerry_firstboot::identity::{Found, Home, Identity, Loaded, Pair};
use skerry_firstboot::join::retry::Jitter;
use skerry_firstboot::join_config::NodeSettings;
use skerry_firstboot::node::agent::{Agent, Outcome};
use skerry_firstboot::node::join_file::Reach;
use skerry_firstboot::node::radio::Radio;
use skerry_firstboot::node::state::NodeState;
use skerry_firstboot::source::Source;
use tokio::time::Instant;

use crate::api_server::ApiServer;
use crate::fake_machine::FakeMachine;
use crate::issuer::{BEGIN, Issuer};
use crate::machine::{TOKEN_SECRET, kubelet_pair};

/// This machine's own id.
pub const MACHINE_ID: &str = "0123456789abcdef0123456789abcdef";
/// How long kubelet takes until it has registered its node, and until the node is Ready.
const REGISTERS: Duration = Duration::from_secs(3);
const READY: Duration = Duration::from_secs(8);
/// So many turns without a wait are a busy loop; a join has four.
const TURNS_AT_ONCE: usize = 12;

/// What the agent has the machine do.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    Look(Reach),
    Erase,
    Apply(Box<NodeSettings>),
    Prepare(Box<NodeSettings>, String),
    Preload,
    /// With so many requests made before.
    StartKubelet(usize),
    StopKubelet,
    Say(NodeState, String, String),
}

/// How erasing ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eraser {
    Works,
    ReadOnly,
    Unplugged,
    Breaks,
}

/// A kubelet that runs.
#[derive(Debug, Clone)]
struct Running {
    pair: Pair,
    since: Instant,
    registered: bool,
}

type Event<'a> = Box<dyn FnOnce(&Site<'a>) + 'a>;

/// The machine and what is around it. Nothing of this but the disk is lost by a power cut.
pub struct Site<'a> {
    pub server: ApiServer<'a>,
    pub clock: Arc<ManualClock>,
    pub clock_start: Cell<Start>,
    /// Join files in the order in which they are found.
    pub media: RefCell<Vec<(Source, String)>>,
    pub eraser: Cell<Eraser>,
    /// How often the next calls of these fail.
    pub failing_preloads: Cell<usize>,
    pub failing_stops: Cell<usize>,
    pub failing_starts: Cell<usize>,
    pub failing_files: Cell<usize>,
    /// How often containerd does not answer yet.
    pub containerd_is_late: Cell<usize>,
    pub times_remembered: Cell<usize>,
    /// Whether whoever gives the join file gives another token each time.
    pub fresh_tokens: Cell<bool>,
    /// Whether sticks cannot be mounted.
    pub sticks_are_broken: Cell<bool>,
    /// What the machine's Wi-Fi radio does.
    pub radio: Cell<Radio>,
    kubelet: RefCell<Option<Running>>,
    deeds: RefCell<Vec<(Duration, Deed)>>,
    events: RefCell<VecDeque<(Instant, Event<'a>)>>,
    cut_at_deed: Cell<Option<usize>>,
    off: Cell<bool>,
    started: Instant,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Ready,
    PowerGone,
    TimeUp,
}

impl<'a> Site<'a> {
    /// A machine that has a clock, and a stick with a join file.
    pub fn new(issuer: &'a Issuer) -> Self {
        let site = Self {
            server: ApiServer::new(issuer),
            clock: Arc::new(ManualClock::at(BEGIN + 60)),
            clock_start: Cell::new(Start::Plausible),
            media: RefCell::default(),
            eraser: Cell::new(Eraser::Works),
            failing_preloads: Cell::new(0),
            failing_stops: Cell::new(0),
            failing_starts: Cell::new(0),
            failing_files: Cell::new(0),
            containerd_is_late: Cell::new(0),
            times_remembered: Cell::new(0),
            fresh_tokens: Cell::new(false),
            sticks_are_broken: Cell::new(false),
            radio: Cell::new(Radio::Absent),
            kubelet: RefCell::new(None),
            deeds: RefCell::default(),
            events: RefCell::default(),
            cut_at_deed: Cell::new(None),
            off: Cell::new(false),
            started: Instant::now(),
        };
        site.insert_stick(&join_file(issuer, "pole-7", ""));
        site
    }

    pub fn insert_stick(&self, text: &str) {
        let source = Source::UsbStick {
            file: "join.toml".into(),
        };
        self.media.borrow_mut().push((source, text.to_owned()));
    }

    pub fn pull_sticks(&self) {
        self.media.borrow_mut().clear();
    }

    /// Lets something happen, in so much time, that comes with a device.
    pub fn later(&self, delay: Duration, event: impl FnOnce(&Self) + 'a) {
        let mut events = self.events.borrow_mut();
        events.push_back((Instant::now() + delay, Box::new(event)));
        events.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    /// Cuts the power when the machine is about to do its `n`th deed from now on.
    pub fn cut_power_at(&self, n: usize) {
        self.cut_at_deed.set(Some(self.deeds.borrow().len() + n));
    }

    /// Switches the machine on.
    pub fn boot<'s>(&'s self, disk: &ModelDisk) -> Agent<FakeMachine<'s, 'a>> {
        self.off.set(false);
        self.cut_at_deed.set(None);
        self.server.restore_the_power();
        *self.kubelet.borrow_mut() = None;
        Agent::new(
            FakeMachine::new(self, disk.clone()),
            self.clock_start.get(),
            Jitter::seeded(5),
        )
    }

    /// Lets the agent work, for `patience` at most.
    pub async fn run(&self, agent: &mut Agent<FakeMachine<'_, 'a>>, patience: Duration) -> End {
        let end = Instant::now() + patience;
        let (mut turns, mut last) = (0, Instant::now());
        while Instant::now() < end {
            let outcome = agent.turn().await;
            if self.is_off() {
                return End::PowerGone;
            }
            if outcome == Outcome::Ready {
                return End::Ready;
            }
            turns = if Instant::now() == last { turns + 1 } else { 0 };
            last = Instant::now();
            assert!(turns < TURNS_AT_ONCE, "a busy loop: {:#?}", self.said());
        }
        End::TimeUp
    }

    /// Boots, and runs until the node is Ready.
    pub async fn becomes_ready(&self, disk: &ModelDisk) -> Identity {
        let mut agent = self.boot(disk);
        assert_eq!(
            self.run(&mut agent, Duration::from_secs(3600)).await,
            End::Ready,
            "{:#?}",
            self.said()
        );
        identity_on(disk)
    }

    /// What was done, in its order.
    pub fn deeds(&self) -> Vec<Deed> {
        self.deeds.borrow().iter().map(|(_, deed)| deed.clone()).collect()
    }

    /// When something was done, since the site was made.
    pub fn times(&self, which: impl Fn(&Deed) -> bool) -> Vec<Duration> {
        let deeds = self.deeds.borrow();
        deeds
            .iter()
            .filter(|(_, deed)| which(deed))
            .map(|(at, _)| *at)
            .collect()
    }

    pub fn count(&self, which: impl Fn(&Deed) -> bool) -> usize {
        self.times(which).len()
    }

    /// Forgets what was done so far.
    pub fn forget_deeds(&self) {
        self.deeds.borrow_mut().clear();
    }

    /// All lines, as the console shows them.
    pub fn said(&self) -> Vec<String> {
        let mut lines: Vec<(NodeState, String, String)> = Vec::new();
        for deed in self.deeds() {
            let Deed::Say(state, reason, next) = deed else { continue };
            match lines.last() {
                Some((before, same, _)) if (*before, same) == (state, &reason) => {}
                _ => lines.push((state, reason, next)),
            }
        }
        let line = |(state, reason, next): &(NodeState, String, String)| format!("{state}: {reason}; {next}");
        lines.iter().map(line).collect()
    }

    pub fn has_said(&self, part: &str) -> bool {
        self.said().iter().any(|line| line.contains(part))
    }

    /// The name of the node that kubelet runs as.
    pub fn kubelet_runs_as(&self) -> Option<String> {
        let kubelet = self.kubelet.borrow();
        kubelet.as_ref().map(|running| running.pair.leaf.node_name.clone())
    }

    /// Whether some medium still holds a token.
    pub fn media_hold_a_token(&self) -> bool {
        self.media.borrow().iter().any(|(_, text)| text.contains(TOKEN_SECRET))
    }

    pub fn is_off(&self) -> bool {
        self.off.get()
    }

    /// Whether the machine is still there to do this.
    pub fn does(&self, disk: &ModelDisk, deed: Deed) -> bool {
        if self.is_off() || disk.is_dead() {
            self.switch_off(disk);
            return false;
        }
        self.deeds.borrow_mut().push((self.started.elapsed(), deed));
        if self.cut_at_deed.get().is_some_and(|at| self.deeds.borrow().len() >= at) {
            self.switch_off(disk);
            return false;
        }
        true
    }

    fn switch_off(&self, disk: &ModelDisk) {
        self.off.set(true);
        disk.cut_power_at(0);
        self.server.cut_the_power();
    }

    pub fn start_kubelet(&self, disk: &ModelDisk) {
        let mut kubelet = self.kubelet.borrow_mut();
        if kubelet.is_none() {
            *kubelet = Some(Running {
                pair: kubelet_pair(disk).expect("kubelet is started with an identity"),
                since: Instant::now(),
                registered: false,
            });
        }
    }

    pub fn stop_kubelet(&self) {
        *self.kubelet.borrow_mut() = None;
    }

    /// What kubelet has done meanwhile.
    fn tick(&self) {
        let mut kubelet = self.kubelet.borrow_mut();
        let Some(running) = kubelet
            .as_mut()
            .filter(|running| self.server.knows(&running.pair.chain))
        else {
            return;
        };
        let mut nodes = self.server.nodes.borrow_mut();
        let name = &running.pair.leaf.node_name;
        if !running.registered && running.since.elapsed() >= REGISTERS {
            running.registered = true;
            nodes.insert(
                name.clone(),
                NodeView {
                    machine_id: MACHINE_ID.into(),
                    ..NodeView::default()
                },
            );
        }
        if running.since.elapsed() >= READY
            && let Some(node) = nodes.get_mut(name)
        {
            node.ready = true;
        }
    }

    /// Lets time pass; tells whether a device has come or gone meanwhile.
    pub async fn pass(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let next = self.events.borrow().front().map(|(at, _)| *at);
        let happens = next.filter(|at| *at <= end);
        tokio::time::sleep_until(happens.unwrap_or(end)).await;
        self.tick();
        let event = happens.and_then(|_| self.events.borrow_mut().pop_front());
        match event {
            Some((_, event)) => {
                event(self);
                true
            }
            None => false,
        }
    }
}

/// Counts down; whether this call is one of those that fail.
pub fn fails(counter: &Cell<usize>) -> bool {
    let left = counter.get();
    counter.set(left.saturating_sub(1));
    left > 0
}

pub fn broken() -> io::Error {
    Errno::EIO.into()
}

/// A join file for the cluster of `issuer`.
pub fn join_file(issuer: &Issuer, node_name: &str, more: &str) -> String {
    format!(
        "version = 1\nendpoints = [\"api.example.org:6443\"]\ntoken = \"abcdef.{TOKEN_SECRET}\"\nca = \"\"\"\n{}\"\"\"\n\
         {more}\n[node]\nname = \"{node_name}\"\n",
        issuer.pem()
    )
}

/// What the disk holds.
pub fn found_on(disk: &ModelDisk) -> Found {
    Home::new(disk).load().unwrap()
}

/// The identity on a disk.
pub fn identity_on(disk: &ModelDisk) -> Identity {
    match found_on(disk).state {
        Loaded::Joined(identity) => *identity,
        other => panic!("{other:?}"),
    }
}

/// Whether a token was ever given to the disk.
pub fn held_a_token(disk: &ModelDisk) -> bool {
    let written = disk.ever_written();
    written
        .windows(TOKEN_SECRET.len())
        .any(|part| part == TOKEN_SECRET.as_bytes())
}
