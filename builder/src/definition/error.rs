//! What can be wrong with a definition, pointing at the text where it can.

use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Diagnose;

/// A definition that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// No such image.
    #[error("there is no image `{name}`: {path} does not exist")]
    NotFound {
        /// The name that was asked for.
        name: String,
        /// Where its definition would be.
        path: PathBuf,
        /// The images that there are.
        known: Vec<String>,
    },
    /// Neither a name was given nor is there just one image.
    #[error("which image?")]
    Ambiguous {
        /// The images that there are.
        known: Vec<String>,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The text does not parse, or has a key or value that does not belong there.
    #[error("{place}: {message}")]
    Text {
        /// `path:line:column`.
        place: String,
        /// What is wrong.
        message: String,
        /// The line and a caret.
        excerpt: String,
        /// The key that was probably meant.
        suggestion: Option<String>,
    },
    /// Definitions include each other in a circle.
    #[error("{path} includes itself through `base`")]
    Circle {
        /// The file met again.
        path: PathBuf,
    },
    /// A value is missing or does not fit the others.
    #[error("{path}: {message}")]
    Invalid {
        /// The definition.
        path: PathBuf,
        /// What is wrong, naming the key.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl DefinitionError {
    /// Turns the TOML reader's error into one that points at the text.
    pub(super) fn from_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim().replace('\n', ", ");
        let suggestion = suggestion(&message);
        let message = match message.split_once(", expected one of ") {
            Some((unknown, _)) if message.starts_with("unknown ") => unknown.replace("unknown field", "unknown key"),
            _ => message,
        };
        let position = Position::of(text, span.start);
        Self::Text {
            place: format!("{}:{}:{}", path.display(), position.line, position.column),
            message,
            excerpt: position.excerpt(span.len()),
            suggestion,
        }
    }
}

/// Refuses a file of a format that this release does not read.
pub(super) fn check_version(path: &Path, version: u32) -> Result<(), DefinitionError> {
    if version == 1 {
        return Ok(());
    }
    Err(DefinitionError::Invalid {
        path: path.to_owned(),
        message: format!("`version = {version}` is not known to this skerry"),
        hint: Some("this release reads `version = 1`; a newer skerry may read it".to_owned()),
    })
}

/// The candidate closest to the word in question, both quoted by backticks in serde's message.
fn suggestion(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    closest(wrong, quoted)
}

/// The candidate that a typing error would turn into `wrong`.
pub fn closest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let scored = candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(wrong, candidate), candidate));
    let (distance, best) = scored.min()?;
    (distance <= wrong.chars().count().div_ceil(3)).then(|| best.to_owned())
}

struct Position<'a> {
    line: usize,
    column: usize,
    text: &'a str,
}

impl<'a> Position<'a> {
    fn of(text: &'a str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = text[start..].lines().next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            text: line_text,
        }
    }

    fn excerpt(&self, len: usize) -> String {
        let room = self.text.chars().count().saturating_sub(self.column - 1).max(1);
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(self.column - 1);
        format!(
            "{margin} |\n{number} | {}\n{margin} | {indent}{}",
            self.text,
            "^".repeat(len.clamp(1, room))
        )
    }
}

impl Diagnose for DefinitionError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotFound { name, known, .. } => match closest(name, known.iter().map(String::as_str)) {
                Some(best) => vec![format!("did you mean `{best}`?")],
                None if known.is_empty() => vec!["`skerry init NAME` writes a commented starter".to_owned()],
                None => vec![format!("there is {}", quoted_list(known))],
            },
            Self::Ambiguous { known } if known.is_empty() => {
                vec!["there is no `images/*.toml` here; `skerry init NAME` writes a commented starter".to_owned()]
            }
            Self::Ambiguous { known } => vec![format!("name one of {}", quoted_list(known))],
            Self::Text { suggestion, .. } => suggestion
                .iter()
                .map(|best| format!("did you mean `{best}`?"))
                .collect(),
            Self::Invalid { hint, .. } => hint.iter().cloned().collect(),
            Self::Read { .. } | Self::Circle { .. } => Vec::new(),
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::Text { excerpt, .. } => Some(excerpt.clone()),
            _ => None,
        }
    }
}

fn quoted_list(names: &[String]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
