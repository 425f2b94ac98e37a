//! The relay's protobuf against Kubernetes' own: `golden/wire/` holds answers that Kubernetes' encoders wrote, and what
//! Kubernetes says is in them (`facts.json`). `wire/kubernetes/` is the program that wrote them; where there is Go, it
//! writes them again, and reads what the relay writes. `SKERRY_BLESS=1` keeps what it writes.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it skips, and stops where something fails"
)]

#[path = "wire/facts.rs"]
mod facts;
#[path = "wire/foreign.rs"]
mod foreign;
#[path = "wire/golden.rs"]
mod golden;
