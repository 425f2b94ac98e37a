//! Control stanzas (deb822(5), Debian policy §5.1): Packages and Release indexes, `control` files, `.sources` files.
//!
//! In: text. Out: stanzas whose fields borrow from it. Field names are looked up without regard to case. Comment lines
//! (`#` in the first column) are skipped everywhere, as in the only files that may have them they mean nothing. What a
//! value means is the caller's business.

use crate::failure::{Diagnose, FailureKind};

/// Fields per stanza; a bound on the work that hostile text can cause, far above the 40 or so that exist.
const MAX_FIELDS: usize = 256;

/// Where in a text something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line, counted from 1.
    pub line: usize,
    /// Bytes before it.
    pub offset: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {} (byte {})", self.line, self.offset)
    }
}

/// Text that is no sequence of control stanzas.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Deb822Error {
    /// A line that neither starts a field nor continues one.
    #[error("{place}: no colon in `{text}`")]
    NoColon {
        /// Where.
        place: Place,
        /// The start of the line.
        text: String,
    },
    /// What stands before the colon cannot be a field's name.
    #[error("{place}: `{name}` is no field name")]
    BadName {
        /// Where.
        place: Place,
        /// The start of what stands there.
        name: String,
    },
    /// The first line of a stanza starts with white space.
    #[error("{place}: a continuation line without a field before it")]
    StrayContinuation {
        /// Where.
        place: Place,
    },
    /// A field is there twice.
    #[error("{place}: field `{name}` for the second time in one stanza")]
    Duplicate {
        /// Where the second one is.
        place: Place,
        /// The field.
        name: String,
    },
    /// More fields than any real stanza has.
    #[error("{place}: more than {MAX_FIELDS} fields in one stanza")]
    TooManyFields {
        /// The first one too many.
        place: Place,
    },
    /// A field that has to be there is not.
    #[error("{place}: the stanza has no field `{name}`")]
    Missing {
        /// The stanza's first line.
        place: Place,
        /// The field.
        name: &'static str,
    },
}

impl Diagnose for Deb822Error {
    fn kind(&self) -> FailureKind {
        FailureKind::Request
    }
}

/// One field of a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name as written.
    pub name: &'a str,
    /// All that follows the colon, continuation lines included, without white space at both ends.
    pub value: &'a str,
    /// The same with the white space.
    raw: &'a str,
    /// Its first line.
    pub place: Place,
}

impl<'a> Field<'a> {
    /// The value's lines without surrounding white space, comments left out; the first is what stands behind the colon.
    pub fn lines(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.raw
            .split('\n')
            .filter(|line| !line.starts_with('#'))
            .map(str::trim)
    }
}

/// The fields between two blank lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza<'a> {
    fields: Vec<Field<'a>>,
    place: Place,
}

impl<'a> Stanza<'a> {
    /// Where it starts.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Its fields as written.
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The field of this name, whatever its case.
    pub fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The value of this name's field.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.field(name).map(|field| field.value)
    }

    /// The value of a field that has to be there.
    pub fn require(&self, name: &'static str) -> Result<&'a str, Deb822Error> {
        self.get(name).ok_or(Deb822Error::Missing {
            place: self.place,
            name,
        })
    }
}

/// The stanzas of `text`, in order. Ends after the first error.
pub fn stanzas(text: &str) -> Stanzas<'_> {
    Stanzas {
        text,
        next: Place { line: 1, offset: 0 },
    }
}

/// Iterates over stanzas; see [`stanzas`].
#[derive(Debug, Clone)]
pub struct Stanzas<'a> {
    text: &'a str,
    next: Place,
}

impl<'a> Stanzas<'a> {
    /// The next line without its newline; moves on.
    fn line(&mut self) -> Option<(Place, &'a str)> {
        let place = self.next;
        let rest = &self.text[place.offset..];
        if rest.is_empty() {
            return None;
        }
        let (line, taken) = match rest.find('\n') {
            Some(end) => (&rest[..end], end + 1),
            None => (rest, rest.len()),
        };
        self.next = Place {
            line: place.line + 1,
            offset: place.offset + taken,
        };
        Some((place, line))
    }

    fn stanza(&mut self) -> Result<Option<Stanza<'a>>, Deb822Error> {
        let mut fields: Vec<Field<'a>> = Vec::new();
        // The value's bytes so far: from behind the colon to the end of its last line.
        let mut value_start = 0;
        while let Some((place, line)) = self.line() {
            if line.starts_with('#') {
                continue;
            }
            // Policy §5.1: "Parsers may accept lines consisting solely of spaces and tabs as paragraph separators".
            if line.trim_ascii().is_empty() {
                if fields.is_empty() {
                    continue;
                }
                break;
            }
            if line.starts_with([' ', '\t']) {
                let field = fields.last_mut().ok_or(Deb822Error::StrayContinuation { place })?;
                field.raw = &self.text[value_start..place.offset + line.len()];
                field.value = field.raw.trim_ascii();
                continue;
            }
            let field = new_field(place, line)?;
            if fields.iter().any(|other| other.name.eq_ignore_ascii_case(field.name)) {
                return Err(Deb822Error::Duplicate {
                    place,
                    name: field.name.to_owned(),
                });
            }
            if fields.len() == MAX_FIELDS {
                return Err(Deb822Error::TooManyFields { place });
            }
            value_start = place.offset + field.name.len() + 1;
            fields.push(field);
        }
        Ok(fields
            .first()
            .map(|first| first.place)
            .map(|place| Stanza { fields, place }))
    }
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = Result<Stanza<'a>, Deb822Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.stanza();
        if result.is_err() {
            self.next.offset = self.text.len();
        }
        result.transpose()
    }
}

/// A field's first line. Policy §5.1: names are printable US-ASCII without space and colon, not starting with `#` or `-`.
fn new_field(place: Place, line: &str) -> Result<Field<'_>, Deb822Error> {
    let Some((name, value)) = line.split_once(':') else {
        return Err(Deb822Error::NoColon {
            place,
            text: beginning(line),
        });
    };
    if name.is_empty() || name.starts_with('-') || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Deb822Error::BadName {
            place,
            name: beginning(name),
        });
    }
    Ok(Field {
        name,
        value: value.trim_ascii(),
        raw: value,
        place,
    })
}

fn beginning(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests;
