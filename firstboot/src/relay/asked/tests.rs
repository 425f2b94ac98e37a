//! Requests as kubelet v1.36 sends them, and some that it does not send.

use proptest::prelude::*;

use super::*;

fn get(uri: &str) -> Asked {
    Asked::of(&Method::GET, &uri.parse().unwrap())
}

fn collection(name: &str) -> Collection {
    Collection(name.to_owned())
}

fn first_page(name: &str) -> Asked {
    Asked::List {
        collection: collection(name),
        page: Page::First,
    }
}

#[test]
fn list_and_watch_of_one_collection_have_one_name() {
    let name = "/api/v1/pods?fieldSelector=spec.nodeName=pole-7";
    let pods = "/api/v1/pods?";
    let selector = "fieldSelector=spec.nodeName%3Dpole-7";
    assert_eq!(
        get(&format!("{pods}{selector}&limit=500&resourceVersion=0")),
        first_page(name)
    );
    assert_eq!(
        get(&format!(
            "{pods}allowWatchBookmarks=true&{selector}&resourceVersion=12&timeoutSeconds=403&watch=true"
        )),
        Asked::Watch {
            collection: collection(name),
            begins: Begins::Now
        }
    );
    assert_eq!(
        get(&format!(
            "{pods}allowWatchBookmarks=true&{selector}&resourceVersionMatch=NotOlderThan\
             &sendInitialEvents=true&timeout=7m&timeoutSeconds=403&watch=true"
        )),
        Asked::Watch {
            collection: collection(name),
            begins: Begins::WithObjects
        }
    );
}

#[test]
fn a_later_page_is_told_from_the_first() {
    let later = Asked::List {
        collection: collection("/api/v1/services"),
        page: Page::Later,
    };
    assert_eq!(get("/api/v1/services?limit=500&continue=eyJ2Ijoi"), later);
    assert_eq!(
        get("/api/v1/services?limit=500&continue="),
        first_page("/api/v1/services")
    );
}

#[test]
fn switches_are_read_as_the_api_server_reads_them() {
    for on in [
        "watch",
        "watch=",
        "watch=1",
        "watch=true",
        "watch=no",
        "watch=true&watch=false",
    ] {
        let asked = get(&format!("/api/v1/services?{on}"));
        assert!(matches!(asked, Asked::Watch { .. }), "{on}: {asked:?}");
    }
    for off in ["", "watch=0", "watch=false", "watch=False", "watch=false&watch=true"] {
        assert_eq!(
            get(&format!("/api/v1/services?{off}")),
            first_page("/api/v1/services"),
            "{off}"
        );
    }
}

#[test]
fn selectors_are_decoded_and_sorted_and_stay_apart() {
    let name = "/api/v1/namespaces/shop/secrets?fieldSelector=metadata.name=till&labelSelector=a in (b,c)";
    for query in [
        "labelSelector=a+in+%28b%2Cc%29&fieldSelector=metadata.name%3Dtill",
        "fieldSelector=metadata.name=till&labelSelector=a%20in%20(b,c)&pretty=true",
    ] {
        assert_eq!(
            get(&format!("/api/v1/namespaces/shop/secrets?{query}")),
            first_page(name)
        );
    }
    let two = get("/api/v1/pods?fieldSelector=a&labelSelector=b");
    let one = get("/api/v1/pods?fieldSelector=a%26labelSelector%3Db");
    assert_ne!(two, one);
    assert_ne!(get("/api/v1/pods?a%3Db=c"), get("/api/v1/pods?a=b%3Dc"));
    assert_eq!(get("/api/v1/pods?fieldSelector="), first_page("/api/v1/pods"));
}

#[test]
fn a_parameter_that_is_not_known_may_change_the_objects_and_is_part_of_the_name() {
    assert_eq!(
        get("/apis/node.k8s.io/v1/runtimeclasses?shardSelector=x&limit=5"),
        first_page("/apis/node.k8s.io/v1/runtimeclasses?shardSelector=x")
    );
}

