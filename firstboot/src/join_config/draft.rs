//! What one form of a join file says, before it is whole.

use super::error::{Contradiction, JoinConfigError};
use super::{AfterJoin, BootstrapToken, Credential, Discovery, Endpoint, JoinConfig, NodeSettings, Trust, network};

/// A join file as far as it was read.
#[derive(Debug)]
pub(super) struct Draft {
    /// What was read, in words that fit `… holds no token`.
    pub(super) form: &'static str,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) trust: Option<Trust>,
    pub(super) discovery: Option<Discovery>,
    pub(super) credential: Option<Credential>,
    pub(super) tls_server_name: Option<String>,
    pub(super) after_join: AfterJoin,
    pub(super) settings: NodeSettings,
}

impl Draft {
    pub(super) fn new(form: &'static str) -> Self {
        Self {
            form,
            endpoints: Vec::new(),
            trust: None,
            discovery: None,
            credential: None,
            tls_server_name: None,
            after_join: AfterJoin::default(),
            settings: NodeSettings::default(),
        }
    }

    /// The whole, if everything is there that must be.
    pub(super) fn finish(self) -> Result<JoinConfig, JoinConfigError> {
        let form = self.form;
        if self.endpoints.is_empty() {
            return Err(JoinConfigError::NoEndpoint);
        }
        let credential = self.credential.ok_or(JoinConfigError::NoCredential { form })?;
        let trust = self.trust.ok_or(JoinConfigError::NoTrust { form })?;
        let discovery = self.discovery.unwrap_or(match trust {
            // With the certificates at hand nothing has to be found out, and no signature is needed for it.
            Trust::Authorities(_) => Discovery::Given,
            Trust::Pins(_) | Trust::UnsafeTokenOnly => Discovery::ClusterInfo,
        });
        match (&discovery, &trust, &credential) {
            (Discovery::Given, Trust::Pins(_) | Trust::UnsafeTokenOnly, _) => {
                return Err(JoinConfigError::Contradiction(Contradiction::GivenWithoutAuthorities));
            }
            (Discovery::KkpSecret { .. }, Trust::UnsafeTokenOnly, _) => {
                return Err(JoinConfigError::Contradiction(Contradiction::BearerWithoutTrust));
            }
            (Discovery::ClusterInfo, _, Credential::Bearer(_) | Credential::ClientCertificate { .. }) => {
                return Err(JoinConfigError::Contradiction(Contradiction::ClusterInfoWithoutToken));
            }
            _ => {}
        }
        let network = &self.settings.network;
        if network.proxy_control_plane && !network.proxy.as_deref().is_some_and(network::leads_to_control_plane) {
            return Err(JoinConfigError::Contradiction(Contradiction::Proxy));
        }
        // A shorter token can stand in a setting by chance.
        let open = format!(
            "{:?} {discovery:?} {:?} {:?}",
            self.endpoints, self.tls_server_name, self.settings
        );
        let passphrase = self.settings.wifi.as_ref().and_then(|wifi| wifi.passphrase.as_ref());
        let stays =
            |secret: &str| open.contains(secret) || passphrase.is_some_and(|kept| kept.expose().contains(secret));
        if credential
            .secret()
            .is_some_and(|secret| secret.len() >= BootstrapToken::SECRET_LEN && stays(secret))
        {
            return Err(JoinConfigError::Contradiction(Contradiction::SecretInTheOpen));
        }
        Ok(JoinConfig {
            endpoints: self.endpoints,
            trust,
            discovery,
            credential,
            tls_server_name: self.tls_server_name,
            after_join: self.after_join,
            settings: self.settings,
        })
    }
}
