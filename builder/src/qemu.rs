//! Virtual machines: firmware, command line, console.
