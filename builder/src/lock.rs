//! The lock: every input of a build by version, size and SHA-256.
