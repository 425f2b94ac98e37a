//! The command `skerry`.

fn main() {}
