//! Opens the store: with a key that this machine's TPM seals, where there is one, and for the cluster that the node is in.

use std::path::Path;
use std::time::Duration;

use super::config::Config;
use super::store::{HEADER, Limits, Store};
use super::store_key::{self, KeyError, Protection, StoreKey};
use crate::causes::with_causes;
use crate::certificates;
use crate::digest::Digest;
use crate::disk::RealDisk;
use crate::node::announce::log;
use crate::tpm::TpmSealer;

/// The collection that says whose objects these are.
const OWNER: &str = "owner:";
/// How often a key that cannot be had at the moment is asked for.
const TRIES: u32 = 5;
const BETWEEN: Duration = Duration::from_secs(1);
/// Where a store lies whose key cannot be had: in memory.
const IN_MEMORY: &str = "run/skerry/relay/memory";
/// How much of it.
const MEMORY_LIMITS: Limits = Limits {
    total_bytes: 4 << 20,
    object_bytes: 1 << 20,
};

/// A store that is ready for use.
pub struct Opened {
    /// The store.
    pub store: Store<RealDisk>,
    /// What keeps its key, in a word.
    pub key: String,
}

/// The store of the machine below `root`. It always comes: if its key cannot be had, it is one in memory, and kubelet goes
/// on as it would without a relay.
pub fn open(root: &Path, config: &Config) -> Opened {
    let disk = RealDisk::new(root);
    let (mut store, key) = match key(&disk) {
        Ok((key, protection)) => (open_with(disk, key, Limits::default()), protection),
        Err(error) => {
            let advice = error.advice();
            log(&format!(
                "nothing is kept for times alone: {}; {advice}",
                with_causes(&error)
            ));
            (in_memory(root), "none: nothing outlasts a restart".to_owned())
        }
    };
    take_over(&mut store, config);
    Opened { store, key }
}

fn open_with(disk: RealDisk, key: StoreKey, limits: Limits) -> Store<RealDisk> {
    let (store, findings) = Store::open(disk, key, limits);
    findings.iter().for_each(|finding| log(&finding.to_string()));
    store
}

fn key(disk: &RealDisk) -> Result<(StoreKey, String), KeyError> {
    let tpm = TpmSealer::of_this_machine();
    let mut tries = 0;
    let obtained = loop {
        tries += 1;
        match store_key::obtain(disk, Some(&tpm)) {
            Err(KeyError::Later(_)) if tries < TRIES => std::thread::sleep(BETWEEN),
            obtained => break obtained?,
        }
    };
    obtained.findings.iter().for_each(|finding| log(&finding.to_string()));
    let protection = match obtained.protection {
        Protection::Sealed(by) => by.to_owned(),
        Protection::Open => "file".to_owned(),
    };
    Ok((obtained.key, protection))
}

fn in_memory(root: &Path) -> Store<RealDisk> {
    let place = root.join(IN_MEMORY);
    // Of an earlier life, under a key that is gone.
    let _ = std::fs::remove_dir_all(&place);
    if let Err(error) = std::fs::create_dir_all(place.join("var/lib/skerry")) {
        log(&format!("cannot make {}: {error}", place.display()));
    }
    let key = StoreKey::random().unwrap_or_else(|_| StoreKey::new([0; 32]));
    open_with(RealDisk::new(&place), key, MEMORY_LIMITS)
}

/// Empties a store that belongs to another cluster, or another node of it. A cluster whose authorities are being replaced
/// has old and new ones for a while, and stays the same.
fn take_over(store: &mut Store<RealDisk>, config: &Config) {
    let own = owner(config);
    let kept = store.get(OWNER, HEADER).ok().flatten().unwrap_or_default();
    let kept = String::from_utf8(kept).unwrap_or_default();
    if !is_same(&kept, &own) {
        let all: Vec<String> = store.collections().map(str::to_owned).collect();
        if !kept.is_empty() {
            log("what was kept is of another cluster or node; beginning anew");
        }
        all.iter().for_each(|collection| store.forget(collection));
    }
    let put = store.put(OWNER, HEADER, Digest::of(own.as_bytes()), own.as_bytes());
    if let Err(error) = put.and_then(|_| store.flush()) {
        log(&format!("what is kept for times alone cannot be written: {error}"));
    }
}

/// The node's name, then a line for each authority of its cluster.
fn owner(config: &Config) -> String {
    let authorities = certificates::bundle(&config.cluster.authorities).unwrap_or_default();
    let lines = authorities.iter().map(|der| format!("\n{}", Digest::of(der)));
    lines.fold(config.node_name.clone(), |text, line| text + &line)
}

fn is_same(kept: &str, own: &str) -> bool {
    let (mut kept, mut own) = (kept.lines(), own.lines());
    let own_name = own.next();
    let authorities: Vec<&str> = own.collect();
    kept.next() == own_name && kept.any(|authority| authorities.contains(&authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_stays_while_authorities_are_replaced_one_after_the_other() {
        assert!(is_same("node-1\na", "node-1\na"));
        assert!(is_same("node-1\na", "node-1\na\nb"));
        assert!(is_same("node-1\na\nb", "node-1\nb"));
    }

    #[test]
    fn another_cluster_another_node_and_an_empty_store_are_not_the_same() {
        assert!(!is_same("node-1\na", "node-1\nb"));
        assert!(!is_same("node-1\na", "node-2\na"));
        assert!(!is_same("", "node-1\na"));
    }
}
