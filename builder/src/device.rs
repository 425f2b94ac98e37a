//! The disks of this machine, and which of them may be overwritten.
//!
//! In: what the kernel tells below `/sys` and `/proc` ([`Host`], the only part that reads). Out: facts as plain values
//! ([`DiskFacts`]), and from them, without looking at anything else, the reasons why a disk must not be written to
//! ([`guard::refusals`]). Nothing here opens a disk.
//!
//! Deliberately unsupported: asking udev, which containers and small systems do not have.

pub mod facts;
pub mod guard;
mod host;
mod identity;
pub mod ioctl;
mod uses;

#[cfg(test)]
mod tests;

pub use facts::{Bus, Changes, DiskFacts, Kind, Target, Use};
pub use guard::{Override, Refusal};
pub use host::Host;
