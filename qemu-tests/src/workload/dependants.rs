//! Workloads that depend on all that kubelet fetches from the API server, and tell over HTTP what they were given.
//!
//! A Deployment's pod and a DaemonSet's pod with a ConfigMap (volume and environment), a Secret, service account tokens
//! of two audiences, an init container, probes and a folder of the node. Their page is made anew for each question, so
//! one answer proves that all of it is there.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{PRELOADED, powerful_pod};

/// Where the page is.
pub const PATH: &str = "/cgi-bin/given";
/// The node's port of the Deployment's pod (a port of the pod's network that is mapped).
pub const DEPLOYMENT_PORT: u16 = 8081;
/// The node's port of the DaemonSet's pod (which has the node's network).
pub const DAEMON_SET_PORT: u16 = 8082;
/// What the ConfigMap says at first.
pub const GREETING: &str = "greeting-of-the-config-map";
/// What the Secret says: found nowhere else, so it can be looked for on a disk.
pub const PASSWORD: &str = "password-in-the-secret-7Jq2";
/// The audience of the token that pods ask for themselves.
pub const AUDIENCE: &str = "skerry-tests";

/// A line for each thing, `name: value`, as it is at this moment.
pub(super) const PAGE_SCRIPT: &str = r#"#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
echo "boot: $(cat /proc/sys/kernel/random/boot_id)"
echo "container: $(cat /tmp/container)"
echo "environment: $GREETING"
echo "node: $NODE"
echo "pod: $POD"
echo "automatic-token: $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)"
cd /given && for file in config/greeting secret/password token/token init/seen; do
    echo "$file: $(cat $file)"
done
echo "starts:" $(cat "host/$POD")
"#;

/// Before the page is served: the container gets a name of its own, and its start is noted on the node's disk.
const START: &str = "cat /proc/sys/kernel/random/uuid > /tmp/container; \
    cat /proc/sys/kernel/random/boot_id >> /given/host/$POD; \
    exec httpd -f -v -p $PORT -h /www";
/// What the init container sees is what there was when the pod was set up.
const INIT: &str = "cat /given/config/greeting > /given/init/seen";

/// The network that a pod is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Pods,
    Node,
}

/// ConfigMap and Secret, which the workloads need to be there first.
pub fn possessions() -> Value {
    list(vec![
        greeting(GREETING),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "given" },
            "stringData": { "password": PASSWORD },
        }),
    ])
}

/// The ConfigMap.
pub fn greeting(text: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "given" },
        "data": { "greeting": text },
    })
}

/// A Deployment of one pod, on [`DEPLOYMENT_PORT`].
pub fn deployment() -> Value {
    let mut set = workload("Deployment", "deployed", DEPLOYMENT_PORT, Network::Pods);
    set["spec"]["replicas"] = 1.into();
    set["spec"]["strategy"] = json!({ "type": "Recreate" });
    set
}

/// A DaemonSet, on [`DAEMON_SET_PORT`].
pub fn daemon_set() -> Value {
    workload("DaemonSet", "everywhere", DAEMON_SET_PORT, Network::Node)
}

/// What the crier says on the machine's console before the boot's name.
pub const CRY: &str = "the DaemonSet's pod answers in boot ";

/// A pod that says on the machine's console that the DaemonSet's pod answers, for when the network cannot be asked.
pub fn crier() -> Value {
    let script = format!(
        "until wget -q -O /dev/null http://127.0.0.1:{DAEMON_SET_PORT}{PATH}; do sleep 1; done; \
         echo \"{CRY}$(cat /proc/sys/kernel/random/boot_id)\" > /dev/ttyS0; exec sleep 1000000"
    );
    let mut pod = powerful_pod("crier", PRELOADED, &script);
    pod["spec"]["hostNetwork"] = true.into();
    pod
}

fn list(items: Vec<Value>) -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

fn workload(kind: &str, name: &str, port: u16, network: Network) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name } }, "spec": pod_spec(name, port, network) },
        },
    })
}

fn pod_spec(name: &str, port: u16, network: Network) -> Value {
    json!({
        "hostNetwork": network == Network::Node,
        "dnsPolicy": "Default",
        // Nobody hears of the node while it is alone, and it keeps its pods.
        "tolerations": [{ "operator": "Exists" }],
        "terminationGracePeriodSeconds": 1,
        "initContainers": [{
            "name": "init", "image": PRELOADED, "command": ["/bin/sh", "-c", INIT], "volumeMounts": mounts(),
        }],
        "containers": [{
            "name": name,
            "image": PRELOADED,
            "command": ["/bin/sh", "-c", START],
            "env": environment(port),
            "ports": [{ "containerPort": port, "hostPort": port }],
            "volumeMounts": mounts(),
            "readinessProbe": { "httpGet": { "path": "/", "port": port }, "periodSeconds": 2 },
            "livenessProbe": { "exec": { "command": ["cat", "/given/init/seen"] }, "periodSeconds": 20, "timeoutSeconds": 30 },
        }],
        "volumes": [
            { "name": "config", "configMap": { "name": "given" } },
            { "name": "secret", "secret": { "secretName": "given" } },
            { "name": "token", "projected": { "sources": [
                { "serviceAccountToken": { "path": "token", "audience": AUDIENCE } },
            ] } },
            { "name": "init", "emptyDir": {} },
            { "name": "host", "hostPath": { "path": "/var/lib/dependants", "type": "DirectoryOrCreate" } },
        ],
    })
}

