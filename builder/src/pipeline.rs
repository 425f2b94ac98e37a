//! The whole build on one screen.
