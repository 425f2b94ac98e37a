//! The join file as the agent works with it: found, read, and named after this machine.

use std::path::Path;
use std::sync::Arc;

use super::announce::log;
use crate::client::{Client, ProxyError};
use crate::clock::Clock;
use crate::device::{Device, NodeNameError, node_name};
use crate::identity::{Consumed, Digest, JoinFile, Medium};
use crate::join::Erasable;
use crate::join_config::{self, Credential, JoinConfig, JoinConfigError, NetworkSettings, NodeSettings};
use crate::node_files::{self, MachineFacts, PlanError};
use crate::scrub::{Kept, ScrubError, Scrubbed, scrub};
use crate::source::mounts::SystemMounts;
use crate::source::{self, Found, Place, Rank, Search, Source, SourceError, Trace};

/// How far is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// On the machine itself.
    Local,
    /// Also at the address on the kernel command line.
    Network,
}

/// A join file that can be used.
#[derive(Debug)]
pub struct FoundFile {
    /// What it says.
    pub config: JoinConfig,
    /// What in it means nothing to this version, one sentence each.
    pub warnings: Vec<String>,
    /// Digest of its content.
    pub digest: Digest,
    /// The node's name that follows from it on this machine.
    pub node_name: String,
    /// Where it was found.
    pub trace: Trace,
}

/// What came of looking for a join file.
#[derive(Debug)]
pub struct Sight {
    /// The one that matters most.
    pub file: Result<Option<FoundFile>, BadJoinFile>,
    /// Places that could not be looked at.
    pub troubles: Vec<SourceError>,
}

impl Default for Sight {
    /// Nothing, anywhere.
    fn default() -> Self {
        Self {
            file: Ok(None),
            troubles: Vec::new(),
        }
    }
}

/// A join file that can never work.
#[derive(Debug, thiserror::Error)]
#[error("{source_name} cannot be used")]
pub struct BadJoinFile {
    source_name: String,
    #[source]
    reason: Box<BadReason>,
}

#[derive(Debug, thiserror::Error)]
enum BadReason {
    #[error(transparent)]
    Config(#[from] JoinConfigError),
    #[error(transparent)]
    Name(#[from] NodeNameError),
    #[error(transparent)]
    Setting(#[from] PlanError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

impl BadJoinFile {
    /// What a person can do about it.
    pub fn advice(&self) -> String {
        match &*self.reason {
            BadReason::Config(error) => error.advice().to_owned(),
            BadReason::Name(error) => error.advice().to_owned(),
            BadReason::Setting(error) => error.advice(),
            BadReason::Proxy(_) => "correct `network.proxy` in the join file".to_owned(),
        }
    }
}

impl FoundFile {
    /// What `found` says on the machine that is `device`.
    pub fn read(found: &Found, device: &Device) -> Result<Self, BadJoinFile> {
        let bad = |reason: BadReason| BadJoinFile {
            source_name: found.trace.source.to_string(),
            reason: Box::new(reason),
        };
        let parsed = join_config::parse(&found.content).map_err(|error| bad(error.into()))?;
        let name = node_name(&parsed.config.settings, device).map_err(|error| bad(error.into()))?;
        Ok(Self {
            config: parsed.config,
            warnings: parsed.warnings,
            digest: found.trace.digest,
            node_name: name.to_string(),
            trace: found.trace.clone(),
        })
    }

    /// Refuses what could not be carried out on the machine with these facts: better before the join than after it, when
    /// the token is gone.
    pub fn checked(self, facts: &MachineFacts) -> Result<Self, BadJoinFile> {
        match carried_out(&self.config.settings, &self.node_name, facts) {
            Ok(()) => Ok(self),
            Err(reason) => Err(BadJoinFile {
                source_name: self.trace.source.to_string(),
                reason: Box::new(reason),
            }),
        }
    }

    /// The same for the decision what to do.
    pub fn as_join_file(&self) -> JoinFile<'_> {
        JoinFile {
            config: &self.config,
            digest: self.digest,
            node_name: &self.node_name,
        }
    }

    /// Whether its medium lets it be erased.
    pub fn erasable(&self) -> Erasable {
        match self.trace.source {
            Source::EfiPartition { .. } | Source::UsbStick { .. } => Erasable::Yes,
            Source::Credential | Source::Https { .. } => Erasable::No,
        }
    }

    /// The public part of its bootstrap token.
    pub fn token_id(&self) -> Option<&str> {
        match &self.config.credential {
            Credential::BootstrapToken(token) => Some(&token.id),
            _ => None,
        }
    }

    /// Takes it from its medium below `root` and says what has become of it there.
    pub fn erase(&self, root: &Path) -> Result<Medium, ScrubError> {
        let scrubbed = scrub(root, &self.trace, self.config.after_join, &SystemMounts)?;
        log(&scrubbed.to_string());
        Ok(match scrubbed {
            Scrubbed::Erased | Scrubbed::Gone | Scrubbed::Kept(Kept::Changed) => Medium::Erased,
            Scrubbed::Kept(Kept::Unplugged) => Medium::ToErase,
            Scrubbed::Kept(Kept::Asked | Kept::ReadOnly | Kept::NotAFile) => Medium::Stays,
        })
    }
}

/// How much a file with this digest matters to a machine that has joined by the files in `consumed`.
pub fn rank(digest: &Digest, consumed: &[Consumed]) -> Rank {
    match consumed.iter().find(|known| known.join_file == *digest) {
        None => Rank::New,
        Some(Consumed {
            medium: Medium::Stays, ..
        }) => Rank::Stays,
        Some(_) => Rank::ToErase,
    }
}

fn carried_out(settings: &NodeSettings, node_name: &str, facts: &MachineFacts) -> Result<(), BadReason> {
    node_files::check(facts, settings, node_name)?;
    Ok(Client::check(&settings.network)?)
}

/// The join file that matters most to a machine that has joined by the files in `consumed`.
pub async fn look(
    place: &Place,
    device: &Device,
    reach: Reach,
    clock: &Arc<dyn Clock>,
    consumed: &[Consumed],
) -> Sight {
    let rank = |digest: &Digest| rank(digest, consumed);
    let Search { found, troubles } = match reach {
        Reach::Local => source::find_local(place, device, &SystemMounts, &rank),
        Reach::Network => {
            // A machine without a join file knows of no proxy.
            let client = Client::new(&NetworkSettings::default(), clock.clone());
            let client = client.expect("no proxy is no wrong proxy");
            source::find(place, device, &SystemMounts, &client, &rank).await
        }
    };
    Sight {
        file: found.map(|found| FoundFile::read(&found, device)).transpose(),
        troubles,
    }
}
