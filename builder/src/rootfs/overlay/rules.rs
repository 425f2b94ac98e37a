//! `overlay.toml`: modes, owners and extended attributes of an overlay's paths.
//!
//! ```toml
//! version = 1
//!
//! [[paths]]
//! match = "etc/demo/**"            # `*` stays within one folder, `**` does not
//! mode = "0640"                    # of the files
//! folder-mode = "0750"             # of the folders
//! owner = "root:demo"              # by name; of files, folders and links
//! xattrs = { "user.origin" = "site", "user.raw" = "0x00ff" }
//! ```
//!
//! Later rules win over earlier ones. A rule that finds nothing to do is an error: it is a typo or left over.

use std::collections::BTreeMap;
use std::ops::Range;

use globset::{GlobBuilder, GlobMatcher};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::OverlayEntry;
use crate::tree::{Content, TreePath};

/// The only version of the format.
const VERSION: &str = "1";

const TOP_KEYS: [&str; 2] = ["version", "paths"];
const RULE_KEYS: [&str; 5] = ["match", "mode", "folder-mode", "owner", "xattrs"];

/// Namespaces that squashfs can store.
const XATTR_NAMESPACES: [&str; 3] = ["user.", "trusted.", "security."];

/// A mistake in `overlay.toml`: what, where, and perhaps what was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RulesError {
    message: String,
    line: usize,
    column: usize,
    excerpt: String,
    hint: Option<String>,
}

impl RulesError {
    fn new(text: &str, span: Range<usize>, message: String) -> Self {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |end| end + 1);
        let source = text[line_start..].lines().next().unwrap_or_default();
        let line = text[..start].matches('\n').count() + 1;
        let column = text[line_start..start].chars().count() + 1;
        let rest = source.chars().count() + 1 - column.min(source.chars().count() + 1);
        let end = text.floor_char_boundary(span.end.clamp(start, text.len()));
        let width = text[start..end].chars().count().min(rest).max(1);
        let number = line.to_string();
        let (margin, indent) = (" ".repeat(number.len()), " ".repeat(column - 1));
        let shown: String = source.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let excerpt = format!(
            "{margin} |\n{number} | {shown}\n{margin} | {indent}{}",
            "^".repeat(width)
        );
        Self {
            message,
            line,
            column,
            excerpt,
            hint: None,
        }
    }

    /// `LINE:COLUMN`, both from one.
    pub fn position(&self) -> String {
        format!("{}:{}", self.line, self.column)
    }

    /// The source line with a caret below the mistake.
    pub fn excerpt(&self) -> &str {
        &self.excerpt
    }

    /// What was perhaps meant.
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// The rules of one overlay, in order.
#[derive(Debug)]
pub struct Rules<'a> {
    text: &'a str,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    span: Range<usize>,
    pattern: GlobMatcher,
    mode: Option<u16>,
    folder_mode: Option<u16>,
    owner: Option<(String, String)>,
    xattrs: BTreeMap<String, Vec<u8>>,
}

/// Reads the text of `overlay.toml`.
pub fn parse(text: &str) -> Result<Rules<'_>, RulesError> {
    let document = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        RulesError::new(text, span, error.message().to_owned())
    })?;
    let reader = Reader { text };
    let table = document.get_ref();
    reader.refuse_unknown(table, &TOP_KEYS)?;
    match table.get("version") {
        Some(value)
            if value
                .get_ref()
                .as_integer()
                .is_some_and(|number| number.as_str() == VERSION) => {}
        Some(value) => return Err(reader.error(value.span(), format!("the version is not {VERSION}"))),
        None => return Err(reader.error(0..0, format!("`version = {VERSION}` is missing"))),
    }
    let rules = match table.get("paths") {
        None => Vec::new(),
        Some(paths) => {
            let list = paths.get_ref().as_array();
            let list =
                list.ok_or_else(|| reader.error(paths.span(), "`paths` is not a list of `[[paths]]`".to_owned()))?;
            list.iter().map(|rule| reader.rule(rule)).collect::<Result<_, _>>()?
        }
    };
    Ok(Rules { text, rules })
}

impl Rules<'_> {
    /// Gives each entry what the rules say of it.
    pub(super) fn apply(&self, entries: &mut BTreeMap<TreePath, OverlayEntry>) -> Result<(), RulesError> {
        for rule in &self.rules {
            let found = rule.apply(entries);
            let problem = match (found, rule) {
                (Found { any: false, .. }, _) => "this rule matches nothing in the overlay",
                (Found { file: false, .. }, Rule { mode: Some(_), .. }) => "this rule has a `mode` but matches no file",
                (
                    Found { folder: false, .. },
                    Rule {
                        folder_mode: Some(_), ..
                    },
                ) => "this rule has a `folder-mode` but matches no folder",
                _ => continue,
            };
            return Err(RulesError::new(self.text, rule.span.clone(), problem.to_owned()));
        }
        Ok(())
    }
}

/// What a rule has matched.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    any: bool,
    file: bool,
    folder: bool,
}

