//! Control files of a package: text flows in, paragraphs of fields flow out.
//!
//! Format: deb822(5), Debian policy §5.1; licence names from machine-readable copyright files (DEP-5,
//! copyright-format 1.0). What an index or a source package adds is read elsewhere. Comments (`#` in the first column)
//! are passed over.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// One paragraph: values by field name as written; continuation lines are joined by newlines, without the leading
/// blank.
pub type Paragraph = BTreeMap<String, String>;

/// The `control` file of a binary package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// `Package`.
    pub name: String,
    /// `Version`.
    pub version: String,
    /// `Architecture`, as Debian names it, or `all`.
    pub architecture: String,
    /// All fields, these three included.
    pub fields: Paragraph,
}

/// Why a text is no control file; lines count from one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// A line that is neither a field nor its continuation.
    #[error("line {line} is neither a field nor a continuation")]
    BadLine {
        /// Which.
        line: usize,
    },
    /// A field that appears twice.
    #[error("line {line} has the field `{field}` for the second time")]
    Duplicate {
        /// Which line.
        line: usize,
        /// Which field.
        field: String,
    },
    /// No paragraph, or several.
    #[error("there are {0} paragraphs and not one")]
    Paragraphs(usize),
    /// A field that has to be there and to be well formed is not.
    #[error("the field `{0}` is missing or malformed")]
    Field(&'static str),
}

impl Control {
    /// Reads the `control` file of a binary package (policy §5.3).
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        let mut paragraphs = parse_paragraphs(text)?;
        if paragraphs.len() != 1 {
            return Err(ControlError::Paragraphs(paragraphs.len()));
        }
        let fields = paragraphs.remove(0);
        let required = |name: &'static str, is_valid: fn(&str) -> bool| {
            let value = find(&fields, name).filter(|value| is_valid(value));
            value.map(str::to_owned).ok_or(ControlError::Field(name))
        };
        Ok(Self {
            name: required("Package", is_package_name)?,
            version: required("Version", is_word)?,
            architecture: required("Architecture", is_word)?,
            fields,
        })
    }

    /// The value of a field; case does not matter in field names.
    pub fn field(&self, name: &str) -> Option<&str> {
        find(&self.fields, name)
    }
}

fn find<'a>(fields: &'a Paragraph, name: &str) -> Option<&'a str> {
    let is_it = |(key, _): &(&String, &String)| key.eq_ignore_ascii_case(name);
    fields.iter().find(is_it).map(|(_, value)| value.as_str())
}

/// Policy §5.6.1.
fn is_package_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    text.len() >= 2 && text.bytes().all(allowed) && text.as_bytes()[0].is_ascii_alphanumeric()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Splits a text into its paragraphs (policy §5.1).
pub fn parse_paragraphs(text: &str) -> Result<Vec<Paragraph>, ControlError> {
    let mut paragraphs = Vec::new();
    let mut current = Paragraph::new();
    let mut last: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            last = None;
            if !current.is_empty() {
                paragraphs.push(std::mem::take(&mut current));
            }
        } else if let Some(rest) = line.strip_prefix([' ', '\t']) {
            let value = last.as_ref().and_then(|name| current.get_mut(name));
            let value = value.ok_or(ControlError::BadLine { line: number })?;
            value.push('\n');
            value.push_str(rest.trim_end());
        } else {
            let (name, value) = split_field(line).ok_or(ControlError::BadLine { line: number })?;
            if find(&current, name).is_some() {
                let field = name.to_owned();
                return Err(ControlError::Duplicate { line: number, field });
            }
            current.insert(name.to_owned(), value.to_owned());
            last = Some(name.to_owned());
        }
    }
    if !current.is_empty() {
        paragraphs.push(current);
    }
    Ok(paragraphs)
}

fn split_field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let is_name = !name.is_empty() && !name.starts_with('-') && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then(|| (name, value.trim()))
}

/// Licence names of a machine-readable copyright file, sorted, each once; none if the file is written freely.
///
/// The names are Debian's (`GPL-2+ and LGPL-2.1`), which are near to but not the same as SPDX's.
pub fn licences(copyright: &str) -> Vec<String> {
    let Ok(paragraphs) = parse_paragraphs(copyright) else {
        return Vec::new();
    };
    let is_header = |fields: &Paragraph| find(fields, "Format").is_some();
    if !paragraphs.first().is_some_and(is_header) {
        return Vec::new();
    }
    let synopsis = |fields: &Paragraph| find(fields, "License").and_then(|text| text.lines().next().map(str::to_owned));
    let names: BTreeSet<String> = paragraphs
        .iter()
        .filter_map(synopsis)
        .filter(|name| !name.is_empty())
        .collect();
    names.into_iter().collect()
}

#[cfg(test)]
mod tests;
