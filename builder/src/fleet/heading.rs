//! The first row of a list: which column is which.

use std::collections::BTreeMap;

use skerry_firstboot::secret::Secret;

use super::columns::{self, Column, Form, Meaning};
use super::error::Complaint;
use super::file_name::FileName;
use super::sheet::Row;

/// Key of the node's name, which every device has to have.
pub(super) const NAME: &str = "node.name";

/// The columns of a list.
#[derive(Debug)]
pub(super) struct Heading {
    columns: Vec<(String, Column)>,
}

impl Heading {
    /// Reads the first row of a list whose files are called by `file_name`.
    pub(super) fn read(row: &Row, file_name: &FileName) -> Result<Self, Vec<Complaint>> {
        let mut reader = Reader {
            line: row.line,
            first_names: BTreeMap::new(),
            complaints: Vec::new(),
        };
        let columns = row
            .cells
            .iter()
            .zip(1..)
            .map(|(cell, number)| reader.column(cell, number));
        let heading = Self {
            columns: columns.collect(),
        };
        let mut complaints = reader.complaints;
        let mut missing = |name: &str, wanted: bool, has: bool| {
            if wanted && !has && complaints.is_empty() {
                complaints.push(Complaint {
                    line: row.line,
                    column: None,
                    reason: format!("there is no column `{name}`"),
                    advice: Some(format!("add a column `{name}`")),
                });
            }
        };
        let has = |meaning| heading.index(meaning).is_some();
        missing("name", true, heading.of_key(NAME).is_some());
        missing("serial", file_name.needs_serial(), has(Meaning::Serial));
        missing("mac", file_name.needs_mac(), has(Meaning::Mac));
        match complaints.is_empty() {
            true => Ok(heading),
            false => Err(complaints),
        }
    }

    fn index(&self, wanted: Meaning) -> Option<usize> {
        let is_wanted =
            |(_, column): &(String, Column)| matches!(column, Column::Known(known) if known.meaning == wanted);
        self.columns.iter().position(is_wanted)
    }

    /// The column of a join file's key, or of what is below or above it.
    pub(super) fn of_key(&self, wanted: &str) -> Option<usize> {
        let is_at = |key: &str| {
            wanted
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.keys().find(|(_, key, _)| is_at(key)).map(|(index, ..)| index)
    }

    /// The columns that are keys of the join file.
    pub(super) fn keys(&self) -> impl Iterator<Item = (usize, &'static str, Form)> + '_ {
        self.columns
            .iter()
            .enumerate()
            .filter_map(|(index, (_, column))| match column {
                Column::Known(columns::Known {
                    meaning: Meaning::Key(key, form),
                    ..
                }) => Some((index, *key, *form)),
                _ => None,
            })
    }

    /// The key of column `index`.
    pub(super) fn key(&self, index: Option<usize>) -> Option<&'static str> {
        self.keys().find(|(own, ..)| Some(*own) == index).map(|(_, key, _)| key)
    }

    /// What a row has in the column `wanted`; none if that is empty or there is none.
    pub(super) fn cell<'r>(&self, row: &'r Row, wanted: Meaning) -> Option<(usize, &'r str)> {
        let index = self.index(wanted)?;
        let text = row.cells[index].expose().trim();
        (!text.is_empty()).then_some((index, text))
    }

    /// What is wrong in a row, in column `index`.
    pub(super) fn complain(&self, line: usize, index: Option<usize>, reason: impl ToString) -> Complaint {
        Complaint {
            line,
            column: index.map(|index| self.columns[index].0.clone()),
            reason: reason.to_string(),
            advice: None,
        }
    }

    /// The same about the column `wanted`, whether it is there or not.
    pub(super) fn complain_of(&self, line: usize, wanted: Meaning, reason: impl ToString) -> Complaint {
        self.complain(line, self.index(wanted), reason)
    }
}

struct Reader {
    line: usize,
    /// What is in use already, by the usual name of its column.
    first_names: BTreeMap<&'static str, String>,
    complaints: Vec<Complaint>,
}

impl Reader {
    fn column(&mut self, cell: &Secret, number: usize) -> (String, Column) {
        let name = cell.expose().trim();
        let column = columns::recognise(name);
        match &column {
            Ok(Column::Known(known)) => {
                if let Some(first) = self.first_names.insert(known.names[0], name.to_owned()) {
                    self.complain(
                        Some(name),
                        format!("it says the same as the column `{first}`"),
                        "remove one of them".to_owned(),
                    );
                }
            }
            Ok(Column::Remark) => {}
            Err(_) if name.is_empty() => {
                let advice = "name it, or write `#` there to have it passed over".to_owned();
                self.complain(None, format!("column {number} has no name"), advice);
            }
            Err(_) if name.contains([';', '\t']) => self.complain(
                None,
                "the columns are not separated by commas".to_owned(),
                "save the list as CSV with commas; a semicolon stands between the items of one cell".to_owned(),
            ),
            // What stands here in a list without a header may be a token.
            Err(_) if !is_harmless(name) => {
                self.complain(None, format!("column {number} is unknown"), known_columns());
            }
            Err(unknown) => {
                let advice = match unknown.suggestion {
                    Some(best) => format!("did you mean `{best}`?"),
                    None => known_columns(),
                };
                self.complain(None, format!("unknown column `{name}`"), advice);
            }
        }
        (name.to_owned(), column.unwrap_or(Column::Remark))
    }

    fn complain(&mut self, column: Option<&str>, reason: String, advice: String) {
        self.complaints.push(Complaint {
            line: self.line,
            column: column.map(str::to_owned),
            reason,
            advice: Some(advice),
        });
    }
}

/// Whether a name that is no column's can be repeated: no secret is as short and as plain.
fn is_harmless(name: &str) -> bool {
    const LONGEST: usize = 30;
    let runs = name.split(|letter: char| !letter.is_alphabetic());
    name.len() <= LONGEST
        && runs.map(str::len).max() < Some(16)
        && !name.contains(|letter: char| letter.is_ascii_digit())
}

fn known_columns() -> String {
    let names: Vec<&str> = columns::KNOWN.iter().map(|known| known.names[0]).collect();
    format!(
        "columns are {}; one whose name begins with `#` is passed over",
        names.join(", ")
    )
}
