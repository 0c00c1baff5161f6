//! What is printed: a row as soon as it is known.

use std::io::Write;

/// The median; of an even number of figures, the lower of the two in the middle.
///
/// # Panics
/// Without figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}

/// The table, on stdout.
#[derive(Debug, Default)]
pub(crate) struct Table(());

impl Table {
    pub(crate) fn head(&mut self, rounds: usize) {
        say(&format!(
            "{:<50} {:>12}  {:<36} met",
            format!("median of {rounds}"),
            "",
            "aim"
        ));
    }

    /// A figure that an aim is set for.
    pub(crate) fn aimed(&mut self, what: &str, figure: f64, unit: &str, aim: &Aim) {
        let met = if figure <= aim.limit { "yes" } else { "NO" };
        let figure = format!("{figure:.1} {unit}");
        say(&format!("{what:<50} {figure:>12}  {:<36} {met}", aim.words));
    }

    /// A figure for comparison.
    pub(crate) fn plain(&mut self, what: &str, figure: f64, unit: &str) {
        let figure = format!("{figure:.1} {unit}");
        say(&format!("{what:<50} {figure:>12}"));
    }
}

/// The most that a figure may be.
#[derive(Debug)]
pub(crate) struct Aim {
    limit: f64,
    words: String,
}

impl Aim {
    pub(crate) fn new(limit: f64, unit: &str, why: &str) -> Self {
        let words = match why {
            "" => format!("at most {limit:.1} {unit}"),
            why => format!("at most {limit:.1} {unit}: {why}"),
        };
        Self { limit, words }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // a reader that went away wants no more rows
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A message, on stderr.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0]).to_bits(), 3.0f64.to_bits());
        assert_eq!(median(&[9.0, 1.0, 3.0]).to_bits(), 3.0f64.to_bits());
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]).to_bits(), 2.0f64.to_bits());
    }
}
