//! Finds the name that was probably meant. The measure is the optimal string alignment distance
//! (Damerau–Levenshtein without overlapping transpositions): a swapped pair counts as one mistake.

/// Names longer than this are not compared: the table is quadratic and no setting's name is that long.
const LENGTH_MAX: usize = 64;

/// The nearest candidate, if it is near enough to be a typing error: one mistake in three characters.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(written, candidate), candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    if a.len() > LENGTH_MAX || b.len() > LENGTH_MAX {
        return usize::MAX;
    }
    let mut before = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut current = vec![i];
        for j in 1..=b.len() {
            let replace = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(previous[j] + 1).min(current[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                let swapped: usize = before[j - 2];
                best = best.min(swapped + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, expected: Option<&str>) {
        assert_eq!(nearest(written, ["balance", "timeout", "retry", "tls", "health"]), expected);
    }

    #[test]
    fn typing_errors_are_recognized_and_other_words_are_not() {
        check("balence", Some("balance"));
        check("timout", Some("timeout"));
        check("tiemout", Some("timeout"));
        check("RETRY", Some("retry"));
        check("tsl", Some("tls"));
        check("drain", None);
        check("", None);
        check(&"x".repeat(1000), None);
    }
}
