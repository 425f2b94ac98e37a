//! The cleartext signature framework (RFC 9580 §7), as strictly as a signed index deserves: nothing before it, nothing
//! behind it, no second one, and the text that is handed out is the very text that was signed.

use std::str;

const HEADER: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE_HEADER: &str = "-----BEGIN PGP SIGNATURE-----";
const SIGNATURE_FOOTER: &str = "-----END PGP SIGNATURE-----";

/// Bytes of a signed Release file; Debian's largest have 150 KB.
const MAX_LEN: usize = 32 << 20;

/// A file that is not one cleartext-signed message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CleartextError {
    /// Larger than any Release file.
    #[error("it is larger than {MAX_LEN} bytes")]
    TooLarge,
    /// Bytes that are no UTF-8.
    #[error("it is no text: byte {offset} is not UTF-8")]
    NotText {
        /// Bytes before it.
        offset: usize,
    },
    /// There is no signature.
    #[error("it is not signed")]
    Unsigned,
    /// Something before the signed part.
    #[error("there is text before the signed part, which ends at line {line}")]
    TextBefore {
        /// The line on which the signed part starts.
        line: usize,
    },
    /// Something behind the signature.
    #[error("line {line}: there is text behind the signature")]
    TextBehind {
        /// The first such line.
        line: usize,
    },
    /// Another header than `Hash` (§7.1: "no other Armor Headers").
    #[error("line {line}: only `Hash` may stand between the first line and the text")]
    Header {
        /// Its line.
        line: usize,
    },
    /// A line of the text that looks like the edge of a block (§7.2).
    #[error("line {line}: a hyphen that is not escaped")]
    Unescaped {
        /// Its line.
        line: usize,
    },
    /// A control character that implementations treat differently.
    #[error("line {line}: a stray carriage return")]
    CarriageReturn {
        /// Its line.
        line: usize,
    },
    /// The text or the signature block does not end.
    #[error("it ends in the middle: there is no `{expected}`")]
    Truncated {
        /// The line that is missing.
        expected: &'static str,
    },
}

/// A message taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The signed text: hyphens unescaped, no white space at the ends of lines, lines joined by CR LF (§7.2).
    pub canonical: String,
    /// The armoured signatures, from their first to their last line.
    pub armor: &'a str,
}

impl Signed<'_> {
    /// The signed text with plain line ends.
    pub fn text(&self) -> String {
        self.canonical.replace("\r\n", "\n")
    }
}

/// Takes a cleartext-signed message apart.
pub fn split(input: &[u8]) -> Result<Signed<'_>, CleartextError> {
    if input.len() > MAX_LEN {
        return Err(CleartextError::TooLarge);
    }
    let input = str::from_utf8(input).map_err(|error| CleartextError::NotText {
        offset: error.valid_up_to(),
    })?;
    let mut lines = Lines {
        text: input,
        line: 0,
        offset: 0,
    };
    if lines.next() != Some(HEADER) {
        return Err(match input.lines().position(|line| line.trim_end() == HEADER) {
            Some(before) => CleartextError::TextBefore { line: before + 1 },
            None => CleartextError::Unsigned,
        });
    }
    loop {
        match lines.next() {
            Some("") => break,
            Some(line) if line.starts_with("Hash: ") => {}
            Some(_) => return Err(CleartextError::Header { line: lines.line }),
            None => {
                return Err(CleartextError::Truncated {
                    expected: SIGNATURE_HEADER,
                });
            }
        }
    }
    let (canonical, start) = signed_text(&mut lines)?;
    loop {
        match lines.next() {
            Some(SIGNATURE_FOOTER) => break,
            Some(_) => {}
            None => {
                return Err(CleartextError::Truncated {
                    expected: SIGNATURE_FOOTER,
                });
            }
        }
    }
    let armor = &input[start..lines.offset];
    while let Some(line) = lines.next() {
        if !line.trim().is_empty() {
            return Err(CleartextError::TextBehind { line: lines.line });
        }
    }
    Ok(Signed { canonical, armor })
}

