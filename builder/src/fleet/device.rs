//! From a list and a template to devices with their join files.

use std::collections::{BTreeMap, BTreeSet};

use skerry_firstboot::device::{Device as Hardware, Mac, NodeName};
use skerry_firstboot::join_config::{BootstrapToken, JoinConfigError, Problem};
use toml::Table;

use crate::seed::{JoinFile, SeedError, check_join_file};

use super::columns::{self, Meaning};
use super::error::{Complaint, FleetError};
use super::file_name::{FileName, NoName};
use super::heading::{Heading, NAME};
use super::sheet::{self, Row, SheetError};

/// Settings that mean nothing without another one: what is wrong with the first is told, and not its consequences.
const FOLLOWERS: [(&str, &str); 2] = [
    ("network.addresses", "network.gateways"),
    ("network.proxy", "network.proxy-control-plane"),
];

/// A list of devices as it was given.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    /// What it is called in messages.
    pub file: &'a str,
    /// Its content, with secrets.
    pub bytes: &'a [u8],
}

/// All devices of a list.
#[derive(Debug)]
pub struct Fleet {
    /// In the order of the list; at least one.
    pub devices: Vec<Device>,
    /// What in the template means nothing, one sentence each.
    pub warnings: Vec<String>,
}

/// One device.
#[derive(Debug)]
pub struct Device {
    /// Its name in the cluster.
    pub name: NodeName,
    /// What its file is called.
    pub file_name: String,
    /// Its join file.
    pub join_file: JoinFile,
}

/// Makes a join file for each device of `list` from what `template` says of all of them.
pub fn read(list: List<'_>, template: &[u8], file_name: &FileName) -> Result<Fleet, FleetError> {
    let failed = |complaints: Vec<Complaint>| FleetError::List {
        file: list.file.to_owned(),
        complaints,
    };
    let sheet = sheet::read(list.bytes).map_err(|errors| failed(errors.into_iter().map(Complaint::from).collect()))?;
    let heading = Heading::read(&sheet.header, file_name).map_err(failed)?;
    let (template, warnings) = read_template(template, &heading)?;
    let reader = RowReader {
        heading: &heading,
        template: &template,
        file_name,
    };
    let mut devices = Vec::new();
    let mut complaints = Vec::new();
    let mut seen = Seen::default();
    for row in &sheet.rows {
        match reader.device(row) {
            Ok(device) => {
                complaints.extend(seen.complaint(row.line, &heading, &device));
                devices.push(device);
            }
            Err(more) => complaints.extend(more),
        }
    }
    match (complaints.is_empty(), devices.is_empty()) {
        (false, _) => Err(failed(complaints)),
        (true, true) => Err(FleetError::NoDevice {
            file: list.file.to_owned(),
        }),
        (true, false) => Ok(Fleet { devices, warnings }),
    }
}

/// The join file of all devices as a table. What a column of the list says need not be in it.
fn read_template(bytes: &[u8], heading: &Heading) -> Result<(Table, Vec<String>), FleetError> {
    let comes_later = |key| heading.of_key(key).is_some();
    match check_join_file(bytes) {
        Ok(file) => {
            let warnings = file.warnings().to_vec();
            let file = file.canonical().map_err(FleetError::Inexpressible)?;
            let table = toml::from_str(file.text()).expect("this program has written it");
            Ok((table, warnings))
        }
        Err(SeedError::JoinFile(error)) if wanting(&error).iter().any(|key| comes_later(key)) => {
            let table = std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| toml::from_str(text).ok());
            let table = table.ok_or(FleetError::Template(SeedError::JoinFile(error)))?;
            Ok((table, Vec::new()))
        }
        Err(error) => Err(FleetError::Template(error)),
    }
}

/// The keys of which one is missing; what is there has been found right then.
fn wanting(error: &JoinConfigError) -> &'static [&'static str] {
    match error {
        JoinConfigError::NoEndpoint => &["endpoints"],
        JoinConfigError::NoCredential { .. } => &["token"],
        JoinConfigError::NoTrust { .. } => &["ca-pins", "ca"],
        _ => &[],
    }
}

