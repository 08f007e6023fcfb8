//! Values as supervisord understands them: truths, sizes, exit codes, variables, words of a command.

use std::iter::Peekable;

use super::expand::{Part, Text};

/// Why a value cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ValueError {
    #[error("`{0}` is neither true nor false")]
    Truth(String),
    #[error("`{0}` is no whole number")]
    Number(String),
    #[error("`{0}` is no octal number up to 777")]
    Octal(String),
    #[error("`{0}` is no size, such as 50MB")]
    Size(String),
    #[error("`{0}` is no list of exit codes from 0 to 255")]
    ExitCodes(String),
    #[error("expected KEY=\"value\",KEY2=\"value\"")]
    Pairs,
    #[error("a quote is not closed")]
    Quote,
}

/// Reads a truth.
pub(super) fn truth(text: &str) -> Result<bool, ValueError> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(ValueError::Truth(text.to_owned())),
    }
}

/// Reads a whole number.
pub(super) fn number(text: &str) -> Result<i64, ValueError> {
    let number = text.trim().parse();
    number.map_err(|_| ValueError::Number(text.to_owned()))
}

/// Reads a size; `MB` are 1,048,576 bytes.
pub(super) fn bytes(text: &str) -> Result<u64, ValueError> {
    let small = text.trim().to_lowercase();
    let units = [("kb", 1_u64 << 10), ("mb", 1 << 20), ("gb", 1 << 30)];
    let unit = units.iter().find_map(|(unit, bytes)| {
        let number = small.strip_suffix(unit)?;
        Some((number.trim(), *bytes))
    });
    let (number, unit) = unit.unwrap_or((&small, 1));
    let number: Option<u64> = number.parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| ValueError::Size(text.to_owned()))
}

/// Reads permission bits.
pub(super) fn octal(text: &str) -> Result<u32, ValueError> {
    let bits = u32::from_str_radix(text.trim().trim_start_matches("0o"), 8).ok();
    let bits = bits.filter(|bits| *bits <= 0o777);
    bits.ok_or_else(|| ValueError::Octal(text.to_owned()))
}

/// Reads exit codes.
pub(super) fn exit_codes(text: &str) -> Result<Vec<i64>, ValueError> {
    let codes = text.split(',').map(|code| code.trim().parse::<u8>());
    let codes: Result<Vec<u8>, _> = codes.collect();
    let codes = codes.map_err(|_| ValueError::ExitCodes(text.to_owned()))?;
    Ok(codes.into_iter().map(i64::from).collect())
}

/// A letter, or a variable that is filled in later.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unit {
    Letter(char),
    Variable(String),
}

impl Unit {
    fn is(&self, letters: &str) -> bool {
        matches!(self, Self::Letter(letter) if letters.contains(*letter))
    }

    fn is_word(&self) -> bool {
        match self {
            Self::Letter(letter) => letter.is_alphanumeric() || self.is("_/.+-():"),
            Self::Variable(_) => true,
        }
    }
}

/// Reads variables: words and quoted texts as Python's `shlex` takes them apart.
pub(super) fn pairs(text: &Text) -> Result<Vec<(String, Text)>, ValueError> {
    let tokens = tokens(text)?;
    let mut pairs = Vec::new();
    // The fourth token of each is the comma.
    for pair in tokens.chunks(4) {
        let [key, equals, value, ..] = pair else {
            return Err(ValueError::Pairs);
        };
        let is_equals = equals.len() == 1 && equals.iter().all(|unit| unit.is("="));
        let key: Option<String> = key
            .iter()
            .map(|unit| match unit {
                Unit::Letter(letter) => Some(*letter),
                Unit::Variable(_) => None,
            })
            .collect();
        match key.filter(|_| is_equals) {
            Some(key) => pairs.push((key, unquoted(value))),
            None => return Err(ValueError::Pairs),
        }
    }
    Ok(pairs)
}

