//! The Secrets of the namespace `cloud-init-settings`, where KKP keeps what its edge script fetches.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Data by the Secrets' names.
#[derive(Debug, Clone, Default)]
pub struct Secrets(BTreeMap<String, BTreeMap<String, String>>);

impl Secrets {
    /// Puts `text` under `key` of the Secret `name`.
    pub fn put(&mut self, name: &str, key: &str, text: &str) {
        let secret = self.0.entry(name.to_owned()).or_default();
        secret.insert(key.to_owned(), STANDARD.encode(text));
    }

    /// The Secret `name`.
    pub fn object(&self, name: &str) -> Option<Value> {
        let data = self.0.get(name)?;
        Some(json!({
            "kind": "Secret",
            "apiVersion": "v1",
            "metadata": { "name": name, "namespace": "cloud-init-settings", "uid": format!("secret-{name}") },
            "data": data,
            "type": "Opaque",
        }))
    }
}
