//! `kubectl` and `kubeadm` against the control plane, as a person uses them.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::ControlPlane;
use crate::wait;

/// How long a pod or a node may take on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(1200);

/// The signer of certificates that nodes show the API server.
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";

/// What a command printed; the reason if it failed.
fn printed(program: &str, arguments: &[&str], outcome: &Output) -> Result<String, String> {
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
    match outcome.status.success() {
        true => Ok(text),
        false => Err(format!(
            "{program} {}: {}\n{text}{}",
            arguments.join(" "),
            outcome.status,
            String::from_utf8_lossy(&outcome.stderr)
        )),
    }
}

impl ControlPlane {
    /// `kubectl ARGUMENTS` as the administrator; the command, to be started.
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("kubectl");
        command.args(arguments);
        command
    }

    /// Runs `kubectl`; what it printed, or why it failed.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let outcome = self
            .kubectl_command(arguments)
            .output()
            .expect("a built program can be started");
        printed("kubectl", arguments, &outcome)
    }

    /// Runs `kubectl` and returns what it printed; panics with what it said if it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// An object or a list as JSON; why there is none.
    pub fn try_get(&self, arguments: &[&str]) -> Result<Value, String> {
        let text = self.try_kubectl(&[&["get", "-o", "json"], arguments].concat())?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    /// An object or a list as JSON; panics if there is none.
    pub fn get(&self, arguments: &[&str]) -> Value {
        self.try_get(arguments).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Applies manifests (YAML or JSON); panics with what the API server said if it refuses.
    pub fn apply(&self, manifests: &str) {
        let arguments = ["apply", "-f", "-"];
        let mut command = self.kubectl_command(&arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("a built program can be started");
        let mut input = child.stdin.take().expect("it is piped");
        // If it does not read to the end, its words say why.
        let _ = input.write_all(manifests.as_bytes());
        drop(input);
        let outcome = child.wait_with_output().expect("a child can be waited for");
        if let Err(reason) = printed("kubectl", &arguments, &outcome) {
            panic!("{reason}");
        }
    }

    /// Runs `kubeadm` with the administrator's kubeconfig in its environment; panics with what it said if it fails.
    pub fn kubeadm(&self, arguments: &[&str]) -> String {
        self.try_kubeadm(arguments).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// The same; what it printed, or why it failed.
    pub fn try_kubeadm(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.command("kubeadm");
        let outcome = command
            .args(arguments)
            .output()
            .expect("a built program can be started");
        printed("kubeadm", arguments, &outcome)
    }

    /// Waits until the node `name` is Ready.
    pub fn wait_for_node(&self, name: &str) {
        wait::until(&format!("node {name} Ready"), PATIENCE, || {
            let node = self.try_get(&["node", name])?;
            condition(&node, "Ready")
        });
    }

    /// Waits until the pod `name` is Ready, and returns it.
    pub fn wait_for_pod(&self, name: &str) -> Value {
        wait::until(&format!("pod {name} Ready"), PATIENCE, || {
            let pod = self.try_get(&["pod", name])?;
            condition(&pod, "Ready").map_err(|reason| format!("{reason} {}", pod["status"]["containerStatuses"]))?;
            Ok(pod)
        })
    }

    /// The names of all nodes.
    pub fn nodes(&self) -> Vec<String> {
        let names = self.kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]);
        names.split_whitespace().map(str::to_owned).collect()
    }

    /// How many signing requests there are for certificates that nodes show the API server.
    pub fn client_requests(&self) -> usize {
        let requests = self.get(&["certificatesigningrequests"]);
        let is_client = |request: &&Value| request["spec"]["signerName"] == CLIENT_SIGNER;
        let requests = requests["items"].as_array();
        requests.map_or(0, |requests| requests.iter().filter(is_client).count())
    }

    /// Waits until a node is there and Ready, and returns its name.
    pub fn wait_for_any_node(&self) -> String {
        let name = wait::until("a node", PATIENCE, || {
            self.nodes().into_iter().next().ok_or_else(|| "none".to_owned())
        });
        self.wait_for_node(&name);
        name
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.client(program));
        // Below the work folder, so that neither reads nor leaves anything in the home folder.
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.folder)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }
}

/// Whether an object's condition is True; otherwise what it is.
pub fn condition(object: &Value, kind: &str) -> Result<(), String> {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind);
    match found {
        Some(condition) if condition["status"] == "True" => Ok(()),
        Some(condition) => Err(condition.to_string()),
        None => Err(format!("no condition {kind}")),
    }
}
