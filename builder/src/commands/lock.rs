//! `skerry lock`: pins every input of an image.

use std::path::Path;
use std::time::Instant;

use crate::apt::explain;
use crate::cli::{Inputs, LockArgs};
use crate::definition::ImageSpec;
use crate::failure::{Failure, FailureKind};
use crate::fetch::{Access, FetchOptions};
use crate::lock::Lock;
use crate::locking::{self, Workshop};
use crate::mirror::{self, Mirror};
use crate::printer::Printer;
use crate::progress::terminal;
use crate::store::Store;

use super::{cache, file_failed, load_image, output_failed};

/// Makes, refreshes, checks or explains the lock.
pub fn lock(arguments: &LockArgs, printer: &Printer) -> Result<(), Failure> {
    let spec = load_image(&arguments.image)?;
    let present = read(&spec)?;
    if let Some(package) = &arguments.explain {
        return explain(&spec, package, arguments, printer);
    }
    let fits = present
        .as_ref()
        .is_some_and(|lock| lock.spec_digest == spec.lock_digest());
    if arguments.check {
        return if fits {
            Ok(())
        } else {
            Err(stale(&spec, present.as_ref()))
        };
    }
    if fits && !arguments.update {
        printer.say(&format!(
            "{} fits the definition; `--update` takes newer versions",
            spec.lock_path().display()
        ));
        return Ok(());
    }
    let store = cache::open(arguments.inputs.cache_dir.clone())?;
    refresh(&spec, present.as_ref(), &store, &arguments.inputs, printer).map(drop)
}

/// The lock beside the definition, if there is one.
pub fn read(spec: &ImageSpec) -> Result<Option<Lock>, Failure> {
    let path = spec.lock_path();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(Lock::parse(&path.display().to_string(), &text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_failed("read", &path, &error)),
    }
}

/// A lock that is not there or belongs to another definition.
pub fn stale(spec: &ImageSpec, present: Option<&Lock>) -> Failure {
    let path = spec.lock_path().display().to_string();
    let message = match present {
        Some(_) => format!("{path} does not fit the definition any more"),
        None => format!("{path} does not exist"),
    };
    Failure::new(FailureKind::Request, message).hint(format!("refresh it: skerry lock {}", spec.name))
}

/// Resolves anew, writes the lock and says what changed.
pub fn refresh(
    spec: &ImageSpec,
    present: Option<&Lock>,
    store: &Store,
    inputs: &Inputs,
    printer: &Printer,
) -> Result<Lock, Failure> {
    let start = Instant::now();
    let mirror = choose_mirror(spec, inputs)?;
    let reporter = terminal::for_printer(printer);
    let workshop = Workshop {
        mirror: &mirror,
        store,
        fetch: fetch_options(inputs),
        reporter: reporter.as_ref(),
    };
    let indexes = locking::read_indexes(spec, present, workshop)?;
    let selection = locking::select(spec, &indexes)?;
    for waived in &selection.waived {
        printer.detail(&format!(
            "left open by `without`: {} {}",
            waived.package, waived.relation
        ));
    }
    let lock = locking::make_lock(spec, &indexes, &selection, workshop)?;
    write(&spec.lock_path(), &lock)?;
    let changes = match present {
        Some(old) => lock.changes_since(old).summary(),
        None => format!("{} packages, {} components", lock.packages.len(), lock.components.len()),
    };
    printer.step("Locked", &format!("{}: {changes}", spec.name), start.elapsed());
    Ok(lock)
}

/// Beside, then renamed: a lock is always whole.
fn write(path: &Path, lock: &Lock) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| file_failed("write", path, &error);
    let mut file = tempfile::Builder::new()
        .prefix(".lock")
        .tempfile_in(folder)
        .map_err(failed)?;
    std::io::Write::write_all(&mut file, lock.to_toml().as_bytes()).map_err(failed)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error)).map(drop)
}

/// The mirror by flag, variable, definition or this machine's own apt sources.
pub fn choose_mirror(spec: &ImageSpec, inputs: &Inputs) -> Result<Mirror, Failure> {
    let given = inputs.mirror.as_deref().or(spec.mirror.as_deref());
    let sources = match given {
        Some(_) => Vec::new(),
        None => mirror::read_apt_sources(Path::new("/etc/apt"))?,
    };
    Ok(Mirror::choose(given, &sources)?)
}

/// How the network may be used.
pub fn fetch_options(inputs: &Inputs) -> FetchOptions {
    let access = if inputs.offline {
        Access::Offline
    } else {
        Access::Online
    };
    FetchOptions {
        access,
        ..FetchOptions::default()
    }
}

fn explain(spec: &ImageSpec, package: &str, arguments: &LockArgs, printer: &Printer) -> Result<(), Failure> {
    let store = cache::open(arguments.inputs.cache_dir.clone())?;
    let mirror = choose_mirror(spec, &arguments.inputs)?;
    let reporter = terminal::for_printer(printer);
    let workshop = Workshop {
        mirror: &mirror,
        store: &store,
        fetch: fetch_options(&arguments.inputs),
        reporter: reporter.as_ref(),
    };
    let indexes = locking::read_indexes(spec, None, workshop)?;
    let selection = locking::select(spec, &indexes)?;
    let text = explain::explain(&indexes.universe, &locking::request(spec), &selection, package);
    printer.data(&format!("{}\n", text.trim_end())).map_err(output_failed)
}
