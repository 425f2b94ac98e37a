//! The root file system: packages, passes and overlays become one tree.
//!
//! The passes below do what Debian's maintainer scripts would do, as pure functions over a [`crate::tree::Tree`]. Their
//! order:
//!
//! 1. [`script_rules`]: each maintainer script is known, with the passes that stand for it; an unknown one stops the build.
//! 2. [`skeleton::before`]: merged-/usr and the base folders.
//! 3. [`accounts`]: users and groups from the packages' and overlays' files, needed for owners that archives give by name.
//! 4. packages and components are put into the tree; [`board`] takes out what boot ROMs read elsewhere.
//! 5. [`accounts::Accounts::write`], [`skeleton::after`], [`modes`], [`alternatives`], [`certs`], [`pam`], [`repart`],
//!    [`preload`].
//! 6. overlays, then [`units`], which enables what packages and overlays brought.
//! 7. [`exclude`], then the indexes over what is left, [`var`], and [`contents`], which lists it all, at the very end.

pub mod accounts;
pub mod alternatives;
pub mod assemble;
pub mod board;
pub mod certs;
pub mod contents;
pub mod depmod;
pub mod exclude;
pub mod ldcache;
mod made;
pub mod modes;
pub mod modules;
pub mod overlay;
pub mod pam;
pub mod preload;
pub mod repart;
pub mod script_rules;
pub mod skeleton;
pub mod units;
pub mod var;
