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

/// Where the median of all that could be measured lies, with a probability of 95 %: by how many figures
/// lie on either side of it (the interval of the sign test). `None` with fewer than six, which allow no
/// such statement.
pub(crate) fn interval(figures: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = i32::try_from(sorted.len()).ok()?;
    // how likely it is that so few lie below the median, from none on
    let (mut exactly, mut in_all, mut place) = (0.5f64.powi(count), 0.0, None);
    for few in 0..count {
        in_all += exactly;
        if in_all > 0.025 {
            break;
        }
        place = usize::try_from(few).ok();
        exactly *= f64::from(count - few) / f64::from(few + 1);
    }
    let place = place?;
    Some((*sorted.get(place)?, *sorted.get(sorted.len() - 1 - place)?))
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
    fn the_interval_is_that_of_the_sign_test() {
        let of = |count: u32| interval(&(0..count).map(f64::from).collect::<Vec<_>>());
        assert_eq!(of(5), None);
        // the places that tables give, counted from 0
        for (count, place) in [(6, 0), (8, 0), (9, 1), (15, 3), (25, 7), (31, 9)] {
            let other = f64::from(count - 1 - place);
            assert_eq!(of(count), Some((f64::from(place), other)), "{count}");
        }
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0]).to_bits(), 3.0f64.to_bits());
        assert_eq!(median(&[9.0, 1.0, 3.0]).to_bits(), 3.0f64.to_bits());
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]).to_bits(), 2.0f64.to_bits());
    }
}
