//! Damage that was found at boot, and what was done about it.

use std::fmt;

/// Something that was not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub path: String,
    /// What was wrong.
    pub wrong: String,
    /// What was done.
    pub remedy: Remedy,
}

/// What was done about damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Made anew from the rest.
    Rebuilt,
    /// Moved to the same name with `.damaged`.
    SetAside,
    /// The defaults stand in for it.
    Defaults,
    /// Nothing; it does no harm.
    Left,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, wrong, remedy } = self;
        let done = match remedy {
            Remedy::Rebuilt => "made anew from the rest",
            Remedy::SetAside => "set aside with the ending .damaged",
            Remedy::Defaults => "set aside with the ending .damaged, defaults are used",
            Remedy::Left => "left as it is",
        };
        write!(f, "{path}: {wrong}; {done}")
    }
}
