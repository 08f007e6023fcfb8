//! `${NAME}` and `${NAME:-default}` in a text; `$${` stands for `${`.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Variables by name.
pub type Environment = BTreeMap<String, String>;

/// What is wrong with one `${…}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The part of the text up to where it goes wrong, as written.
    pub(crate) part: String,
    /// What is wrong.
    pub(crate) error: ExpandError,
}

/// Why a `${…}` has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpandError {
    #[error("environment variable `{0}` is not set")]
    Unset(String),
    #[error("`${{` without a closing `}}`")]
    Open,
    #[error("`{0}` is not the name of a variable")]
    Name(String),
}

/// Puts the values of variables into a text, or returns all that is wrong.
pub(crate) fn expand<'a>(
    text: &'a str,
    environment: &Environment,
) -> Result<Cow<'a, str>, Vec<Fault>> {
    if !text.contains("${") {
        return Ok(text.into());
    }
    let (mut done, mut faults) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            done.push_str(before);
            done.push_str("${");
            rest = after;
            continue;
        }
        done.push_str(before);
        let Some((inside, behind)) = after.split_once('}') else {
            let (part, error) = (format!("${{{after}"), ExpandError::Open);
            faults.push(Fault { part, error });
            rest = "";
            break;
        };
        match value(inside, environment) {
            Ok(value) => done.push_str(value),
            Err(error) => faults.push(Fault {
                part: format!("${{{inside}}}"),
                error,
            }),
        }
        rest = behind;
    }
    done.push_str(rest);
    match faults.is_empty() {
        true => Ok(done.into()),
        false => Err(faults),
    }
}

fn value<'a>(inside: &'a str, environment: &'a Environment) -> Result<&'a str, ExpandError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    let goes_on = |c: char| starts(c) || c.is_ascii_digit();
    if !name.starts_with(starts) || !name.chars().all(goes_on) {
        return Err(ExpandError::Name(name.to_owned()));
    }
    // As in a shell, `:-` also stands in for a variable that is empty.
    let set = environment
        .get(name)
        .filter(|v| default.is_none() || !v.is_empty());
    set.map(String::as_str)
        .or(default)
        .ok_or_else(|| ExpandError::Unset(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let pairs = [("HOST", "km3"), ("EMPTY", "")];
        pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn variables_defaults_and_escapes() {
        for (text, value) in [
            ("plain $HOME", "plain $HOME"),
            ("${HOST}:5553", "km3:5553"),
            ("${PORT:-5553}", "5553"),
            ("${HOST:-x}${EMPTY:-y}", "km3y"),
            ("a${EMPTY}b", "ab"),
            ("$${HOST} ${HOST}", "${HOST} km3"),
            ("${PATH_:-a:-b}", "a:-b"),
        ] {
            assert_eq!(expand(text, &environment()).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn every_fault_is_found() {
        let faults = expand("${ONE} ${TWO} ${3} ${HOST", &environment()).unwrap_err();
        let parts: Vec<_> = faults.iter().map(|f| f.part.as_str()).collect();
        assert_eq!(parts, ["${ONE}", "${TWO}", "${3}", "${HOST"]);
    }
}
