//! Debian archives: signed indexes, versions, relations and the dependency resolver.
