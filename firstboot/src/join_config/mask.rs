//! What of a join file may be shown to whoever stands before the screen.
//!
//! A file that is not understood may hold its secret anywhere: behind a mistyped key, in a comment, in a URL. So nothing
//! is shown that could be one, wherever it stands.

use std::ops::Range;

use crate::visible::visible;

/// A run of so many letters and digits could be a secret: a bootstrap token's has 16.
const SUSPICIOUS_RUN: usize = 14;
/// How much of a foreign text a message repeats, in characters.
const SHOWN_CHARS: usize = 80;
/// How much of a line an excerpt shows, in characters.
const EXCERPT_CHARS: usize = 100;
/// How far the marked place is from the start of an excerpt, in characters.
const EXCERPT_LEAD: usize = 40;
/// Stands for a character that is not shown.
const HIDDEN: char = '•';

/// What of a line around the marked place may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Around {
    /// The key at its start.
    Key,
    /// Nothing.
    Nothing,
}

/// `text` on one line, shortened, without anything that could be a secret.
pub(crate) fn shown(text: &str) -> String {
    let masked = mask(text);
    let mut short: String = masked.iter().take(SHOWN_CHARS).collect();
    if masked.len() > SHOWN_CHARS {
        short.push('…');
    }
    short
}

/// One character for each of `text`: long runs of letters and digits, everything before an `@` and after a `?` are
/// hidden, control characters are spaces.
fn mask(text: &str) -> Vec<char> {
    let mut letters: Vec<char> = text.chars().map(visible).collect();
    let mut start = 0;
    while start < letters.len() {
        let run = letters[start..]
            .iter()
            .take_while(|letter| letter.is_alphanumeric())
            .count();
        if run >= SUSPICIOUS_RUN {
            letters[start..start + run].fill(HIDDEN);
        }
        start += run.max(1);
    }
    if let Some(at) = letters.iter().rposition(|letter| *letter == '@') {
        hide(&mut letters[..at]);
    }
    if let Some(query) = letters.iter().position(|letter| *letter == '?') {
        hide(&mut letters[query..]);
    }
    letters
}

fn hide(letters: &mut [char]) {
    for letter in letters.iter_mut().filter(|letter| letter.is_alphanumeric()) {
        *letter = HIDDEN;
    }
}

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The line with a caret below the place; what could be a secret is hidden.
    pub excerpt: String,
}

impl Spot {
    /// The place of `span`, in bytes, in `text`. Of its line only the span itself and what `around` allows is shown.
    pub(crate) fn of(text: &str, span: Range<usize>, around: Around) -> Self {
        let at = floor(text, span.start);
        let before = &text[..at];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = text[start..]
            .split('\n')
            .next()
            .unwrap_or_default()
            .trim_end_matches('\r');
        let line = line_of(text, at);
        let column = before[start..].chars().count() + 1;
        let marked = text[at..floor(text, span.end.max(at))].chars().count();
        Self {
            line,
            column,
            excerpt: excerpt(
                line,
                &readable(line_text, column - 1, marked, around),
                column - 1,
                marked,
            ),
        }
    }
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// The line of the byte at `offset`, from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// The nearest start of a character at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    (0..=end)
        .rev()
        .find(|offset| text.is_char_boundary(*offset))
        .unwrap_or(0)
}

fn readable(line: &str, from: usize, marked: usize, around: Around) -> Vec<char> {
    let mut letters = mask(line);
    let key = match around {
        Around::Key => letters.iter().position(|letter| *letter == '=').unwrap_or(0),
        Around::Nothing => 0,
    };
    let from = from.min(letters.len());
    let to = (from + marked).min(letters.len());
    hide(&mut letters[to..]);
    if key < from {
        hide(&mut letters[key..from]);
    }
    letters
}

fn excerpt(line: usize, letters: &[char], from: usize, marked: usize) -> String {
    let skipped = match letters.len() > EXCERPT_CHARS {
        true => from.saturating_sub(EXCERPT_LEAD),
        false => 0,
    };
    let window: String = letters.iter().skip(skipped).take(EXCERPT_CHARS).collect();
    let room = window.chars().count().saturating_sub(from - skipped).max(1);
    let margin = " ".repeat(line.to_string().len());
    let indent = " ".repeat(from - skipped);
    format!(
        "{margin} |\n{line} | {}\n{margin} | {indent}{}",
        window.trim_end(),
        "^".repeat(marked.clamp(1, room))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_secret_is_hidden_and_the_rest_is_readable() {
        for (text, expected) in [
            ("http://edge.example.com:6443", "http://edge.example.com:6443"),
            ("abcdef.0123456789abcdef", "abcdef.••••••••••••••••"),
            ("https://me:pw@host", "•••••://••:••@host"),
            ("https://host/x?token=pw", "https://host/x?•••••=••"),
            ("a\nb\u{1b}[2J", "a b [2J"),
            ("\u{202e}x", " x"),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(shown(&"ab ".repeat(100)).chars().count(), SHOWN_CHARS + 1);
    }

    #[test]
    fn an_excerpt_shows_the_key_and_the_marked_place_only() {
        let text = "version = 1\nkkp = { server = \"ftp://x\", token = \"hush\" }\n";
        let at = text.find("\"ftp").unwrap();
        let spot = Spot::of(text, at..at + 9, Around::Key);
        assert_eq!(
            spot.excerpt,
            "  |\n2 | kkp = { •••••• = \"ftp://x\", ••••• = \"••••\" }\n  |                  ^^^^^^^^^"
        );
        assert_eq!((spot.line, spot.column), (2, 18));
    }

    #[test]
    fn a_span_beyond_the_text_or_within_a_character_is_no_defect() {
        for (text, span) in [("", 5..9), ("ä", 1..1), ("a\r\n", 3..4), ("x = 1", 4..4)] {
            let spot = Spot::of(text, span, Around::Nothing);
            assert!(spot.excerpt.contains('^'), "{text:?}");
        }
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let text = format!("{}bad {}", "x ".repeat(200), "y ".repeat(200));
        let at = text.find("bad").unwrap();
        let spot = Spot::of(&text, at..at + 3, Around::Nothing);
        let lines: Vec<&str> = spot.excerpt.lines().collect();
        let caret = lines[2].find('^').unwrap();
        assert_eq!(lines[1].chars().skip(caret).take(3).collect::<String>(), "bad");
        assert!(lines.iter().all(|line| line.chars().count() <= EXCERPT_CHARS + 4));
    }
}
