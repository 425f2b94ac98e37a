//! The values of Kubermatic KKP's edge script: a server, a token for the Secrets of `cloud-init-settings`, and the name of
//! one of them.
//!
//! The script fetches the Secret by `curl -k`, so it holds nothing that the control plane could be recognised by: pins or
//! certificates must come from elsewhere. The Secret that it names holds cloud-init data; the kubeconfig for kubelet's
//! bootstrap lies beside it under a name that follows from the first (Operating System Manager,
//! `pkg/controllers/osc/osc_controller.go`).

use super::draft::Draft;
use super::error::JoinConfigError;
use super::node_name::is_subdomain;
use super::section::Section;
use super::{Credential, Discovery, Endpoint, credential};

/// What the script's URL holds between server and name of the Secret.
const SECRETS: &str = "/api/v1/namespaces/cloud-init-settings/secrets/";
/// What stands before the token.
const BEARER: &str = "Authorization: Bearer ";
/// Suffix of the Secret with cloud-init data, `MACHINEDEPLOYMENT-NAMESPACE-bootstrap-config`.
const CLOUD_INIT: &str = "-bootstrap-config";
/// Suffix of the Secret with the kubeconfig, `NAMESPACE-MACHINEDEPLOYMENT-kubelet-bootstrap-config`.
const KUBELET: &str = "-kubelet-bootstrap-config";
/// The namespace of KKP's MachineDeployments.
const NAMESPACE: &str = "kube-system";

/// A text that names no Secret with a kubeconfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecretNameError {
    /// Not RFC 1123.
    #[error("it is not the name of a Secret")]
    Syntax,
    /// The other Secret's name cannot be found from this one.
    #[error("this Secret holds cloud-init data, and it does not follow from its name which one holds the kubeconfig")]
    CloudInit,
}

/// Whether `text` holds the script.
pub(super) fn is_script(text: &str) -> bool {
    text.contains(SECRETS)
}

/// Reads the table `[kkp]`.
pub(super) fn from_table(mut table: Section<'_, '_>, warnings: &mut Vec<String>) -> Result<Draft, JoinConfigError> {
    let (server, token, secret) = (
        table.require("server")?,
        table.require("token")?,
        table.require("secret")?,
    );
    let endpoint = server.read(str::parse, "write `https://HOST:PORT`")?;
    let token = credential::bearer(token.text()?)
        .map_err(|reason| token.refuse_secret(reason, "copy what follows `Authorization: Bearer` in the script"))?;
    let name = secret.read(
        kubeconfig_secret,
        "give the Secret whose name ends in `-kubelet-bootstrap-config`",
    )?;
    table.finish(warnings)?;
    Ok(draft("the table `[kkp]`", endpoint, Credential::Bearer(token), name))
}

/// Reads the script's text.
pub(super) fn from_script(text: &str) -> Result<Draft, JoinConfigError> {
    let failed = JoinConfigError::KkpScript;
    let line = text
        .lines()
        .find(|line| line.contains(SECRETS))
        .ok_or(failed("server"))?;
    let (before, after) = line.split_once(SECRETS).ok_or(failed("server"))?;
    let server = before
        .rsplit(|letter: char| letter.is_whitespace() || "'\"".contains(letter))
        .next();
    let endpoint: Endpoint = server
        .filter(|server| server.starts_with("https://"))
        .and_then(|server| server.parse().ok())
        .ok_or(failed("server"))?;
    let end = after.find(|letter: char| letter.is_whitespace() || "'\"|".contains(letter));
    let name = kubeconfig_secret(&after[..end.unwrap_or(after.len())]).map_err(|_| failed("Secret"))?;
    // Older scripts break the line between header and URL.
    let (_, token) = text.split_once(BEARER).ok_or(failed("token"))?;
    let end = token.find(|letter: char| letter.is_whitespace() || "'\"".contains(letter));
    let token = credential::bearer(&token[..end.unwrap_or(token.len())]).map_err(|_| failed("token"))?;
    Ok(draft("the KKP script", endpoint, Credential::Bearer(token), name))
}

