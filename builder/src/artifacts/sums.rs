//! SHA256SUMS, as `sha256sum` writes and `sha256sum --check` reads it.

use crate::digest::Sha256;

/// The text for `files`, by name.
pub fn to_text<'a>(files: impl IntoIterator<Item = (&'a str, Sha256)>) -> String {
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort();
    files.into_iter().map(|(name, sha256)| line(name, &sha256)).collect()
}

/// One line; a leading backslash says that the name is escaped (coreutils manual, "md5sum invocation").
fn line(name: &str, sha256: &Sha256) -> String {
    let escaped = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    let mark = if escaped == name { "" } else { "\\" };
    format!("{mark}{sha256}  {escaped}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_and_strange_names_escaped() {
        let [a, b] = [b"a", b"b"].map(|bytes| Sha256::of(bytes));
        assert_eq!(
            to_text([("edge.raw", b), ("back\\slash\n", a), ("edge.efi", a)]),
            format!("\\{a}  back\\\\slash\\n\n{a}  edge.efi\n{b}  edge.raw\n")
        );
    }
}
