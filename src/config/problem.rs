//! One problem of a configuration: what is wrong, where, and what was expected.

use fathom_kernel::without_passwords;

use super::source::Place;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// Nothing can be started.
    Error,
    /// Something written has no effect.
    Warning,
}

impl Gravity {
    /// Returns the word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) gravity: Gravity,
    pub(crate) message: String,
    /// Where, when it is in a text at all.
    pub(crate) place: Option<Place>,
    /// Few words at the caret.
    pub(crate) label: Option<String>,
    /// What would have been right.
    pub(crate) help: Option<String>,
    /// Other places that belong to it.
    pub(crate) also: Vec<(Place, String)>,
}

impl Problem {
    /// Makes a problem that keeps the stack from starting.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self {
            gravity: Gravity::Error,
            message: shown(message),
            place: None,
            label: None,
            help: None,
            also: Vec::new(),
        }
    }

    /// Makes a warning.
    pub(crate) fn warning(message: impl Into<String>) -> Self {
        Self {
            gravity: Gravity::Warning,
            ..Self::error(message)
        }
    }

    /// Says where.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Puts words at the caret.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(shown(label));
        self
    }

    /// Says what would have been right.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shown(help));
        self
    }

    /// Suggests the nearest of the right names, or lists them when none is near.
    pub(crate) fn suggest<'a>(
        self,
        wrong: &str,
        names: impl IntoIterator<Item = &'a str>,
        what: &str,
    ) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        if let Some(near) = nearest(wrong, names.iter().copied()) {
            return self.label(format!("did you mean `{near}`?"));
        }
        match names.is_empty() {
            true => self.help(format!("there is no {what} at all")),
            false => self.help(format!("expected one of: {}", names.join(", "))),
        }
    }

    /// Adds another place.
    pub(crate) fn also(mut self, place: Place, text: impl Into<String>) -> Self {
        self.also.push((place, shown(text)));
        self
    }
}

/// Whatever a problem says of an address, it says it without the password.
fn shown(text: impl Into<String>) -> String {
    without_passwords(&text.into()).into_owned()
}

/// Returns the name most like a wrong one, if any is like it.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let wrong = plain(wrong);
    names
        .into_iter()
        .filter_map(|name| {
            let name_plain = plain(name);
            // Services may be called by the part after their group's colon.
            let last = name_plain.rsplit(':').next().unwrap_or_default();
            // Each is near by its own length: a long group must not make a short name near.
            let edits = [&*name_plain, last]
                .into_iter()
                .map(|right| (right, strsim::damerau_levenshtein(&wrong, right)))
                .filter(|(right, edits)| *edits <= right.len().max(wrong.len()).div_ceil(3))
                .map(|(_, edits)| edits)
                .min();
            // A beginning or an end is near as well.
            let part =
                wrong.len() > 2 && (name_plain.starts_with(&wrong) || name_plain.ends_with(&wrong));
            let edits = if part { Some(1) } else { edits };
            edits.map(|edits| (edits, name))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["lowest_rate", "highest_rate", "ligiers:ligier", "interval"];
        for (wrong, near) in [
            ("lowst_rate", Some("lowest_rate")),
            ("Lowest-Rate", Some("lowest_rate")),
            ("ligier", Some("ligiers:ligier")),
            ("intervall", Some("interval")),
            ("colour", None),
        ] {
            assert_eq!(nearest(wrong, names), near, "{wrong}");
        }
    }
}
