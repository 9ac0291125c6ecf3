//! "Did you mean": names that differ by a typing mistake.

/// The known name that was probably meant.
pub(crate) fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase();
    // One mistake in a short name makes another name.
    let most = match name.chars().count() {
        0..3 => 0,
        3..6 => 1,
        _ => 2,
    };
    known
        .into_iter()
        .filter(|known| *known != name)
        .map(|known| (strsim::osa_distance(&folded, &known.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn typing_mistakes_are_recognised() {
        let known = ["status", "rollout", "key"];
        assert_eq!(meant("Status", known), Some("status"));
        assert_eq!(meant("rolout", known), Some("rollout"));
        assert_eq!(meant("stauts", known), Some("status"));
        assert_eq!(meant("kye", known), Some("key"));
        assert_eq!(meant("id", known), None);
        assert_eq!(meant("status", known), None);
    }
}
