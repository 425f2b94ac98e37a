//! Licence names in bills of materials.
//!
//! A document may use the ids of the SPDX License List, and `LicenseRef-…` for all else if it declares them. Debian's names
//! (`GPL-2+`, `BSD-3-clause`) look like ids and are none, so only ids known here pass.

use std::collections::BTreeMap;

use serde::Serialize;

/// The ids that occur in practice among what an edge image holds; a licence that is missing here is declared instead, which
/// is valid too.
const KNOWN: [&str; 31] = [
    "0BSD",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-4-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "GPL-1.0-or-later",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "ISC",
    "LGPL-2.0-only",
    "LGPL-2.0-or-later",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "X11",
    "Zlib",
    "curl",
];

/// Whether `name` is one of the ids that are known here.
pub(super) fn is_listed(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// `names` without empty ones and repetitions, sorted.
pub(super) fn distinct(names: &[String]) -> Vec<&String> {
    let mut names: Vec<&String> = names.iter().filter(|name| !name.trim().is_empty()).collect();
    names.sort();
    names.dedup();
    names
}

/// A licence that is not on SPDX's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Extracted {
    license_id: String,
    extracted_text: String,
    name: String,
}

/// The licences of a document that have to be declared: name → reference.
#[derive(Debug, Default)]
pub(super) struct Licences {
    references: BTreeMap<String, String>,
    ids: super::Ids,
}

impl Licences {
    /// The licence expression for a package under all of `names`.
    pub(super) fn expression(&mut self, names: &[String]) -> String {
        let names = distinct(names);
        if names.is_empty() {
            return super::NOASSERTION.to_owned();
        }
        names
            .into_iter()
            .map(|name| self.id(name))
            .collect::<Vec<_>>()
            .join(" AND ")
    }

    fn id(&mut self, name: &str) -> String {
        if is_listed(name) {
            return name.to_owned();
        }
        let reference = || self.ids.give("LicenseRef", name);
        self.references.entry(name.to_owned()).or_insert_with(reference).clone()
    }

    /// The declarations, by name.
    pub(super) fn extracted(self) -> Vec<Extracted> {
        let declare = |(name, license_id): (String, String)| Extracted {
            license_id,
            extracted_text: format!("The licence that the package calls \"{name}\"; its text is not included here."),
            name,
        };
        self.references.into_iter().map(declare).collect()
    }
}
