//! Which modules are linked into a Go program.
//!
//! In: an ELF file, and in it the section `.go.buildinfo`, as `go version -m` reads it. Out: the modules with their versions
//! and checksums, the standard library among them. Spec: Go's source, `debug/buildinfo/buildinfo.go` (the format since Go
//! 1.18, with its texts in the section) and `runtime/debug/mod.go` (the text). Deliberately unsupported: programs of older
//! versions.

use crate::elf::{ElfError, is_elf, sections};
use crate::tree::FileData;

/// Where a program of Go's linker has the information.
const SECTION: &str = ".go.buildinfo";
/// The section's first bytes.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Where the flags are.
const FLAGS_AT: usize = 15;
/// Flag: the texts follow in the section itself.
const INLINE: u8 = 2;
/// Where they begin.
const TEXTS_AT: usize = 32;
/// Bytes before and after the text about modules, by which the runtime finds it in memory.
const SENTINEL_BYTES: usize = 16;
/// The name under which databases of vulnerabilities have the standard library.
const STANDARD_LIBRARY: &str = "stdlib";
/// What a module without a version says, such as the main module of a checkout.
const NO_VERSION: &str = "(devel)";

/// A module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoModule {
    /// Its path, such as `golang.org/x/net`.
    pub path: String,
    /// Its version, such as `v0.42.0`; that of the standard library is Go's, such as `1.26.1`.
    pub version: String,
    /// Its checksum as in `go.sum`, `h1:…`.
    pub sum: Option<String>,
}

/// The modules of a program, in its own order; none if `file` is no Go program, or one that does not say.
pub fn read(file: &FileData) -> Result<Vec<GoModule>, ElfError> {
    let mut start = [0; 4];
    if file.read_at(&mut start, 0).is_err() || !is_elf(&start) {
        return Ok(Vec::new());
    }
    let section = sections::read(file, SECTION)?.unwrap_or_default();
    Ok(texts(&section).map_or_else(Vec::new, |(version, text)| modules(&version, &text)))
}

/// Go's version and the text about modules.
fn texts(section: &[u8]) -> Option<(String, String)> {
    if !section.starts_with(MAGIC) || section.get(FLAGS_AT)? & INLINE == 0 {
        return None;
    }
    let (version, rest) = text(section.get(TEXTS_AT..)?)?;
    let (framed, _) = text(rest)?;
    let inner = framed.get(SENTINEL_BYTES..framed.len().checked_sub(SENTINEL_BYTES)?)?;
    let plain = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((plain(version), plain(inner)))
}

/// A text after its length, and what follows it.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut len: usize = 0;
    // Seven bits in each byte, the lowest first; the last one has its upper bit clear (encoding/binary, "Uvarint").
    for (index, byte) in bytes.iter().enumerate().take(5) {
        len |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes[index + 1..].split_at_checked(len);
        }
    }
    None
}

/// The lines `dep PATH VERSION SUM`, each perhaps followed by `=> PATH VERSION SUM`, which takes its place.
fn modules(version: &str, text: &str) -> Vec<GoModule> {
    let number = version.strip_prefix("go").unwrap_or(version);
    let mut all = vec![GoModule {
        path: STANDARD_LIBRARY.to_owned(),
        // Behind it an experiment may be named: `go1.26.1 X:jsonv2`.
        version: number.split(' ').next().unwrap_or_default().to_owned(),
        sum: None,
    }];
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["dep", path, version, rest @ ..] => all.push(module(path, version, rest)),
            ["=>", path, version, rest @ ..] => {
                // A folder in place of a module has no version, and the module's own says what it is.
                if let Some(last) = all.last_mut().filter(|_| !version.is_empty()) {
                    *last = module(path, version, rest);
                }
            }
            _ => {}
        }
    }
    all.retain(|module| module.version != NO_VERSION);
    all
}

fn module(path: &str, version: &str, rest: &[&str]) -> GoModule {
    let sum = rest.first().filter(|sum| !sum.is_empty());
    GoModule {
        path: path.to_owned(),
        version: version.to_owned(),
        sum: sum.map(|sum| (*sum).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "path\tk8s.io/kubernetes/cmd/kubelet\nmod\tk8s.io/kubernetes\tv1.36.3\th1:main=\n\
        dep\tgolang.org/x/net\tv0.42.0\th1:net=\ndep\tk8s.io/api\tv0.0.0\n=>\tk8s.io/api\tv0.36.3\th1:api=\n\
        dep\tlocal\tv1.0.0\n=>\t../local\t\nbuild\t-trimpath=true\n";

    fn section(version: &str, text: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([8, INLINE]);
        bytes.resize(TEXTS_AT, 0);
        let framed = format!("{0}{text}{0}", "s".repeat(SENTINEL_BYTES));
        for part in [version, &framed] {
            let mut len = part.len();
            while len >= 0x80 {
                bytes.push((len & 0x7f) as u8 | 0x80);
                len >>= 7;
            }
            bytes.push(len as u8);
            bytes.extend(part.as_bytes());
        }
        bytes
    }

    #[test]
    fn modules_are_read_with_what_stands_in_for_them() {
        let (version, text) = texts(&section("go1.26.1 X:jsonv2", TEXT)).unwrap();
        let found = modules(&version, &text);
        let found: Vec<_> = found
            .iter()
            .map(|module| (module.path.as_str(), module.version.as_str(), module.sum.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("stdlib", "1.26.1", None),
                ("golang.org/x/net", "v0.42.0", Some("h1:net=")),
                ("k8s.io/api", "v0.36.3", Some("h1:api=")),
                ("local", "v1.0.0", None),
            ]
        );
    }

    #[test]
    fn a_section_that_breaks_off_anywhere_says_nothing() {
        let whole = section("go1.26.1", TEXT);
        for end in 0..whole.len() {
            assert_eq!(texts(&whole[..end]), None, "{end}");
        }
        let mut old = whole.clone();
        old[FLAGS_AT] = 0;
        assert_eq!(texts(&old), None);
        let mut endless = whole;
        endless[TEXTS_AT..TEXTS_AT + 8].fill(0xff);
        assert_eq!(texts(&endless), None);
    }
}
