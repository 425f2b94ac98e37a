//! Which columns a list of devices may have, and which key of the join file each of them is.

use skerry_firstboot::secret::Secret;
use toml::{Table, Value};

/// Between the items of a cell that holds several.
pub const ITEM_SEPARATOR: char = ';';
/// A column whose name begins so is for people alone.
const REMARK: char = '#';

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A text as it is.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
    /// Texts, separated by [`ITEM_SEPARATOR`].
    List,
    /// `key=value`, separated by [`ITEM_SEPARATOR`]; they come to those of the template.
    Pairs,
}

/// A column that is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// What it may be called; the first name is the usual one.
    pub names: &'static [&'static str],
    /// What it is.
    pub meaning: Meaning,
}

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A key of the join file.
    Key(&'static str, Form),
    /// The serial number, for names of files.
    Serial,
    /// The hardware address, for names of files.
    Mac,
}

const fn key(names: &'static [&'static str], key: &'static str, form: Form) -> Known {
    let meaning = Meaning::Key(key, form);
    Known { names, meaning }
}

/// All columns.
pub const KNOWN: [Known; 32] = [
    key(&["name", "node-name", "node.name"], "node.name", Form::Text),
    key(
        &["address", "addresses", "network.addresses"],
        "network.addresses",
        Form::List,
    ),
    key(
        &["gateway", "gateways", "network.gateways"],
        "network.gateways",
        Form::List,
    ),
    key(&["dns", "network.dns"], "network.dns", Form::List),
    key(&["labels", "node.labels"], "node.labels", Form::Pairs),
    key(&["taints", "node.taints"], "node.taints", Form::List),
    key(&["token"], "token", Form::Text),
    Known {
        names: &["serial", "serial-number"],
        meaning: Meaning::Serial,
    },
    Known {
        names: &["mac", "mac-address"],
        meaning: Meaning::Mac,
    },
    key(&["interface", "network.interface"], "network.interface", Form::Text),
    key(&["domains", "network.domains"], "network.domains", Form::List),
    key(&["ntp", "network.ntp"], "network.ntp", Form::List),
    key(&["proxy", "network.proxy"], "network.proxy", Form::Text),
    key(&["no-proxy", "network.no-proxy"], "network.no-proxy", Form::List),
    key(
        &["proxy-control-plane", "network.proxy-control-plane"],
        "network.proxy-control-plane",
        Form::Flag,
    ),
    key(
        &["pod-network", "network.pod-network"],
        "network.pod-network",
        Form::Text,
    ),
    key(&["pod-cidr", "network.pod-cidr"], "network.pod-cidr", Form::Text),
    key(&["max-pods", "kubelet.max-pods"], "kubelet.max-pods", Form::Number),
    key(
        &["reserved-memory", "kubelet.reserved-memory"],
        "kubelet.reserved-memory",
        Form::Text,
    ),
    key(
        &["eviction-memory", "kubelet.eviction-memory"],
        "kubelet.eviction-memory",
        Form::Text,
    ),
    key(
        &["cluster-dns", "kubelet.cluster-dns"],
        "kubelet.cluster-dns",
        Form::List,
    ),
    key(
        &["cluster-domain", "kubelet.cluster-domain"],
        "kubelet.cluster-domain",
        Form::Text,
    ),
    key(
        &["serving-certificate", "kubelet.serving-certificate"],
        "kubelet.serving-certificate",
        Form::Text,
    ),
    key(&["swap", "kubelet.swap"], "kubelet.swap", Form::Text),
    key(&["relay", "relay.enabled"], "relay.enabled", Form::Flag),
    key(
        &["cache-secrets", "relay.cache-secrets"],
        "relay.cache-secrets",
        Form::Flag,
    ),
    key(&["endpoints", "endpoint"], "endpoints", Form::List),
    key(&["ca-pins", "ca-pin"], "ca-pins", Form::List),
    key(&["ca"], "ca", Form::Text),
    key(&["discovery"], "discovery", Form::Text),
    key(&["tls-server-name"], "tls-server-name", Form::Text),
    key(&["after-join"], "after-join", Form::Text),
];

/// A name in the first row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// A column that is known.
    Known(&'static Known),
    /// A column that is not looked at.
    Remark,
}

/// A name that is no column's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    /// The column that was probably meant.
    pub(super) suggestion: Option<&'static str>,
}

/// The column that `name` means: case, blanks and underscores do not matter.
pub(super) fn recognise(name: &str) -> Result<Column, Unknown> {
    if name.starts_with(REMARK) {
        return Ok(Column::Remark);
    }
    let plain = name.to_ascii_lowercase().replace(['_', ' '], "-");
    let found = KNOWN.iter().find(|known| known.names.contains(&plain.as_str()));
    found.map(Column::Known).ok_or_else(|| Unknown {
        suggestion: closest(&plain),
    })
}

