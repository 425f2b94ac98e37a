//! Which form of join file a text is, by its first line that says something.

use super::draft::Draft;
use super::error::JoinConfigError;
use super::{Discovery, Trust, k0s, kkp, kubeadm, toml_form};
use crate::kubeconfig::{self, Kubeconfig, Purpose};

/// Length of the digest in a k3s token, in hex digits (`K10<sha256>::user:password`).
const K3S_DIGEST_LEN: usize = 64;

/// The forms that a text can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The format of its own.
    Toml,
    /// `kubeadm join …`.
    KubeadmJoin,
    /// YAML or JSON.
    Kubeconfig,
    /// base64 of gzip of a kubeconfig.
    K0sToken,
    /// `K10…`.
    K3sToken,
    /// A shell script that fetches a Secret.
    KkpScript,
}

/// The form of `text`.
pub(super) fn recognise(text: &str) -> Result<Form, JoinConfigError> {
    let first = first_line(text).ok_or(JoinConfigError::Empty)?;
    if is_toml(first) {
        return Ok(Form::Toml);
    }
    if kkp::is_script(text) {
        return Ok(Form::KkpScript);
    }
    if is_k3s_token(first) {
        return Ok(Form::K3sToken);
    }
    if k0s::is_token(first) {
        return Ok(Form::K0sToken);
    }
    if kubeadm::is_command(text) {
        return Ok(Form::KubeadmJoin);
    }
    if first.starts_with('{') || is_yaml(first) {
        return Ok(Form::Kubeconfig);
    }
    Err(match first.parse::<super::BootstrapToken>() {
        Ok(_) => JoinConfigError::OnlyAToken,
        Err(_) => JoinConfigError::Unrecognised,
    })
}

/// The first line that is neither empty nor a comment, without white space around it.
fn first_line(text: &str) -> Option<&str> {
    let says_something = |line: &&str| !line.is_empty() && !line.starts_with('#');
    text.lines().map(str::trim).find(says_something)
}

/// `key = …` or `[table]`. A shell's assignment has no white space before `=`.
fn is_toml(line: &str) -> bool {
    let bare = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.\"".contains(&byte))
    };
    match line.split_once('=') {
        Some(("version", _)) => true,
        Some((key, _)) if bare(key.trim_end()) => key.ends_with([' ', '\t']) || toml_form::is_key(key),
        _ => line.starts_with('[') && line.contains(']'),
    }
}

fn is_yaml(line: &str) -> bool {
    let key = line.split_once(':').map_or("", |(key, _)| key);
    line == "---"
        || matches!(
            key.trim_matches(['"', '\'']),
            "apiVersion" | "kind" | "clusters" | "contexts" | "current-context" | "preferences" | "users"
        )
}

fn is_k3s_token(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("K10") else {
        return false;
    };
    let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
    digits == K3S_DIGEST_LEN && rest[digits..].starts_with("::")
}

/// Reads a form that others have made. Sentences about what was passed over go to `warnings`.
pub(super) fn read_foreign(text: &str, warnings: &mut Vec<String>) -> Result<Draft, JoinConfigError> {
    match recognise(text)? {
        // Only a text within a text comes here.
        Form::Toml => Err(JoinConfigError::Unrecognised),
        Form::KubeadmJoin => kubeadm::read(text, warnings),
        Form::Kubeconfig => from_kubeconfig("the kubeconfig", text.as_bytes()),
        Form::K0sToken => {
            let kubeconfig = k0s::unpack(text).map_err(JoinConfigError::K0s)?;
            from_kubeconfig("the k0s token", &kubeconfig)
        }
        Form::K3sToken => Err(JoinConfigError::K3sToken),
        Form::KkpScript => kkp::from_script(text),
    }
}

fn from_kubeconfig(form: &'static str, bytes: &[u8]) -> Result<Draft, JoinConfigError> {
    let kubeconfig = kubeconfig::parse(bytes, Purpose::JoinFile).map_err(JoinConfigError::Kubeconfig)?;
    if kubeconfig.user_name == k0s::CONTROLLER_USER {
        return Err(JoinConfigError::K0s(k0s::K0sError::Controller));
    }
    Ok(given(form, kubeconfig))
}

fn given(form: &'static str, kubeconfig: Kubeconfig) -> Draft {
    let mut draft = Draft {
        endpoints: vec![kubeconfig.server],
        trust: Some(Trust::Authorities(kubeconfig.authorities)),
        discovery: Some(Discovery::Given),
        credential: kubeconfig.credential,
        tls_server_name: kubeconfig.tls_server_name,
        ..Draft::new(form)
    };
    if let Some(proxy) = kubeconfig.proxy {
        draft.settings.network.proxy = Some(proxy);
        draft.settings.network.proxy_control_plane = true;
    }
    draft
}
