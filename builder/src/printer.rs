//! The only place that writes to standard output and standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use skerry_firstboot::node::state::NodeState;

use crate::cli::{Talk, When};
use crate::failure::Failure;

/// How much is said beside data and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Nothing at all.
    Mute,
    /// Errors only.
    Quiet,
    /// What happened, in a few lines.
    Normal,
    /// What was done and why.
    Verbose,
}

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// With escape sequences.
    On,
    /// Plain.
    Off,
}

/// Writes data to standard output and talk to standard error.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    volume: Volume,
    colour: Colour,
    bars: bool,
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

impl Printer {
    /// A printer as the command line and the terminal ask for it.
    pub fn new(talk: &Talk) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let terminal = io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let volume = match (talk.quiet, talk.verbose) {
            (0, 0) => Volume::Normal,
            (0, _) => Volume::Verbose,
            (1, _) => Volume::Quiet,
            _ => Volume::Mute,
        };
        let colour = match talk.color {
            When::Always => true,
            When::Never => false,
            When::Auto => set("CLICOLOR_FORCE") || (terminal && !set("NO_COLOR")),
        };
        let bars = match talk.progress {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && !set("CI"),
        };
        let colour = if colour { Colour::On } else { Colour::Off };
        Self {
            volume,
            colour,
            bars: bars && volume == Volume::Normal,
        }
    }

    /// Whether bars are drawn.
    pub const fn draws_bars(&self) -> bool {
        self.bars
    }

    /// How much is said.
    pub const fn volume(&self) -> Volume {
        self.volume
    }

    /// Writes data: a path, a report. A closed pipe is no error.
    pub fn data(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// One line about a finished step: what, a detail, how long it took.
    pub fn step(&self, verb: &str, detail: &str, took: Duration) {
        let took = format!("{:.1}s", took.as_secs_f64());
        self.line(
            Volume::Normal,
            &format!(
                "{} {detail} {}",
                self.paint(GREEN, &format!("{verb:>10}")),
                self.paint(DIM, &took)
            ),
        );
    }

    /// One line of talk.
    pub fn say(&self, text: &str) {
        self.line(Volume::Normal, &sanitize(text));
    }

    /// One line of talk for the curious.
    pub fn detail(&self, text: &str) {
        self.line(Volume::Verbose, &sanitize(text));
    }

    /// One line of a machine's console; what the node says of itself stands out.
    pub fn console(&self, text: &str) {
        let text = sanitize(text);
        match NodeState::from_line(&text) {
            Some(_) => self.line(Volume::Normal, &self.paint(CYAN, &text)),
            None => self.line(Volume::Normal, &text),
        }
    }

    /// One line that asks for an action.
    pub fn warn(&self, text: &str) {
        self.line(
            Volume::Normal,
            &format!("{} {}", self.paint(YELLOW, "warning:"), sanitize(text)),
        );
    }

    /// A failed request: message, causes, excerpt, hints.
    pub fn failure(&self, failure: &Failure) {
        let mut text = String::new();
        for (index, message) in failure.chain.iter().enumerate() {
            let label = if index == 0 {
                self.paint(RED, "error:")
            } else {
                "  caused by:".to_owned()
            };
            text.push_str(&format!("{label} {}\n", sanitize(message)));
        }
        if let Some(excerpt) = &failure.excerpt {
            text.push_str(&format!("{}\n", sanitize(excerpt)));
        }
        if !failure.hints.is_empty() {
            text.push('\n');
        }
        for hint in &failure.hints {
            text.push_str(&format!("{} {}\n", self.paint(CYAN, "hint:"), sanitize(hint)));
        }
        self.line(Volume::Quiet, text.trim_end());
    }

    fn line(&self, at: Volume, text: &str) {
        if self.volume >= at {
            // Nobody is left to tell when standard error is gone.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        match self.colour {
            Colour::On => format!("{colour}{text}{RESET}"),
            Colour::Off => text.to_owned(),
        }
    }
}

/// Control characters, as they may stand in names from packages and servers, are made visible.
pub fn sanitize(text: &str) -> String {
    let visible = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(visible).collect()
}

/// A number of bytes for people: `93.4 MB` (powers of ten, as disks are sold).
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

/// Columns that a report may take: the terminal's, or 100.
pub fn width() -> usize {
    const USUAL: usize = 100;
    if !io::stdout().is_terminal() {
        return USUAL;
    }
    std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|columns| *columns >= 40)
        .unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_from_outside_never_reach_the_terminal() {
        assert_eq!(sanitize("a\x1b[31mb\nc"), "a\\u{1b}[31mb\nc");
    }

    #[test]
    fn byte_counts_have_at_most_four_digits() {
        for (count, text) in [
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (93_400_000, "93.4 MB"),
            (4_000_000_000, "4.00 GB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
