//! Medians and ranges over rounds.

/// What several rounds say about one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Of at least one value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Summary {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Summary { median, min: values[0], max: values[values.len() - 1] }
    }
}

/// Round by round, since a round's two measurements are neighbours in time and share its disturbances.
pub(crate) fn ratio(of: &[f64], to: &[f64]) -> Summary {
    Summary::of(of.iter().zip(to).map(|(of, to)| of / to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_disturbed_round_does_not_move_the_median() {
        let summary = Summary::of([3.0, 1.0, 900.0, 2.0, 2.0]);
        assert_eq!(summary, Summary { median: 2.0, min: 1.0, max: 900.0 });
        assert_eq!(Summary::of([1.0, 2.0]).median, 1.5);
    }

    #[test]
    fn ratios_are_paired() {
        assert_eq!(ratio(&[1.0, 10.0], &[2.0, 20.0]), Summary { median: 0.5, min: 0.5, max: 0.5 });
    }
}
