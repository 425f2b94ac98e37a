//! Comma-separated values (RFC 4180), as spreadsheets and scripts write them.
//!
//! In: a text. Out: rows of cells with their lines. A byte order mark, line ends of all systems, empty lines and cells in
//! quotes are understood; white space around a cell counts only within quotes. Any cell may hold a token, so nothing shows
//! one. Deliberately unsupported: other separators than the comma, comments.

use skerry_firstboot::secret::Secret;

/// White space that is no part of a cell.
const BLANKS: [char; 2] = [' ', '\t'];

/// Rows under a header.
#[derive(Debug)]
pub(super) struct Sheet {
    /// The first row.
    pub(super) header: Row,
    /// All others that are not empty; each has as many cells as the header.
    pub(super) rows: Vec<Row>,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// The line in which it begins, from 1.
    pub(super) line: usize,
    /// Its cells.
    pub(super) cells: Vec<Secret>,
}

/// Text that is no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SheetError {
    /// The line, from 1.
    pub(super) line: usize,
    /// What is wrong there.
    pub(super) fault: Fault,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Nothing in it.
    #[error("there is no line that names the columns")]
    Empty,
    /// UTF-16, as some programs' "Unicode text".
    #[error("the text is UTF-16")]
    Utf16,
    /// Neither.
    #[error("the text is not UTF-8")]
    NotText,
    /// A quote that nothing ends.
    #[error("the quote that begins here is never closed")]
    Unclosed,
    /// `a"b`.
    #[error("there is a quote within a cell that does not begin with one")]
    Stray,
    /// `"a"b`.
    #[error("there is text behind the closing quote of a cell")]
    Trailing,
    /// A row with too few or too many cells.
    #[error("there are {found} cells and {expected} columns")]
    Width {
        /// Cells of the row.
        found: usize,
        /// Cells of the header.
        expected: usize,
    },
}

impl Fault {
    /// What to do about it.
    pub(super) const fn advice(&self) -> &'static str {
        match self {
            Self::Empty => "name the columns in the first line, such as `name,address,token`",
            Self::Utf16 | Self::NotText => "save the list as CSV in UTF-8",
            Self::Unclosed | Self::Stray | Self::Trailing => {
                "put the whole cell into double quotes, and write a quote within it twice"
            }
            Self::Width { .. } => "a cell with a comma in it stands in double quotes; an empty cell keeps its comma",
        }
    }
}