/// Reads up to and with the line that starts the signatures, and tells where that line starts.
fn signed_text(lines: &mut Lines<'_>) -> Result<(String, usize), CleartextError> {
    let mut canonical = String::new();
    let mut separator = "";
    loop {
        let start = lines.offset;
        let line = match lines.next() {
            Some(SIGNATURE_HEADER) => return Ok((canonical, start)),
            Some(line) => line,
            None => {
                return Err(CleartextError::Truncated {
                    expected: SIGNATURE_HEADER,
                });
            }
        };
        // §7.2 escapes each line that starts with a hyphen, so an unescaped one was put there by somebody else.
        let unescaped = match line.strip_prefix("- ") {
            Some(unescaped) => unescaped,
            None if line.starts_with('-') => return Err(CleartextError::Unescaped { line: lines.line }),
            None => line,
        };
        if unescaped.contains('\r') {
            return Err(CleartextError::CarriageReturn { line: lines.line });
        }
        canonical.push_str(separator);
        canonical.push_str(unescaped.trim_end_matches([' ', '\t']));
        separator = "\r\n";
    }
}

/// Lines without their ends, LF or CR LF.
struct Lines<'a> {
    text: &'a str,
    /// Number of the line read last, from 1.
    line: usize,
    /// Where the next line starts.
    offset: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.offset..];
        if rest.is_empty() {
            return None;
        }
        let (line, taken) = rest
            .split_once('\n')
            .map_or((rest, rest.len()), |(line, _)| (line, line.len() + 1));
        self.line += 1;
        self.offset += taken;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGE: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: x \t\n- -dash\n\nlast\n\
        -----BEGIN PGP SIGNATURE-----\n\niHUE\n=abcd\n-----END PGP SIGNATURE-----\n";

    #[test]
    fn the_signed_text_and_the_signatures_come_apart() {
        let signed = split(MESSAGE.as_bytes()).unwrap();
        assert_eq!(signed.canonical, "Origin: x\r\n-dash\r\n\r\nlast");
        assert_eq!(signed.text(), "Origin: x\n-dash\n\nlast");
        assert_eq!(
            signed.armor,
            "-----BEGIN PGP SIGNATURE-----\n\niHUE\n=abcd\n-----END PGP SIGNATURE-----\n"
        );
    }

    #[test]
    fn line_ends_of_either_kind_give_the_same() {
        let with_cr = MESSAGE.replace('\n', "\r\n");
        let signed = split(with_cr.as_bytes()).unwrap();
        assert_eq!(signed.canonical, split(MESSAGE.as_bytes()).unwrap().canonical);
        assert!(signed.armor.starts_with(SIGNATURE_HEADER));
    }

    #[test]
    fn what_is_not_exactly_one_signed_message_is_refused() {
        let failed = |text: &str| split(text.as_bytes()).unwrap_err();
        assert_eq!(failed(""), CleartextError::Unsigned);
        assert_eq!(failed("Origin: Debian\n"), CleartextError::Unsigned);
        assert_eq!(
            failed(&format!("Origin: x\n\n{MESSAGE}")),
            CleartextError::TextBefore { line: 3 }
        );
        assert_eq!(failed(&format!(" {MESSAGE}")), CleartextError::Unsigned);
        assert_eq!(
            failed(&format!("{MESSAGE}\nOrigin: x\n")),
            CleartextError::TextBehind { line: 14 }
        );
        assert_eq!(
            failed(&format!("{MESSAGE}{MESSAGE}")),
            CleartextError::TextBehind { line: 13 }
        );
        assert_eq!(
            failed(&MESSAGE.replace("Hash: SHA256", "Charset: x")),
            CleartextError::Header { line: 2 }
        );
        assert_eq!(
            failed(&MESSAGE.replace("Hash: SHA256", " ")),
            CleartextError::Header { line: 2 }
        );
        assert_eq!(
            failed(&MESSAGE.replace("- -dash", "-dash")),
            CleartextError::Unescaped { line: 5 }
        );
        assert_eq!(
            failed(&MESSAGE.replace("last", "la\rst")),
            CleartextError::CarriageReturn { line: 7 }
        );
        assert_eq!(
            failed(&MESSAGE[..60]),
            CleartextError::Truncated {
                expected: SIGNATURE_HEADER
            }
        );
        assert_eq!(
            failed(&MESSAGE[..130]),
            CleartextError::Truncated {
                expected: SIGNATURE_FOOTER
            }
        );
        assert_eq!(split(b"\xff").unwrap_err(), CleartextError::NotText { offset: 0 });
    }

    proptest! {
        #[test]
        fn any_text_is_split_or_refused(
            lines in prop::collection::vec(
                prop_oneof![Just(HEADER), Just(SIGNATURE_HEADER), Just(SIGNATURE_FOOTER), Just(""), Just("Hash: x"), Just("é")],
                0..10,
            ),
            end in "\r?\n?",
        ) {
            let _ = split((lines.join("\n") + &end).as_bytes());
        }
    }
}
