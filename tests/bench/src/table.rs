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

/// What the median of all that could be measured is at least, with a probability of 97.5 %: by how many
/// figures lie below it (the sign test's interval, whose lower end this is). With five figures or fewer
/// nothing can be said: the lowest.
///
/// # Panics
/// Without figures.
pub(crate) fn at_least(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = i32::try_from(sorted.len()).unwrap_or(i32::MAX);
    // how likely it is that so few lie below the median
    let (mut exactly, mut in_all, mut below) = (0.5f64.powi(count), 0.0, 0);
    for few in 0..count {
        in_all += exactly;
        if in_all > 0.025 {
            break;
        }
        below = few;
        exactly *= f64::from(count - few) / f64::from(few + 1);
    }
    sorted[usize::try_from(below).unwrap_or(0)]
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
    fn what_a_median_is_at_least_is_known_by_the_count() {
        let of = |count: u32| at_least(&(0..count).map(f64::from).collect::<Vec<_>>());
        // the places that tables of the sign test give, counted from 0
        for (count, place) in [(5, 0), (6, 0), (8, 0), (9, 1), (15, 3), (25, 7), (31, 9)] {
            assert_eq!(of(count).to_bits(), f64::from(place).to_bits(), "{count}");
        }
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0]).to_bits(), 3.0f64.to_bits());
        assert_eq!(median(&[9.0, 1.0, 3.0]).to_bits(), 3.0f64.to_bits());
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]).to_bits(), 2.0f64.to_bits());
    }
}