impl From<SheetError> for Complaint {
    fn from(error: SheetError) -> Self {
        Self {
            line: error.line,
            column: None,
            reason: error.fault.to_string(),
            advice: Some(error.fault.advice().to_owned()),
        }
    }
}

/// Names that are in use, by the line in which they are.
#[derive(Debug, Default)]
struct Seen {
    names: BTreeMap<String, usize>,
    files: BTreeMap<String, usize>,
}

impl Seen {
    /// What is wrong if a name or a file's name is there a second time. Names of files differ in more than case: a stick
    /// with FAT cannot hold them otherwise.
    fn complaint(&mut self, line: usize, heading: &Heading, device: &Device) -> Option<Complaint> {
        if let Some(first) = self.names.insert(device.name.to_string(), line) {
            let reason = format!("`{}` is the name in line {first} as well", device.name);
            return Some(heading.complain(line, heading.of_key(NAME), reason));
        }
        let first = self.files.insert(device.file_name.to_ascii_lowercase(), line)?;
        let reason = format!("its file would be `{}`, as that of line {first}", device.file_name);
        Some(heading.complain(line, None, reason))
    }
}

/// Reads rows.
struct RowReader<'a> {
    heading: &'a Heading,
    template: &'a Table,
    file_name: &'a FileName,
}

impl RowReader<'_> {
    fn device(&self, row: &Row) -> Result<Device, Vec<Complaint>> {
        let (name, hardware) = (self.name(row), self.hardware(row));
        // The reader of join files would say the same of a bad name again.
        let told = if name.is_err() { self.heading.of_key(NAME) } else { None };
        let join_file = self.join_file(row, told.into_iter().collect());
        let file_name = match (&name, &hardware) {
            (Ok(name), Ok(hardware)) => self.file_name(row, name, hardware).map(Some),
            _ => Ok(None),
        };
        match (name, join_file, hardware, file_name) {
            (Ok(name), Ok(join_file), Ok(_), Ok(Some(file_name))) => Ok(Device {
                name,
                file_name,
                join_file,
            }),
            (name, join_file, hardware, file_name) => {
                let single = [name.err(), hardware.err(), file_name.err()];
                let complaints = single.into_iter().flatten();
                Err(complaints.chain(join_file.err().unwrap_or_default()).collect())
            }
        }
    }

    fn name(&self, row: &Row) -> Result<NodeName, Complaint> {
        let index = self.heading.of_key(NAME).expect("a heading without it is refused");
        let text = row.cells[index].expose();
        let refuse = |reason: &dyn ToString| self.heading.complain(row.line, Some(index), reason.to_string());
        if text.is_empty() {
            return Err(refuse(&"it is empty"));
        }
        // A token is a well-formed name, and names are printed.
        if text.parse::<BootstrapToken>().is_ok() {
            return Err(refuse(&"this is a token, and no name"));
        }
        NodeName::new(text).map_err(|error| refuse(&error))
    }

    fn hardware(&self, row: &Row) -> Result<Hardware, Complaint> {
        let serial = self.heading.cell(row, Meaning::Serial).map(|(_, text)| text.to_owned());
        let mac = self.heading.cell(row, Meaning::Mac).map(|(index, text)| {
            read_mac(text).ok_or_else(|| {
                let reason = "it is no hardware address of one card, such as `52:54:00:12:34:56`";
                self.heading.complain(row.line, Some(index), reason)
            })
        });
        Ok(Hardware {
            serial,
            mac: mac.transpose()?,
            ..Hardware::default()
        })
    }

    fn file_name(&self, row: &Row, name: &NodeName, hardware: &Hardware) -> Result<String, Complaint> {
        self.file_name.fill(name, hardware).map_err(|error| match error {
            NoName::Serial => self.heading.complain_of(row.line, Meaning::Serial, error),
            NoName::Mac => self.heading.complain_of(row.line, Meaning::Mac, error),
            NoName::Hidden | NoName::TooLong => self.heading.complain(row.line, None, error),
        })
    }

    /// The template with this row's cells, but for those that are known to be `faulty`. What is wrong with one cell is told,
    /// then it is looked for more without it.
    fn join_file(&self, row: &Row, mut faulty: BTreeSet<usize>) -> Result<JoinFile, Vec<Complaint>> {
        let mut complaints = Vec::new();
        let table = self.fill(row, &mut faulty, &mut complaints);
        let mut outcome = check(&table);
        loop {
            let fault = match outcome {
                Ok(file) if complaints.is_empty() => return Ok(file),
                Ok(_) => return Err(complaints),
                Err(fault) => fault,
            };
            let index = fault.key.as_deref().and_then(|key| self.heading.of_key(key));
            if index.is_some_and(|index| faulty.contains(&index)) {
                return Err(complaints);
            }
            // A label, or a key that stands in the template alone.
            let reason = match &fault.key {
                Some(key) if self.heading.key(index) != Some(key.as_str()) => format!("`{key}`: {}", fault.reason),
                _ => fault.reason,
            };
            let complaint = self.heading.complain(row.line, index, reason);
            complaints.push(Complaint {
                advice: fault.advice,
                ..complaint
            });
            match index {
                Some(index) if !row.cells[index].expose().is_empty() => self.mark(index, &mut faulty),
                _ => return Err(complaints),
            }
            outcome = check(&self.fill(row, &mut faulty, &mut Vec::new()));
        }
    }

    /// The template with the cells that are neither empty nor faulty.
    fn fill(&self, row: &Row, faulty: &mut BTreeSet<usize>, complaints: &mut Vec<Complaint>) -> Table {
        let mut table = self.template.clone();
        for (index, key, form) in self.heading.keys() {
            let cell = &row.cells[index];
            if cell.expose().is_empty() || faulty.contains(&index) {
                continue;
            }
            if let Err(error) = columns::set(&mut table, (key, form), cell) {
                complaints.push(self.heading.complain(row.line, Some(index), error));
                self.mark(index, faulty);
            }
        }
        table
    }

    fn mark(&self, index: usize, faulty: &mut BTreeSet<usize>) {
        faulty.insert(index);
        for (first, follower) in FOLLOWERS {
            if self.heading.of_key(first) == Some(index) {
                faulty.extend(self.heading.of_key(follower));
            }
        }
    }
}

