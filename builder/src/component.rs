//! Programs that Debian does not have in the needed version, and where they come from.
