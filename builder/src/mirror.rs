//! Where a Debian archive is served from.
