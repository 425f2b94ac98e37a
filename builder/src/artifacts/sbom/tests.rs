use std::collections::BTreeSet;

use serde_json::Value;

use super::spdx::to_json;
use super::*;

fn package(name: &str, version: &str, origin: SbomOrigin) -> SbomPackage {
    SbomPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        arch: "amd64".to_owned(),
        source: None,
        sha256: Sha256::of(name.as_bytes()),
        licences: Vec::new(),
        origin,
        download: None,
        modules: Vec::new(),
    }
}

fn debian() -> SbomOrigin {
    SbomOrigin::Deb {
        release: Some("13".to_owned()),
    }
}

fn module(path: &str, version: &str) -> GoModule {
    GoModule {
        path: path.to_owned(),
        version: version.to_owned(),
        sum: Some("h1:x=".to_owned()),
    }
}

fn input() -> SbomInput {
    let kubernetes = SbomOrigin::Go {
        module: "k8s.io/Kubernetes".to_owned(),
    };
    SbomInput {
        image: "edge".to_owned(),
        image_version: "1.0+2".to_owned(),
        timestamp: 1_749_283_750,
        digest: Sha256::of(b"lock"),
        packages: vec![
            SbomPackage {
                licences: vec!["GPL-2+".to_owned(), "MIT".to_owned(), "GPL-2+".to_owned()],
                source: Some("gcc-14 (14.2.0-19)".to_owned()),
                download: Some("pool/main/g/gcc-14/libstdc++6.deb".to_owned()),
                ..package("libstdc++6", "1:14.2.0-19~deb13u1", debian())
            },
            package("libstdc--6", "1", debian()),
            package(
                "r.example/team/app:1.0",
                "1.0",
                SbomOrigin::Oci {
                    repository: "r.example/team/app".to_owned(),
                },
            ),
            SbomPackage {
                licences: vec!["Apache-2.0".to_owned()],
                ..package("kubelet", "v1.36.3", kubernetes)
            },
            SbomPackage {
                download: Some("https://example.org/tool".to_owned()),
                ..package("tool", "2", SbomOrigin::File)
            },
        ],
    }
}

fn document(input: &SbomInput) -> Value {
    serde_json::from_str(&to_json(input)).unwrap()
}

fn found<'a>(document: &'a Value, name: &str) -> &'a Value {
    let packages = document["packages"].as_array().unwrap();
    packages.iter().find(|package| package["name"] == name).unwrap()
}

#[test]
fn the_same_packages_in_any_order_give_the_same_text() {
    let mut reversed = input();
    reversed.packages.reverse();
    assert_eq!(to_json(&reversed), to_json(&input()));
    assert_ne!(
        to_json(&SbomInput {
            digest: Sha256::of(b"other"),
            ..input()
        }),
        to_json(&input())
    );
}

#[test]
fn the_document_says_when_it_was_made_and_where_its_names_live() {
    let document = document(&input());
    assert_eq!(document["spdxVersion"], "SPDX-2.3");
    assert_eq!(document["creationInfo"]["created"], "2025-06-07T08:09:10Z");
    let namespace = document["documentNamespace"].as_str().unwrap();
    assert!(
        namespace.starts_with("https://spdx.org/spdxdocs/edge-1.0%2B2-"),
        "{namespace}"
    );
}

#[test]
fn packages_are_named_by_purl() {
    let document = document(&input());
    let purl = |name| {
        found(&document, name)["externalRefs"][0]["referenceLocator"]
            .as_str()
            .unwrap()
    };
    assert_eq!(
        purl("libstdc++6"),
        "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19~deb13u1?arch=amd64&distro=debian-13&upstream=gcc-14%4014.2.0-19"
    );
    assert_eq!(purl("kubelet"), "pkg:golang/k8s.io/kubernetes@v1.36.3");
    assert_eq!(
        purl("r.example/team/app:1.0"),
        format!(
            "pkg:oci/app@sha256:{}?arch=amd64&repository_url=r.example%2Fteam%2Fapp&tag=1.0",
            Sha256::of(b"r.example/team/app:1.0")
        )
    );
    assert_eq!(
        purl("tool"),
        format!("pkg:generic/tool@2?checksum=sha256:{}", Sha256::of(b"tool"))
    );
}

#[test]
fn licences_that_spdx_does_not_list_are_declared_and_missing_ones_are_not_asserted() {
    let document = document(&input());
    let declared = |name| found(&document, name)["licenseDeclared"].as_str().unwrap();
    assert_eq!(declared("libstdc++6"), "LicenseRef-GPL-2- AND MIT");
    assert_eq!(declared("kubelet"), "Apache-2.0");
    assert_eq!(declared("tool"), "NOASSERTION");
    let extracted = document["hasExtractedLicensingInfos"].as_array().unwrap();
    assert_eq!(extracted.len(), 1);
    assert_eq!(
        (&extracted[0]["licenseId"], &extracted[0]["name"]),
        (&"LicenseRef-GPL-2-".into(), &"GPL-2+".into())
    );
}

