//! Tables of a TOML text with the places of their keys and values.
//!
//! Every key that is asked for is known; what nobody asked for is found by [`Section::finish`].

use std::fmt::Display;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{JoinConfigError, Problem};
use super::mask::{Around, Spot, line_of, shown};

/// A table with more unknown keys is told about once.
const MAX_WARNINGS: usize = 20;

/// Whether a key that means nothing is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// It is: somebody sits before the screen.
    Strict,
    /// It is a warning: a newer tool may have written it, and nobody can come.
    Tolerant,
}

/// A text and what becomes of its oddities.
#[derive(Debug)]
pub(super) struct Source<'t> {
    text: &'t str,
    strictness: Strictness,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str, strictness: Strictness) -> Self {
        Self { text, strictness }
    }

    pub(super) fn problem(&self, span: Range<usize>, problem: Problem) -> JoinConfigError {
        JoinConfigError::Text {
            spot: Spot::of(self.text, span, Around::Key),
            problem,
        }
    }

    /// The same, with nothing of the marked place readable.
    fn hidden(&self, span: Range<usize>, problem: Problem) -> JoinConfigError {
        self.problem(span.start..span.start, problem)
    }
}

/// One table.
#[derive(Debug)]
pub(super) struct Section<'a, 't> {
    source: &'a Source<'t>,
    path: String,
    table: &'a DeTable<'t>,
    span: Range<usize>,
    known: Vec<&'static str>,
}

/// Remembers which keys are known, so that a test can tell whether the reference names them all.
#[cfg(test)]
pub(super) mod asked {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static KEYS: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn note(key: String) {
        KEYS.with_borrow_mut(|keys| keys.insert(key));
    }

    /// Every key that was asked for in this thread until now.
    pub(in super::super) fn take() -> BTreeSet<String> {
        KEYS.take()
    }
}

impl<'a, 't> Section<'a, 't> {
    pub(super) fn top(source: &'a Source<'t>, table: &'a DeTable<'t>) -> Self {
        Self {
            source,
            path: String::new(),
            table,
            span: 0..0,
            known: Vec::new(),
        }
    }

    /// The value of `key`, which from now on is known.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Value<'a, 't>> {
        self.known.push(key);
        #[cfg(test)]
        asked::note(format!("{}{key}", self.path));
        let (found, value) = self.table.get_key_value(key)?;
        Some(Value {
            source: self.source,
            key: format!("{}{key}", self.path),
            key_span: found.span(),
            value,
        })
    }

    /// The value of `key`, which must be there.
    pub(super) fn require(&mut self, key: &'static str) -> Result<Value<'a, 't>, JoinConfigError> {
        self.get(key).ok_or_else(|| {
            let missing = Problem::Missing {
                key: format!("{}{key}", self.path),
            };
            self.source.hidden(self.span.clone(), missing)
        })
    }

    /// All keys with their values, for a table whose keys are the user's own.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a, 't>)> {
        let (source, path) = (self.source, self.path.clone());
        self.table.iter().map(move |(key, value)| {
            let name: &'a str = key.get_ref();
            let value = Value {
                source,
                key: format!("{path}{}", shown(name)),
                key_span: key.span(),
                value,
            };
            (name, value)
        })
    }

    /// Complains about every key that was not asked for.
    pub(super) fn finish(self, warnings: &mut Vec<String>) -> Result<(), JoinConfigError> {
        let mut unknown: Vec<_> = self
            .table
            .keys()
            .filter(|key| !self.known.contains(&key.get_ref().as_ref()))
            .collect();
        unknown.sort_by_key(|key| key.span().start);
        let count = unknown.len();
        for (index, key) in unknown.into_iter().enumerate() {
            let suggestion = closest(key.get_ref(), &self.known);
            let name = format!("{}{}", self.path, shown(key.get_ref()));
            if self.source.strictness == Strictness::Strict {
                let problem = Problem::UnknownKey { key: name, suggestion };
                return Err(self.source.problem(key.span(), problem));
            }
            if index == MAX_WARNINGS {
                warnings.push(format!("{} more unknown keys are ignored", count - index));
                break;
            }
            let line = line_of(self.source.text, key.span().start);
            let question = suggestion.map_or(String::new(), |best| format!("; did you mean `{best}`?"));
            warnings.push(format!("line {line}: unknown key `{name}` is ignored{question}"));
        }
        Ok(())
    }
}

