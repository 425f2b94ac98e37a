//! Reading sysusers.d(5).

use std::collections::{BTreeMap, BTreeSet};

use super::{AccountsError, Login, Position};

/// Which group a `u` line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GroupWish {
    /// None given: a group of the user's name.
    OwnName,
    /// An existing group by number.
    Id(u32),
    /// An existing group by name.
    Name(String),
}

/// A `u` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserWish {
    pub(super) uid: Option<u32>,
    pub(super) group: GroupWish,
    pub(super) gecos: String,
    pub(super) home: String,
    pub(super) shell: String,
    pub(super) login: Login,
}

/// A named line and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Wish<T> {
    pub(super) name: String,
    pub(super) what: T,
    pub(super) at: Position,
}

/// All that the files ask for, in file order.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) users: Vec<Wish<UserWish>>,
    pub(super) groups: Vec<Wish<Option<u32>>>,
    /// Group and user of each `m` line.
    pub(super) members: Vec<Wish<String>>,
    /// The ranges of the `r` lines, first and last id.
    pub(super) ranges: Vec<(u32, u32)>,
}

/// Longest name that every tool accepts: `UT_NAMESIZE` - 1.
const MAX_NAME_BYTES: usize = 31;
/// Ids that mean "unchanged" to chown(2), in 16 and in 32 bits.
const RESERVED_IDS: [u32; 2] = [0xffff, 0xffff_ffff];

impl Request {
    /// Adds the lines of one file.
    pub(super) fn read(&mut self, file: &str, text: &str) -> Result<(), AccountsError> {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = Position {
                file: file.to_owned(),
                line: index + 1,
            };
            let bad = |what| AccountsError::BadLine { at: at.clone(), what };
            let fields = Fields::split(line).map_err(bad)?;
            match fields.kind.as_str() {
                "u" => self.add_user(user_wish(&fields, Login::Locked).map_err(bad)?, fields.name, at)?,
                "u!" => self.add_user(user_wish(&fields, Login::Expired).map_err(bad)?, fields.name, at)?,
                "g" => self.add_group(fields.group_id().map_err(bad)?, fields.name, at)?,
                "m" => {
                    let group = fields.id.as_deref().unwrap_or_default();
                    let what = checked_name(&fields.name).map_err(bad)?;
                    let name = checked_name(group).map_err(bad)?;
                    self.members.push(Wish { name, what, at });
                }
                "r" => self.ranges.push(fields.range().map_err(bad)?),
                kind => return Err(bad(format!("`{kind}` is no line type (`u`, `u!`, `g`, `m`, `r`)"))),
            }
        }
        Ok(())
    }

    fn add_user(&mut self, what: UserWish, name: String, at: Position) -> Result<(), AccountsError> {
        let name = checked_name(&name).map_err(|what| AccountsError::BadLine { at: at.clone(), what })?;
        add_once(&mut self.users, Wish { name, what, at })
    }

    fn add_group(&mut self, what: Option<u32>, name: String, at: Position) -> Result<(), AccountsError> {
        let name = checked_name(&name).map_err(|what| AccountsError::BadLine { at: at.clone(), what })?;
        add_once(&mut self.groups, Wish { name, what, at })
    }

    /// `m` lines bring along users and groups that no other line defines.
    pub(super) fn add_implied(&mut self) {
        let users: BTreeSet<&str> = self.users.iter().map(|wish| wish.name.as_str()).collect();
        let groups: BTreeSet<&str> = self.groups.iter().map(|wish| wish.name.as_str()).collect();
        let mut new_users = BTreeMap::new();
        let mut new_groups = BTreeMap::new();
        for member in &self.members {
            if !users.contains(member.what.as_str()) {
                new_users.insert(member.what.clone(), member.at.clone());
            }
            if !groups.contains(member.name.as_str()) && !users.contains(member.name.as_str()) {
                new_groups.insert(member.name.clone(), member.at.clone());
            }
        }
        self.users.extend(new_users.into_iter().map(|(name, at)| Wish {
            name,
            what: UserWish::plain(),
            at,
        }));
        let new_groups = new_groups.into_iter();
        self.groups
            .extend(new_groups.map(|(name, at)| Wish { name, what: None, at }));
    }
}

impl UserWish {
    fn plain() -> Self {
        Self {
            uid: None,
            group: GroupWish::OwnName,
            gecos: String::new(),
            home: DEFAULT_HOME.to_owned(),
            shell: DEFAULT_SHELL.to_owned(),
            login: Login::Locked,
        }
    }
}

const DEFAULT_HOME: &str = "/";
const DEFAULT_SHELL: &str = "/usr/sbin/nologin";

/// Equal lines may be repeated, as packages that share an account do.
fn add_once<T: PartialEq>(list: &mut Vec<Wish<T>>, wish: Wish<T>) -> Result<(), AccountsError> {
    match list.iter().find(|present| present.name == wish.name) {
        Some(present) if present.what != wish.what => Err(AccountsError::Contradiction {
            at: wish.at,
            name: wish.name,
            first: present.at.clone(),
        }),
        Some(_) => Ok(()),
        None => {
            list.push(wish);
            Ok(())
        }
    }
}

/// The columns of one line; `-` and a missing column are both none.
#[derive(Debug)]
struct Fields {
    kind: String,
    name: String,
    id: Option<String>,
    gecos: Option<String>,
    home: Option<String>,
    shell: Option<String>,
}