fn closest(wrong: &str) -> Option<&'static str> {
    // A name that nobody would type is not worth the quadratic time.
    const LONGEST: usize = 40;
    let names = KNOWN.iter().flat_map(|known| known.names.iter().copied());
    let scored = names
        .filter(|_| wrong.len() <= LONGEST)
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name));
    let (distance, best) = scored.min()?;
    (distance <= wrong.chars().count().div_ceil(3)).then_some(best)
}

/// A cell that does not have its column's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadCell {
    #[error("it is no whole number")]
    Number,
    #[error("it must be `true` or `false`")]
    Flag,
    #[error("there is an item that is not `key=value`")]
    Pair,
    #[error("a key stands in it twice")]
    Twice,
}

/// Puts what a cell says to its key's place in a join file.
pub(super) fn set(file: &mut Table, (key, form): (&str, Form), cell: &Secret) -> Result<(), BadCell> {
    let text = cell.expose();
    let (table, name) = match key.split_once('.') {
        None => (file, key),
        Some((table, name)) => {
            let entry = file.entry(table).or_insert_with(|| Value::Table(Table::new()));
            match entry {
                Value::Table(table) => (table, name),
                // A template with something else there is refused as it is.
                _ => return Ok(()),
            }
        }
    };
    let value = match form {
        Form::Text => Value::from(text),
        Form::Number => Value::from(text.parse::<i64>().map_err(|_| BadCell::Number)?),
        // Spreadsheets write `TRUE`.
        Form::Flag => Value::from(text.to_ascii_lowercase().parse::<bool>().map_err(|_| BadCell::Flag)?),
        Form::List => Value::from(items(text).collect::<Vec<_>>()),
        Form::Pairs => Value::Table(with_pairs(table.get(name), text)?),
    };
    table.insert(name.to_owned(), value);
    Ok(())
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(ITEM_SEPARATOR)
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn with_pairs(present: Option<&Value>, text: &str) -> Result<Table, BadCell> {
    let mut own = Table::new();
    for item in items(text) {
        let (key, value) = item.split_once('=').ok_or(BadCell::Pair)?;
        if own.insert(key.trim().to_owned(), Value::from(value.trim())).is_some() {
            return Err(BadCell::Twice);
        }
    }
    let mut all = present.and_then(Value::as_table).cloned().unwrap_or_default();
    all.extend(own);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_recognised_however_its_name_is_written() {
        let known = |name: &str| match recognise(name) {
            Ok(Column::Known(known)) => Ok(known.names[0]),
            Ok(Column::Remark) => Ok("remark"),
            Err(unknown) => Err(unknown.suggestion),
        };
        assert_eq!(known("Node Name"), Ok("name"));
        assert_eq!(known("MAX_PODS"), Ok("max-pods"));
        assert_eq!(known("network.addresses"), Ok("address"));
        assert_eq!(known("# contact"), Ok("remark"));
        assert_eq!(known("adress"), Err(Some("address")));
        assert_eq!(known("colour of the door"), Err(None));
    }

    #[test]
    fn no_name_means_two_columns() {
        let mut names: Vec<&str> = KNOWN.iter().flat_map(|known| known.names.iter().copied()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn cells_become_values_of_their_keys() {
        let mut file: Table = toml::from_str("[node]\nlabels = { site = \"a\", row = \"1\" }\n").unwrap();
        let mut put = |key, form, cell: &str| set(&mut file, (key, form), &Secret::new(cell));
        assert_eq!(put("node.labels", Form::Pairs, "row = 2; rack=b ;"), Ok(()));
        assert_eq!(put("network.dns", Form::List, "192.0.2.1; 192.0.2.2"), Ok(()));
        assert_eq!(put("kubelet.max-pods", Form::Number, "16"), Ok(()));
        assert_eq!(put("relay.enabled", Form::Flag, "FALSE"), Ok(()));
        assert_eq!(put("kubelet.max-pods", Form::Number, "many"), Err(BadCell::Number));
        assert_eq!(put("relay.enabled", Form::Flag, "no"), Err(BadCell::Flag));
        assert_eq!(put("node.labels", Form::Pairs, "row"), Err(BadCell::Pair));
        assert_eq!(put("node.labels", Form::Pairs, "a=1;a=2"), Err(BadCell::Twice));
        let expected = "[kubelet]\nmax-pods = 16\n[network]\ndns = [\"192.0.2.1\", \"192.0.2.2\"]\n\
            [node.labels]\nsite = \"a\"\nrow = \"2\"\nrack = \"b\"\n[relay]\nenabled = false\n";
        assert_eq!(file, toml::from_str::<Table>(expected).unwrap());
    }
}
