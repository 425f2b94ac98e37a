//! What `control.tar` says: control file, maintainer scripts, configuration files, triggers.

use std::collections::BTreeMap;
use std::io;

use super::{Script, ScriptKind};
use crate::deb::DebError;
use crate::deb::archive::{DebArchive, Part, PartError};
use crate::deb::control::Control;
use crate::deb::tar::TarKind;
use crate::digest::Sha256;
use crate::tree::TreePath;

/// Scripts and lists are a few KiB; what is longer is not read into memory.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The files that are looked at beside the scripts; others (checksums, translations of questions) are passed over.
const LISTS: [&str; 3] = ["control", "conffiles", "triggers"];

/// The control data of one package.
#[derive(Debug)]
pub(super) struct ControlPart {
    pub(super) control: Control,
    pub(super) scripts: BTreeMap<ScriptKind, Script>,
    pub(super) triggers: Vec<String>,
    pub(super) conffiles: Vec<TreePath>,
}

/// Reads the control part of a package.
pub(super) fn read(archive: &DebArchive) -> Result<ControlPart, DebError> {
    let files = read_files(archive)?;
    let bad = |file: &str, problem| DebError::ControlFile {
        package: archive.path().to_owned(),
        file: file.to_owned(),
        problem,
    };
    let text = |file: &str| match files.get(file) {
        None => Ok(None),
        Some(bytes) => std::str::from_utf8(bytes)
            .map(Some)
            .map_err(|_| bad(file, "is no UTF-8 text")),
    };
    let control = text("control")?.ok_or_else(|| bad("control", "is missing"))?;
    let control = Control::parse(control).map_err(|source| DebError::Control {
        package: archive.path().to_owned(),
        source,
    })?;
    let script = |kind: ScriptKind| {
        let bytes = files.get(kind.file_name())?;
        let text = String::from_utf8_lossy(bytes).into_owned();
        Some((
            kind,
            Script {
                text,
                sha256: Sha256::of(bytes),
            },
        ))
    };
    let conffiles = lines(text("conffiles")?.unwrap_or_default())
        // deb-conffiles(5): the flag tells that the file is to vanish, so it is not in the package.
        .filter(|line| !line.starts_with("remove-on-upgrade "))
        .map(|line| TreePath::parse(line).map_err(|_| bad("conffiles", "names a file that cannot be in an image")));
    Ok(ControlPart {
        control,
        scripts: ScriptKind::ALL.into_iter().filter_map(script).collect(),
        triggers: lines(text("triggers")?.unwrap_or_default())
            .map(str::to_owned)
            .collect(),
        conffiles: conffiles.collect::<Result<_, _>>()?,
    })
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
}

fn read_files(archive: &DebArchive) -> Result<BTreeMap<String, Vec<u8>>, DebError> {
    let mut files = BTreeMap::new();
    archive.read_part(Part::Control, &mut |entry, content| {
        let name = entry.path.as_str();
        let is_wanted = LISTS.contains(&name) || ScriptKind::ALL.iter().any(|kind| kind.file_name() == name);
        let TarKind::File { len_bytes, .. } = entry.kind else {
            return Ok(());
        };
        if !is_wanted {
            return Ok(());
        }
        let bad = |problem| DebError::ControlFile {
            package: archive.path().to_owned(),
            file: name.to_owned(),
            problem,
        };
        if len_bytes > MAX_FILE_BYTES {
            return Err(bad("is too long").into());
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(PartError::Read)?;
        if bytes.len() as u64 != len_bytes {
            return Err(PartError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        match files.insert(name.to_owned(), bytes) {
            None => Ok(()),
            Some(_) => Err(bad("appears twice").into()),
        }
    })?;
    Ok(files)
}
