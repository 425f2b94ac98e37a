//! GUID partition tables.
