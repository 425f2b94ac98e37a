//! Strangers' words on their way to a console or a log: they must not begin a line of their own, move the cursor or turn
//! the direction of writing.

/// `letter`, or a space in place of what does not stand for itself.
pub(crate) fn visible(letter: char) -> char {
    let turns = matches!(letter, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match letter.is_control() || turns {
        true => ' ',
        false => letter,
    }
}

/// `text` on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_rearrange_a_console_is_a_space_and_the_rest_stays() {
        assert_eq!(
            one_line("a\nb\u{1b}[2Jc\u{202e}d\u{2066}e\u{2028}f\u{85}"),
            "a b [2Jc d e f "
        );
        assert_eq!(one_line("für `skerry`: 木•"), "für `skerry`: 木•");
    }
}
