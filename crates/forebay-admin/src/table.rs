//! Columns for people: left-aligned, two spaces between, nothing behind the last.

use crate::plain::plain;

/// Appends one line for each row, indented by two spaces. Rows have the same number of cells.
pub(crate) fn write_table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            line.push_str(&format!("  {:width$}", plain(cell)));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["A", "LONGER", "C"], ["ää", "b", ""]];
        let mut out = String::new();
        write_table(&mut out, &rows.map(|row| row.map(str::to_owned).to_vec()));
        assert_eq!(out, "  A   LONGER  C\n  ää  b\n");
    }

    #[test]
    fn what_others_say_reaches_no_terminal() {
        let mut out = String::new();
        let said = ["a\u{1b}[31mb\nc\u{9b}2J\r", "d"].map(str::to_owned).to_vec();
        write_table(&mut out, &[vec!["REASON".to_owned(), "E".to_owned()], said]);
        assert_eq!(out, "  REASON         E\n  a?[31mb?c?2J?  d\n");
    }
}
