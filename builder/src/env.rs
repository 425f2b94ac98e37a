//! The environment variables that Skerry reads.

use std::path::PathBuf;

/// Name, meaning and the first version that knows it. Secrets are never taken from the environment.
pub const VARIABLES: &[(&str, &str, &str)] = &[
    (
        "SKERRY_CACHE_DIR",
        "where downloads and compiled parts are kept; by default `~/.cache/skerry`",
        "0.1",
    ),
    (
        "SKERRY_MIRROR",
        "where the Debian archive is served from; by default this machine's own mirror",
        "0.1",
    ),
    ("SKERRY_OFFLINE", "use nothing but the cache", "0.1"),
    (
        "SKERRY_PROGRAMS",
        "the folder with the programs that go into images, by architecture",
        "0.1",
    ),
    (
        "SKERRY_PROGRESS",
        "`auto`, `always` or `never`: when to draw progress bars",
        "0.1",
    ),
    (
        "CI",
        "when set, `build` behaves as with `--locked` and no bars are drawn",
        "0.1",
    ),
    ("NO_COLOR", "when set, no colours", "0.1"),
    ("CLICOLOR_FORCE", "when set, colours even without a terminal", "0.1"),
    (
        "SOURCE_DATE_EPOCH",
        "not used: the lock's date is the time of everything in an image",
        "0.1",
    ),
];

/// Where the cache is when no flag says so (XDG Base Directory Specification).
pub fn default_cache_dir() -> Option<PathBuf> {
    let folder = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = folder("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    Some(cache.or_else(|| Some(folder("HOME")?.join(".cache")))?.join("skerry"))
}

/// Whether this is a run of a continuous integration service.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}
