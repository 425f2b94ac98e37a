use std::collections::BTreeSet;

use serde_json::Value;

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
                source: Some("gcc-14".to_owned()),
                download: Some("pool/main/g/gcc-14/libstdc++6.deb".to_owned()),
                ..package("libstdc++6", "1:14.2.0-19~deb13u1", SbomOrigin::Deb)
            },
            package("libstdc--6", "1", SbomOrigin::Deb),
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
        "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19~deb13u1?arch=amd64"
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
