//! The paths of the Kubernetes API: `/api/VERSION/…` and `/apis/GROUP/VERSION/…`, then `namespaces/NAME/` for what lies in
//! one, the resource, the object's name, and what is below the object.

/// How deep a path goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Collection,
    Object,
    Subresource,
}

/// A path, taken apart.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) place: Place,
    /// The whole path.
    pub(super) path: String,
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    root: String,
    group: String,
    /// Empty for what lies in no namespace, or in all of them.
    pub(super) namespace: String,
    name: String,
    /// What comes after the object's name.
    pub(super) below: Vec<String>,
}

/// What comes after `namespaces/NAME` and is no resource of that namespace.
const OF_NAMESPACES: [&str; 2] = ["status", "finalize"];
/// What takes the place of a resource and is none.
const OLD_VERBS: [&str; 2] = ["watch", "proxy"];

/// None if it is no path of a resource, or has a form that no client of Kubernetes writes.
pub(super) fn parse(path: &str) -> Option<Resource> {
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    if !parts.iter().all(|part| is_plain(part)) {
        return None;
    }
    let (group, root_parts) = match parts.as_slice() {
        ["api", _, _, ..] => ("", 2),
        ["apis", group, _, _, ..] => (*group, 3),
        _ => return None,
    };
    let (root, rest) = parts.split_at(root_parts);
    let (namespace, rest) = match rest {
        ["namespaces", namespace, below, ..] if !OF_NAMESPACES.contains(below) => (*namespace, &rest[2..]),
        _ => ("", rest),
    };
    let (name, below) = rest.split_first()?;
    if OLD_VERBS.contains(name) {
        return None;
    }
    Some(Resource {
        place: match below.len() {
            0 => Place::Collection,
            1 => Place::Object,
            _ => Place::Subresource,
        },
        path: path.to_owned(),
        root: format!("/{}", root.join("/")),
        group: group.to_owned(),
        namespace: namespace.to_owned(),
        name: (*name).to_owned(),
        below: below.iter().skip(1).map(|part| (*part).to_owned()).collect(),
    })
}

/// RFC 3986 §3.3: a segment without percent-encoding, which no name in Kubernetes needs, and which stays on its level.
fn is_plain(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    !matches!(part, "" | "." | "..") && part.bytes().all(plain)
}

impl Resource {
    pub(super) fn is(&self, group: &str, name: &str) -> bool {
        self.group == group && self.name == name
    }

    /// The path of the same collection in one namespace.
    pub(super) fn within(&self, namespace: &str) -> String {
        format!("{}/namespaces/{namespace}/{}", self.root, self.name)
    }
}
