//! SHA256SUMS, as `sha256sum` writes and `sha256sum --check` reads it.

use crate::digest::Sha256;

/// The file's name.
pub const FILE_NAME: &str = "SHA256SUMS";

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

/// Reads the text: name and digest of each line, or the number, from 1, of the first line that is none.
pub fn parse(text: &str) -> Result<Vec<(String, Sha256)>, usize> {
    let rows = text.lines().zip(1..);
    rows.map(|(line, number)| parse_line(line).ok_or(number)).collect()
}

fn parse_line(line: &str) -> Option<(String, Sha256)> {
    let (escaped, line) = match line.strip_prefix('\\') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    // Behind the digest a space, then another one or `*` for a file that was read as bytes.
    let (digest, rest) = line.split_once(' ')?;
    let name = rest.strip_prefix([' ', '*'])?;
    let name = match escaped {
        true => unescape(name)?,
        false => name.to_owned(),
    };
    (!name.is_empty()).then_some((name, digest.parse().ok()?))
}

fn unescape(name: &str) -> Option<String> {
    let mut chars = name.chars();
    let mut plain = String::new();
    while let Some(next) = chars.next() {
        plain.push(match next {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
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

    #[test]
    fn what_is_written_is_read_back_and_other_lines_are_named() {
        let [a, b] = [b"a", b"b"].map(|bytes| Sha256::of(bytes));
        let text = to_text([("edge.raw", b), ("back\\slash\n", a)]);
        assert_eq!(
            parse(&text),
            Ok(vec![("back\\slash\n".to_owned(), a), ("edge.raw".to_owned(), b)])
        );
        assert_eq!(parse(&format!("{a} *edge.raw\n")), Ok(vec![("edge.raw".to_owned(), a)]));
        for bad in [
            "",
            "nonsense",
            &a.to_string(),
            &format!("{a}  "),
            &format!("\\{a}  x\\y"),
        ] {
            assert_eq!(parse(&format!("{b}  ok\n{bad}\n")), Err(2), "{bad}");
        }
    }
}
