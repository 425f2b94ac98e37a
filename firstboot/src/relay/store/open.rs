//! Opens a store in whatever state it is. Nothing that is found there is an error: a machine without a store works, as
//! long as the control plane can be reached.

use std::io;
use std::path::Path;

use super::index::Index;
use super::log::{Log, Open};
use super::scan::scan;
use super::seal::{HEAD_LEN, HeadError, LogKey};
use super::uses::Uses;
use super::write::Staged;
use super::{FOLDER, Finding, LOG, Limits, SET_ASIDE, Store, Wrong};
use crate::disk::{Disk, Kind, beside};
use crate::relay::store_key::{StoreKey, make_folder};

/// What was found.
enum Found {
    Nothing,
    Unusable(Wrong),
    Log(Box<Readable>),
}

/// A log's key, head and length.
type Readable = (LogKey, [u8; HEAD_LEN], u64);

impl<D: Disk> Store<D> {
    /// Opens the store on `disk`, or begins one.
    pub fn open(disk: D, key: StoreKey, limits: Limits) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        if let Err(error) = make_folder(&disk).and_then(|()| drop_leftover(&disk)) {
            findings.push(failed("prepare its folder", &error));
        }
        let (open, index) = match look(&disk, &key) {
            Ok(Found::Log(log)) => read(&disk, *log, &mut findings),
            Ok(Found::Nothing) => (None, Index::default()),
            Ok(Found::Unusable(wrong)) => {
                set_aside(&disk, wrong, &mut findings);
                (None, Index::default())
            }
            Err(error) => {
                findings.push(failed("look at it", &error));
                (None, Index::default())
            }
        };
        let is_damaged = findings.iter().any(Finding::is_damage);
        let mut store = Self {
            log: Log::new(disk, key, open),
            index,
            staged: Staged::default(),
            limits,
            uses: Uses::default(),
            findings,
        };
        if is_damaged {
            store.log.doubt();
        } else if store.log.open().is_some()
            && let Err(error) = store.settle()
        {
            store.findings.push(failed("make it last", &error));
        }
        if store.log.open().is_none()
            && let Err(error) = store.rewrite()
        {
            store.findings.push(failed("begin a new one", &error));
        }
        let findings = store.take_findings();
        (store, findings)
    }
}

impl<D: Disk> Store<D> {
    /// Makes what was found last, without what is behind it: the program may have ended before it had synced anything.
    fn settle(&mut self) -> io::Result<()> {
        if self
            .findings
            .iter()
            .any(|finding| matches!(finding, Finding::Torn { .. }))
        {
            self.log.cut_off()?;
        }
        self.log.sync()
    }
}

/// Removes a log that was not finished when the power was cut.
fn drop_leftover(disk: &impl Disk) -> io::Result<()> {
    let (_, path) = beside(Path::new(LOG))?;
    disk.remove_if_there(&path)
}

fn look(disk: &impl Disk, key: &StoreKey) -> io::Result<Found> {
    let len = match disk.metadata(Path::new(LOG)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
        Ok(found) => match found.kind {
            Kind::File(len) => len,
            _ => return Ok(Found::Unusable(Wrong::NoFile)),
        },
    };
    if len < HEAD_LEN as u64 {
        return Ok(Found::Unusable(Wrong::NoLog));
    }
    let mut head = [0; HEAD_LEN];
    if disk.read_at(Path::new(LOG), 0, &mut head).is_err() {
        return Ok(Found::Unusable(Wrong::Unreadable));
    }
    Ok(match LogKey::of_log(key, &head) {
        Ok(key) => Found::Log(Box::new((key, head, len))),
        Err(HeadError::NoLog) => Found::Unusable(Wrong::NoLog),
        Err(HeadError::Version(version)) => Found::Unusable(Wrong::Version(version)),
        Err(HeadError::OtherKey) => Found::Unusable(Wrong::OtherKey),
    })
}

/// Reads the log.
fn read(disk: &impl Disk, (key, head, len): Readable, findings: &mut Vec<Finding>) -> (Option<Open>, Index) {
    let scanned = scan(disk, &key, &head, len);
    let open = Open {
        key,
        end: scanned.end,
        last: scanned.last,
        committed: scanned.end,
        synced: HEAD_LEN as u64,
    };
    if scanned.damaged > 0 {
        findings.push(Finding::Damaged { bytes: scanned.damaged });
    }
    if scanned.torn > 0 {
        findings.push(Finding::Torn { bytes: scanned.torn });
    }
    (Some(open), scanned.index)
}

fn set_aside(disk: &impl Disk, wrong: Wrong, findings: &mut Vec<Finding>) {
    findings.push(Finding::SetAside { wrong });
    let moved = disk
        .rename(Path::new(LOG), Path::new(SET_ASIDE))
        .and_then(|()| disk.sync_folder(Path::new(FOLDER)));
    if let Err(error) = moved {
        findings.push(failed("set it aside", &error));
    }
}

pub(super) fn failed(doing: &'static str, error: &io::Error) -> Finding {
    Finding::Disk {
        doing,
        why: error.to_string(),
    }
}
