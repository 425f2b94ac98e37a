//! A kubeconfig as it is written, before anything of it is believed.

use std::borrow::Cow;
use std::fs::File as OpenFile;
use std::io::Read as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_saphyr::options::MergeKeyPolicy;

use super::{KubeconfigError, MAX_BYTES};
use crate::secret::Secret;

/// A kubeconfig is five levels deep; `extensions` may add some.
const MAX_DEPTH: usize = 16;
/// Far more than any kubeconfig has.
const MAX_NODES: usize = 20_000;

/// The document.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct File {
    kind: Option<String>,
    current_context: Option<String>,
    clusters: Option<Vec<Named<Cluster>>>,
    contexts: Option<Vec<Named<Context>>>,
    users: Option<Vec<Named<User>>>,
}

/// One entry of a list: its name, and the rest under a key that is called like the list.
#[derive(Deserialize)]
pub(super) struct Named<T> {
    name: Option<String>,
    #[serde(alias = "cluster", alias = "context", alias = "user")]
    content: T,
}

/// Where a cluster is. Every text is empty if it is not there.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Cluster {
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) server: String,
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) tls_server_name: String,
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) proxy_url: String,
    #[serde(default, deserialize_with = "or_false")]
    pub(super) insecure_skip_tls_verify: bool,
    pub(super) certificate_authority: Option<String>,
    pub(super) certificate_authority_data: Option<String>,
}

/// Which user at which cluster.
#[derive(Deserialize)]
pub(super) struct Context {
    cluster: Option<String>,
    user: Option<String>,
}

/// What a user proves who it is with.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct User {
    pub(super) client_certificate: Option<String>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    client_key_data: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    token: Option<Secret>,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    username: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    password: Option<Secret>,
    #[serde(rename = "as")]
    act_as: Option<String>,
    pub(super) auth_provider: Option<IgnoredAny>,
    pub(super) exec: Option<IgnoredAny>,
}

fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn or_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

impl File {
    pub(super) fn current_context(&self) -> &str {
        self.current_context.as_deref().unwrap_or_default()
    }

    pub(super) fn clusters(&self) -> &[Named<Cluster>] {
        self.clusters.as_deref().unwrap_or_default()
    }

    pub(super) fn contexts(&self) -> &[Named<Context>] {
        self.contexts.as_deref().unwrap_or_default()
    }

    pub(super) fn users(&self) -> &[Named<User>] {
        self.users.as_deref().unwrap_or_default()
    }
}

impl<T> Named<T> {
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    pub(super) fn content(&self) -> &T {
        &self.content
    }
}

impl Context {
    pub(super) fn cluster(&self) -> &str {
        self.cluster.as_deref().unwrap_or_default()
    }

    pub(super) fn user(&self) -> &str {
        self.user.as_deref().unwrap_or_default()
    }
}

impl User {
    pub(super) fn client_key_data(&self) -> Option<&str> {
        self.client_key_data.as_ref().map(Secret::expose)
    }

    pub(super) fn token(&self) -> Option<&Secret> {
        self.token.as_ref().filter(|token| !token.expose().is_empty())
    }

    pub(super) fn has_password(&self) -> bool {
        let filled = |text: &Option<Secret>| text.as_ref().is_some_and(|text| !text.expose().is_empty());
        filled(&self.username) || filled(&self.password)
    }

    pub(super) fn impersonates(&self) -> bool {
        self.act_as.as_ref().is_some_and(|name| !name.is_empty())
    }
}

/// Reads the document.
pub(super) fn read(bytes: &[u8]) -> Result<File, KubeconfigError> {
    if bytes.len() > MAX_BYTES {
        return Err(KubeconfigError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| KubeconfigError::NotText)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // JSON is YAML but for details such as tabs; `{` begins both.
    let json = text
        .trim_start()
        .starts_with('{')
        .then(|| serde_json::from_str::<File>(text));
    let file = match json {
        Some(Ok(file)) => file,
        _ => serde_saphyr::from_str_with_options(text, options()).map_err(|error| from_yaml(&error))?,
    };
    match file.kind.as_deref() {
        None | Some("Config" | "") => Ok(file),
        Some(_) => Err(KubeconfigError::OtherKind),
    }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: 1,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_total_scalar_bytes: MAX_BYTES,
        },
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
    }
}

/// Only the place is taken over: the reader's message may repeat a value.
fn from_yaml(error: &serde_saphyr::Error) -> KubeconfigError {
    let (line, column) = error.location().map_or((0, 0), |place| (place.line(), place.column()));
    match error.without_snippet() {
        serde_saphyr::Error::Budget { .. }
        | serde_saphyr::Error::MergeKeyNotAllowed { .. }
        | serde_saphyr::Error::UnknownAnchor { .. }
        | serde_saphyr::Error::AliasReplayLimitExceeded { .. }
        | serde_saphyr::Error::AliasExpansionLimitExceeded { .. }
        | serde_saphyr::Error::AliasError { .. } => KubeconfigError::Excess { line },
        _ => KubeconfigError::Syntax { line, column },
    }
}

/// Where the files that a kubeconfig names may be.
pub(super) enum Source {
    /// Nowhere.
    Refused,
    /// In this folder, if they are not absolute.
    Folder(PathBuf),
}

impl Source {
    /// What `data` holds, else what the file holds.
    pub(super) fn bytes(
        &self,
        field: &'static str,
        data: Option<&str>,
        path: Option<&str>,
    ) -> Result<Option<Vec<u8>>, KubeconfigError> {
        match data.filter(|data| !data.is_empty()) {
            Some(data) => {
                let packed: Cow<'_, str> = match data.contains(['\n', '\r', ' ']) {
                    true => data.split_ascii_whitespace().collect::<String>().into(),
                    false => data.into(),
                };
                let bytes = STANDARD.decode(packed.as_bytes());
                bytes.map(Some).map_err(|_| KubeconfigError::NotBase64(field))
            }
            None => self.file(field, path),
        }
    }

    /// The token, else what its file holds.
    pub(super) fn token(&self, token: Option<&Secret>, path: Option<&str>) -> Result<Option<Secret>, KubeconfigError> {
        if let Some(token) = token {
            return Ok(Some(token.clone()));
        }
        let bytes = self.file("tokenFile", path)?;
        let text = bytes
            .map(String::from_utf8)
            .transpose()
            .map_err(|_| KubeconfigError::NotText)?;
        Ok(text.map(|text| Secret::new(text.trim())))
    }

    fn file(&self, field: &'static str, path: Option<&str>) -> Result<Option<Vec<u8>>, KubeconfigError> {
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let Self::Folder(folder) = self else {
            return Err(KubeconfigError::FileReference(field));
        };
        let path = folder.join(path);
        let mut content = Vec::new();
        let limit = MAX_BYTES as u64 + 1;
        let read = OpenFile::open(&path).and_then(|file| file.take(limit).read_to_end(&mut content));
        match read {
            Ok(count) if count > MAX_BYTES => Err(KubeconfigError::TooLarge),
            Ok(_) => Ok(Some(content)),
            Err(source) => Err(KubeconfigError::Read { field, path, source }),
        }
    }
}