/// What is wrong with a join file.
struct Fault {
    /// The key that it is about.
    key: Option<String>,
    reason: String,
    advice: Option<String>,
}

fn check(table: &Table) -> Result<JoinFile, Fault> {
    let checked = check_join_file(table.to_string().as_bytes()).map_err(|error| Fault::from(&error))?;
    checked.canonical().map_err(|error| Fault {
        key: None,
        reason: error.to_string(),
        advice: None,
    })
}

impl From<&SeedError> for Fault {
    fn from(error: &SeedError) -> Self {
        let (key, reason) = match error {
            SeedError::JoinFile(error) => match &**error {
                JoinConfigError::Text {
                    problem: Problem::Value { key, reason, .. },
                    ..
                } => (Some(key.as_str()), reason.clone()),
                JoinConfigError::Text { problem, .. } => (key_of(problem), problem.to_string()),
                other => (wanting(other).first().copied(), other.to_string()),
            },
            SeedError::Setting(error) => (Some(error.key.as_str()), format!("it {}", error.why)),
            other => (None, other.to_string()),
        };
        Self {
            key: key.map(str::to_owned),
            reason,
            advice: match error {
                SeedError::JoinFile(error) => Some(error.advice()),
                _ => None,
            },
        }
    }
}

fn key_of(problem: &Problem) -> Option<&str> {
    match problem {
        Problem::UnknownKey { key, .. }
        | Problem::Type { key, .. }
        | Problem::Value { key, .. }
        | Problem::Both { key, .. }
        | Problem::Missing { key } => Some(key),
        Problem::Syntax(_) | Problem::NewerVersion { .. } => None,
    }
}

/// A hardware address with colons, dashes or nothing between its pairs.
fn read_mac(text: &str) -> Option<Mac> {
    let digits: Vec<char> = text.chars().filter(|letter| !":-".contains(*letter)).collect();
    let pairs: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
    Mac::parse(&pairs.join(":"))
}
