//! Texts that change with the kernel's release and nothing else.

/// What stands in a template for the release.
pub(super) const PLACEHOLDER: &str = "{release}";

/// `text` with each mention of the package's upstream version, and Debian's suffix for the module ABI behind it
/// (`+deb13`, `\+deb13` in an escaped form, `+deb13.1`), replaced by [`PLACEHOLDER`].
pub(super) fn generalise(text: &str, version: &str) -> String {
    let without_epoch = version.split_once(':').map_or(version, |(_, rest)| rest);
    let upstream = without_epoch
        .rsplit_once('-')
        .map_or(without_epoch, |(upstream, _)| upstream);
    if upstream.is_empty() {
        return text.to_owned();
    }
    let mut general = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(upstream) {
        general.push_str(&rest[..start]);
        general.push_str(PLACEHOLDER);
        rest = skip_abi(&rest[start + upstream.len()..]);
    }
    general.push_str(rest);
    general
}

fn skip_abi(rest: &str) -> &str {
    let bare = rest.strip_prefix('\\').unwrap_or(rest);
    let Some(after) = bare.strip_prefix("+deb13") else {
        return rest;
    };
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    match after.strip_prefix('.') {
        Some(minor) if digits(minor) > 0 => &minor[digits(minor)..],
        _ => after,
    }
}