/// Reads a table.
pub(super) fn read(bytes: &[u8]) -> Result<Sheet, Vec<SheetError>> {
    let text = decode(bytes).map_err(|error| vec![error])?;
    let mut reader = Reader { rest: text, line: 1 };
    let mut rows = Vec::new();
    while let Some(row) = reader.row().map_err(|error| vec![error])? {
        if row.cells.iter().any(|cell| !cell.expose().is_empty()) {
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return Err(vec![SheetError {
            line: 1,
            fault: Fault::Empty,
        }]);
    }
    let header = rows.remove(0);
    let expected = header.cells.len();
    let faults: Vec<SheetError> = rows.iter_mut().filter_map(|row| fit(row, expected)).collect();
    match faults.is_empty() {
        true => Ok(Sheet { header, rows }),
        false => Err(faults),
    }
}

/// Takes away empty cells beyond the header, which spreadsheets leave.
fn fit(row: &mut Row, expected: usize) -> Option<SheetError> {
    while row.cells.len() > expected && row.cells.last().is_some_and(|cell| cell.expose().is_empty()) {
        row.cells.pop();
    }
    let found = row.cells.len();
    (found != expected).then_some(SheetError {
        line: row.line,
        fault: Fault::Width { found, expected },
    })
}

fn decode(bytes: &[u8]) -> Result<&str, SheetError> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let fault = Fault::Utf16;
        return Err(SheetError { line: 1, fault });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| SheetError {
        line: bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count(),
        fault: Fault::NotText,
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// What is left of the text, and in which line that begins.
struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl Reader<'_> {
    fn row(&mut self) -> Result<Option<Row>, SheetError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let line = self.line;
        let mut cells = Vec::new();
        loop {
            cells.push(self.cell()?);
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest,
                None => break,
            }
        }
        let rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
        self.rest = rest.strip_prefix('\n').unwrap_or(rest);
        self.line += 1;
        Ok(Some(Row { line, cells }))
    }

    /// One cell; leaves the comma or line end behind it.
    fn cell(&mut self) -> Result<Secret, SheetError> {
        let begin = self.rest.trim_start_matches(BLANKS);
        if let Some(inside) = begin.strip_prefix('"') {
            self.rest = inside;
            return self.quoted();
        }
        let end = self.rest.find([',', '\r', '\n']).unwrap_or(self.rest.len());
        let (cell, rest) = self.rest.split_at(end);
        self.rest = rest;
        match cell.contains('"') {
            true => Err(self.error(self.line, Fault::Stray)),
            false => Ok(Secret::new(cell.trim_matches(BLANKS))),
        }
    }

    fn quoted(&mut self) -> Result<Secret, SheetError> {
        let first_line = self.line;
        let mut text = String::new();
        loop {
            let Some((part, rest)) = self.rest.split_once('"') else {
                return Err(self.error(first_line, Fault::Unclosed));
            };
            self.line += part.matches('\n').count();
            text.push_str(part);
            self.rest = rest;
            match rest.strip_prefix('"') {
                Some(rest) => {
                    text.push('"');
                    self.rest = rest;
                }
                None => break,
            }
        }
        self.rest = self.rest.trim_start_matches(BLANKS);
        match self.rest.is_empty() || self.rest.starts_with([',', '\r', '\n']) {
            true => Ok(Secret::new(text)),
            false => Err(self.error(self.line, Fault::Trailing)),
        }
    }

    const fn error(&self, line: usize, fault: Fault) -> SheetError {
        SheetError { line, fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(row: &Row) -> (usize, Vec<&str>) {
        (row.line, row.cells.iter().map(Secret::expose).collect())
    }

    fn faults(text: &[u8]) -> Vec<(usize, Fault)> {
        let errors = read(text).unwrap_err();
        errors.into_iter().map(|error| (error.line, error.fault)).collect()
    }

    #[test]
    fn a_table_is_read_as_spreadsheets_write_it() {
        let text = "\u{feff}name, address ,labels\r\n\r\na,192.0.2.1/24,\"site=\"\"x\"\"\r\nrow=2\" \r\n,,\r\nb,,\t\" k \",,\r\nc,\"\",";
        let sheet = read(text.as_bytes()).unwrap();
        assert_eq!(cells(&sheet.header), (1, vec!["name", "address", "labels"]));
        let rows: Vec<_> = sheet.rows.iter().map(cells).collect();
        assert_eq!(
            rows,
            [
                (3, vec!["a", "192.0.2.1/24", "site=\"x\"\r\nrow=2"]),
                (6, vec!["b", "", " k "]),
                (7, vec!["c", "", ""]),
            ]
        );
    }

    #[test]
    fn line_ends_of_old_systems_separate_rows_too() {
        let sheet = read(b"a,b\r1,2\r3,4").unwrap();
        assert_eq!(
            sheet.rows.iter().map(cells).collect::<Vec<_>>(),
            [(2, vec!["1", "2"]), (3, vec!["3", "4"])]
        );
    }

    #[test]
    fn every_row_of_another_width_is_told() {
        let width = |found| Fault::Width { found, expected: 2 };
        assert_eq!(faults(b"a,b\n1\n1,2\n1,2,3\n"), [(2, width(1)), (4, width(3))]);
    }

    #[test]
    fn quotes_that_do_not_fit_are_told_with_their_line() {
        assert_eq!(faults(b"a,b\n1,\"2\n3,4\n"), [(2, Fault::Unclosed)]);
        assert_eq!(faults(b"a,b\n1,2\"x\"\n"), [(2, Fault::Stray)]);
        assert_eq!(faults(b"a,b\n1,\"2\n\"x\n"), [(3, Fault::Trailing)]);
    }

    #[test]
    fn what_is_no_text_or_empty_is_told() {
        assert_eq!(faults(b"\xff\xfea\0"), [(1, Fault::Utf16)]);
        assert_eq!(faults(b"a\nb\xff"), [(2, Fault::NotText)]);
        assert_eq!(faults(b"\n,,\n \n"), [(1, Fault::Empty)]);
        assert_eq!(faults(b""), [(1, Fault::Empty)]);
    }

    #[test]
    fn no_cell_is_shown() {
        assert!(!format!("{:?}", read(b"token\n0123456789abcdef\n").unwrap()).contains("0123"));
    }
}
