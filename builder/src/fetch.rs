//! Downloads: a lock's packages into the store, verified before visible.