#[test]
fn one_object_is_found_by_its_path_alone() {
    for path in [
        "/api/v1/nodes/pole-7",
        "/api/v1/namespaces/shop",
        "/api/v1/namespaces/shop/pods/till-0",
        "/apis/storage.k8s.io/v1/csinodes/pole-7",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node",
        "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/pole-7",
    ] {
        let object = ObjectPath(path.to_owned());
        assert_eq!(get(path), Asked::Get(object.clone()));
        assert_eq!(
            get(&format!("{path}?resourceVersion=0&timeout=10s")),
            Asked::Get(object)
        );
    }
}

#[test]
fn what_is_not_the_state_of_an_object_or_collection_is_other() {
    for uri in [
        "/",
        "/version",
        "/healthz/ping",
        "/api",
        "/api/v1",
        "/apis/apps/v1",
        "/openapi/v3",
        "/api/v1/namespaces/shop/pods/till-0/log?follow=true",
        "/api/v1/namespaces/shop/pods/till-0/status",
        "/api/v1/namespaces/shop/status",
        "/api/v1/nodes/pole-7/proxy/metrics",
        "/api/v1/watch/pods",
        "/api/v1/proxy/namespaces/shop/pods/till-0",
        "/api/v1/pods/?limit=1",
        "/api/v1//pods",
        "/api/v1/../v1/pods",
        "/api/v1/namespaces/shop/pods/a%2Fb",
        "/api/v1/nodes/pole-7?watch=true",
        "/api/v1/pods?labelSelector=%zz",
        "/api/v1/pods?labelSelector=%f",
        "/api/v1/pods?labelSelector=%ff",
        "/api/v1/pods?labelSelector=a;limit=1",
        "/api/v1/pods?resourceVersion=5&resourceVersionMatch=Exact",
    ] {
        assert_eq!(get(uri), Asked::Other, "{uri}");
    }
    let pods = "/api/v1/pods".parse().unwrap();
    assert_eq!(Asked::of(&Method::HEAD, &pods), Asked::Other);
    assert_eq!(Asked::of(&Method::OPTIONS, &"*".parse().unwrap()), Asked::Other);
}

#[test]
fn a_token_is_told_from_other_writes() {
    let path = "/api/v1/namespaces/shop/serviceaccounts/till/token";
    let uri = path.parse().unwrap();
    assert_eq!(
        Asked::of(&Method::POST, &uri),
        Asked::Token(ObjectPath(path.to_owned()))
    );
    assert_eq!(Asked::of(&Method::PUT, &uri), Asked::Write);
    assert_eq!(Asked::of(&Method::GET, &uri), Asked::Other);
    for uri in [
        "/api/v1/namespaces/shop/serviceaccounts/till/token/more",
        "/api/v1/namespaces/shop/serviceaccounts/token",
        "/api/v1/serviceaccounts/till/token",
        "/api/v1/namespaces/shop/pods/till/token",
        "/apis/example.org/v1/namespaces/shop/serviceaccounts/till/token",
        "/api/v1/namespaces/shop/events",
        "/apis/authentication.k8s.io/v1/tokenreviews",
        "/",
    ] {
        assert_eq!(Asked::of(&Method::POST, &uri.parse().unwrap()), Asked::Write, "{uri}");
    }
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        assert_eq!(
            Asked::of(&method, &"/api/v1/nodes/pole-7".parse().unwrap()),
            Asked::Write
        );
    }
}

