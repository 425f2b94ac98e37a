//! Against a real TPM in software, and against one that says what it likes.

mod hostile;
mod real;
mod swtpm;
