//! Boots real disk images in QEMU and watches what they do.
//!
//! [`image`] builds what is booted, by the command that users run; [`node`] is a machine with a copy of that image;
//! [`control_plane`] is a real one on loopback for machines to join, [`mock_api`] one that fails as it is told;
//! [`outpost`] is a machine that has joined, to be left alone with its pods; [`fleet`] is ten thousand machines that ask
//! one at once; [`tools`] runs the foreign tools that judge it all. Everything a failed test leaves is in
//! `target/qemu-tests/NAME/`.

pub mod access_point;
pub mod control_plane;
pub mod fleet;
pub mod image;
pub mod join_file;
pub mod joiner;
pub mod medium;
pub mod mock_api;
pub mod monitor;
pub mod no_dhcp;
pub mod node;
pub mod outpost;
pub mod raspberry_pi;
pub mod registry;
pub mod scan;
pub mod scene;
pub mod sockets;
pub mod throttle;
pub mod tools;
pub mod tpm;
pub mod wait;
pub mod witness;
pub mod workload;
