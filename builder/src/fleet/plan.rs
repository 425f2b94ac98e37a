//! What is to be written where, found out before anything is.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::fat::update::Patch;

use super::device::Device;
use super::error::FleetError;
use super::image::Image;

/// What becomes of files with other content that are in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// They stay, and nothing is done.
    Keep,
    /// They are replaced.
    Replace,
}

/// What is in the place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Free,
    /// The very same content.
    Same,
    /// Something else.
    Different,
}

/// All files of a fleet.
#[derive(Debug)]
pub struct Plan {
    /// The folder for them.
    pub out: PathBuf,
    /// The image that they are copies of; none for join files.
    pub image: Option<Image>,
    /// One for each device, in the order of the list.
    pub files: Vec<Planned>,
}

/// One file.
#[derive(Debug)]
pub struct Planned {
    /// For whom.
    pub device: Device,
    /// Where.
    pub place: PathBuf,
    /// What is there now.
    pub state: State,
    /// What it differs from the image in; none for a join file.
    pub(super) patch: Option<Patch>,
}

/// Looks what has to be done for `devices` in the folder `out`. Writes nothing.
pub fn plan(devices: Vec<Device>, out: &Path, image: Option<&Path>, existing: Existing) -> Result<Plan, FleetError> {
    let image = image.map(Image::open).transpose()?;
    let planned = devices
        .into_par_iter()
        .map(|device| plan_one(device, out, image.as_ref(), existing));
    let files: Vec<Planned> = planned.collect::<Result<_, FleetError>>()?;
    let in_the_way = |file: &&Planned| file.state == State::Different;
    let places: Vec<PathBuf> = files.iter().filter(in_the_way).map(|file| file.place.clone()).collect();
    match existing == Existing::Keep && !places.is_empty() {
        true => Err(FleetError::Exists { places }),
        false => Ok(Plan {
            out: out.to_owned(),
            image,
            files,
        }),
    }
}

fn plan_one(device: Device, out: &Path, image: Option<&Image>, existing: Existing) -> Result<Planned, FleetError> {
    let place = out.join(&device.file_name);
    let patch = image.map(|image| image.patch(&device.join_file)).transpose()?;
    let state = match File::open(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => State::Free,
        Err(error) => return Err(FleetError::io("read", &place)(error)),
        Ok(there) => {
            let same = match (image, &patch) {
                // To compare takes longer than to write anew.
                (Some(_), Some(_)) if existing == Existing::Replace => Ok(false),
                (Some(image), Some(patch)) => image.is_copied_to(&there, patch),
                _ => holds(there, device.join_file.text().as_bytes()),
            };
            match same.map_err(FleetError::io("read", &place))? {
                true => State::Same,
                false => State::Different,
            }
        }
    };
    Ok(Planned {
        device,
        place,
        state,
        patch,
    })
}

/// Whether `file` has this content.
fn holds(file: File, content: &[u8]) -> io::Result<bool> {
    let mut bytes = Vec::new();
    file.take(content.len() as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes == content)
}