fn draft(form: &'static str, endpoint: Endpoint, credential: Credential, name: String) -> Draft {
    Draft {
        endpoints: vec![endpoint],
        discovery: Some(Discovery::KkpSecret { name }),
        credential: Some(credential),
        ..Draft::new(form)
    }
}

/// The Secret with the kubeconfig, from its own name or that of the one with cloud-init data.
fn kubeconfig_secret(name: &str) -> Result<String, SecretNameError> {
    if !is_subdomain(name) {
        return Err(SecretNameError::Syntax);
    }
    let Some(stem) = name.strip_suffix(CLOUD_INIT).filter(|_| !name.ends_with(KUBELET)) else {
        return Ok(name.to_owned());
    };
    let deployment = stem.strip_suffix(NAMESPACE).and_then(|stem| stem.strip_suffix('-'));
    match deployment {
        Some(deployment) if !deployment.is_empty() => Ok(format!("{NAMESPACE}-{deployment}{KUBELET}")),
        _ => Err(SecretNameError::CloudInit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "#!/bin/bash\nset -xeuo pipefail\napt install -y curl jq\ncurl -s -k -v --header 'Authorization: Bearer \
                          eyJh.eyJp.c2ln'\thttps://c1.kkp.example:30000/api/v1/namespaces/cloud-init-settings/secrets/shop-7-kube-system-bootstrap-config \
                          | jq '.data[\"cloud-config\"]' -r | base64 -d > /etc/cloud/x.cfg\ncloud-init clean\n";

    #[test]
    fn the_scripts_curl_line_holds_server_token_and_the_name_that_leads_to_the_kubeconfig() {
        let draft = from_script(SCRIPT).unwrap();
        assert_eq!(draft.endpoints[0].to_string(), "https://c1.kkp.example:30000");
        let name = "kube-system-shop-7-kubelet-bootstrap-config".to_owned();
        assert_eq!(draft.discovery, Some(Discovery::KkpSecret { name }));
        assert_eq!(
            draft.credential,
            Some(Credential::Bearer(crate::secret::Secret::new("eyJh.eyJp.c2ln")))
        );
        assert_eq!(draft.trust, None);
    }

    #[test]
    fn a_script_with_the_url_in_quotes_on_a_line_of_its_own_is_read_too() {
        let text = "wget --header 'Authorization: Bearer abc' \\\n  'https://a.example:1/api/v1/namespaces/cloud-init-settings/secrets/x'\n";
        let draft = from_script(text).unwrap();
        assert_eq!(draft.discovery, Some(Discovery::KkpSecret { name: "x".into() }));
    }

    #[test]
    fn a_script_with_variables_in_the_place_of_values_is_refused() {
        for (part, what) in [
            ("https://c1.kkp.example:30000", "server"),
            ("shop-7-kube-system-bootstrap-config", "Secret"),
            ("eyJh.eyJp.c2ln", "token"),
        ] {
            let error = from_script(&SCRIPT.replace(part, "${VALUE}")).unwrap_err();
            assert!(
                matches!(error, JoinConfigError::KkpScript(found) if found == what),
                "{error}"
            );
        }
        let plain = SCRIPT.replace("https://", "http://");
        assert!(matches!(from_script(&plain), Err(JoinConfigError::KkpScript("server"))));
    }

    #[test]
    fn the_kubeconfigs_secret_follows_from_the_name_or_is_named() {
        let named = "kube-system-a-kubelet-bootstrap-config";
        assert_eq!(kubeconfig_secret(named).as_deref(), Ok(named));
        assert_eq!(
            kubeconfig_secret("a-kube-system-bootstrap-config").as_deref(),
            Ok(named)
        );
        assert_eq!(kubeconfig_secret("mine").as_deref(), Ok("mine"));
        for name in [
            "a-other-bootstrap-config",
            "-bootstrap-config",
            "kube-system-bootstrap-config",
        ] {
            assert!(kubeconfig_secret(name).is_err(), "{name}");
        }
    }
}