fn environment(port: u16) -> Value {
    let field = |path: &str| json!({ "fieldRef": { "fieldPath": path } });
    json!([
        { "name": "PORT", "value": port.to_string() },
        { "name": "GREETING", "valueFrom": { "configMapKeyRef": { "name": "given", "key": "greeting" } } },
        { "name": "NODE", "valueFrom": field("spec.nodeName") },
        { "name": "POD", "valueFrom": field("metadata.name") },
    ])
}

fn mounts() -> Value {
    let mounts = ["config", "secret", "token", "init", "host"];
    mounts
        .map(|name| json!({ "name": name, "mountPath": format!("/given/{name}") }))
        .to_vec()
        .into()
}

/// What a page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given(BTreeMap<String, String>);

impl Given {
    /// Reads an answer (HTTP/1.0); what is wrong with it, unless all that was given is there.
    pub fn read(answer: &str, greeting: &str) -> Result<Self, String> {
        let (_, text) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("{answer:?}"))?;
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        let given = Self(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        let expected = [("config/greeting", greeting), ("secret/password", PASSWORD)];
        if expected.iter().any(|(name, value)| given.get(name) != *value) {
            return Err(text.to_owned());
        }
        for (name, audience) in [
            ("automatic-token", "https://kubernetes.default.svc"),
            ("token/token", AUDIENCE),
        ] {
            given.check_token(name, audience)?;
        }
        Ok(given)
    }

    /// One of the lines; empty if it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The boot of the machine in which it was said.
    pub fn boot(&self) -> &str {
        self.get("boot")
    }

    /// The name that the container gave itself when it started.
    pub fn container(&self) -> &str {
        self.get("container")
    }

    /// What the ConfigMap said when the pod was set up.
    pub fn first_greeting(&self) -> &str {
        self.get("init/seen")
    }

    /// The boots in which the pod's container has started, one for each start.
    pub fn starts(&self) -> Vec<&str> {
        self.get("starts").split_whitespace().collect()
    }

    /// Whose token it is: `kubernetes.io` in its payload (JWT, RFC 7519; "Bound service account tokens").
    fn check_token(&self, name: &str, audience: &str) -> Result<(), String> {
        let wrong = || format!("{name}: {:?}", self.get(name));
        let payload = self.get(name).split('.').nth(1).ok_or_else(wrong)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| wrong())?;
        let claims: Value = serde_json::from_slice(&payload).map_err(|_| wrong())?;
        let bound = &claims["kubernetes.io"];
        let is_ours = claims["aud"] == json!([audience])
            && claims["sub"] == "system:serviceaccount:default:default"
            && bound["node"]["name"] == self.get("node")
            && bound["pod"]["name"] == self.get("pod");
        if is_ours {
            Ok(())
        } else {
            Err(format!("{name}: {claims}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(pod: &str, audience: &str) -> String {
        let claims = json!({
            "aud": [audience],
            "sub": "system:serviceaccount:default:default",
            "kubernetes.io": { "pod": { "name": pod }, "node": { "name": "n" } },
        });
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn answer(automatic: &str, own: &str) -> String {
        format!(
            "HTTP/1.0 200 OK\r\n\r\nboot: b\ncontainer: c\npod: p\nnode: n\nautomatic-token: {automatic}\n\
             config/greeting: hello\nsecret/password: {PASSWORD}\ntoken/token: {own}\ninit/seen: hello\nstarts: a b\n"
        )
    }

    #[test]
    fn an_answer_with_everything_is_read() {
        let text = answer(&token("p", "https://kubernetes.default.svc"), &token("p", AUDIENCE));
        let given = Given::read(&text, "hello").unwrap();
        assert_eq!(
            (given.boot(), given.container(), given.first_greeting()),
            ("b", "c", "hello")
        );
        assert_eq!(given.starts(), ["a", "b"]);
    }

    #[test]
    fn another_pods_token_one_for_another_audience_and_an_old_greeting_are_noticed() {
        let automatic = token("p", "https://kubernetes.default.svc");
        for (automatic, own, greeting) in [
            (&automatic, &token("q", AUDIENCE), "hello"),
            (&automatic, &automatic, "hello"),
            (&String::new(), &token("p", AUDIENCE), "hello"),
            (&automatic, &token("p", AUDIENCE), "goodbye"),
        ] {
            let text = answer(automatic, own);
            assert!(Given::read(&text, greeting).is_err(), "{text}");
        }
    }
}
