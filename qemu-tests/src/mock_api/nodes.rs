//! Node objects: what a test pretends that kubelet registered, or what a kubelet writes itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The nodes of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Nodes(BTreeMap<String, Value>);

/// Whether a node's kubelet says that it can run pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It cannot.
    NotReady,
}

impl Nodes {
    /// Registers the node `name` as kubelet would, and as the controller that gives it addresses for pods would.
    pub fn register(&mut self, name: &str, readiness: Readiness, machine_id: &str) {
        let (status, reason, message) = match readiness {
            Readiness::Ready => ("True", "KubeletReady", "kubelet is posting ready status"),
            Readiness::NotReady => (
                "False",
                "KubeletNotReady",
                "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady",
            ),
        };
        let mut object = bare(name);
        object["spec"] = json!({ "podCIDR": "10.244.7.0/24", "podCIDRs": ["10.244.7.0/24"] });
        object["status"] = json!({
            "conditions": [
                { "type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory" },
                { "type": "Ready", "status": status, "reason": reason, "message": message },
            ],
            "addresses": [{ "type": "Hostname", "address": name }],
            "nodeInfo": { "machineID": machine_id, "kubeletVersion": "v1.36.3" },
        });
        self.0.insert(name.to_owned(), object);
    }

    /// The node `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Adds what a kubelet posted; false if there is such a node.
    pub fn create(&mut self, name: &str, posted: Value) -> bool {
        if self.0.contains_key(name) {
            return false;
        }
        let mut object = bare(name);
        merge(&mut object, posted);
        self.0.insert(name.to_owned(), object);
        true
    }

    /// Merges `patch` into the node `name` (RFC 7386).
    pub fn patch(&mut self, name: &str, patch: Value) -> Option<&Value> {
        let node = self.0.get_mut(name)?;
        merge(node, patch);
        Some(node)
    }
}

fn bare(name: &str) -> Value {
    json!({
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": { "name": name, "uid": format!("node-{name}"), "resourceVersion": "1" },
        "spec": {},
        "status": {},
    })
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(fields) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in fields {
        match value {
            Value::Null => {
                target.remove(&key);
            }
            value => merge(target.entry(key).or_insert(Value::Null), value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7386 appendix A
    #[test]
    fn a_patch_is_merged_as_in_the_rfcs_examples() {
        for (target, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!(["a"]), json!({"b": 1}), json!({"b": 1})),
        ] {
            let mut result = target.clone();
            merge(&mut result, patch.clone());
            assert_eq!(result, merged, "{target} with {patch}");
        }
    }
}