fn tokens(text: &Text) -> Result<Vec<Vec<Unit>>, ValueError> {
    let units = text.0.iter().flat_map(|part| match part {
        Part::Plain(text) => text.chars().map(Unit::Letter).collect(),
        Part::Variable(name) => vec![Unit::Variable(name.clone())],
    });
    let mut units = units.peekable();
    let mut tokens = Vec::new();
    while let Some(unit) = units.next() {
        if unit.is("#") {
            while units.next_if(|unit| !unit.is("\n")).is_some() {}
        } else if unit.is("'\"") {
            tokens.push(quoted(unit, &mut units)?);
        } else if unit.is_word() {
            let mut word = vec![unit];
            while let Some(next) = units.next_if(|unit| unit.is_word() || unit.is("'\"")) {
                word.push(next);
            }
            tokens.push(word);
        } else if !matches!(unit, Unit::Letter(letter) if letter.is_whitespace()) {
            tokens.push(vec![unit]);
        }
    }
    Ok(tokens)
}

fn quoted(
    quote: Unit,
    units: &mut Peekable<impl Iterator<Item = Unit>>,
) -> Result<Vec<Unit>, ValueError> {
    let mut word = vec![quote.clone()];
    for unit in units {
        let ends = unit == quote;
        word.push(unit);
        if ends {
            return Ok(word);
        }
    }
    Err(ValueError::Quote)
}

/// Takes the quotes at both ends away.
fn unquoted(value: &[Unit]) -> Text {
    let from = value.iter().position(|unit| !unit.is("'\""));
    let to = value.iter().rposition(|unit| !unit.is("'\""));
    let inside = from.zip(to).and_then(|(from, to)| value.get(from..=to));
    let mut text = Text::default();
    for unit in inside.unwrap_or_default() {
        match (unit, text.0.last_mut()) {
            (Unit::Letter(letter), Some(Part::Plain(last))) => last.push(*letter),
            (Unit::Letter(letter), _) => text.0.push(Part::Plain(letter.to_string())),
            (Unit::Variable(name), _) => text.0.push(Part::Variable(name.clone())),
        }
    }
    text
}

/// Splits a command as Python's `shlex.split` does.
pub(super) fn words(command: &str) -> Result<Vec<String>, ValueError> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some('"'), '\\') => {
                let escaped = letters.next_if(|next| "\\\"".contains(*next));
                word.get_or_insert_default().push(escaped.unwrap_or('\\'));
            }
            (None, '\\') => {
                let escaped = letters.next().ok_or(ValueError::Quote)?;
                word.get_or_insert_default().push(escaped);
            }
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    match quote {
        Some(_) => Err(ValueError::Quote),
        None => {
            words.extend(word);
            Ok(words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_in_1024() {
        assert_eq!(bytes("50MB"), Ok(50 << 20));
        assert_eq!(bytes("3 gb"), Ok(3 << 30));
        assert_eq!(bytes("17"), Ok(17));
        assert!(bytes("99999999999999999GB").is_err());
        assert!(bytes("5TB").is_err());
        assert!(bytes("").is_err());
    }

    #[test]
    fn variables_are_split_at_commas_outside_quotes() {
        let text = Text(vec![
            Part::Plain("A=1,\nB=\"x, y\",C='".into()),
            Part::Variable("V".into()),
            Part::Plain("/z',D=a/b.c-d".into()),
        ]);
        let pairs = pairs(&text).unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(key, value)| format!("{key}={}", value.for_fathom().unwrap()))
            .collect();
        assert_eq!(pairs, ["A=1", "B=x, y", "C=${V}/z", "D=a/b.c-d"]);
    }

    #[test]
    fn broken_variables_are_refused() {
        for text in ["A", "A=", "=1", "A=\"x", "A=a@b,C=d"] {
            let text = Text(vec![Part::Plain(text.to_owned())]);
            let broken = pairs(&text);
            assert!(broken.is_err(), "{text:?}");
        }
    }

    #[test]
    fn commands_are_split_as_by_python() {
        let split = |text| words(text).unwrap();
        assert_eq!(
            split("a  'b c' \"d\\\"\\$\" e\\ f"),
            ["a", "b c", "d\"\\$", "e f"]
        );
        assert_eq!(split("a '' b#c"), ["a", "", "b#c"]);
        assert!(words("a 'b").is_err());
        assert!(words("a \\").is_err());
    }
}
