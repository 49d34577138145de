//! Figures in columns, for people.

use core::fmt::Write as _;
use core::time::Duration;

/// A table whose first column is text and whose others are figures.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn row<I, S>(&mut self, cells: I)
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The lines: text to the left, figures to the right.
    pub(super) fn lines(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut lines = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // A String takes everything.
                let _ = match column {
                    0 => write!(line, "{cell:<width$}"),
                    _ => write!(line, "  {cell:>width$}"),
                };
            }
            lines.push_str(line.trim_end());
            lines.push('\n');
        }
        lines
    }
}

/// A number with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A length of time, to three digits of the unit that suits it.
pub(super) fn length(length: Option<Duration>) -> String {
    let Some(length) = length else { return "-".to_owned() };
    let seconds = length.as_secs_f64();
    let (number, unit) = match seconds {
        // What rounds up to the next unit is written in it.
        0.0..0.000_999_5 => (seconds * 1e6, "us"),
        0.000_999_5..0.999_5 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let decimals = match number {
        ..9.995 => 2,
        9.995..99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1 000");
        assert_eq!(count(12_345_678), "12 345 678");
        assert_eq!(length(None), "-");
        assert_eq!(length(Some(Duration::from_micros(12))), "12.0 us");
        assert_eq!(length(Some(Duration::from_micros(1234))), "1.23 ms");
        assert_eq!(length(Some(Duration::from_millis(640))), "640 ms");
        assert_eq!(length(Some(Duration::from_micros(999_900))), "1.00 s");
        assert_eq!(length(Some(Duration::from_secs(61))), "61.0 s");
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::default();
        table.row(["", "calls", "x"]);
        table.row(["a name", "1", "22"]);
        assert_eq!(table.lines(), "        calls   x\na name      1  22\n");
    }
}
