//! The few facts about ELF files that passes and lints need.
