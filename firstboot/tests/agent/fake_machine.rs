//! The machine as the agent sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skerry_firstboot::client::ProxyError;
use skerry_firstboot::clock::Clock;
use skerry_firstboot::device::Device;
use skerry_firstboot::disk::ModelDisk;
use skerry_firstboot::identity::{Consumed, Digest, Medium};
use skerry_firstboot::join_config::{NetworkSettings, NodeSettings};
use skerry_firstboot::node::devices::Woken;
use skerry_firstboot::node::join_file::{BadJoinFile, FoundFile, Reach, Sight, rank};
use skerry_firstboot::node::machine::{BringUpError, Machine};
use skerry_firstboot::node::radio::Radio;
use skerry_firstboot::node::service_manager::ServiceManagerError;
use skerry_firstboot::node::state::NodeState;
use skerry_firstboot::node_files::{ApplyError, MachineFacts};
use skerry_firstboot::preload::PreloadError;
use skerry_firstboot::scrub::ScrubError;
use skerry_firstboot::source::{Found, Source, SourceError, Trace};

use crate::api_server::ApiServer;
use crate::site::{Deed, Eraser, MACHINE_ID, Site, broken, fails};

/// A machine that is switched on.
pub struct FakeMachine<'s, 'a> {
    site: &'s Site<'a>,
    disk: ModelDisk,
}

impl<'s, 'a> FakeMachine<'s, 'a> {
    pub fn new(site: &'s Site<'a>, disk: ModelDisk) -> Self {
        Self { site, disk }
    }

    fn does(&self, deed: Deed) -> bool {
        self.site.does(&self.disk, deed)
    }

    fn read(&self, source: &Source, text: &str) -> Result<FoundFile, BadJoinFile> {
        let text = match self.site.fresh_tokens.get() {
            true => format!("{text}# {}\n", self.site.deeds().len()),
            false => text.to_owned(),
        };
        let found = Found {
            trace: Trace {
                source: source.clone(),
                digest: Digest::of(text.as_bytes()),
            },
            content: text.as_bytes().to_vec().into(),
        };
        let facts = MachineFacts {
            memory_bytes: 512 << 20,
            cpus: 1,
        };
        FoundFile::read(&found, &Device::default())?.checked(&facts)
    }

    fn write(&self, deed: Deed) -> Result<(), BringUpError> {
        match self.does(deed) && !fails(&self.site.failing_files) {
            true => Ok(()),
            false => Err(ApplyError::Write {
                path: "/run/skerry".into(),
                source: broken(),
            }
            .into()),
        }
    }
}

fn refused() -> ServiceManagerError {
    ServiceManagerError::Run {
        program: "systemctl",
        source: broken(),
    }
}

impl<'s, 'a> Machine for FakeMachine<'s, 'a> {
    type Disk = ModelDisk;
    type Plane = &'s ApiServer<'a>;

    fn disk(&self) -> ModelDisk {
        self.disk.clone()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.site.clock.clone()
    }

    fn id(&self) -> &str {
        MACHINE_ID
    }

    async fn look_for_file(&self, reach: Reach, consumed: &[Consumed]) -> Sight {
        if !self.does(Deed::Look(reach)) {
            return Sight::default();
        }
        let media = self.site.media.borrow();
        let is_stick = |source: &Source| matches!(source, Source::UsbStick { .. });
        let broken_sticks = self.site.sticks_are_broken.get() && media.iter().any(|(source, _)| is_stick(source));
        let readable = |source: &Source| match source {
            Source::Https { .. } => reach == Reach::Network,
            source => !(broken_sticks && is_stick(source)),
        };
        let rank = |(_, text): &&(Source, String)| rank(&Digest::of(text.as_bytes()), consumed);
        // The last of the greatest is the first one.
        let found = media
            .iter()
            .filter(|(source, _)| readable(source))
            .rev()
            .max_by_key(rank);
        Sight {
            file: found.map(|(source, text)| self.read(source, text)).transpose(),
            troubles: broken_sticks
                .then(|| SourceError::Mount(broken()))
                .into_iter()
                .collect(),
        }
    }

    fn erase(&self, file: &FoundFile) -> Result<Medium, ScrubError> {
        let failed = || ScrubError::File {
            step: "overwrite",
            path: PathBuf::from("/run/skerry/stick/join.toml"),
            source: broken(),
        };
        if !self.does(Deed::Erase) {
            return Err(failed());
        }
        match self.site.eraser.get() {
            Eraser::Breaks => Err(failed()),
            Eraser::ReadOnly => Ok(Medium::Stays),
            Eraser::Unplugged => Ok(Medium::ToErase),
            Eraser::Works => {
                let is_it = |text: &str| Digest::of(text.as_bytes()) == file.digest;
                self.site.media.borrow_mut().retain(|(_, text)| !is_it(text));
                Ok(Medium::Erased)
            }
        }
    }

    fn plane(&self, _: &NetworkSettings) -> Result<&'s ApiServer<'a>, ProxyError> {
        Ok(&self.site.server)
    }

    fn apply(&mut self, settings: &NodeSettings) -> Result<(), BringUpError> {
        self.write(Deed::Apply(Box::new(settings.clone())))
    }

    fn prepare(&mut self, settings: &NodeSettings, node_name: &str) -> Result<(), BringUpError> {
        self.write(Deed::Prepare(Box::new(settings.clone()), node_name.to_owned()))
    }

    fn settle_pod_network(&self, _: &NetworkSettings, _: &[String]) -> Result<(), ApplyError> {
        Ok(())
    }

    fn radio(&self) -> Radio {
        self.site.radio.get()
    }

    fn has_containerd(&self) -> bool {
        self.site.is_off() || !fails(&self.site.containerd_is_late)
    }

    async fn preload(&self) -> Result<Vec<String>, PreloadError> {
        if self.does(Deed::Preload) && fails(&self.site.failing_preloads) {
            return Err(crate::no_room());
        }
        Ok(Vec::new())
    }

    fn start_kubelet(&self) -> Result<(), ServiceManagerError> {
        let requests = self.site.server.calls().len();
        if !self.does(Deed::StartKubelet(requests)) || fails(&self.site.failing_starts) {
            return Err(refused());
        }
        self.site.start_kubelet(&self.disk);
        Ok(())
    }

    fn stop_kubelet(&self) -> Result<(), ServiceManagerError> {
        if !self.does(Deed::StopKubelet) || fails(&self.site.failing_stops) {
            return Err(refused());
        }
        self.site.stop_kubelet();
        Ok(())
    }

    fn say(&mut self, state: NodeState, reason: &str, next: &str) {
        self.does(Deed::Say(state, reason.to_owned(), next.to_owned()));
    }

    fn remember_time(&self) {
        self.site.times_remembered.set(self.site.times_remembered.get() + 1);
    }

    async fn wait(&mut self, patience: Duration) -> Woken {
        match self.site.pass(patience).await {
            true => Woken::Change,
            false => Woken::Timeout,
        }
    }
}
