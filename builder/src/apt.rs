//! Debian archives: signed indexes, versions, relations and the dependency resolver.
//!
//! ```text
//! InRelease ─release::verify→ Release ─(sha256 of each index)→ Packages ─index::parse→ IndexEntry…
//! Universe::new(IndexEntry…) ─resolve→ Selection ─explain→ text
//! ```
//!
//! Everything here computes; nothing reads files, the clock or the network. Specifications: Debian policy 4.7 (chapters 5
//! and 7), deb822(5), the repository format of the Debian wiki, OpenPGP (RFC 9580). Deliberately not supported: flat
//! repositories, detached `Release.gpg`, foreign architectures, Recommends and Suggests.

pub mod deb822;
pub mod explain;
pub mod index;
pub mod relation;
pub mod release;
pub mod resolve;
pub mod version;