#[test]
fn only_a_uri_is_a_download_location() {
    let document = document(&input());
    let package = found(&document, "libstdc++6");
    assert_eq!(package["downloadLocation"], "NOASSERTION");
    assert_eq!(package["packageFileName"], "pool/main/g/gcc-14/libstdc++6.deb");
    assert_eq!(found(&document, "tool")["downloadLocation"], "https://example.org/tool");
}

#[test]
fn ids_are_unique_well_formed_and_all_related_to_the_image() {
    let document = document(&input());
    let ids: Vec<&str> = document["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| package["SPDXID"].as_str().unwrap())
        .collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 6);
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    assert!(
        ids.iter()
            .all(|id| id.starts_with("SPDXRef-") && id.chars().all(allowed)),
        "{ids:?}"
    );
    let related: Vec<&str> = document["relationships"]
        .as_array()
        .unwrap()
        .iter()
        .map(|relationship| relationship["relatedSpdxElement"].as_str().unwrap())
        .collect();
    assert_eq!(related, ids);
}

#[test]
fn modules_that_several_programs_share_are_listed_once_and_related_to_each() {
    let mut input = input();
    for package in &mut input.packages {
        if package.name == "kubelet" || package.name == "tool" {
            package.modules = vec![
                module("golang.org/x/net", "v0.42.0"),
                module("stdlib", &package.version),
            ];
        }
    }
    let spdx = document(&input);
    let listed = |document: &Value, list: &str, name: &str| {
        let items = document[list].as_array().unwrap().iter();
        items.filter(|item| item["name"] == name).count()
    };
    assert_eq!(listed(&spdx, "packages", "golang.org/x/net"), 1);
    assert_eq!(listed(&spdx, "packages", "stdlib"), 2);
    let links: Vec<_> = spdx["relationships"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|relationship| relationship["relationshipType"] == "STATIC_LINK")
        .map(|relationship| (&relationship["spdxElementId"], &relationship["relatedSpdxElement"]))
        .collect();
    assert_eq!(links.len(), 4);
    assert!(
        links.contains(&(
            &"SPDXRef-Package-kubelet".into(),
            &"SPDXRef-Module-golang.org-x-net-v0.42.0".into()
        )),
        "{links:?}"
    );
    let cyclonedx: Value = serde_json::from_str(&cyclonedx::to_json(&input)).unwrap();
    assert_eq!(listed(&cyclonedx, "components", "golang.org/x/net"), 1);
    let net = cyclonedx["components"].as_array().unwrap().iter();
    let net = { net }
        .find(|component| component["name"] == "golang.org/x/net")
        .unwrap();
    assert_eq!(net["purl"], "pkg:golang/golang.org/x/net@v0.42.0");
    let users = cyclonedx["dependencies"].as_array().unwrap().iter();
    let users = users.filter(|entry| entry["dependsOn"].as_array().unwrap().contains(&net["bom-ref"]));
    assert_eq!(users.count(), 2);
}

#[test]
fn cyclonedx_says_the_same_whatever_the_order_and_names_itself_by_what_was_built() {
    let text = cyclonedx::to_json(&input());
    let mut reversed = input();
    reversed.packages.reverse();
    assert_eq!(cyclonedx::to_json(&reversed), text);
    let document: Value = serde_json::from_str(&text).unwrap();
    let serial = document["serialNumber"].as_str().unwrap();
    let groups: Vec<usize> = serial
        .strip_prefix("urn:uuid:")
        .unwrap()
        .split('-')
        .map(str::len)
        .collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert_eq!(document["metadata"]["timestamp"], "2025-06-07T08:09:10Z");
    assert_eq!(document["metadata"]["component"]["name"], "edge");
    let other = cyclonedx::to_json(&SbomInput {
        digest: Sha256::of(b"other"),
        ..input()
    });
    assert_ne!(other, text);
}

#[test]
fn cyclonedx_has_licences_hashes_and_origins() {
    let document: Value = serde_json::from_str(&cyclonedx::to_json(&input())).unwrap();
    let components = document["components"].as_array().unwrap();
    let component = |name: &str| components.iter().find(|component| component["name"] == name).unwrap();
    let library = component("libstdc++6");
    assert_eq!(
        library["licenses"],
        serde_json::json!([{ "license": { "name": "GPL-2+" } }, { "license": { "id": "MIT" } }])
    );
    assert_eq!(library["hashes"][0]["content"], Sha256::of(b"libstdc++6").to_string());
    let path = serde_json::json!({
        "name": "skerry:path-in-archive",
        "value": "pool/main/g/gcc-14/libstdc++6.deb"
    });
    assert!(library["properties"].as_array().unwrap().contains(&path));
    assert_eq!(
        component("tool")["externalReferences"][0]["url"],
        "https://example.org/tool"
    );
    assert_eq!(component("kubelet")["type"], "application");
}
