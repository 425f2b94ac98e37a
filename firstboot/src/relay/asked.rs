//! What a request asks for, told from its method and its address alone.
//!
//! In: what kubelet sends. Out: the collection or the object that is meant, under a name that is the same whatever page,
//! version or timeout was asked for, so that an answer of the past can be found again. Rules: "Kubernetes API Concepts" and
//! the API server's request parser (k8s.io/apiserver v0.36, pkg/endpoints/request/requestinfo.go). What is not understood
//! in full is [`Asked::Other`]: it passes through and is never kept.

mod query;
mod resource;
#[cfg(test)]
mod tests;

use std::fmt;

use http::{Method, Uri};

use query::Query;
use resource::{Place, Resource};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// All objects of a collection, as they are.
    List {
        /// Which ones.
        collection: Collection,
        /// Which page of them.
        page: Page,
    },
    /// What happens to the objects of a collection, for as long as the connection holds.
    Watch {
        /// Which ones.
        collection: Collection,
        /// With what it begins.
        begins: Begins,
    },
    /// One object.
    Get(ObjectPath),
    /// A token of a service account (TokenRequest); the path is the account's, with `/token` at its end.
    Token(ObjectPath),
    /// Any other change.
    Write,
    /// Any other read: versions, health, discovery, logs, the status of an object, a state of the past.
    Other,
}

/// Which page of a collection is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The first; there may be no other.
    First,
    /// A later one (`continue`).
    Later,
}

/// With what a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// With all objects that there are, and a bookmark after them (`sendInitialEvents`).
    WithObjects,
    /// With the next change.
    Now,
}

/// A collection, or the part of it that selectors leave: its path, and behind `?` all parameters that tell which objects are
/// in it, decoded and sorted. `%` and `&` within a value stay encoded, so that no two collections have the same name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Collection(String);

/// The path of an object, without any parameter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectPath(String);

/// Parameters that do not change which objects are in a collection.
const PASSING: [&str; 10] = [
    "allowWatchBookmarks",
    "continue",
    "limit",
    "pretty",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeout",
    "timeoutSeconds",
    "watch",
];

impl Asked {
    /// What a request with this method and address asks for.
    pub fn of(method: &Method, uri: &Uri) -> Self {
        let place = resource::parse(uri.path());
        if *method != Method::GET {
            return match method.as_str() {
                "HEAD" | "OPTIONS" | "CONNECT" | "TRACE" => Self::Other,
                "POST" => place.and_then(token).map_or(Self::Write, Self::Token),
                _ => Self::Write,
            };
        }
        let (Some(resource), Some(query)) = (place, Query::parse(uri.query().unwrap_or_default())) else {
            return Self::Other;
        };
        match resource.place {
            Place::Collection => read_of_collection(&resource, &query),
            Place::Object if !query.is_set("watch") => Self::Get(ObjectPath(resource.path)),
            Place::Object | Place::Subresource => Self::Other,
        }
    }
}

fn read_of_collection(resource: &Resource, query: &Query) -> Asked {
    // A list of the past must not be taken for what there is.
    if query.first("resourceVersionMatch") == Some("Exact") {
        return Asked::Other;
    }
    let selectors = query.canonical(&PASSING);
    let collection = match selectors.is_empty() {
        true => Collection(resource.path.clone()),
        false => Collection(format!("{}?{selectors}", resource.path)),
    };
    match (query.is_set("watch"), query.is_set("sendInitialEvents")) {
        (true, true) => Asked::Watch {
            collection,
            begins: Begins::WithObjects,
        },
        (true, false) => Asked::Watch {
            collection,
            begins: Begins::Now,
        },
        (false, _) => Asked::List {
            page: query
                .first("continue")
                .filter(|token| !token.is_empty())
                .map_or(Page::First, |_| Page::Later),
            collection,
        },
    }
}

/// The path of a service account's token, if that is what is there.
fn token(resource: Resource) -> Option<ObjectPath> {
    let account = resource.is("", "serviceaccounts") && !resource.namespace.is_empty();
    let subresource = resource.place == Place::Subresource;
    (account && subresource && resource.below == ["token"]).then_some(ObjectPath(resource.path))
}

impl Collection {
    /// The collection that had this name when it was kept; none if no collection has such a name.
    pub fn named(name: &str) -> Option<Self> {
        let path = name.split_once('?').map_or(name, |(path, _)| path);
        let resource = resource::parse(path)?;
        (resource.place == Place::Collection && resource.path == path).then(|| Self(name.to_owned()))
    }

    /// Its name, under which it is found again.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether secrets are in it.
    pub fn is_secret(&self) -> bool {
        self.is("", "secrets")
    }

    /// Whether pods are in it.
    pub fn is_pods(&self) -> bool {
        self.is("", "pods")
    }

    /// The path of an object of this collection; `namespace` is empty for objects that have none. None if no such object
    /// can be in it.
    pub fn object(&self, namespace: &str, name: &str) -> Option<ObjectPath> {
        let resource = resource::parse(self.path())?;
        let whole = match (resource.namespace.is_empty(), namespace.is_empty()) {
            (true, false) => resource.within(namespace),
            (true, true) => resource.path,
            (false, _) if resource.namespace == namespace => resource.path,
            (false, _) => return None,
        };
        let found = resource::parse(&format!("{whole}/{name}"))?;
        (found.place == Place::Object && found.namespace == namespace).then_some(ObjectPath(found.path))
    }

    fn path(&self) -> &str {
        self.0.split_once('?').map_or(&self.0, |(path, _)| path)
    }

    fn is(&self, group: &str, name: &str) -> bool {
        resource::parse(self.path()).is_some_and(|resource| resource.is(group, name))
    }
}

impl ObjectPath {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a secret, or a token.
    pub fn is_secret(&self) -> bool {
        resource::parse(&self.0)
            .is_some_and(|resource| resource.is("", "secrets") || resource.place == Place::Subresource)
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
