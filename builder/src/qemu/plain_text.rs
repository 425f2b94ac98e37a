//! A console's output without what is meant for terminals only: firmware and services move cursors and change colours.

/// `line` without escape sequences (ECMA-48: CSI, OSC and two-character ones) and other control characters.
pub fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                Some('[') => skip_past(&mut characters, |c| ('@'..='~').contains(&c)),
                Some(']') => skip_past(&mut characters, |c| c == '\u{7}' || c == '\u{9c}'),
                _ => {}
            },
            '\t' => text.push(character),
            character if character.is_control() => {}
            character => text.push(character),
        }
    }
    text
}

fn skip_past(characters: &mut impl Iterator<Item = char>, is_end: impl Fn(char) -> bool) {
    characters.find(|character| is_end(*character));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_cursor_moves_and_titles_vanish_and_text_stays() {
        assert_eq!(plain("\u{1b}[2J\u{1b}[01;01HBdsDxe: loading"), "BdsDxe: loading");
        assert_eq!(
            plain("\u{1b}[!p\u{1b}]104\u{7}\u{1b}[?7hskerry-node: starting"),
            "skerry-node: starting"
        );
        assert_eq!(
            plain("[\u{1b}[0;32m  OK  \u{1b}[0m] Mounted\tvar\r"),
            "[  OK  ] Mounted\tvar"
        );
    }

    #[test]
    fn a_sequence_that_never_ends_takes_the_rest_and_no_more() {
        assert_eq!(plain("a\u{1b}[12;"), "a");
        assert_eq!(plain("a\u{1b}"), "a");
    }
}
