//! A machine that joins: the flow of the real one, with a control plane in memory.

use std::collections::BTreeSet;
use std::path::Path;

use skerry_firstboot::disk::{Disk, Kind, ModelDisk};
use skerry_firstboot::identity::paths::{AUTHORITIES, CURRENT, KUBECONFIG};
use skerry_firstboot::identity::{
    Decision, Digest, Home, Identity, IdentityError, JoinFile, KeyChoice, Loaded, Medium, Pair, PendingJoin, Proven,
    decide,
};
use skerry_firstboot::join_config::{
    AfterJoin, BootstrapToken, Credential, Discovery, JoinConfig, NodeSettings, Trust,
};
use skerry_firstboot::secret::Secret;

use crate::issuer::{BEGIN, Issuer, endpoint, new_key, public_key};

pub const NODE: &str = "pole-7";
/// The token of every join file here: must never reach the disk.
pub const TOKEN_SECRET: &str = "t0ken0secret0abc";

/// The world outside of the machine's disk: nothing here is lost by a power cut.
#[derive(Clone)]
pub struct World<'a> {
    pub issuer: &'a Issuer,
    pub config: JoinConfig,
    pub node_name: String,
    /// The join file's content, while the medium holds it.
    pub medium: Option<Vec<u8>>,
    pub now: u64,
    /// When certificates begin to be valid.
    pub begin: u64,
    /// Public keys for which a signing request was posted.
    pub posted: BTreeSet<Vec<u8>>,
}

impl<'a> World<'a> {
    pub fn new(issuer: &'a Issuer) -> Self {
        Self {
            issuer,
            config: config(Trust::Authorities(issuer.pem())),
            node_name: NODE.into(),
            medium: Some(b"version = 1\n# the first join file\n".to_vec()),
            now: BEGIN + 60,
            begin: BEGIN,
            posted: BTreeSet::new(),
        }
    }

    /// The same with another join file.
    pub fn with_file(&self, content: &str) -> Self {
        Self {
            medium: Some(content.as_bytes().to_vec()),
            posted: BTreeSet::new(),
            ..self.clone()
        }
    }

    pub fn digest(&self) -> Digest {
        Digest::of(self.medium.as_deref().unwrap_or_default())
    }

    pub fn decide(&self, loaded: &Loaded) -> Decision {
        let file = JoinFile {
            config: &self.config,
            digest: self.digest(),
            node_name: &self.node_name,
        };
        decide(loaded, self.medium.as_ref().map(|_| &file), self.now)
    }

    pub fn pending(&self) -> PendingJoin {
        PendingJoin {
            node_name: self.node_name.clone(),
            csr_name: "node-csr-abc".into(),
            csr_variant: 0,
            join_file: self.digest(),
            token_id: Some("abcdef".into()),
            medium: Medium::ToErase,
            proven: Proven::No,
            key: new_key(),
            certificate: None,
            cluster: self.issuer.cluster(),
            settings: NodeSettings {
                name: self.node_name.clone(),
                ..NodeSettings::default()
            },
        }
    }

