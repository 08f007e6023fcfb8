//! Reads a table into a struct and finds all that is wrong in it, not only the first.
//!
//! A deserializer stops at its first error. So what is at fault is struck out of the table and the
//! rest is read again, until it reads or nothing in the table is to blame.

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::problem::{Problem, nearest};
use super::source::Place;

/// A table and what is known about it before it is read.
pub(crate) struct Subject<'a> {
    /// The table.
    pub(crate) table: DeTable<'static>,
    /// Where it is written: its header or its braces.
    pub(crate) place: Place,
    /// Further names that were allowed beside the keys of the struct.
    pub(crate) names: &'a [&'a str],
}

/// How a deserializer says that a key is missing.
const MISSING: &str = "missing field ";

/// Reads a table by `read`, adding all problems found. Returns the value of what could be read.
pub(crate) fn gather<T>(
    subject: Subject<'_>,
    problems: &mut Vec<Problem>,
    mut read: impl FnMut(Spanned<DeTable<'static>>) -> Result<T, Error>,
) -> Option<T> {
    let Subject {
        mut table,
        place,
        names,
    } = subject;
    let mut struck: Vec<Place> = Vec::new();
    loop {
        let error = match read(Spanned::new(place.clone(), table.clone())) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let blamed = error.span().filter(|at| strike(&mut table, at));
        if blamed.is_none() && !struck.is_empty() {
            // May only follow from what was struck out, and that has been said.
            return None;
        }
        let at = error.span().unwrap_or_else(|| place.clone());
        // A key that was struck out is missed by the table that it stood in.
        let follows = error.message().starts_with(MISSING)
            && struck.iter().any(|was| at.contains(&was.start));
        if !follows {
            problems.push(explain(error.message(), names).at(at));
        }
        struck.push(blamed?);
    }
}

/// Removes the innermost entry that covers the start of a place; tells whether there was one.
fn strike(table: &mut DeTable<'static>, at: &Place) -> bool {
    let covers = |place: Place| place.contains(&at.start);
    for (_, value) in table.iter_mut() {
        if strike_within(value.get_mut(), at) {
            return true;
        }
    }
    let found = table
        .iter()
        .find(|(key, value)| covers(key.span()) || covers(value.span()))
        .map(|(key, _)| key.clone());
    found.is_some_and(|key| table.remove(&key).is_some())
}

fn strike_within(value: &mut DeValue<'static>, at: &Place) -> bool {
    match value {
        DeValue::Table(table) => strike(table, at),
        DeValue::Array(array) => {
            if array
                .iter_mut()
                .any(|item| strike_within(item.get_mut(), at))
            {
                return true;
            }
            // Numbers in a list have a meaning by their position, so the list goes as a whole.
            let guilty = |item: &Spanned<DeValue<'_>>| {
                item.span().contains(&at.start)
                    && matches!(item.get_ref(), DeValue::String(_) | DeValue::Table(_))
            };
            let Some(index) = array.iter().position(guilty) else {
                return false;
            };
            let kept = std::mem::take(array).into_iter().enumerate();
            *array = kept.filter(|(i, _)| *i != index).map(|(_, v)| v).collect();
            true
        }
        _ => false,
    }
}

/// Turns a message of serde into one for people.
fn explain(message: &str, names: &[&str]) -> Problem {
    for (prefix, what) in [("unknown field", "key"), ("unknown variant", "value")] {
        let Some(rest) = message.strip_prefix(prefix) else {
            continue;
        };
        let mut quoted = rest.split('`').skip(1).step_by(2);
        let wrong = quoted.next().unwrap_or_default();
        let problem = Problem::error(format!("unknown {what} `{wrong}`"));
        return match nearest(wrong, names.iter().copied()) {
            // The list of names would drown the keys of the table itself.
            Some(near) if what == "key" => problem.suggest(wrong, quoted.chain([near]), what),
            _ => problem.suggest(wrong, quoted, what),
        };
    }
    if let Some(rest) = message.strip_prefix(MISSING) {
        return Problem::error(format!("key {rest} is missing"));
    }
    let rest = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix));
    match rest.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            let (expected, found) = (plain(expected), found.replacen("string ", "text ", 1));
            Problem::error(format!("expected {expected}, found {found}"))
        }
        None => Problem::error(message),
    }
}

/// Names a type as people do.
fn plain(expected: &str) -> &str {
    match expected {
        "f32" | "f64" => "a number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "a nonzero u32" => "a whole number, 1 or more",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "a boolean" => "true or false",
        "a string" => "a text",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Colours {
        red: f64,
        names: Vec<String>,
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        depth: u8,
    }

    impl Default for Inner {
        fn default() -> Self {
            Self { depth: 7 }
        }
    }

    impl Default for Colours {
        fn default() -> Self {
            let (red, names) = (1.0, Vec::new());
            Self {
                red,
                names,
                inner: Inner::default(),
            }
        }
    }

    fn read(text: &'static str) -> (Option<Colours>, Vec<String>) {
        let table = DeTable::parse(text).unwrap();
        let (place, table) = (table.span(), table.into_inner());
        let mut problems = Vec::new();
        let names = ["kind"];
        let subject = Subject {
            table,
            place,
            names: &names,
        };
        let value = gather(subject, &mut problems, |options| {
            Colours::deserialize(toml::de::Deserializer::from(options))
        });
        (value, problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn all_errors_of_a_table_are_found_and_the_rest_is_read() {
        let (value, problems) = read(
            "red = \"x\"\nblue = 1\nnames = [\"a\", { b = 1 }]\ninner = { depth = 300, width = 2 }",
        );
        assert_eq!(problems.len(), 5, "{problems:?}");
        let value = value.unwrap();
        assert_eq!((value.red, value.inner.depth), (1.0, 7));
        assert_eq!(value.names, ["a"]);
    }

    #[test]
    fn a_good_table_has_no_problems() {
        let (value, problems) = read("red = 2");
        assert_eq!((value.unwrap().red, problems.len()), (2.0, 0));
    }
}
