//! `secrets`: what must not be in an image, because every machine (and everybody who has the image) would have it.
//!
//! By place: password files, machine ids, random seeds, host keys, files that tools keep credentials in. By content:
//! private keys and well-known forms of tokens, in files of up to 64 KiB, and of up to 1 MiB where configuration lives.
//! Findings never quote the secret.

use std::io;

use super::check_files;
use crate::arch::Arch;
use crate::tree::{FileData, Tree, TreePath};

/// Keys are short; this keeps the lint from reading the whole image.
const MAX_SCANNED_BYTES: u64 = 64 << 10;
/// The same where people put things by hand.
const MAX_SCANNED_CONFIG_BYTES: u64 = 1 << 20;
const CONFIG_FOLDERS: [&str; 6] = ["etc/", "home/", "opt/", "root/", "srv/", "var/"];

/// Tokens by what they begin with and how many letters and digits follow at least.
const TOKENS: [(&str, usize, &str); 8] = [
    ("AKIA", 16, "an AWS access key"),
    ("ghp_", 36, "a GitHub token"),
    ("ghs_", 36, "a GitHub token"),
    ("github_pat_", 22, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("xoxb-", 20, "a Slack token"),
    ("AGE-SECRET-KEY-1", 50, "an age key"),
    ("hvs.", 24, "a Vault token"),
];

pub(super) fn check(tree: &Tree, _arch: Arch) -> Vec<(TreePath, String)> {
    check_files(tree, |path, data| {
        let mut messages = by_place(path, data)?;
        let is_config = CONFIG_FOLDERS.iter().any(|folder| path.as_str().starts_with(folder));
        let limit = if is_config {
            MAX_SCANNED_CONFIG_BYTES
        } else {
            MAX_SCANNED_BYTES
        };
        if data.len_bytes > 0 && data.len_bytes <= limit {
            messages.extend(
                by_content(&data.read()?)
                    .into_iter()
                    .map(|what| format!("holds {what}")),
            );
        }
        Ok(messages)
    })
}

fn by_place(path: &TreePath, data: &FileData) -> io::Result<Vec<String>> {
    let text = || data.read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let when_filled = |what: &str| match data.len_bytes {
        0 => Vec::new(),
        _ => vec![what.to_owned()],
    };
    Ok(match path.as_str() {
        "etc/shadow" | "etc/shadow-" => passwords(&text()?, Empty::LogsIn),
        "etc/gshadow" | "etc/gshadow-" => passwords(&text()?, Empty::IsLocked),
        "etc/passwd" | "etc/passwd-" => passwords(&text()?, Empty::LogsIn),
        "etc/machine-id" | "var/lib/dbus/machine-id" => when_filled("is a machine id that all machines would share"),
        "var/lib/systemd/random-seed" | "var/lib/urandom/random-seed" | "boot/loader/random-seed" => {
            when_filled("is a random seed that all machines would share")
        }
        "var/lib/systemd/credential.secret" => when_filled("is a credential key that all machines would share"),
        other if other.starts_with("etc/ssh/ssh_host_") => {
            when_filled("is an SSH host key that all machines would share")
        }
        other if other.starts_with("etc/credstore/") || other.starts_with("etc/credstore.encrypted/") => {
            when_filled("is a credential")
        }
        _ => match path.name() {
            ".netrc" | ".pgpass" | ".git-credentials" | ".dockerconfigjson" => when_filled("is a file of credentials"),
            "config.json" if path.as_str().ends_with(".docker/config.json") => when_filled("is a file of credentials"),
            _ => Vec::new(),
        },
    })
}

/// What an empty password field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// Anybody logs in without a password.
    LogsIn,
    /// Nobody does.
    IsLocked,
}

/// Accounts of a file in the form of shadow(5) whose password field lets somebody in or holds a hash.
fn passwords(text: &str, empty: Empty) -> Vec<String> {
    let entries = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.next()?))
    });
    let problem = |(name, password): (&str, &str)| match password {
        "" if empty == Empty::IsLocked => None,
        "" => Some(format!("lets `{}` in without a password", name.escape_debug())),
        // A locked password is prefixed by `!`; the hash behind it is still one.
        "x" | "*" | "!" | "!!" | "!*" | "*LK*" => None,
        _ => Some(format!("holds a password hash of `{}`", name.escape_debug())),
    };
    entries.filter_map(problem).collect()
}

/// Kinds of secrets in a file's content, each once.
fn by_content(bytes: &[u8]) -> Vec<&'static str> {
    // Programs contain the marks they look for.
    if bytes.starts_with(b"\x7fELF") || bytes[..bytes.len().min(1024)].contains(&0) {
        return Vec::new();
    }
    let mut found = Vec::new();
    if has_private_key(bytes) {
        found.push("a private key");
    }
    if has_kubeconfig_key(bytes) {
        found.push("the private key of a kubeconfig");
    }
    for (prefix, len, what) in TOKENS {
        if !found.contains(&what) && has_token(bytes, prefix.as_bytes(), len) {
            found.push(what);
        }
    }
    found
}

/// RFC 7468 §2 and OpenPGP's armour (RFC 9580 §6.2): a `BEGIN` line with the label of a private key and, soon after, a
/// line of base64. A mere mention in a program or in documentation has none.
fn has_private_key(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let label = line
            .strip_prefix(b"-----BEGIN ")
            .and_then(|rest| rest.strip_suffix(b"-----"));
        let is_private =
            label.is_some_and(|label| label.ends_with(b"PRIVATE KEY") || label == b"PGP PRIVATE KEY BLOCK");
        if is_private {
            let mut body = lines.clone().take_while(|line| !line.starts_with(b"-----")).take(32);
            if body.any(|line| line.len() >= 32 && line.iter().all(|byte| is_base64(*byte))) {
                return true;
            }
        }
    }
    false
}

fn has_kubeconfig_key(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'\n').any(|line| {
        let value = line
            .trim_ascii()
            .strip_prefix(b"client-key-data:")
            .map(<[u8]>::trim_ascii);
        value.is_some_and(|value| value.len() >= 32 && value.iter().all(|byte| is_base64(*byte)))
    })
}

fn has_token(bytes: &[u8], prefix: &[u8], len: usize) -> bool {
    let mut rest = bytes;
    let mut before = b' ';
    while let Some(at) = find(rest, prefix) {
        before = if at > 0 { rest[at - 1] } else { before };
        let tail = &rest[at + prefix.len()..];
        let letters = tail
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
            .count();
        if letters >= len && !before.is_ascii_alphanumeric() {
            return true;
        }
        before = prefix[prefix.len() - 1];
        rest = tail;
    }
    false
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted[0];
    let mut start = 0;
    while let Some(at) = bytes[start..].iter().position(|byte| *byte == first) {
        if bytes[start + at..].starts_with(wanted) {
            return Some(start + at);
        }
        start += at + 1;
    }
    None
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}
