//! Programs built from a Go module, so that they are the published source and nothing else.
//!
//! The module is built as a dependency of an empty module of ours, because a published module has no work tree to
//! build in. To get what upstream gets when it builds there, the empty module takes over the `go`, `godebug`,
//! `require`, `replace` and `exclude` lines of the module's own `go.mod` (Go modules reference, "go.mod files"). Each
//! module is checked against Go's checksum database; cgo is off; paths, build ids and version control stamps are left
//! out of the binary. The host's Go configuration decides where modules come from and where Go's caches are, nothing
//! else.

mod command;
mod module;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ComponentError, ComponentFile, ComponentSpec, GoOrigin, Workshop};
use crate::arch::Arch;
use crate::progress::{Reporter, TaskId, Work};

use command::{Go, HostGo};
use module::ModuleFile;

/// What is to be built.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) spec: &'a ComponentSpec,
    pub(super) origin: &'a GoOrigin,
    pub(super) arch: Arch,
    pub(super) purpose: Purpose,
}

/// What the result is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Its digests go into the lock, so the source must be checked.
    Pin,
    /// It is compared with the lock.
    Reproduce,
}

/// A task of the reporter that ends with its scope.
struct Task<'a> {
    reporter: &'a dyn Reporter,
    id: TaskId,
}

impl<'a> Task<'a> {
    fn start(reporter: &'a dyn Reporter, name: &str, work: Work) -> Self {
        let id = reporter.start(name, work);
        Self { reporter, id }
    }

    fn advance(&self, amount: u64) {
        self.reporter.advance(self.id, amount);
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.reporter.finish(self.id);
    }
}

/// What `go mod download -json` tells of a module.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    go_mod: PathBuf,
}

/// Builds the programs into the store, in the order of their packages' names.
pub(super) fn build(job: &Job<'_>, workshop: &Workshop<'_>) -> Result<Vec<ComponentFile>, ComponentError> {
    let scratch = workshop
        .store
        .scratch()
        .map_err(|source| ComponentError::Store { source })?;
    let host = HostGo::find(&job.spec.name, scratch.path())?;
    build_in(scratch.path(), &host, job, workshop)
}

fn build_in(
    folder: &Path,
    host: &HostGo,
    job: &Job<'_>,
    workshop: &Workshop<'_>,
) -> Result<Vec<ComponentFile>, ComponentError> {
    if job.purpose == Purpose::Pin && !host.checks_modules() {
        return Err(ComponentError::NoChecksumDatabase {
            component: job.spec.name.clone(),
        });
    }
    let go = Go::new(job, host, folder)?;
    let written = write_module(job, &go, workshop.reporter)?;
    let packages = count_packages(job, &go, workshop.reporter)?;
    compile(job, &go, packages, workshop.reporter)?;
    check_modules(job, &go, &written)?;
    job.spec
        .install
        .keys()
        .map(|package| import(job, package, &go, workshop))
        .collect()
}

/// Writes the `go.mod` of the empty module and returns what it says.
fn write_module(job: &Job<'_>, go: &Go<'_>, reporter: &dyn Reporter) -> Result<ModuleFile, ComponentError> {
    let Job { spec, origin, .. } = job;
    let task = Task::start(
        reporter,
        &format!("{} {}: module", spec.name, spec.version),
        Work::Unknown,
    );
    let wanted = format!("{}@{}", origin.module, spec.version);
    // Without one Go would look for a go.mod in the folders above.
    write(job, &go.module_file(), ModuleFile::default_text().as_bytes())?;
    let answer = go.run("mod", ["download", "-json", &wanted], |_| task.advance(1))?;
    let downloaded: Downloaded = parse(job, "mod download", &answer)?;
    let upstream = read_module(job, go, &downloaded.go_mod)?;
    let ours = upstream.consumer(job)?;
    write(job, &go.module_file(), ours.to_text().as_bytes())?;
    Ok(ours)
}

fn read_module(job: &Job<'_>, go: &Go<'_>, path: &Path) -> Result<ModuleFile, ComponentError> {
    let path = path.to_string_lossy();
    let answer = go.run("mod", ["edit", "-json", path.as_ref()], |_| {})?;
    parse(job, "mod edit", &answer)
}

/// Fetches all modules that are needed, and counts what there is to compile.
fn count_packages(job: &Job<'_>, go: &Go<'_>, reporter: &dyn Reporter) -> Result<u64, ComponentError> {
    let name = format!("{} {}: dependencies", job.spec.name, job.spec.version);
    let task = Task::start(reporter, &name, Work::Unknown);
    let mut arguments = vec!["-deps".to_owned(), tags_flag(job.origin), "--".to_owned()];
    arguments.extend(import_paths(job));
    let answer = go.run("list", &arguments, |_| task.advance(1))?;
    Ok(answer.iter().filter(|byte| **byte == b'\n').count() as u64)
}

