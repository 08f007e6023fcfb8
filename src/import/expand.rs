//! Python's `%(name)s` in a value, to `${NAME}` or to what it stands for.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use crate::config::Environment;

/// Widest field of a number or text.
const WIDTH_MAX: usize = 64;

/// A value with the variables that are filled in when the stack starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(pub(super) Vec<Part>);

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// To be taken as it is.
    Plain(String),
    /// Name of an environment variable.
    Variable(String),
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    Text(String),
    Number(i64),
}

/// What may stand in `%(…)s`.
#[derive(Debug, Clone)]
pub(super) struct Names<'a> {
    /// `program_name` and the like.
    pub(super) plain: BTreeMap<&'static str, Meaning>,
    /// Variables that the configuration itself sets, by name without `ENV_`.
    pub(super) set: BTreeMap<String, Text>,
    /// Variables there are at present.
    pub(super) environment: &'a Environment,
}

/// Why a value has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    #[error("`%({0})` stands for nothing here")]
    Unknown(String),
    #[error("a `%` that begins no `%(name)s`; a percent sign is written `%%`")]
    Percent,
    #[error("`%({name}){form}`: supervisord does not know this form for it")]
    Form { name: String, form: String },
    #[error("a `$` directly before a variable cannot be written")]
    Dollar,
    #[error("environment variable {0} is not set at present, and its value is needed now")]
    Unset(String),
}

impl Text {
    /// Returns the text as fathom reads it: variables as `${NAME}`.
    pub(super) fn for_fathom(&self) -> Result<String, ExpandError> {
        let mut done = String::new();
        for part in &self.0 {
            match part {
                Part::Plain(text) => done.push_str(&text.replace("${", "$${")),
                Part::Variable(_) if done.ends_with('$') => return Err(ExpandError::Dollar),
                Part::Variable(name) => done.push_str(&format!("${{{name}}}")),
            }
        }
        Ok(done)
    }

    /// Returns the text with the variables of the present environment.
    pub(super) fn now(&self, environment: &Environment) -> Result<String, ExpandError> {
        let parts = self.0.iter().map(|part| match part {
            Part::Plain(text) => Ok(text.as_str()),
            Part::Variable(name) => {
                let value = environment.get(name).map(String::as_str);
                value.ok_or_else(|| ExpandError::Unset(name.clone()))
            }
        });
        parts.collect()
    }

    /// Tells whether it depends on the environment.
    pub(super) fn varies(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Variable(_)))
    }

    fn plain(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Part::Plain(last)) => last.push_str(text),
            _ => self.0.push(Part::Plain(text.to_owned())),
        }
    }

    fn append(&mut self, other: &Self) {
        for part in &other.0 {
            match part {
                Part::Plain(text) => self.plain(text),
                Part::Variable(_) => self.0.push(part.clone()),
            }
        }
    }
}

/// Expands a value.
pub(super) fn expand(text: &str, names: &Names<'_>) -> Result<Text, ExpandError> {
    let mut done = Text::default();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        done.plain(before);
        if let Some(after) = after.strip_prefix('%') {
            done.plain("%");
            rest = after;
            continue;
        }
        let inside = after.strip_prefix('(').ok_or(ExpandError::Percent)?;
        let (name, behind) = inside.split_once(')').ok_or(ExpandError::Percent)?;
        let mut chars = behind.chars().peekable();
        let form = Form::read(&mut chars).ok_or(ExpandError::Percent)?;
        put(&mut done, name, &form, names)?;
        let length = behind.len() - chars.map(char::len_utf8).sum::<usize>();
        rest = behind.get(length..).unwrap_or_default();
    }
    if !rest.is_empty() {
        done.plain(rest);
    }
    Ok(done)
}

fn put(done: &mut Text, name: &str, form: &Form, names: &Names<'_>) -> Result<(), ExpandError> {
    if let Some(meaning) = names.plain.get(name) {
        let refused = || ExpandError::Form {
            name: name.to_owned(),
            form: form.text.clone(),
        };
        done.plain(&form.of(meaning).ok_or_else(refused)?);
        return Ok(());
    }
    let unknown = || ExpandError::Unknown(name.to_owned());
    let variable = name.strip_prefix("ENV_").ok_or_else(unknown)?;
    if form.text != "s" {
        return Err(ExpandError::Form {
            name: name.to_owned(),
            form: form.text.clone(),
        });
    }
    match names.set.get(variable) {
        Some(value) => done.append(value),
        None if is_variable(variable) => done.0.push(Part::Variable(variable.to_owned())),
        None => return Err(unknown()),
    }
    Ok(())
}