#[test]
fn secrets_are_known_whether_one_or_many_or_a_token() {
    assert!(collection("/api/v1/namespaces/shop/secrets?fieldSelector=metadata.name=till").is_secret());
    assert!(collection("/api/v1/secrets").is_secret());
    assert!(!collection("/api/v1/namespaces/secrets/configmaps").is_secret());
    assert!(!collection("/apis/example.org/v1/secrets").is_secret());
    assert!(!collection("/api/v1/pods?fieldSelector=/secrets").is_secret());
    assert!(ObjectPath("/api/v1/namespaces/shop/secrets/till".to_owned()).is_secret());
    assert!(ObjectPath("/api/v1/namespaces/shop/serviceaccounts/till/token".to_owned()).is_secret());
    assert!(!ObjectPath("/api/v1/namespaces/secrets/pods/secrets".to_owned()).is_secret());
    assert!(collection("/api/v1/pods?fieldSelector=spec.nodeName=pole-7").is_pods());
    assert!(!collection("/api/v1/namespaces/pods/services").is_pods());
}

#[test]
fn objects_of_a_collection_have_the_path_by_which_they_are_asked_for() {
    let cases = [
        (
            "/api/v1/pods?fieldSelector=spec.nodeName=p",
            "shop",
            Some("/api/v1/namespaces/shop/pods/x"),
        ),
        (
            "/api/v1/namespaces/shop/configmaps",
            "shop",
            Some("/api/v1/namespaces/shop/configmaps/x"),
        ),
        ("/api/v1/namespaces/shop/configmaps", "home", None),
        ("/api/v1/namespaces/shop/configmaps", "", None),
        (
            "/api/v1/nodes?fieldSelector=metadata.name=x",
            "",
            Some("/api/v1/nodes/x"),
        ),
        ("/api/v1/namespaces", "", Some("/api/v1/namespaces/x")),
        (
            "/apis/node.k8s.io/v1/runtimeclasses",
            "",
            Some("/apis/node.k8s.io/v1/runtimeclasses/x"),
        ),
        (
            "/apis/apps/v1/daemonsets",
            "shop",
            Some("/apis/apps/v1/namespaces/shop/daemonsets/x"),
        ),
    ];
    for (name, namespace, expected) in cases {
        let object = collection(name).object(namespace, "x");
        assert_eq!(object.as_ref().map(ObjectPath::as_str), expected, "{name} {namespace}");
        if let Some(object) = object {
            assert_eq!(get(object.as_str()), Asked::Get(object));
        }
    }
}

#[test]
fn a_name_that_would_lead_elsewhere_is_no_object() {
    for name in ["", "..", "a/b", "a/../b", "a?b", "a%2fb", "a b"] {
        assert_eq!(collection("/api/v1/pods").object("shop", name), None, "{name}");
        assert_eq!(collection("/api/v1/nodes").object("", name), None, "{name}");
    }
    for namespace in ["a/b", "..", "a/pods/b/status"] {
        assert_eq!(collection("/api/v1/pods").object(namespace, "x"), None, "{namespace}");
    }
}

#[test]
fn a_kept_name_is_a_collection_again() {
    for name in [
        "/api/v1/pods?fieldSelector=spec.nodeName=p",
        "/api/v1/services",
        "/api/v1/pods?labelSelector=a in (b)",
    ] {
        assert_eq!(Collection::named(name), Some(collection(name)));
    }
    for name in ["", "/", "?", "pods", "/api/v1/nodes/x", "/api/v1/pods/x/status?y"] {
        assert_eq!(Collection::named(name), None, "{name}");
    }
}

proptest! {
    #[test]
    fn whatever_is_listed_is_found_again_by_its_name(uri in "/(api/v1|apis/a/v1)(/[a-z%.]{1,4}){0,5}(\\?[a-c=&%0-9;+]{0,12})?") {
        let Ok(uri) = uri.parse() else { return Ok(()) };
        if let Asked::List { collection, .. } = Asked::of(&Method::GET, &uri) {
            prop_assert_eq!(Collection::named(collection.as_str()), Some(collection));
        }
    }

    #[test]
    fn different_selectors_are_different_collections(a in "[a%&=? +]{1,4}", b in "[a%&=? +]{1,4}") {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let of = |text: &str| get(&format!("/api/v1/pods?labelSelector={}", encode(text)));
        prop_assert_eq!(of(&a) == of(&b), a == b);
    }
}
