//! The four files of the account database as text: passwd(5), group(5), shadow(5), gshadow(5).

use std::fmt::Write as _;

use super::{AccountsError, Group, Login, Position, User};

const PASSWD_MASTER: &str = "usr/share/base-passwd/passwd.master";
const GROUP_MASTER: &str = "usr/share/base-passwd/group.master";

/// Reads base-passwd's list of users.
pub(super) fn read_passwd(text: &str) -> Result<Vec<User>, AccountsError> {
    lines(text, PASSWD_MASTER)
        .map(|(at, line)| {
            parse_user(line).ok_or_else(|| AccountsError::BadMasterLine {
                at,
                line: line.to_owned(),
                format: "passwd",
            })
        })
        .collect()
}

/// Reads base-passwd's list of groups.
pub(super) fn read_group(text: &str) -> Result<Vec<Group>, AccountsError> {
    lines(text, GROUP_MASTER)
        .map(|(at, line)| {
            parse_group(line).ok_or_else(|| AccountsError::BadMasterLine {
                at,
                line: line.to_owned(),
                format: "group",
            })
        })
        .collect()
}

fn lines<'a>(text: &'a str, file: &'a str) -> impl Iterator<Item = (Position, &'a str)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(move |(index, line)| {
            let at = Position {
                file: file.to_owned(),
                line: index + 1,
            };
            (at, line)
        })
}

fn parse_user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, gecos, home, shell] = fields[..] else {
        return None;
    };
    let login = match name {
        "root" => Login::NoPassword,
        _ => Login::Locked,
    };
    Some(User {
        name: some_name(name)?,
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        gecos: gecos.to_owned(),
        home: home.to_owned(),
        shell: shell.to_owned(),
        login,
    })
}

fn parse_group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields[..] else {
        return None;
    };
    let members = members.split(',').filter(|member| !member.is_empty());
    Some(Group {
        name: some_name(name)?,
        gid: gid.parse().ok()?,
        members: members.map(str::to_owned).collect(),
    })
}

fn some_name(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

pub(super) fn passwd_text(users: &[User]) -> String {
    let mut text = String::new();
    for user in users {
        let User { name, uid, gid, .. } = user;
        let _ = writeln!(text, "{name}:x:{uid}:{gid}:{}:{}:{}", user.gecos, user.home, user.shell);
    }
    text
}

pub(super) fn group_text(groups: &[Group]) -> String {
    let mut text = String::new();
    for group in groups {
        let _ = writeln!(text, "{}:x:{}:{}", group.name, group.gid, group.members.join(","));
    }
    text
}

/// The date of the last change stays empty: a date would be a clock in the image, and 0 would mean "change it now".
pub(super) fn shadow_text(users: &[User]) -> String {
    let mut text = String::new();
    for user in users {
        let rest = match user.login {
            Login::NoPassword => "*:::::::",
            Login::Locked => "!*:::::::",
            Login::Expired => "!*::::::1:",
        };
        let _ = writeln!(text, "{}:{rest}", user.name);
    }
    text
}

pub(super) fn gshadow_text(groups: &[Group]) -> String {
    let mut text = String::new();
    for group in groups {
        let _ = writeln!(text, "{}:!*::{}", group.name, group.members.join(","));
    }
    text
}
