//! Names of nodes and templates for them.

/// Length of a name (RFC 1123 subdomain, as Kubernetes limits it).
const NAME_LEN: usize = 253;
/// Length of each of its parts.
const LABEL_LEN: usize = 63;
/// What a template may hold, with a value of the longest kind that can take its place.
const PLACEHOLDERS: [(&str, &str); 3] = [
    ("serial", "serial"),
    ("mac", "525400123456"),
    ("machine-id", "0123456789abcdef0123456789abcdef"),
];

/// A text that names no node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not an RFC 1123 subdomain.
    #[error(
        "a node's name is lower-case letters, digits, `-` and `.`, begins and ends with a letter or digit, has at most 63 \
         characters between dots and 253 in total"
    )]
    Syntax,
    /// Something else in braces.
    #[error("a template may hold `{{serial}}`, `{{mac}}` and `{{machine-id}}`")]
    Placeholder,
}

/// Whether `name` can be a node's.
pub(crate) fn check(name: &str) -> Result<(), NameError> {
    match is_subdomain(name) {
        true => Ok(()),
        false => Err(NameError::Syntax),
    }
}

/// RFC 1123 subdomain in lower case: names of nodes, prefixes of labels.
pub(crate) fn is_subdomain(text: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = |label: &str| {
        let bytes = label.as_bytes();
        matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if edge(*first) && edge(*last))
            && bytes.len() <= LABEL_LEN
            && bytes.iter().all(|byte| edge(*byte) || *byte == b'-')
    };
    text.len() <= NAME_LEN && text.split('.').all(fits)
}

/// Whether `template` can become a node's name: a name, or one with `{serial}`, `{mac}` or `{machine-id}` in it.
pub fn check_template(template: &str) -> Result<(), NameError> {
    let sample = |wanted: &str| PLACEHOLDERS.iter().find(|(name, _)| *name == wanted);
    let name = expand(template, |wanted| {
        sample(wanted)
            .map(|(_, value)| (*value).to_owned())
            .ok_or(NameError::Placeholder)
    })?;
    check(&name)
}

/// `template` with every `{placeholder}` replaced by what `value` says.
pub(crate) fn expand<E: From<NameError>>(
    template: &str,
    value: impl Fn(&str) -> Result<String, E>,
) -> Result<String, E> {
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        let (placeholder, after) = rest[at + 1..].split_once('}').ok_or(NameError::Placeholder)?;
        text.push_str(&value(placeholder)?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rfc_1123_in_lower_case() {
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61));
        assert_eq!(longest.len(), 253);
        for name in ["a", "0", "edge-1", "edge.shop-7.example", &"a".repeat(63), &longest] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in [
            "",
            "Edge",
            "edge_1",
            "-a",
            "a-",
            "a..b",
            ".a",
            "a.",
            "a b",
            "ä",
            "a/b",
            &"a".repeat(64),
            &format!("{longest}a"),
        ] {
            assert_eq!(check(name), Err(NameError::Syntax), "{name}");
        }
    }

    #[test]
    fn a_template_is_checked_before_it_is_filled() {
        for template in [
            "edge-1",
            "edge-{serial}",
            "{mac}.shop",
            "{serial}-{mac}",
            "m-{machine-id}",
        ] {
            assert_eq!(check_template(template), Ok(()), "{template}");
        }
        for template in ["{uuid}", "{}", "{serial", "{Serial}", "{{serial}}"] {
            assert_eq!(check_template(template), Err(NameError::Placeholder), "{template}");
        }
        for template in ["-{serial}", "Edge-{serial}", "{serial}}", "{machine-id}{machine-id}"] {
            assert_eq!(check_template(template), Err(NameError::Syntax), "{template}");
        }
    }
}
