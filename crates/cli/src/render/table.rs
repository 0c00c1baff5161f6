//! A table: headings in capitals, columns aligned to the left, two spaces between them, no lines.

use std::io::{self, Write};

use anstyle::Style;
use vss_model::Sanitized;

/// A cell and its colour.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell in a colour.
    pub(crate) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self {
            text: Sanitized::text(text.as_ref()).to_string(),
            style,
        }
    }

    /// A cell with `-` where there is nothing to show.
    pub(crate) fn or_dash(text: Option<String>) -> Self {
        text.unwrap_or_else(|| "-".to_owned()).into()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::new())
    }
}

/// Writes rows of as many cells as there are headings; `legend` says whether the headings too.
pub(crate) fn write<const N: usize>(
    out: &mut impl Write,
    headings: [&str; N],
    rows: &[[Cell; N]],
    legend: bool,
) -> io::Result<()> {
    let mut widths = headings.map(|h| if legend { h.len() } else { 0 });
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    let heading = headings.map(Cell::from);
    for row in legend.then_some(&heading).into_iter().chain(rows) {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let last = column + 1 == N;
            let style = cell.style;
            let padding = if last {
                0
            } else {
                width - cell.text.chars().count() + 2
            };
            write!(out, "{style}{}{style:#}{:padding$}", cell.text, "")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a40_columns_are_aligned_and_cells_sanitised() {
        let mut out = Vec::new();
        let rows = [["a\u{1b}[2J".into(), "x".into()], ["ü".into(), "y".into()]];
        write(&mut out, ["NAME", "B"], &rows, true).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "NAME      B\na\\x1b[2J  x\nü         y\n"
        );
    }
}
