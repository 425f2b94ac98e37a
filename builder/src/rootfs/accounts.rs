//! Users and groups of the image, without running `adduser`, `update-passwd` or `systemd-sysusers`.
//!
//! In: base-passwd's master files, all `sysusers.d` files (packages, overlays) and the accounts that maintainer scripts
//! would create ([`script_accounts`]). Out: `/etc/passwd`, `/etc/group`, `/etc/shadow`, `/etc/gshadow`, and the numbers
//! for file owners that archives give by name.
//!
//! Spec: sysusers.d(5) of systemd 257, passwd(5), group(5), shadow(5), gshadow(5). Ids come from the file order by name
//! and from [`PINNED_IDS`], never from the order of the packages. Deliberately unsupported: specifiers that only the
//! device can fill in (`%m`, `%H`, `%b`, `%v`, …), and taking an id from the owner of a file (`/path` as id): in an
//! image under construction every such file is still root's, which sysusers.d(5) also treats as "allocate one".

mod allocate;
mod database;
mod script_accounts;
mod sysusers;

use std::collections::BTreeMap;

use crate::failure::Diagnose;
use crate::tree::{Content, FileData, Node, Origin, Stat, Tree, TreeError, TreePath};

pub use allocate::PINNED_IDS;
pub use script_accounts::script_accounts;

/// How an account may be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// No password fits (`*`), but other ways in, such as a key, are open: root.
    NoPassword,
    /// Locked (`!*`).
    Locked,
    /// Locked and expired since 1970-01-02, so that key logins fail as well: `u!` of sysusers.d(5).
    Expired,
}

/// A line of `/etc/passwd` and `/etc/shadow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Full name; may be empty.
    pub gecos: String,
    /// Home folder.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// How it may be entered.
    pub login: Login,
}

/// A line of `/etc/group` and `/etc/gshadow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// Login names of the members beside those whose primary group it is.
    pub members: Vec<String>,
}

/// All accounts, in the order of the files they are written to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accounts {
    /// Users: base-passwd's, then the others in the order of their allocation.
    pub users: Vec<User>,
    /// Groups, likewise.
    pub groups: Vec<Group>,
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file, as given to [`Accounts::from_sources`].
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Why the accounts cannot be worked out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// A line of a master file that is no passwd(5) or group(5) line.
    #[error("{at}: `{line}` is no line of a {format} file")]
    BadMasterLine {
        /// Where.
        at: Position,
        /// The line.
        line: String,
        /// `passwd` or `group`.
        format: &'static str,
    },
    /// A sysusers.d line that cannot be read.
    #[error("{at}: {what}")]
    BadLine {
        /// Where.
        at: Position,
        /// What is wrong with it.
        what: String,
    },
    /// Two lines define one account differently.
    #[error("{at}: `{name}` is already defined, and differently, at {first}")]
    Contradiction {
        /// The later line.
        at: Position,
        /// The account.
        name: String,
        /// The earlier line.
        first: Position,
    },
    /// A fixed id that another account has.
    #[error("{at}: id {id} for `{name}` belongs to `{owner}`")]
    IdTaken {
        /// Where it is asked for.
        at: Position,
        /// The id.
        id: u32,
        /// For whom.
        name: String,
        /// Who has it.
        owner: String,
    },
    /// A line names a group that no line defines.
    #[error("{at}: `{name}` shall have the group `{group}`, which does not exist")]
    UnknownGroup {
        /// Where.
        at: Position,
        /// The user.
        name: String,
        /// The group, by name or number.
        group: String,
    },
    /// The range for automatic ids is used up.
    #[error("{at}: no free id is left for `{name}`")]
    Exhausted {
        /// Where.
        at: Position,
        /// For whom.
        name: String,
    },
}

impl Diagnose for AccountsError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::BadMasterLine { .. } => vec!["the package base-passwd is damaged or of an unknown format".to_owned()],
            Self::BadLine { .. } => vec!["see sysusers.d(5): `TYPE NAME ID \"FULL NAME\" HOME SHELL`".to_owned()],
            Self::Contradiction { name, .. } => vec![format!(
                "a file of the same name in an overlay's etc/sysusers.d replaces the package's; keep one line for `{name}`"
            )],
            Self::IdTaken { .. } => vec!["write `-` as id to have a free one chosen".to_owned()],
            Self::UnknownGroup { group, .. } => vec![format!("add a line `g {group} -` to a sysusers.d file")],
            Self::Exhausted { .. } => vec!["widen the range with an `r` line of sysusers.d(5)".to_owned()],
        }
    }
}

impl Accounts {
    /// Works out all accounts. `sysusers` holds path and text of every sysusers.d file in any order: files apply in the
    /// order of their names, and of two files with one name that in `etc` hides that in `usr/lib`.
    pub fn from_sources(
        passwd_master: &str,
        group_master: &str,
        sysusers: &[(String, String)],
    ) -> Result<Self, AccountsError> {
        let masters = Self {
            users: database::read_passwd(passwd_master)?,
            groups: database::read_group(group_master)?,
        };
        let mut request = sysusers::Request::default();
        for (path, text) in effective_files(sysusers) {
            request.read(path, text)?;
        }
        request.add_implied();
        allocate::allocate(masters, &request)
    }

    /// The numbers of a user and a group, if both exist.
    pub fn ids(&self, user: &str, group: &str) -> Option<(u32, u32)> {
        let uid = self.users.iter().find(|entry| entry.name == user)?.uid;
        let gid = self.groups.iter().find(|entry| entry.name == group)?.gid;
        Some((uid, gid))
    }

    /// Writes the four files; existing ones are replaced. `shadow` and `gshadow` are 0640 and belong to group `shadow`.
    pub fn write(&self, tree: &mut Tree) -> Result<(), TreeError> {
        let shadow_gid = self.ids("root", "shadow").map_or(0, |(_, gid)| gid);
        let files = [
            ("etc/passwd", 0o644, 0, database::passwd_text(&self.users)),
            ("etc/group", 0o644, 0, database::group_text(&self.groups)),
            ("etc/shadow", 0o640, shadow_gid, database::shadow_text(&self.users)),
            ("etc/gshadow", 0o640, shadow_gid, database::gshadow_text(&self.groups)),
        ];
        for (path, mode, gid, text) in files {
            let node = Node {
                stat: Stat {
                    gid,
                    ..Stat::root(mode)
                },
                content: Content::File(FileData::from_bytes(text.into_bytes())),
                origin: Origin::Pass("accounts"),
            };
            tree.replace(TreePath::parse(path).expect("the paths above are well formed"), node)?;
        }
        Ok(())
    }
}

/// The files that count, by name: of equal names the one from the folder that sysusers.d(5) ranks highest.
fn effective_files(sources: &[(String, String)]) -> Vec<(&str, &str)> {
    let rank = |path: &str| match path.trim_start_matches('/') {
        path if path.starts_with("etc/") => 3,
        path if path.starts_with("run/") => 2,
        path if path.starts_with("usr/local/") => 1,
        _ => 0,
    };
    let mut chosen: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for (path, text) in sources {
        let name = path.rsplit('/').next().unwrap_or(path);
        let present = chosen.get(name).map(|(present, _)| (rank(present), *present));
        // Equal ranks cannot come from one tree; the path decides, so that the input's order never does.
        if present.is_none_or(|present| present < (rank(path), path.as_str())) {
            chosen.insert(name, (path, text));
        }
    }
    chosen.into_values().collect()
}

#[cfg(test)]
mod tests;