fn compile(job: &Job<'_>, go: &Go<'_>, packages: u64, reporter: &dyn Reporter) -> Result<(), ComponentError> {
    let name = format!("{} {}: compiling", job.spec.name, job.spec.version);
    let task = Task::start(reporter, &name, Work::Items(packages));
    let mut arguments = vec![
        "-v".to_owned(),
        "-trimpath".to_owned(),
        "-buildvcs=false".to_owned(),
        tags_flag(job.origin),
        format!("-ldflags={}", linker_flags(job.origin)),
        "-o".to_owned(),
        format!("{}/", go.output().display()),
        "--".to_owned(),
    ];
    arguments.extend(import_paths(job));
    let mut compiled = 0;
    // With -v Go names each package that it compiles; those in its cache it passes over.
    go.run("build", &arguments, |_| {
        compiled += 1;
        if compiled <= packages {
            task.advance(1);
        }
    })?;
    task.advance(packages.saturating_sub(compiled));
    Ok(())
}

/// Go adds the newest version of a module that it misses. A tidy `go.mod` misses none; with any other the next build
/// could get other sources than this one.
fn check_modules(job: &Job<'_>, go: &Go<'_>, written: &ModuleFile) -> Result<(), ComponentError> {
    let used = read_module(job, go, &go.module_file())?.requirements();
    let pinned = written.requirements();
    let loose: Vec<String> = used.difference(&pinned).take(5).cloned().collect();
    if loose.is_empty() {
        return Ok(());
    }
    Err(ComponentError::LooseModules {
        component: job.spec.name.clone(),
        modules: loose.join(", "),
    })
}

fn import(job: &Job<'_>, package: &str, go: &Go<'_>, workshop: &Workshop<'_>) -> Result<ComponentFile, ComponentError> {
    let program = go
        .output()
        .join(program_name(&import_path(&job.origin.module, package)));
    let imported = workshop
        .store
        .import(&program)
        .map_err(|source| ComponentError::Store { source })?;
    Ok(ComponentFile {
        name: package.to_owned(),
        len_bytes: imported.len_bytes,
        sha256: imported.sha256,
    })
}

fn linker_flags(origin: &GoOrigin) -> String {
    // No symbol table, no debug information, no build id: the digest in the lock identifies the file.
    let mut flags = "-s -w -buildid=".to_owned();
    for (variable, value) in &origin.stamps {
        flags.push_str(&format!(" -X {variable}={value}"));
    }
    flags
}

fn tags_flag(origin: &GoOrigin) -> String {
    format!("-tags={}", origin.tags.join(","))
}

fn import_paths(job: &Job<'_>) -> impl Iterator<Item = String> {
    let module = &job.origin.module;
    job.spec.install.keys().map(move |package| import_path(module, package))
}

/// `.` is the package at the module's top.
fn import_path(module: &str, package: &str) -> String {
    match package {
        "." => module.to_owned(),
        below => format!("{module}/{below}"),
    }
}

/// What Go calls the program: the import path's last part that is not a major version (`go help build`).
fn program_name(import_path: &str) -> &str {
    let is_major = |part: &str| {
        part.strip_prefix('v')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut parts = import_path.rsplit('/');
    let last = parts.next().unwrap_or(import_path);
    if is_major(last) {
        parts.next().unwrap_or(last)
    } else {
        last
    }
}

/// Checks a module or package path: the characters that Go allows (`golang.org/x/mod/module`), no empty or dotted
/// part, and nothing that a command line could take for a flag.
pub(super) fn check_import_path(path: &str) -> Result<(), String> {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.ends_with('.')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    if path.split('/').all(is_part) {
        Ok(())
    } else {
        Err(format!("`{path}` is not an import path"))
    }
}

/// Checks the packages to build; each must give a program of another name.
pub(super) fn check_packages<'a>(module: &str, packages: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut taken = BTreeSet::new();
    for package in packages {
        if package != "." {
            check_import_path(package)?;
        }
        let path = import_path(module, package);
        let name = program_name(&path).to_owned();
        if taken.contains(&name) {
            return Err(format!(
                "two packages give a program `{name}`: make them two components"
            ));
        }
        taken.insert(name);
    }
    Ok(())
}

fn parse<'a, T: Deserialize<'a>>(job: &Job<'_>, step: &'static str, answer: &'a [u8]) -> Result<T, ComponentError> {
    serde_json::from_slice(answer).map_err(|source| ComponentError::GoAnswer {
        component: job.spec.name.clone(),
        step,
        source,
    })
}

fn write(job: &Job<'_>, path: &Path, content: &[u8]) -> Result<(), ComponentError> {
    fs::write(path, content).map_err(|source| ComponentError::Workspace {
        component: job.spec.name.clone(),
        path: path.to_owned(),
        source,
    })
}