    /// Goes on until there is nothing left to do. Every step begins with what the disk holds.
    pub fn run(&mut self, disk: &ModelDisk) -> Result<Identity, IdentityError> {
        let home = Home::new(disk);
        for _step in 0..20 {
            let state = home.load()?.state;
            if disk.is_dead() {
                // What is not needed to go on may fail unnoticed; the machine is off all the same.
                return Err(IdentityError::NotJoined);
            }
            let decision = self.decide(&state);
            match (decision, state) {
                (Decision::Join { key }, Loaded::Requested(pending)) => self.ask(&home, key, Some(*pending))?,
                (Decision::Join { key }, Loaded::Fresh) => self.ask(&home, key, None)?,
                (Decision::RenewIdentity { key, .. }, Loaded::Joined(identity)) => {
                    assert_kubelet_can_start(disk);
                    self.ask(&home, key, identity.successor.map(|successor| *successor))?;
                }
                (Decision::ProveSuccessor, Loaded::Joined(identity)) => {
                    let successor = identity.successor.unwrap();
                    home.mark_proven(&successor.certificate.unwrap())?;
                }
                (Decision::StartKubelet | Decision::StartKubeletAndFinishScrub, Loaded::Joined(identity)) => {
                    assert_kubelet_can_start(disk);
                    if self.settle(&home, &identity)? {
                        return Ok(*identity);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("it goes round in circles");
    }

    /// Makes a key, or posts the request for the one that is there.
    fn ask(
        &mut self,
        home: &Home<&ModelDisk>,
        key: KeyChoice,
        pending: Option<PendingJoin>,
    ) -> Result<(), IdentityError> {
        match (key, pending) {
            (KeyChoice::New, _) => home.remember_key(&self.pending()),
            (KeyChoice::Pending, None) => panic!("there is no key"),
            (KeyChoice::Pending, Some(pending)) => {
                self.posted.insert(public_key(&pending.key));
                let common_name = format!("system:node:{}", pending.node_name);
                let chain = self.issuer.sign(&pending.key, &common_name, self.begin);
                home.remember_certificate(&pending, &chain).map(drop)
            }
        }
    }

    /// Proves and scrubs; true if nothing was left to do.
    fn settle(&mut self, home: &Home<&ModelDisk>, identity: &Identity) -> Result<bool, IdentityError> {
        if identity.proven == Proven::No {
            home.mark_proven(&identity.pair.chain)?;
            return Ok(false);
        }
        let outstanding = identity.consumed.iter().find(|known| known.medium == Medium::ToErase);
        let Some(file) = outstanding else {
            return Ok(true);
        };
        self.medium = None;
        home.mark_scrubbed(file.join_file, file.token_id.as_deref(), Medium::Erased)?;
        Ok(false)
    }
}

pub fn config(trust: Trust) -> JoinConfig {
    JoinConfig {
        endpoints: vec![endpoint("api.example.org")],
        trust,
        discovery: Discovery::ClusterInfo,
        credential: Credential::BootstrapToken(BootstrapToken {
            id: "abcdef".into(),
            secret: Secret::new(TOKEN_SECRET),
        }),
        tls_server_name: None,
        after_join: AfterJoin::Erase,
        settings: NodeSettings::default(),
    }
}

/// The disk of a machine that has never joined: var is mounted and empty.
pub fn blank_disk() -> ModelDisk {
    let disk = ModelDisk::new();
    for (folder, parent) in [("/var", "/"), ("/var/lib", "/var")] {
        disk.make_folder(Path::new(folder), 0o755).unwrap();
        disk.sync_folder(Path::new(parent)).unwrap();
    }
    disk.reboot(0)
}

/// A disk on which a machine has joined, proven and scrubbed.
pub fn joined_disk(issuer: &Issuer) -> (ModelDisk, Identity) {
    let disk = blank_disk();
    let identity = World::new(issuer).run(&disk).unwrap();
    (disk.reboot(0), identity)
}

/// The pair that kubelet would find by its kubeconfig, if there is a kubeconfig. Panics if it names files that are not
/// there, not whole, or do not belong together.
pub fn kubelet_pair(disk: &impl Disk) -> Option<Pair> {
    let kubeconfig = disk.read(Path::new(KUBECONFIG)).ok()?;
    let kubeconfig = String::from_utf8(kubeconfig).unwrap();
    assert!(
        kubeconfig.ends_with(&format!("    client-key: {CURRENT}\n")),
        "{kubeconfig}"
    );
    let Kind::Link(target) = disk.metadata(Path::new(CURRENT)).unwrap().kind else {
        panic!("no link");
    };
    Some(Pair::parse(&disk.read(&target).unwrap()).unwrap())
}

pub fn assert_kubelet_can_start(disk: &impl Disk) {
    let pair = kubelet_pair(disk).expect("a kubeconfig");
    assert!(!pair.chain.is_empty());
    assert!(
        disk.read(Path::new(AUTHORITIES))
            .unwrap()
            .starts_with(b"-----BEGIN CERTIFICATE-----")
    );
}

/// Every file below `folder` with its content.
pub fn all_files(disk: &impl Disk, folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for name in disk.list(Path::new(folder)).unwrap_or_default() {
        let path = format!("{}/{}", folder.trim_end_matches('/'), name.to_string_lossy());
        match disk.metadata(Path::new(&path)).unwrap().kind {
            Kind::Folder => found.extend(all_files(disk, &path)),
            Kind::File(_) => found.push((path.clone(), disk.read(Path::new(&path)).unwrap())),
            _ => found.push((path, Vec::new())),
        }
    }
    found
}
