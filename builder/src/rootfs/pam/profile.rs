//! One profile of `usr/share/pam-configs` (libpam-runtime's README and pam-auth-update(8)), and the blocks made of many.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The five stacks that Debian's services include.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stack {
    Account,
    Auth,
    Password,
    Session,
    SessionNoninteractive,
}

impl Stack {
    /// The field's name in a profile.
    const fn field(self) -> &'static str {
        match self {
            Self::Account => "Account",
            Self::Auth => "Auth",
            Self::Password => "Password",
            Self::Session | Self::SessionNoninteractive => "Session",
        }
    }

    /// The first column of pam.conf(5).
    const fn management_group(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Auth => "auth",
            Self::Password => "password",
            Self::Session | Self::SessionNoninteractive => "session",
        }
    }
}

/// What a profile says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Profile {
    pub(super) priority: i64,
    pub(super) on_by_default: bool,
    pub(super) conflicts: Vec<String>,
    interactive_only: bool,
    /// `Auth-Type` and its like: whether it is `Primary`.
    primary: BTreeMap<String, bool>,
    /// Module lines by field, such as `Auth` and `Auth-Initial`.
    modules: BTreeMap<String, Vec<String>>,
}

impl Profile {
    /// Reads a profile; the error is a line's number, from 1, and its text.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut profile = Self::default();
        let mut open: Option<String> = None;
        for (index, line) in text.lines().enumerate() {
            let bad = || (index + 1, line.to_owned());
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with([' ', '\t']) {
                let field = open.as_ref().ok_or_else(bad)?;
                let lines = profile.modules.entry(field.clone()).or_default();
                lines.push(line.trim().to_owned());
                continue;
            }
            let (field, value) = line.split_once(':').ok_or_else(bad)?;
            open = profile.set(field, value.trim()).ok_or_else(bad)?;
        }
        Ok(profile)
    }

    /// Takes one field; `Some(Some(field))` if module lines follow, `None` if it has no meaning.
    fn set(&mut self, field: &str, value: &str) -> Option<Option<String>> {
        match field {
            "Name" => {}
            "Default" => self.on_by_default = value == "yes",
            "Priority" => self.priority = value.parse().ok()?,
            "Conflicts" => self.conflicts = value.split([',', ' ']).map(str::to_owned).collect(),
            "Session-Interactive-Only" => self.interactive_only = value == "yes",
            "Auth-Type" | "Account-Type" | "Password-Type" | "Session-Type" => {
                let field = field.trim_end_matches("-Type").to_owned();
                self.primary.insert(field, value == "Primary");
            }
            "Auth" | "Account" | "Password" | "Session" | "Auth-Initial" | "Account-Initial" | "Password-Initial"
            | "Session-Initial" => {
                let lines = self.modules.entry(field.to_owned()).or_default();
                lines.extend((!value.is_empty()).then(|| value.to_owned()));
                return Some(Some(field.to_owned()));
            }
            _ => return None,
        }
        Some(None)
    }

    fn takes_part(&self, stack: Stack) -> bool {
        !(stack == Stack::SessionNoninteractive && self.interactive_only)
    }

    fn is_primary(&self, stack: Stack) -> bool {
        self.primary.get(stack.field()).copied().unwrap_or(false)
    }

    /// The module lines; those for the first place in a block where there are any and it is the first.
    fn lines(&self, stack: Stack, place: usize) -> &[String] {
        let initial = format!("{}-Initial", stack.field());
        let initial = self.modules.get(&initial).filter(|_| place == 0);
        initial
            .or_else(|| self.modules.get(stack.field()))
            .map_or(&[], Vec::as_slice)
    }
}

/// The modules of which one must succeed. `end` in a control becomes the number of lines to jump over, so that it lands
/// behind the `pam_deny` that follows the block.
pub(super) fn primary_block(profiles: &[Profile], stack: Stack) -> String {
    let lines = block(profiles, stack, true);
    if lines.is_empty() {
        return format!("{}\t[default=1]\tpam_permit.so\n", stack.management_group());
    }
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let jump = format!("={}", lines.len() - index);
        let _ = writeln!(text, "{}\t{}", stack.management_group(), line.replace("=end", &jump));
    }
    text
}

/// The modules that run in any case.
pub(super) fn additional_block(profiles: &[Profile], stack: Stack) -> String {
    let lines = block(profiles, stack, false);
    let lines = lines
        .iter()
        .map(|line| format!("{}\t{line}\n", stack.management_group()));
    lines.collect()
}

fn block(profiles: &[Profile], stack: Stack, primary: bool) -> Vec<String> {
    let wanted = profiles
        .iter()
        .filter(|profile| profile.takes_part(stack) && profile.is_primary(stack) == primary);
    let mut lines: Vec<String> = Vec::new();
    for profile in wanted {
        let place = lines.len();
        lines.extend_from_slice(profile.lines(stack, place));
    }
    lines
}
