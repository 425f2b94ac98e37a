//! Checks on the finished tree.
