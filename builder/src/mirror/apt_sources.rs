//! sources.list(5) of apt 3.0: which archives a host installs from.

/// One archive that binary packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AptSource {
    /// As written.
    pub(super) uri: String,
    /// Release names such as `trixie` or `trixie-updates`.
    pub(super) suites: Vec<String>,
    /// Parts of the archive such as `main`.
    pub(super) components: Vec<String>,
    /// Whose key signs it, by the look of `Signed-By`.
    pub(super) key: KeyClaim,
}

/// What `Signed-By` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyClaim {
    /// Nothing.
    None,
    /// The keyring that Debian ships.
    Debian,
    /// Another one.
    Other,
}

impl KeyClaim {
    fn of(signed_by: Option<&str>) -> Self {
        match signed_by {
            None => Self::None,
            Some(text) if text.contains("debian-archive-") => Self::Debian,
            Some(_) => Self::Other,
        }
    }
}

impl AptSource {
    /// Debian's archives have a component `main`, and suites that are plain names.
    pub(super) fn could_be_debian(&self) -> bool {
        let fetchable = ["http://", "https://", "file:///"]
            .iter()
            .any(|scheme| self.uri.starts_with(scheme));
        let plain = |suite: &String| !suite.trim_end_matches("/updates").contains('/');
        fetchable && self.components.iter().any(|component| component == "main") && self.suites.iter().all(plain)
    }
}

/// Parses lines such as `deb [ arch=amd64 signed-by=/key ] http://host/debian trixie main`. Lines of another form,
/// which apt would refuse, are passed over: the answer only has to be a good guess.
pub(super) fn parse_one_line_style(text: &str) -> Vec<AptSource> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<AptSource> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let uri = words.next()?.to_owned();
    let suites = vec![words.next()?.to_owned()];
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="));
    Some(AptSource {
        uri,
        suites,
        components: words.map(str::to_owned).collect(),
        key: KeyClaim::of(signed_by),
    })
}

/// Parses deb822 stanzas; one stanza may name several URIs.
pub(super) fn parse_deb822_style(text: &str) -> Vec<AptSource> {
    let mut sources = Vec::new();
    let mut stanza = Stanza::default();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            sources.extend(std::mem::take(&mut stanza).sources());
        } else if !line.starts_with('#') {
            stanza.add(line);
        }
    }
    sources
}

/// Field names in lower case, with their values.
#[derive(Debug, Default)]
struct Stanza {
    fields: Vec<(String, String)>,
}

impl Stanza {
    fn add(&mut self, line: &str) {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = self.fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            self.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find_map(|(field, value)| (field == name).then_some(value.as_str()))
    }

    fn words(&self, name: &str) -> Vec<String> {
        let value = self.get(name).unwrap_or_default();
        value.split_whitespace().map(str::to_owned).collect()
    }

    /// apt's own list of words for "no" (`StringToBool`).
    fn is_enabled(&self) -> bool {
        let value = self.get("enabled").unwrap_or("yes").to_ascii_lowercase();
        !["no", "false", "without", "off", "disable", "0"].contains(&value.as_str())
    }

    fn sources(self) -> Vec<AptSource> {
        if !self.is_enabled() || !self.words("types").iter().any(|kind| kind == "deb") {
            return Vec::new();
        }
        self.words("uris")
            .into_iter()
            .map(|uri| AptSource {
                uri,
                suites: self.words("suites"),
                components: self.words("components"),
                key: KeyClaim::of(self.get("signed-by")),
            })
            .collect()
    }
}