/// The candidate that a typing error would turn into `wrong`.
pub(super) fn closest(wrong: &str, candidates: &[&str]) -> Option<String> {
    // A key that nobody would type is not worth the quadratic time.
    const LONGEST: usize = 40;
    if wrong.len() > LONGEST {
        return None;
    }
    let scored = candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(wrong, candidate), *candidate));
    let (distance, best) = scored.min()?;
    (distance <= wrong.chars().count().div_ceil(3)).then(|| best.to_owned())
}

/// One value with the key it stands behind.
#[derive(Debug, Clone)]
pub(super) struct Value<'a, 't> {
    source: &'a Source<'t>,
    /// The whole key, such as `network.dns`.
    pub(super) key: String,
    key_span: Range<usize>,
    value: &'a Spanned<DeValue<'t>>,
}

impl<'a, 't> Value<'a, 't> {
    fn type_error(&self, expected: &'static str) -> JoinConfigError {
        let key = self.key.clone();
        self.source.hidden(self.value.span(), Problem::Type { key, expected })
    }

    /// The value is of the right type and cannot be, all the same. The excerpt shows it, but for what could be a secret.
    pub(super) fn refuse(&self, reason: impl Display, advice: &'static str) -> JoinConfigError {
        self.source.problem(self.value.span(), self.refusal(reason, advice))
    }

    /// The same for a value that is never shown.
    pub(super) fn refuse_secret(&self, reason: impl Display, advice: &'static str) -> JoinConfigError {
        self.source.hidden(self.value.span(), self.refusal(reason, advice))
    }

    fn refusal(&self, reason: impl Display, advice: &'static str) -> Problem {
        Problem::Value {
            key: self.key.clone(),
            reason: reason.to_string(),
            advice,
        }
    }

    /// The key must not be there, because `other` is.
    pub(super) fn excluded_by(&self, other: &str) -> JoinConfigError {
        let problem = Problem::Both {
            key: self.key.clone(),
            other: other.to_owned(),
        };
        self.source.problem(self.key_span.clone(), problem)
    }

    pub(super) fn newer_version(&self, found: i64) -> JoinConfigError {
        self.source.problem(self.value.span(), Problem::NewerVersion { found })
    }

    /// The line in which the value begins.
    pub(super) fn line(&self) -> usize {
        line_of(self.source.text, self.value.span().start)
    }

    pub(super) fn text(&self) -> Result<&'a str, JoinConfigError> {
        self.value
            .get_ref()
            .as_str()
            .ok_or_else(|| self.type_error("a text in quotes"))
    }

    pub(super) fn boolean(&self) -> Result<bool, JoinConfigError> {
        self.value
            .get_ref()
            .as_bool()
            .ok_or_else(|| self.type_error("`true` or `false`"))
    }

    pub(super) fn integer(&self) -> Result<i64, JoinConfigError> {
        self.number().ok_or_else(|| self.type_error("a whole number"))
    }

    /// A whole number; none if it is something else, for values that can be either.
    pub(super) fn number(&self) -> Option<i64> {
        let number = self.value.get_ref().as_integer()?;
        i64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    pub(super) fn list(&self) -> Result<Vec<Self>, JoinConfigError> {
        let list = self
            .value
            .get_ref()
            .as_array()
            .ok_or_else(|| self.type_error("a list in brackets"))?;
        let item = |value| Value { value, ..self.clone() };
        Ok(list.iter().map(item).collect())
    }

    pub(super) fn section(&self) -> Result<Section<'a, 't>, JoinConfigError> {
        let table = self
            .value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.type_error("a table"))?;
        Ok(Section {
            source: self.source,
            path: format!("{}.", self.key),
            table,
            span: self.key_span.clone(),
            known: Vec::new(),
        })
    }

    /// The text, understood by `read`.
    pub(super) fn read<T, E: Display>(
        &self,
        read: impl Fn(&str) -> Result<T, E>,
        advice: &'static str,
    ) -> Result<T, JoinConfigError> {
        read(self.text()?).map_err(|reason| self.refuse(reason, advice))
    }

    /// A list of texts, each understood by `read`.
    pub(super) fn read_all<T, E: Display>(
        &self,
        read: impl Fn(&str) -> Result<T, E>,
        advice: &'static str,
    ) -> Result<Vec<T>, JoinConfigError> {
        self.list()?.iter().map(|item| item.read(&read, advice)).collect()
    }
}
