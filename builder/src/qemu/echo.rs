//! A machine's console as it is told to a person: each line with the time since power-on, and nothing that says nothing.

use std::time::Duration;

/// Lines on their way from the console to a person.
#[derive(Debug, Default)]
pub struct Echo {
    last: String,
}

impl Echo {
    /// The line to show, if there is one to show: firmware fills its screen with empty lines, and what is written to the
    /// screen and to the serial line may come twice.
    pub fn line(&mut self, after: Duration, line: &str) -> Option<String> {
        let line = line.trim_end();
        let text = line.trim_start();
        if text.is_empty() || text == self.last {
            return None;
        }
        text.clone_into(&mut self.last);
        Some(format!("{:>6.1}s | {line}", after.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_repeated_lines_are_left_out_and_the_rest_has_its_time() {
        let mut echo = Echo::default();
        let heard = [
            "",
            "   ",
            "BdsDxe: loading",
            "BdsDxe: loading  ",
            "[  OK  ] Started",
            "BdsDxe: loading",
        ];
        let told: Vec<String> = (heard.iter().zip(0..))
            .filter_map(|(line, at)| echo.line(Duration::from_millis(at * 2_500), line))
            .collect();
        let expected = [
            "   5.0s | BdsDxe: loading",
            "  10.0s | [  OK  ] Started",
            "  12.5s | BdsDxe: loading",
        ];
        assert_eq!(told, expected);
    }
}
