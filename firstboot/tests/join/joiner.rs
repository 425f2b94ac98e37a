//! A machine that joins by the real flow, on a disk in memory and in a time that the test drives.

use std::time::Duration;

use skerry_firstboot::clock::ManualClock;
use skerry_firstboot::disk::ModelDisk;
use skerry_firstboot::identity::{Decision, Digest, Home, Identity, JoinFile, Loaded, decide};
use skerry_firstboot::join::retry::Jitter;
use skerry_firstboot::join::{Advance, Applicant, Attempt, Erasable, JoinError};
use skerry_firstboot::join_config::{JoinConfig, Trust};
use tokio::time::{Instant, sleep};

use crate::api_server::ApiServer;
use crate::issuer::{BEGIN, Issuer};
use crate::machine::{NODE, config};

/// This machine's own id.
pub const MACHINE_ID: &str = "0123456789abcdef0123456789abcdef";
/// How long a machine waits whose disk does not answer.
const DISK_AGAIN: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);

/// A machine that is switched on.
pub struct Joiner {
    pub disk: ModelDisk,
    pub clock: ManualClock,
    pub config: JoinConfig,
    /// The join file's content.
    pub content: String,
    pub node_name: String,
    attempt: Attempt,
    jitter: Jitter,
}

/// How it ended.
#[derive(Debug)]
pub enum End {
    Certified(Box<Identity>),
    PowerGone,
    /// The time was up; the last thing that went wrong.
    StillTrying(Option<JoinError>),
}

impl End {
    pub fn identity(self) -> Identity {
        match self {
            Self::Certified(identity) => *identity,
            other => panic!("{other:?}"),
        }
    }

    pub fn error(self) -> JoinError {
        match self {
            Self::StillTrying(Some(error)) => error,
            other => panic!("{other:?}"),
        }
    }
}

impl Joiner {
    pub fn boot(issuer: &Issuer, disk: ModelDisk) -> Self {
        Self {
            disk,
            clock: ManualClock::at(BEGIN + 60),
            config: config(Trust::Authorities(issuer.pem())),
            content: "the first join file".into(),
            node_name: NODE.into(),
            attempt: Attempt::default(),
            jitter: Jitter::seeded(7),
        }
    }

    /// The same machine after its power was cut.
    pub fn reboot(&self, seed: u64) -> Self {
        Self {
            disk: self.disk.reboot(seed),
            clock: ManualClock::at(BEGIN + 60),
            config: self.config.clone(),
            content: self.content.clone(),
            node_name: self.node_name.clone(),
            attempt: Attempt::default(),
            jitter: Jitter::seeded(seed),
        }
    }

    /// As if a device came or went.
    pub fn hurry(&mut self) {
        self.attempt.hurry();
    }

    /// Looks at the disk and goes one step on, as the agent does in each of its turns.
    pub async fn advance(&mut self, server: &ApiServer<'_>) -> Advance {
        let home = Home::new(&self.disk);
        let file = JoinFile {
            config: &self.config,
            digest: Digest::of(self.content.as_bytes()),
            node_name: &self.node_name,
        };
        let found = match home.load() {
            Ok(found) => found,
            Err(error) => {
                let (error, wait) = (error.into(), DISK_AGAIN);
                return Advance::Failed { error, wait };
            }
        };
        let (Decision::Join { key } | Decision::RenewIdentity { key, .. }) =
            decide(&found.state, Some(&file), BEGIN + 60)
        else {
            return Advance::Certified;
        };
        let applicant = Applicant {
            plane: &server,
            home: &home,
            clock: &self.clock,
            file,
            key,
            erasable: Erasable::Yes,
            machine_id: MACHINE_ID,
        };
        self.attempt.advance(&applicant, &mut self.jitter).await
    }

    /// Goes on until there is a certificate, for `patience` at most.
    pub async fn run(&mut self, server: &ApiServer<'_>, patience: Duration) -> End {
        let end = Instant::now() + patience;
        let mut last = None;
        while Instant::now() < end {
            let advance = self.advance(server).await;
            if self.disk.is_dead() || server.has_cut_the_power() {
                return End::PowerGone;
            }
            match advance {
                Advance::Certified => return self.certified(),
                Advance::Went { wait, .. } => sleep(wait).await,
                Advance::Failed { error, wait } => {
                    assert!(wait >= Duration::from_millis(500), "{error}: again in {wait:?}");
                    last = Some(error);
                    sleep(wait).await;
                }
            }
        }
        End::StillTrying(last)
    }

    fn certified(&self) -> End {
        match Home::new(&self.disk).load().unwrap().state {
            Loaded::Joined(identity) => End::Certified(identity),
            other => panic!("{other:?}"),
        }
    }
}

/// Joins `joiner` within an hour.
pub async fn joined(joiner: &mut Joiner, server: &ApiServer<'_>) -> Identity {
    joiner.run(server, HOUR).await.identity()
}
