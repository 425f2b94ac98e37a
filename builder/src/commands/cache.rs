//! `skerry cache`: what is kept on this machine, and how to be rid of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{CacheAction, CacheArgs};
use crate::env;
use crate::failure::{Failure, FailureKind};
use crate::printer::{self, Printer};
use crate::store::{Keep, Shelf, Store, Usage};

use super::output_failed;

/// Shows or prunes the cache.
pub fn cache(arguments: &CacheArgs, printer: &Printer) -> Result<(), Failure> {
    let store = open(arguments.cache_dir.clone())?;
    match arguments.action {
        CacheAction::Info { json } => {
            let usage = store.info()?;
            let text = match json {
                true => serde_json::json!({ "version": 1, "root": store.root(), "shelves": usage }).to_string(),
                false => table(&store, &usage),
            };
            printer.data(&format!("{}\n", text.trim_end())).map_err(output_failed)
        }
        CacheAction::Prune { unused_for } => {
            let age = Duration::from_secs(u64::from(unused_for) * 24 * 3600);
            let pruned = store.prune(Keep {
                max_age: Some(age),
                max_bytes: None,
            })?;
            printer.say(&format!(
                "removed {} entries, {}",
                pruned.entries,
                printer::bytes(pruned.bytes)
            ));
            Ok(())
        }
    }
}

/// The cache at the folder that was asked for, or at the usual one.
pub fn open(folder: Option<PathBuf>) -> Result<Store, Failure> {
    let nowhere = || {
        Failure::new(
            FailureKind::Request,
            "there is no place for the cache: neither `HOME` nor `XDG_CACHE_HOME` is set",
        )
        .hint("name one with `--cache-dir DIR` or `SKERRY_CACHE_DIR`")
    };
    let root = folder.or_else(env::default_cache_dir).ok_or_else(nowhere)?;
    Ok(Store::open(&root)?)
}

fn table(store: &Store, usage: &BTreeMap<Shelf, Usage>) -> String {
    let mut text = format!("{}\n", store.root().display());
    for (shelf, usage) in usage {
        let _ = writeln!(
            text,
            "{:>12}  {:>6} entries  {:>10}",
            shelf.name(),
            usage.entries,
            printer::bytes(usage.bytes)
        );
    }
    text
}
