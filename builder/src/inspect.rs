//! Reads a finished image without mounting it.
