//! The canonical text of a lock.
//!
//! Written by hand, as the layout is part of the format: one line per package, archive and component file, in one order,
//! so that a change shows as the lines that changed.

use std::fmt::Write;

use super::{Lock, LockedArchive, LockedComponent, LockedFile, LockedPackage};

/// The canonical text; ends with a newline.
pub(super) fn to_toml(lock: &Lock) -> String {
    let mut packages: Vec<_> = lock.packages.iter().collect();
    packages.sort_by(|left, right| left.name.cmp(&right.name));
    let mut components: Vec<_> = lock.components.iter().collect();
    components.sort_by(|left, right| left.name.cmp(&right.name));
    let mut text = String::from("# Written by `skerry lock`; do not edit.\n");
    let head = (lock.version, lock.spec_digest, lock.timestamp);
    push(
        &mut text,
        format_args!(
            "version = {}\nspec-digest = \"{}\"\ntimestamp = {}\n\n",
            head.0, head.1, head.2
        ),
    );
    push_list(&mut text, "archives", lock.archives.iter().map(archive));
    text.push('\n');
    push_list(&mut text, "packages", packages.into_iter().map(package));
    for component in components {
        push_component(&mut text, component);
    }
    text
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}

fn push_list(text: &mut String, key: &str, lines: impl Iterator<Item = String>) {
    push(text, format_args!("{key} = [\n"));
    for line in lines {
        push(text, format_args!("    {{ {line} }},\n"));
    }
    text.push_str("]\n");
}

fn archive(archive: &LockedArchive) -> String {
    let components: Vec<_> = archive.components.iter().map(|component| quoted(component)).collect();
    format!(
        "archive = {}, suite = {}, components = [{}], date = {}, inrelease-sha256 = \"{}\"",
        quoted(&archive.archive),
        quoted(&archive.suite),
        components.join(", "),
        archive.date,
        archive.inrelease_sha256
    )
}

fn package(package: &LockedPackage) -> String {
    // Most sources bear the package's name; saying so would double the line.
    let source = if package.source == package.name {
        String::new()
    } else {
        format!("source = {}, ", quoted(&package.source))
    };
    format!(
        "name = {}, version = {}, architecture = {}, {source}archive = {}, path = {}, len-bytes = {}, sha256 = \"{}\"",
        quoted(&package.name),
        quoted(package.version.as_str()),
        quoted(&package.architecture),
        quoted(&package.archive),
        quoted(&package.path),
        package.len_bytes,
        package.sha256
    )
}

fn push_component(text: &mut String, component: &LockedComponent) {
    let (name, version) = (quoted(&component.name), quoted(&component.version));
    let mut files: Vec<_> = component.files.iter().collect();
    files.sort_by(|left, right| left.name.cmp(&right.name));
    push(
        text,
        format_args!(
            "\n[[components]]\nname = {name}\nversion = {version}\nrecipe = \"{}\"\n",
            component.recipe
        ),
    );
    push_list(text, "files", files.into_iter().map(file));
}

fn file(file: &LockedFile) -> String {
    format!(
        "name = {}, len-bytes = {}, sha256 = \"{}\"",
        quoted(&file.name),
        file.len_bytes,
        file.sha256
    )
}

/// A basic string (TOML 1.0, "String").
fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => push(&mut text, format_args!("\\u{:04X}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}
