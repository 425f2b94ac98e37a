//! Labels and taints: what kubelet may set on its own Node, checked before it refuses to start.
//!
//! The rules are those of kubelet's `ValidateKubeletFlags` and of the admission plugin NodeRestriction (Kubernetes 1.36,
//! `k8s.io/kubelet/pkg/apis/well_known_labels.go`): a key below `kubernetes.io` or `k8s.io` is refused unless it is one
//! of a few; `node-role.kubernetes.io/*` is not. Keys and values as in "Labels and Selectors", Syntax and character set.

use serde_json::{Value, json};

use super::PlanError;
use crate::join_config::Labels;

/// The only keys below `kubernetes.io` that are no group of their own.
const ALLOWED_KEYS: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
/// Groups, with those below them, whose keys a kubelet may set.
const ALLOWED_GROUPS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
/// Groups that belong to Kubernetes.
const RESERVED_GROUPS: [&str; 2] = ["kubernetes.io", "k8s.io"];

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// `key=value,…` for kubelet's `--node-labels`; empty if there are none.
pub fn flag(labels: &Labels) -> Result<String, PlanError> {
    for (key, value) in labels {
        let wrong = |why| Err(PlanError::new("labels", &format!("{key}={value}"), why));
        if !is_key(key) {
            return wrong("is no label: the key must be NAME or DOMAIN/NAME of letters, digits, `-`, `_` and `.`");
        }
        if !value.is_empty() && !is_name(value) {
            return wrong("is no label: the value must be up to 63 letters, digits, `-`, `_` and `.`");
        }
        if !may_be_set(key) {
            return wrong(
                "may not be set by a node; allowed are keys below node.kubernetes.io/ and outside of kubernetes.io",
            );
        }
    }
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok(pairs.join(","))
}

/// `registerWithTaints` for taints written as kubectl does: `key=value:Effect` or `key:Effect`.
pub fn taints(taints: &[String]) -> Result<Vec<Value>, PlanError> {
    taints.iter().map(|text| taint(text)).collect()
}

fn taint(text: &str) -> Result<Value, PlanError> {
    let wrong = |why| PlanError::new("taints", text, why);
    let (pair, effect) = text
        .rsplit_once(':')
        .ok_or(wrong("is no taint such as key=value:NoSchedule"))?;
    if !EFFECTS.contains(&effect) {
        return Err(wrong("has no effect of NoSchedule, PreferNoSchedule and NoExecute"));
    }
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    if !is_key(key) || !(value.is_empty() || is_name(value)) {
        return Err(wrong("is no taint: key and value must be written as those of a label"));
    }
    Ok(match value {
        "" => json!({ "key": key, "effect": effect }),
        _ => json!({ "key": key, "value": value, "effect": effect }),
    })
}

fn may_be_set(key: &str) -> bool {
    let Some((group, _)) = key.split_once('/') else {
        return true;
    };
    let below = |top: &str| group == top || group.strip_suffix(top).is_some_and(|rest| rest.ends_with('.'));
    !RESERVED_GROUPS.into_iter().any(below) || ALLOWED_KEYS.contains(&key) || ALLOWED_GROUPS.into_iter().any(below)
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_name(key),
        Some((group, name)) => is_name(name) && is_domain(group),
    }
}

/// Up to 63 letters, digits, `-`, `_`, `.`; a letter or digit at both ends.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let (first, last) = (text.bytes().next(), text.bytes().next_back());
    text.len() <= 63
        && text.bytes().all(inner)
        && [first, last]
            .iter()
            .all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
}

/// A DNS subdomain (RFC 1123): lower case, up to 253.
pub(super) fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<String, PlanError> {
        flag(&Labels::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn labels_that_node_restriction_allows_become_one_flag() {
        let labels = Labels::from(
            [
                ("site", "shop-17"),
                ("topology.kubernetes.io/zone", "north"),
                ("example.com/rack", ""),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        assert_eq!(
            flag(&labels).unwrap(),
            "example.com/rack=,site=shop-17,topology.kubernetes.io/zone=north"
        );
        for key in [
            "node.kubernetes.io/pool",
            "kubelet.kubernetes.io/x",
            "a.node.kubernetes.io/x",
            "mykubernetes.io/x",
        ] {
            assert!(one(key, "x").is_ok(), "{key}");
        }
    }

    #[test]
    fn labels_that_make_kubelet_refuse_to_start_are_refused_before() {
        for key in [
            "node-role.kubernetes.io/worker",
            "kubernetes.io/role",
            "k8s.io/x",
            "node-restriction.kubernetes.io/x",
            "xnode.kubernetes.io/y",
        ] {
            assert!(one(key, "").unwrap_err().why.contains("may not be set"), "{key}");
        }
    }

    #[test]
    fn a_label_cannot_bring_another_flag() {
        for (key, value) in [
            ("a b", ""),
            ("a", "b --anonymous-auth"),
            ("a", "b,c=d"),
            ("", "x"),
            ("a/b/c", "x"),
            ("A.b/c", "x"),
        ] {
            assert!(one(key, value).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn taints_are_read_with_and_without_a_value() {
        let read = taints(&["edge=yes:NoSchedule".into(), "example.com/dark:NoExecute".into()]).unwrap();
        assert_eq!(
            Value::from(read),
            json!([
                { "key": "edge", "value": "yes", "effect": "NoSchedule" },
                { "key": "example.com/dark", "effect": "NoExecute" },
            ])
        );
    }

    #[test]
    fn text_that_is_no_taint_is_refused() {
        for text in [
            "",
            "edge",
            "edge=yes",
            "edge:Never",
            "=x:NoSchedule",
            "a b=c:NoSchedule",
            "a=b=c:NoSchedule",
        ] {
            assert!(taints(&[text.to_owned()]).is_err(), "{text}");
        }
    }
}
