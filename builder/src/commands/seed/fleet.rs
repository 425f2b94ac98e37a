//! `skerry seed --fleet`: a join file, or a copy of an image, for each device of a list.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use skerry_firstboot::join_config::MAX_BYTES;

use crate::cli::SeedArgs;
use crate::disk::sparse::CopyMethod;
use crate::failure::{Failure, FailureKind};
use crate::fleet::{self, Existing, FileName, Fleet, FleetError, List, Plan, Planned, State, Written};
use crate::printer::{Printer, bytes};
use crate::progress::terminal;

use super::super::output_failed;
use super::{named, read_bytes};

/// More than the lines of a million devices, in bytes.
const MAX_LIST_BYTES: usize = 256 << 20;

/// Seeds all devices of `list`.
pub(super) fn seed(list: &Path, arguments: &SeedArgs, printer: &Printer) -> Result<(), Failure> {
    let started = Instant::now();
    let fleet = read(list, arguments)?;
    fleet.warnings.iter().for_each(|warning| printer.warn(warning));
    let out = arguments.fleet.out.as_deref().unwrap_or(Path::new("."));
    let existing = if arguments.fleet.force {
        Existing::Replace
    } else {
        Existing::Keep
    };
    let plan = fleet::plan(fleet.devices, out, arguments.target.as_deref(), existing)?;
    let written = fleet::execute(&plan, terminal::for_printer(printer).as_ref())?;
    printer.step("Seeded", &summary(&plan, &written), started.elapsed());
    let data = match arguments.json {
        true => report(&plan, &written).to_string(),
        false => out.display().to_string(),
    };
    printer.data(&format!("{data}\n")).map_err(output_failed)
}

fn read(list: &Path, arguments: &SeedArgs) -> Result<Fleet, Failure> {
    let join = arguments.join.as_deref().unwrap_or(Path::new("-"));
    if list == Path::new("-") && join == list {
        let message = "`--fleet -` and `--join -` would both read standard input";
        return Err(Failure::new(FailureKind::Usage, message));
    }
    let file_name = match (&arguments.fleet.file_name, &arguments.target) {
        (Some(template), _) => FileName::parse(template).map_err(|source| FleetError::FileName {
            template: template.clone(),
            source,
        })?,
        (None, Some(_)) => FileName::image(),
        (None, None) => FileName::join_file(),
    };
    let content = read_bytes(list, MAX_LIST_BYTES)?;
    if content.len() > MAX_LIST_BYTES {
        let message = format!("{} has more than {}", list.display(), bytes(MAX_LIST_BYTES as u64));
        return Err(Failure::new(FailureKind::Request, message));
    }
    let file = match list == Path::new("-") {
        true => "standard input".to_owned(),
        false => list.display().to_string(),
    };
    let list = List {
        file: &file,
        bytes: &content,
    };
    let template = read_bytes(join, MAX_BYTES)?;
    fleet::read(list, &template, &file_name).map_err(|error| match error {
        error @ FleetError::Template(_) => named(error.into(), join),
        error => error.into(),
    })
}

fn summary(plan: &Plan, written: &Written) -> String {
    let what = if plan.image.is_some() { "image" } else { "join file" };
    let plural = if written.written == 1 { "" } else { "s" };
    let mut text = format!("{} {what}{plural}", written.written);
    if written.unchanged > 0 {
        text.push_str(&format!(", {} unchanged", written.unchanged));
    }
    text.push_str(&format!(", in {}", plan.out.display()));
    match written.method {
        Some(CopyMethod::Reflink) => text.push_str(", sharing their blocks (reflinks)"),
        Some(CopyMethod::Data) => text.push_str(", data copied without its holes"),
        None => {}
    }
    text
}

fn report(plan: &Plan, written: &Written) -> Value {
    let device = |planned: &Planned| {
        let settings = &planned.device.join_file.config().settings;
        let addresses: Vec<String> = settings.network.addresses.iter().map(ToString::to_string).collect();
        serde_json::json!({
            "name": planned.device.name.as_str(),
            "file": planned.place,
            "changed": planned.state != State::Same,
            "token-id": planned.device.join_file.token_id(),
            "addresses": addresses,
        })
    };
    serde_json::json!({
        "version": 1,
        "out": plan.out,
        "written": written.written,
        "unchanged": written.unchanged,
        "copied-by": written.method.map(|method| match method {
            CopyMethod::Reflink => "reflink",
            CopyMethod::Data => "data",
        }),
        "devices": plan.files.iter().map(device).collect::<Vec<_>>(),
    })
}
