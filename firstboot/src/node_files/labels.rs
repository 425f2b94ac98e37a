//! Labels and taints as kubelet takes them.
//!
//! They were checked when the join file was read; here once more, because settings may have been changed by hand since.

use serde_json::{Value, json};

use super::PlanError;
use crate::join_config::Labels;
use crate::join_config::labels::{LabelError, Taint, check_label};

/// `key=value,…` for kubelet's `--node-labels`; empty if there are none.
pub fn flag(labels: &Labels) -> Result<String, PlanError> {
    for (key, value) in labels {
        check_label(key, value)
            .map_err(|error| PlanError::new("labels", &format!("{key}={value}"), wrong_with(error)))?;
    }
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok(pairs.join(","))
}

/// `registerWithTaints` for taints written as kubectl does: `key=value:Effect` or `key:Effect`.
pub fn taints(taints: &[String]) -> Result<Vec<Value>, PlanError> {
    taints.iter().map(|text| taint(text)).collect()
}

fn taint(text: &str) -> Result<Value, PlanError> {
    let Taint { key, value, effect } =
        Taint::parse(text).map_err(|error| PlanError::new("taints", text, wrong_with(error)))?;
    Ok(match value {
        "" => json!({ "key": key, "effect": effect }),
        _ => json!({ "key": key, "value": value, "effect": effect }),
    })
}

/// What follows the text itself.
fn wrong_with(error: LabelError) -> &'static str {
    match error {
        LabelError::Key => "has no key: that is NAME or DOMAIN/NAME of letters, digits, `-`, `_` and `.`",
        LabelError::Value => "has no value: that is up to 63 letters, digits, `-`, `_` and `.`",
        LabelError::Role | LabelError::Reserved => {
            "may not be set by a node; allowed are keys below node.kubernetes.io/ and outside of kubernetes.io"
        }
        LabelError::Taint => "is no taint such as key=value:NoSchedule (NoSchedule, PreferNoSchedule, NoExecute)",
    }
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
