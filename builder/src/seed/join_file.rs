//! A join file, checked: its text stays secret, what it says of itself does not.

use std::fmt;

use skerry_firstboot::join_config::{Credential, Inexpressible, JoinConfig, Parsed, Trust, parse_strict};
use skerry_firstboot::node_files::{self, MachineFacts};
use skerry_firstboot::secret::Secret;

use super::SeedError;

/// The name of a file in the format of its own.
const OWN_FORM: &str = "join.toml";
/// The name of a file in any other form, such as a `kubeadm join` line.
const OTHER_FORM: &str = "join.txt";

/// A join file that a machine can use.
#[derive(Clone)]
pub struct JoinFile {
    text: Secret,
    config: JoinConfig,
    warnings: Vec<String>,
}

/// More than any machine has: which settings are too large for one is found out there.
const SOME_MACHINE: MachineFacts = MachineFacts {
    memory_bytes: 1 << 50,
    cpus: 1,
};

/// Checks a join file as the machine will, but more strictly: a key that means nothing is an error, and so is a setting
/// that no machine could carry out.
pub fn check_join_file(bytes: &[u8]) -> Result<JoinFile, SeedError> {
    let Parsed { config, warnings } = parse_strict(bytes).map_err(|source| SeedError::JoinFile(Box::new(source)))?;
    // The name was checked by the reader, and may still be a template.
    node_files::check(&SOME_MACHINE, &config.settings, "node").map_err(SeedError::Setting)?;
    let text = String::from_utf8_lossy(bytes).into_owned();
    Ok(JoinFile {
        text: Secret::new(text),
        config,
        warnings,
    })
}

impl JoinFile {
    /// The same as this program writes it, whatever form it had.
    pub fn canonical(self) -> Result<Self, Inexpressible> {
        Ok(Self {
            text: self.config.to_toml()?,
            ..self
        })
    }

    /// What it says.
    pub const fn config(&self) -> &JoinConfig {
        &self.config
    }

    /// What the file is called on the image.
    pub fn name(&self) -> &'static str {
        match toml::from_str::<toml::Table>(self.text.expose()) {
            Ok(table) if table.contains_key("version") => OWN_FORM,
            _ => OTHER_FORM,
        }
    }

    /// Its whole text, with its secret.
    pub fn text(&self) -> &str {
        self.text.expose()
    }

    /// What in it means nothing, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The public part of its token, if it has a bootstrap token.
    pub fn token_id(&self) -> Option<&str> {
        match &self.config.credential {
            Credential::BootstrapToken(token) => Some(&token.id),
            Credential::Bearer(_) | Credential::ClientCertificate { .. } => None,
        }
    }

    /// Where the control plane answers.
    pub fn endpoints(&self) -> Vec<String> {
        self.config.endpoints.iter().map(ToString::to_string).collect()
    }

    /// By what the control plane is recognised: `pins`, `ca` or `token`.
    pub const fn trust(&self) -> &'static str {
        match self.config.trust {
            Trust::Pins(_) => "pins",
            Trust::Authorities(_) => "ca",
            Trust::UnsafeTokenOnly => "token",
        }
    }
}

/// What may be told: never the secret.
impl fmt::Display for JoinFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.config.credential, self.token_id()) {
            (_, Some(id)) => write!(f, "token {id}")?,
            (Credential::ClientCertificate { .. }, None) => f.write_str("a client certificate")?,
            (_, None) => f.write_str("a bearer token")?,
        }
        write!(f, " for {}, ", self.endpoints().join(", "))?;
        match &self.config.trust {
            Trust::Pins(pins) if pins.len() == 1 => f.write_str("1 pinned authority"),
            Trust::Pins(pins) => write!(f, "{} pinned authorities", pins.len()),
            Trust::Authorities(_) => f.write_str("authorities included"),
            Trust::UnsafeTokenOnly => f.write_str("recognised by the token alone, which is unsafe"),
        }
    }
}

impl fmt::Debug for JoinFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinFile({self})")
    }
}
