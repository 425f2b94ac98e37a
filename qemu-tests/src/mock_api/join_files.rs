//! What a machine needs to know to join the mock, in the forms that people have.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use skerry_firstboot::join_config::{
    AfterJoin, BootstrapToken, Credential, Discovery, JoinConfig, NodeSettings, Trust,
};
use skerry_firstboot::secret::Secret;

use super::{Kubeconfig, MockApi};

impl MockApi {
    /// The token of the setup.
    pub fn token(&self) -> BootstrapToken {
        BootstrapToken {
            id: self.token.id.clone(),
            secret: Secret::new(&*self.token.secret),
        }
    }

    /// Joining with token and pin, as kubeadm does it.
    pub fn join_config(&self) -> JoinConfig {
        JoinConfig {
            endpoints: vec![self.endpoint()],
            trust: Trust::Pins(vec![self.pin()]),
            discovery: Discovery::ClusterInfo,
            credential: Credential::BootstrapToken(self.token()),
            tls_server_name: None,
            after_join: AfterJoin::Erase,
            settings: NodeSettings::default(),
        }
    }

    /// The same as a join file.
    pub fn join_toml(&self) -> String {
        let token = self.token.text();
        let (endpoint, pin) = (self.endpoint(), self.pin());
        format!("version = 1\nendpoints = [\"{endpoint}\"]\nca-pins = [\"{pin}\"]\ntoken = \"{token}\"\n")
    }

    /// The same as `kubeadm token create --print-join-command` prints it.
    pub fn kubeadm_line(&self) -> String {
        let (host, port) = (&self.host, self.address.port());
        let (token, pin) = (self.token.text(), self.pin());
        format!("kubeadm join {host}:{port} --token {token} --discovery-token-ca-cert-hash {pin} \n")
    }

    /// A bootstrap kubeconfig with the token, as KKP's operating system manager and `kubeadm` write it.
    pub fn bootstrap_kubeconfig(&self) -> String {
        self.kubeconfig_of_user("kubelet-bootstrap")
    }

    /// A k0s join token: the kubeconfig, compressed and encoded.
    pub fn k0s_token(&self) -> String {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let text = self.kubeconfig_of_user("kubelet-bootstrap");
        let packed = gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish());
        STANDARD.encode(packed.expect("memory can be written"))
    }

    /// The line of KKP's edge script that fetches a Secret, for the MachineDeployment `shop-7`.
    pub fn kkp_script(&self, bearer: &str) -> String {
        let endpoint = self.endpoint();
        format!(
            "#!/bin/bash\nset -xeuo pipefail\ncurl -s -k -v --header 'Authorization: Bearer {bearer}' \
             {endpoint}/api/v1/namespaces/cloud-init-settings/secrets/shop-7-kube-system-bootstrap-config | jq .data\n"
        )
    }

    fn kubeconfig_of_user(&self, user: &str) -> String {
        let authority = STANDARD.encode(self.ca_pem());
        let (server, token) = (self.endpoint(), self.token.text());
        format!(
            "apiVersion: v1
kind: Config
clusters:
- name: mock
  cluster:
    certificate-authority-data: {authority}
    server: {server}
contexts:
- name: mock
  context:
    cluster: mock
    user: {user}
current-context: mock
users:
- name: {user}
  user:
    token: {token}
"
        )
    }

    /// The kubeconfig of `cluster-info` as the mock signs it.
    pub fn described(&self, kind: &Kubeconfig) -> String {
        self.shared.lock().facts().kubeconfig(kind)
    }
}
