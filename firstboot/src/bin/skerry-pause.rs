//! PID 1 of a pod's sandbox; see [`skerry_firstboot::pause`].
//!
//! It begins at the C library's `main`: Rust's runtime would set up a signal stack and handlers that nobody here needs,
//! and each page of it would be paid once per pod.

#![no_main]

/// Called by the C library; the arguments do not matter.
#[allow(unsafe_code, reason = "this is the symbol that the C library starts")]
// SAFETY: the symbol is defined once in this program, with the signature that C gives it (ISO C 5.1.2.2.1).
#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    i32::from(skerry_firstboot::pause::run())
}
