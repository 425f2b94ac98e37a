//! Commands in a text that was copied from a terminal or a script: as much of the shell's grammar as such lines need.

use std::ops::Range;

/// One word with the place it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Without quotes and backslashes.
    pub(super) text: String,
    /// In bytes of the whole text.
    pub(super) span: Range<usize>,
}

/// The words of each command. A newline, `;`, `&` and `|` end a command; a backslash before a newline does not. `#` begins
/// a comment where a word could begin.
pub(super) fn commands(text: &str) -> Vec<Vec<Word>> {
    let mut reader = Reader {
        text,
        at: 0,
        commands: vec![Vec::new()],
    };
    while let Some(letter) = reader.peek() {
        match letter {
            '\n' | ';' | '&' | '|' => {
                reader.at += 1;
                reader.commands.push(Vec::new());
            }
            '\\' if reader.skip_broken_line() => {}
            '#' => reader.skip_comment(),
            _ if letter.is_whitespace() => reader.at += letter.len_utf8(),
            _ => reader.word(),
        }
    }
    reader.commands.retain(|command| !command.is_empty());
    reader.commands
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    commands: Vec<Vec<Word>>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Passes over a backslash with the end of its line. White space between them is what an editor left.
    fn skip_broken_line(&mut self) -> bool {
        let after = self.rest().strip_prefix('\\').unwrap_or_default();
        let blank = after.len() - after.trim_start_matches([' ', '\t', '\r']).len();
        let ends = after[blank..].starts_with('\n');
        if ends {
            self.at += 1 + blank + 1;
        }
        ends
    }

    fn skip_comment(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    fn word(&mut self) {
        let start = self.at;
        let mut text = String::new();
        let mut quote = None;
        while let Some(letter) = self.peek() {
            match (quote, letter) {
                (None, '\n' | ';' | '&' | '|') => break,
                (None, _) if letter.is_whitespace() => break,
                (None | Some('"'), '\\') if self.skip_broken_line() => continue,
                (None, '\\') => {
                    self.at += 1;
                    let Some(escaped) = self.peek() else { break };
                    text.push(escaped);
                    self.at += escaped.len_utf8();
                    continue;
                }
                (None, '\'' | '"') => quote = Some(letter),
                (Some(open), _) if open == letter => quote = None,
                _ => text.push(letter),
            }
            self.at += letter.len_utf8();
        }
        let span = start..self.at;
        if let Some(command) = self.commands.last_mut() {
            command.push(Word { text, span });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(text: &str) -> Vec<Vec<String>> {
        let texts = |command: Vec<Word>| command.into_iter().map(|word| word.text).collect();
        commands(text).into_iter().map(texts).collect()
    }

    #[test]
    fn commands_are_split_as_a_shell_does() {
        for (text, expected) in [
            ("a b", vec![vec!["a", "b"]]),
            ("a \\\n\tb", vec![vec!["a", "b"]]),
            ("a \\ \r\n  b\r\n", vec![vec!["a", "b"]]),
            ("# note\na # b\nc#d", vec![vec!["a"], vec!["c#d"]]),
            ("a && b; c | d &", vec![vec!["a"], vec!["b"], vec!["c"], vec!["d"]]),
            ("'a b' \"c'd\" e\\ f", vec![vec!["a b", "c'd", "e f"]]),
            ("a'b", vec![vec!["ab"]]),
            ("", vec![]),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_word_comes_from_its_place(text in "[ab \\\\\n'\"#;ä]{0,40}") {
            for word in commands(&text).into_iter().flatten() {
                prop_assert!(!word.span.is_empty() && text.is_char_boundary(word.span.start));
                prop_assert!(word.text.len() <= text[word.span].len());
            }
        }
    }
}
