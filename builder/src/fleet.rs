//! A fleet: one join file, or one seeded copy of an image, for each row of a list.
//!
//! In: a list of devices (CSV), a join file that says what they have in common, and perhaps an image. Out: a folder with a
//! file for each device, which appear together. Each cell goes to its key of the join file and is checked by the program
//! that will read it on the machine. Everything that is wrong is told before anything is written; secrets never are.

pub mod columns;

mod device;
mod error;
mod file_name;
mod heading;
mod image;
mod plan;
mod sheet;
mod write;

#[cfg(test)]
mod tests;

pub use device::{Device, Fleet, List, read};
pub use error::{Complaint, FleetError};
pub use file_name::{BadTemplate, FileName};
pub use image::Image;
pub use plan::{Existing, Plan, Planned, State, plan};
pub use write::{Written, execute};