impl Rule {
    fn apply(&self, entries: &mut BTreeMap<TreePath, OverlayEntry>) -> Found {
        let mut found = Found::default();
        for (path, entry) in entries {
            if !self.pattern.is_match(path.as_str()) {
                continue;
            }
            found.any = true;
            match &entry.content {
                Content::Dir => {
                    found.folder = true;
                    entry.mode = self.folder_mode.or(entry.mode);
                }
                Content::File(_) => {
                    found.file = true;
                    entry.mode = self.mode.or(entry.mode);
                }
                _ => {}
            }
            if let Some(owner) = &self.owner {
                entry.owner = Some(owner.clone());
            }
            entry.xattrs.extend(self.xattrs.clone());
        }
        found
    }
}

/// Reads values of one text and knows where they are.
struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn error(&self, span: Range<usize>, message: String) -> RulesError {
        RulesError::new(self.text, span, message)
    }

    fn refuse_unknown(&self, table: &DeTable<'_>, known: &[&str]) -> Result<(), RulesError> {
        let unknown = table.keys().find(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(key) = unknown else { return Ok(()) };
        let name = key.get_ref().as_ref();
        let mut error = self.error(key.span(), format!("unknown key `{}`", name.escape_debug()));
        let nearest = known
            .iter()
            .min_by_key(|known| strsim::damerau_levenshtein(known, name));
        error.hint = nearest
            .filter(|known| strsim::normalized_damerau_levenshtein(known, name) >= 0.5)
            .map(|known| format!("did you mean `{known}`?"));
        Err(error)
    }

    fn rule(&self, value: &Spanned<DeValue<'_>>) -> Result<Rule, RulesError> {
        let not_a_table = || self.error(value.span(), "this is not a `[[paths]]` table".to_owned());
        let table = value.get_ref().as_table().ok_or_else(not_a_table)?;
        self.refuse_unknown(table, &RULE_KEYS)?;
        let missing = || self.error(value.span(), "this rule has no `match`".to_owned());
        let pattern = table.get("match").ok_or_else(missing)?;
        let rule = Rule {
            span: pattern.span(),
            pattern: self.pattern(pattern)?,
            mode: table.get("mode").map(|value| self.mode(value)).transpose()?,
            folder_mode: table.get("folder-mode").map(|value| self.mode(value)).transpose()?,
            owner: table.get("owner").map(|value| self.owner(value)).transpose()?,
            xattrs: table
                .get("xattrs")
                .map(|value| self.xattrs(value))
                .transpose()?
                .unwrap_or_default(),
        };
        let sets_nothing =
            rule.mode.is_none() && rule.folder_mode.is_none() && rule.owner.is_none() && rule.xattrs.is_empty();
        match sets_nothing {
            true => Err(self.error(rule.span, "this rule sets nothing".to_owned())),
            false => Ok(rule),
        }
    }

    fn string<'v>(&self, value: &'v Spanned<DeValue<'_>>) -> Result<&'v str, RulesError> {
        let found = value.get_ref().type_str();
        let text = value.get_ref().as_str();
        text.ok_or_else(|| self.error(value.span(), format!("this is of type {found} and not a string")))
    }

    fn pattern(&self, value: &Spanned<DeValue<'_>>) -> Result<GlobMatcher, RulesError> {
        let pattern = self.string(value)?;
        let glob = GlobBuilder::new(pattern.trim_start_matches('/'))
            .literal_separator(true)
            .build();
        let glob = glob.map_err(|error| self.error(value.span(), format!("this is no glob: {}", error.kind())))?;
        Ok(glob.compile_matcher())
    }

    fn mode(&self, value: &Spanned<DeValue<'_>>) -> Result<u16, RulesError> {
        let text = self.string(value)?;
        let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let mode = is_octal.then(|| u16::from_str_radix(text, 8).ok()).flatten();
        mode.ok_or_else(|| {
            self.error(
                value.span(),
                "a mode is three or four octal digits, such as `0640`".to_owned(),
            )
        })
    }

    fn owner(&self, value: &Spanned<DeValue<'_>>) -> Result<(String, String), RulesError> {
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        match self.string(value)?.split_once(':') {
            Some((user, group)) if is_name(user) && is_name(group) => Ok((user.to_owned(), group.to_owned())),
            _ => Err(self.error(value.span(), "an owner is `user:group`".to_owned())),
        }
    }

    fn xattrs(&self, value: &Spanned<DeValue<'_>>) -> Result<BTreeMap<String, Vec<u8>>, RulesError> {
        let not_a_table = || {
            self.error(
                value.span(),
                "extended attributes are a table `{ \"user.name\" = \"value\" }`".to_owned(),
            )
        };
        let table = value.get_ref().as_table().ok_or_else(not_a_table)?;
        let mut xattrs = BTreeMap::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let has_namespace = XATTR_NAMESPACES
                .iter()
                .any(|prefix| name.len() > prefix.len() && name.starts_with(prefix));
            if !has_namespace || name.len() > 255 || name.chars().any(char::is_control) {
                let known = XATTR_NAMESPACES.join("`, `");
                return Err(self.error(key.span(), format!("extended attributes begin with `{known}`")));
            }
            let text = self.string(value)?;
            let bytes = match text.strip_prefix("0x") {
                Some(digits) => {
                    hex(digits).ok_or_else(|| self.error(value.span(), "this is not hexadecimal".to_owned()))?
                }
                None => text.as_bytes().to_vec(),
            };
            xattrs.insert(name.to_owned(), bytes);
        }
        Ok(xattrs)
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?))
        .collect()
}
