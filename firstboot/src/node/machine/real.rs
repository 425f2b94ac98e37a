//! The machine itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{BringUpError, Machine};
use crate::client::{Client, ProxyError};
use crate::clock::{self, Clock, SystemClock};
use crate::device::Device;
use crate::disk::RealDisk;
use crate::identity::{Consumed, Medium};
use crate::join_config::{NetworkSettings, NodeSettings};
use crate::node::announce::{Announcer, log};
use crate::node::containerd;
use crate::node::devices::{Devices, Woken};
use crate::node::join_file::{self, FoundFile, Reach, Sight};
use crate::node::radio::Radio;
use crate::node::service_manager::{self, ServiceManagerError};
use crate::node::state::NodeState;
use crate::node::text_of;
use crate::node_files::{self, ApplyError, MachineFacts, PlannedFile, Reader, cni};
use crate::preload::{self, PreloadError};
use crate::scrub::ScrubError;
use crate::source::Place;

/// How long containerd may take to greet; it does so in milliseconds unless the machine is starved.
const GREETING: Duration = Duration::from_secs(10);
/// How long after a device appeared udev may need to give it its names.
const SETTLE: Duration = Duration::from_secs(2);
const KUBELET: &str = "kubelet.service";

/// The machine whose files lie below a [`Place`].
#[derive(Debug)]
pub struct RealMachine {
    place: Place,
    device: Device,
    devices: Devices,
    announcer: Announcer,
    clock: Arc<dyn Clock>,
    /// Whose files have changed and who has not been told: a program that could not be told is told again.
    untold: BTreeSet<Reader>,
}

impl RealMachine {
    /// The machine at `place`. Needs a tokio runtime. Fails only if its devices cannot be watched.
    pub fn new(place: &Place) -> std::io::Result<Self> {
        let root = &place.root;
        let watched = [
            "dev",
            "dev/disk/by-label",
            "run/systemd/netif/leases",
            "run/systemd/netif/links",
        ];
        Ok(Self {
            device: Device::read(root),
            devices: Devices::watch(&watched.map(|folder| root.join(folder)))?,
            announcer: Announcer::new(root),
            clock: Arc::new(SystemClock),
            untold: BTreeSet::new(),
            place: place.clone(),
        })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.place.root.join(path.trim_start_matches('/'))
    }

    fn root(&self) -> &Path {
        &self.place.root
    }

    fn write(&mut self, files: &[PlannedFile]) -> Result<(), BringUpError> {
        self.untold.extend(node_files::write(self.root(), files)?);
        while let Some(reader) = self.untold.first().copied() {
            service_manager::tell(&BTreeSet::from([reader]))?;
            self.untold.remove(&reader);
        }
        Ok(())
    }
}

impl Machine for RealMachine {
    type Disk = RealDisk;
    type Plane = Client;

    fn disk(&self) -> RealDisk {
        RealDisk::new(self.root())
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn id(&self) -> &str {
        self.device.machine_id.as_deref().unwrap_or_default()
    }

    async fn look_for_file(&self, reach: Reach, consumed: &[Consumed]) -> Sight {
        let Sight { file, troubles } = join_file::look(&self.place, &self.device, reach, &self.clock, consumed).await;
        let check = |file: FoundFile| file.checked(&MachineFacts::read(self.root()));
        Sight {
            file: file.and_then(|file| file.map(check).transpose()),
            troubles,
        }
    }

    fn erase(&self, file: &FoundFile) -> Result<Medium, ScrubError> {
        file.erase(self.root())
    }

    fn plane(&self, network: &NetworkSettings) -> Result<Client, ProxyError> {
        Client::new(network, self.clock.clone())
    }

    fn apply(&mut self, settings: &NodeSettings) -> Result<(), BringUpError> {
        let files = node_files::machine_files(&MachineFacts::read(self.root()), settings)?;
        self.write(&files)
    }

    fn prepare(&mut self, settings: &NodeSettings, node_name: &str) -> Result<(), BringUpError> {
        let files = node_files::plan(&MachineFacts::read(self.root()), settings, node_name)?;
        self.write(&files)?;
        Ok(self.settle_pod_network(&settings.network, &[])?)
    }

    fn settle_pod_network(&self, network: &NetworkSettings, pod_cidrs: &[String]) -> Result<(), ApplyError> {
        // containerd notices by itself.
        cni::apply(self.root(), &cni::plan(network, pod_cidrs)?)
    }

    fn radio(&self) -> Radio {
        Radio::read(self.root())
    }

    fn has_containerd(&self) -> bool {
        containerd::answers(&self.at(containerd::SOCKET), GREETING)
    }

    async fn preload(&self) -> Result<Vec<String>, PreloadError> {
        let images = preload::preload(&self.at(containerd::SOCKET), &self.at(preload::LAYOUT)).await?;
        Ok(images.imported)
    }

    fn start_kubelet(&self) -> Result<(), ServiceManagerError> {
        service_manager::start(KUBELET)
    }

    fn stop_kubelet(&self) -> Result<(), ServiceManagerError> {
        service_manager::stop(KUBELET)
    }

    fn say(&mut self, state: NodeState, reason: &str, next: &str) {
        self.announcer.say(state, reason, next);
    }

    fn remember_time(&self) {
        if let Err(error) = clock::remember(self.root(), self.clock.now()) {
            log(&format!("cannot keep the time: {}", text_of(&error)));
        }
    }

    async fn wait(&mut self, patience: Duration) -> Woken {
        self.devices.wait_settled(patience, SETTLE).await
    }
}
