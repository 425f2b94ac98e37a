//! os-release(5): who the image is.

use std::fmt::Write as _;

use crate::tree::Tree;

/// What the image calls itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageName<'a> {
    /// Name of the image, such as `edge-x86_64`; becomes `IMAGE_ID`.
    pub name: &'a str,
    /// Version of the image from the lock; becomes `IMAGE_VERSION`.
    pub version: &'a str,
    /// `PRETTY_NAME`, if it is not made from name and version of the system.
    pub pretty_name: Option<&'a str>,
}

/// The text of `/usr/lib/os-release`; Debian's numbers are taken from the file of base-files that it replaces.
pub(super) fn text(tree: &Tree, image: &ImageName) -> String {
    let debian = tree
        .file("usr/lib/os-release")
        .and_then(|data| data.read().ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    let number = value(&debian, "VERSION_ID").map_or_else(|| "Debian".to_owned(), |id| format!("Debian {id}"));
    let ImageName { name, version, .. } = image;
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key}=\"{}\"", escape(value));
    };
    let honest = format!("Skerry {name} ({number})");
    line("PRETTY_NAME", image.pretty_name.unwrap_or(&honest));
    line("NAME", "Skerry");
    line("ID", "skerry");
    line("ID_LIKE", "debian");
    line("VERSION", version);
    line("VERSION_ID", version);
    line("IMAGE_ID", name);
    line("IMAGE_VERSION", version);
    for key in ["VERSION_CODENAME", "DEBIAN_VERSION_FULL"] {
        if let Some(value) = value(&debian, key) {
            line(key, value);
        }
    }
    text
}

fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.next_back().map(|value| value.trim_matches('"'))
}

/// Within double quotes, a shell takes these four literally only after a backslash.
fn escape(value: &str) -> String {
    let special = |next: char| matches!(next, '"' | '\\' | '$' | '`');
    let mut escaped = String::new();
    for next in value.chars().filter(|next| !next.is_control()) {
        if special(next) {
            escaped.push('\\');
        }
        escaped.push(next);
    }
    escaped
}