/// Tells whether fathom can name a variable so.
fn is_variable(name: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(starts) && name.chars().all(|c| starts(c) || c.is_ascii_digit())
}

/// What stands behind the name: `s`, `02d`.
struct Form {
    text: String,
    zeros: bool,
    left: bool,
    width: usize,
    letter: char,
}

impl Form {
    fn read(chars: &mut Peekable<Chars<'_>>) -> Option<Self> {
        let mut form = Self {
            text: String::new(),
            zeros: false,
            left: false,
            width: 0,
            letter: 's',
        };
        while let Some(flag) = chars.next_if(|c| "-0".contains(*c)) {
            form.text.push(flag);
            form.left |= flag == '-';
            form.zeros |= flag == '0';
        }
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            form.text.push(digit);
            let digit = digit.to_digit(10).unwrap_or_default() as usize;
            form.width = (form.width * 10 + digit).min(WIDTH_MAX + 1);
        }
        form.letter = chars.next_if(|c| "sdi".contains(*c))?;
        form.text.push(form.letter);
        Some(form)
    }

    /// Writes what a name stands for; `None` when it has not this form.
    fn of(&self, meaning: &Meaning) -> Option<String> {
        if self.width > WIDTH_MAX {
            return None;
        }
        let width = self.width;
        match (meaning, self.letter) {
            (Meaning::Number(number), 'd' | 'i') => Some(match (self.left, self.zeros) {
                (true, _) => format!("{number:<width$}"),
                (false, true) => format!("{number:0width$}"),
                (false, false) => format!("{number:width$}"),
            }),
            (Meaning::Text(_), 'd' | 'i') => None,
            (Meaning::Number(number), _) => Some(self.padded(&number.to_string())),
            (Meaning::Text(text), _) => Some(self.padded(text)),
        }
    }

    fn padded(&self, text: &str) -> String {
        let width = self.width;
        match self.left {
            true => format!("{text:<width$}"),
            false => format!("{text:>width$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(environment: &Environment) -> Names<'_> {
        let number = |n| Meaning::Number(n);
        Names {
            plain: [
                ("program_name", Meaning::Text("dom".into())),
                ("process_num", number(7)),
            ]
            .into(),
            set: [("SET".to_owned(), Text(vec![Part::Plain("x".into())]))].into(),
            environment,
        }
    }

    #[test]
    fn values_are_expanded_as_by_python() {
        let environment = Environment::default();
        for (text, expected) in [
            ("plain", "plain"),
            ("%(program_name)s_%(process_num)02d", "dom_07"),
            (
                "%(process_num)d|%(process_num)3d|%(process_num)-3d|",
                "7|  7|7  |",
            ),
            ("%(process_num)s%(program_name)5s", "7  dom"),
            ("date +%%H", "date +%H"),
            ("%(ENV_DETECTOR_ID)s.detx", "${DETECTOR_ID}.detx"),
            ("%(ENV_SET)sy", "xy"),
            ("echo ${HOME} $$", "echo $${HOME} $$"),
        ] {
            let done = expand(text, &names(&environment)).unwrap();
            assert_eq!(done.for_fathom().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_python_refuses_is_refused() {
        let environment = Environment::default();
        for text in [
            "100%",
            "%d",
            "%(nothing)s",
            "%(program_name)d",
            "%(program_name)",
            "%(program_name",
            "%(ENV_A)02d",
            "%(ENV_)s",
            "%(process_num)999999999999999999999d",
        ] {
            assert!(expand(text, &names(&environment)).is_err(), "{text}");
        }
        let dollar = expand("$%(ENV_A)s", &names(&environment)).unwrap();
        assert_eq!(dollar.for_fathom(), Err(ExpandError::Dollar));
        assert_eq!(
            dollar.now(&environment),
            Err(ExpandError::Unset("A".into()))
        );
    }
}