impl Fields {
    fn split(line: &str) -> Result<Self, String> {
        let words = split_words(line)?;
        if words.len() > 6 {
            return Err(format!("the line has {} columns, not up to six", words.len()));
        }
        let mut words = words.into_iter();
        let kind = words.next().unwrap_or_default();
        let name = words.next().ok_or("the name is missing")?;
        let mut optional = || {
            let word = words.next().filter(|word| !word.is_empty() && word != "-");
            word.map(|word| expand(&word)).transpose()
        };
        Ok(Self {
            kind,
            name: expand(&name)?,
            id: optional()?,
            gecos: optional()?,
            home: optional()?,
            shell: optional()?,
        })
    }

    fn group_id(&self) -> Result<Option<u32>, String> {
        match self.id.as_deref() {
            None => Ok(None),
            Some(path) if path.starts_with('/') => Ok(None),
            Some(id) => parse_id(id).map(Some),
        }
    }

    fn range(&self) -> Result<(u32, u32), String> {
        if self.name != "-" {
            return Err("the name of an `r` line is `-`".to_owned());
        }
        let id = self.id.as_deref().unwrap_or_default();
        let (first, last) = id.split_once('-').unwrap_or((id, id));
        match (parse_id(first)?, parse_id(last)?) {
            (first, last) if first <= last => Ok((first, last)),
            _ => Err(format!("the range `{id}` ends before it begins")),
        }
    }
}

fn user_wish(fields: &Fields, login: Login) -> Result<UserWish, String> {
    let (uid, group) = match fields.id.as_deref() {
        None => (None, GroupWish::OwnName),
        Some(path) if path.starts_with('/') => (None, GroupWish::OwnName),
        Some(id) => match id.split_once(':') {
            None => (Some(parse_id(id)?), GroupWish::OwnName),
            Some((uid, group)) => (parse_optional_id(uid)?, parse_group_wish(group)?),
        },
    };
    let gecos = fields.gecos.clone().unwrap_or_default();
    if gecos.contains(':') || gecos.contains(char::is_control) {
        return Err(format!("the full name {gecos:?} has a colon or a control character"));
    }
    // As systemd-sysusers does it: root alone has a shell unless the line names one.
    let shell = match uid {
        Some(0) => "/bin/sh",
        _ => DEFAULT_SHELL,
    };
    Ok(UserWish {
        uid,
        group,
        gecos,
        home: absolute(fields.home.as_deref().unwrap_or(DEFAULT_HOME))?,
        shell: absolute(fields.shell.as_deref().unwrap_or(shell))?,
        login: if uid == Some(0) { Login::NoPassword } else { login },
    })
}

fn parse_optional_id(text: &str) -> Result<Option<u32>, String> {
    match text {
        "-" => Ok(None),
        _ => parse_id(text).map(Some),
    }
}

fn parse_group_wish(text: &str) -> Result<GroupWish, String> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => parse_id(text).map(GroupWish::Id),
        false => checked_name(text).map(GroupWish::Name),
    }
}

fn parse_id(text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = digits.then(|| text.parse().ok()).flatten();
    id.filter(|id| !RESERVED_IDS.contains(id))
        .ok_or_else(|| format!("`{text}` is no id"))
}

fn absolute(path: &str) -> Result<String, String> {
    let clean = path.starts_with('/') && !path.contains([':', '\n']) && !path.contains(char::is_control);
    clean
        .then(|| path.to_owned())
        .ok_or_else(|| format!("{path:?} is no absolute path"))
}

/// The strict rule of systemd's user-names page: letters, digits, `_`, `-`; no digit or `-` in front.
fn checked_name(name: &str) -> Result<String, String> {
    let head = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let all = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    (head && all && name.len() <= MAX_NAME_BYTES)
        .then(|| name.to_owned())
        .ok_or_else(|| format!("{name:?} is no user or group name"))
}

/// Splits at blanks, with quotes and backslashes as in systemd's configuration files.
fn split_words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while chars.next_if(|next| next.is_whitespace()).is_some() || chars.peek().is_some() {
        if chars.peek().is_none_or(|next| next.is_whitespace()) {
            continue;
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(next) = chars.next_if(|next| quote.is_some() || !next.is_whitespace()) {
            match next {
                '\\' => word.push(unescape(chars.next())?),
                '"' | '\'' if quote == Some(next) => quote = None,
                '"' | '\'' if quote.is_none() => quote = Some(next),
                _ => word.push(next),
            }
        }
        if let Some(quote) = quote {
            return Err(format!("the quote {quote} is not closed"));
        }
        words.push(word);
    }
    Ok(words)
}

fn unescape(next: Option<char>) -> Result<char, String> {
    match next {
        Some(next @ ('\\' | '"' | '\'')) => Ok(next),
        Some('s') => Ok(' '),
        Some('t') => Ok('\t'),
        Some(next) => Err(format!("the escape `\\{next}` is not supported")),
        None => Err("the line ends in a backslash".to_owned()),
    }
}

/// Specifiers (systemd.unit(5), "Specifiers") that are known when an image is built.
fn expand(word: &str) -> Result<String, String> {
    let mut expanded = String::new();
    let mut chars = word.chars();
    while let Some(next) = chars.next() {
        match next {
            '%' => match chars.next() {
                Some('%') => expanded.push('%'),
                Some('T') => expanded.push_str("/tmp"),
                Some('V') => expanded.push_str("/var/tmp"),
                Some(other) => return Err(format!("`%{other}` is not known when an image is built")),
                None => expanded.push('%'),
            },
            _ => expanded.push(next),
        }
    }
    Ok(expanded)
}
