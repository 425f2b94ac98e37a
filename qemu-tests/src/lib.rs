//! Boots real disk images in QEMU and watches what they do.
//!
//! [`image`] builds what is booted, by the command that users run; [`node`] is a machine with a copy of that image;
//! [`tools`] runs the foreign tools that judge it; [`mock_api`] is a control plane that fails as it is told,
//! and [`joiner`] the real client that has to cope with it. Everything a failed test leaves is in `target/qemu-tests/NAME/`.

pub mod image;
pub mod joiner;
pub mod mock_api;
pub mod node;
pub mod tools;
