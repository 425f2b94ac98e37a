//! Placeholders in a component's table.
//!
//! `{version}` is the version as written; `{major}`, `{minor}` and `{patch}` are its first three numbers, without a
//! leading `v`. `{arch}` is the architecture as Go and Debian name it (`amd64`, `arm64`), `{machine}` as the kernel does
//! (`x86_64`, `aarch64`).

use crate::arch::Arch;

const ARCH: &str = "{arch}";
const MACHINE: &str = "{machine}";

/// Which placeholders a key may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placeholders {
    Version,
    VersionAndArch,
}

/// Fills in what the version decides. The rest must be placeholders of the architecture, if those may be there.
pub(super) fn fill_version(text: &str, version: &str, allowed: Placeholders) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['{', '}']) {
        let end = rest[start..].find('}').map(|len| start + len);
        let (Some(end), true) = (end, rest[start..].starts_with('{')) else {
            return Err(format!("`{text}` has a brace without its partner"));
        };
        let placeholder = &rest[start..=end];
        filled.push_str(&rest[..start]);
        match placeholder {
            ARCH | MACHINE if allowed == Placeholders::VersionAndArch => filled.push_str(placeholder),
            _ => filled.push_str(&version_part(placeholder, version, allowed)?),
        }
        rest = &rest[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

fn version_part(placeholder: &str, version: &str, allowed: Placeholders) -> Result<String, String> {
    let position = match placeholder {
        "{version}" => return Ok(version.to_owned()),
        "{major}" => 0,
        "{minor}" => 1,
        "{patch}" => 2,
        _ => {
            let known = match allowed {
                Placeholders::Version => "`{version}`, `{major}`, `{minor}` and `{patch}`",
                Placeholders::VersionAndArch => {
                    "`{version}`, `{major}`, `{minor}`, `{patch}`, `{arch}` and `{machine}`"
                }
            };
            return Err(format!("`{placeholder}` is no placeholder (there are {known})"));
        }
    };
    let numbers = version
        .trim_start_matches('v')
        .split(['-', '+'])
        .next()
        .unwrap_or_default();
    let number = numbers.split('.').nth(position).unwrap_or_default();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("the version `{version}` has no `{placeholder}`"));
    }
    Ok(number.to_owned())
}

/// Fills in what the architecture decides.
pub(super) fn fill_arch(text: &str, arch: Arch) -> String {
    text.replace(ARCH, arch.names().go)
        .replace(MACHINE, arch.names().kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        let fill = |text| fill_version(text, "v1.36.3-rc.1", Placeholders::VersionAndArch).unwrap();
        assert_eq!(fill("v0.{minor}.{patch}"), "v0.36.3");
        assert_eq!(fill("{version}+{major}"), "v1.36.3-rc.1+1");
        assert_eq!(fill_arch(&fill("a-{arch}-{machine}"), Arch::Aarch64), "a-arm64-aarch64");
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused() {
        let fill = |text, version| fill_version(text, version, Placeholders::Version).unwrap_err();
        assert_eq!(
            fill("{arch}", "1"),
            "`{arch}` is no placeholder (there are `{version}`, `{major}`, `{minor}` and `{patch}`)"
        );
        assert_eq!(fill("{minor}", "v1"), "the version `v1` has no `{minor}`");
        assert_eq!(fill("a}{b", "v1"), "`a}{b` has a brace without its partner");
        assert_eq!(fill("{version", "v1"), "`{version` has a brace without its partner");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_filled_without_a_panic(text in "([{}]|version|major|\\PC){0,12}", version in "[v0-9.+-]{0,8}|\\PC{0,8}") {
            for allowed in [Placeholders::Version, Placeholders::VersionAndArch] {
                let _ = fill_version(&text, &version, allowed);
            }
        }
    }
}
