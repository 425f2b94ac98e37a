//! What comes after the writing: join files, the new partitions, and the report.

use std::time::Duration;

use serde::Serialize;

use crate::cli::FlashArgs;
use crate::device::DiskFacts;
use crate::failure::{Failure, FailureKind};
use crate::flash::{BlockDevice, Image, ImageError, MediumError, Named, Outcome, Written};
use crate::printer::{self, Printer};
use crate::seed::{Change, JoinFile, seed_disk};
use crate::shell::quoted;

use super::super::output_failed;

/// A run of the command whose writing is over.
pub(super) struct Run<'a> {
    pub(super) arguments: &'a FlashArgs,
    pub(super) image: &'a Image,
    pub(super) disks: &'a [DiskFacts],
    pub(super) media: &'a [Named<BlockDevice>],
    pub(super) join: Option<&'a JoinFile>,
    pub(super) stopped: bool,
}

/// What became of one disk, for `--json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct DiskReport {
    path: String,
    model: Option<String>,
    serial: Option<String>,
    state: &'static str,
    written_bytes: u64,
    write_seconds: f64,
    verify_seconds: f64,
    join_file: Option<&'static str>,
    error: Option<Vec<String>>,
}

impl Run<'_> {
    /// Seeds what was written, says what became of each disk, and fails if not all are complete.
    pub(super) fn finish(&self, outcome: Outcome, printer: &Printer) -> Result<(), Failure> {
        let Outcome { image, media } = outcome;
        let results: Vec<Result<Written, Failure>> = media
            .into_iter()
            .enumerate()
            .map(|(index, written)| self.complete(index, written, printer))
            .collect();
        if self.arguments.json {
            printer
                .data(&format!("{}\n", self.report(&results)))
                .map_err(output_failed)?;
        }
        let succeeded = results.iter().filter(|result| result.is_ok()).count();
        if succeeded > 0 {
            self.say_next(printer);
        }
        self.summary(image, results, printer)
    }

    /// The last steps on one disk.
    fn complete(
        &self,
        index: usize,
        written: Result<Written, MediumError>,
        printer: &Printer,
    ) -> Result<Written, Failure> {
        let (disk, named) = (&self.disks[index], &self.media[index]);
        let written = written.map_err(|error| {
            let mut failure = Failure::from(error);
            failure.chain.insert(0, format!("{} was not flashed", named.name));
            failure
        })?;
        if let Some(file) = self.join {
            let open = named.medium.buffered(&disk.path);
            let open = open.map_err(|error| Failure::new(FailureKind::Request, error.to_string()));
            let seeded = open.and_then(|open| Ok(seed_disk(&open, &disk.path, Change::Put(file))?));
            seeded.map_err(|mut failure| {
                let message = format!("{} holds the image, but not the join file", named.name);
                failure.chain.insert(0, message);
                failure
            })?;
        }
        if let Err(errno) = named.medium.read_partitions() {
            printer.detail(&format!(
                "{}: the kernel does not show the new partitions: {errno}",
                named.name
            ));
        }
        let detail = format!(
            "{} ({}): {} written at {}, read back at {}{}",
            named.name,
            disk.model.as_deref().unwrap_or(&disk.name),
            printer::bytes(written.data_bytes),
            rate(written.data_bytes, written.write_time),
            rate(written.data_bytes, written.verify_time),
            self.join
                .map(|file| format!(", {} put on it", file.name()))
                .unwrap_or_default(),
        );
        printer.step(
            "Flashed",
            &printer::sanitize(&detail),
            written.write_time + written.verify_time,
        );
        Ok(written)
    }

    fn say_next(&self, printer: &Printer) {
        let seed = match (self.join, self.disks.first()) {
            (None, Some(disk)) => format!(
                "; so that it joins: skerry seed {} --join FILE",
                quoted(&disk.path.display().to_string())
            ),
            _ => String::new(),
        };
        printer.say(&format!(
            "  next: take it out, put it into the machine, and switch that on{seed}"
        ));
    }

    fn report(&self, results: &[Result<Written, Failure>]) -> serde_json::Value {
        let disk = |(disk, result): (&DiskFacts, &Result<Written, Failure>)| {
            let written = result.as_ref().ok();
            let seconds = |time: fn(&Written) -> Duration| written.map_or(0.0, |written| time(written).as_secs_f64());
            DiskReport {
                path: disk.path.display().to_string(),
                model: disk.model.clone(),
                serial: disk.serial.clone(),
                state: match result {
                    Ok(_) => "flashed",
                    Err(failure) if failure.kind == FailureKind::Interrupted => "stopped",
                    Err(_) => "failed",
                },
                written_bytes: written.map_or(0, |written| written.data_bytes),
                write_seconds: seconds(|written| written.write_time),
                verify_seconds: seconds(|written| written.verify_time),
                join_file: written.and(self.join).map(JoinFile::name),
                error: result.as_ref().err().map(|failure| failure.chain.clone()),
            }
        };
        let devices: Vec<DiskReport> = self.disks.iter().zip(results).map(disk).collect();
        let manifest = &self.image.manifest;
        serde_json::json!({
            "version": 1,
            "image": manifest.image,
            "image-version": manifest.image_version,
            "root-hash": manifest.root_hash,
            "source": self.image.name,
            "devices": devices,
        })
    }

    /// The one error that tells the exit code; of several disks each has told its own before.
    fn summary(
        &self,
        image: Result<(), ImageError>,
        results: Vec<Result<Written, Failure>>,
        printer: &Printer,
    ) -> Result<(), Failure> {
        let count = results.len();
        let unfinished = self.media.iter().zip(&results).filter(|(_, result)| result.is_err());
        let names: Vec<&str> = unfinished.map(|(named, _)| named.name.as_str()).collect();
        let names = names.join(", ");
        let mut failures: Vec<Failure> = results.into_iter().filter_map(Result::err).collect();
        if self.stopped && !failures.is_empty() {
            let mut failure = failures.swap_remove(0);
            failure.kind = FailureKind::Interrupted;
            failure.chain = vec![format!("stopped: {names} cannot be used as it is")];
            return Err(failure);
        }
        if let Err(error) = image {
            return Err(Failure::from(error).hint(format!("nothing will start from {names} as it is")));
        }
        match failures.len() {
            0 => Ok(()),
            1 if count == 1 => Err(failures.swap_remove(0)),
            failed => {
                let kind = failures[0].kind;
                failures.iter().for_each(|failure| printer.failure(failure));
                Err(Failure::new(
                    kind,
                    format!("{failed} of {count} disks were not completed"),
                ))
            }
        }
    }
}

fn rate(bytes: u64, time: Duration) -> String {
    let per_second = bytes as f64 / time.as_secs_f64().max(0.001);
    format!("{}/s", printer::bytes(per_second as u64))
}
