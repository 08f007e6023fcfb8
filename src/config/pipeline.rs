//! `pipeline.toml` of km3mon: its sections serve as options of the kinds they belong to.

use std::borrow::Cow;
use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::shape::{Shape, Takes};
use crate::registry;

/// Sections that km3mon knows, whether or not a kind of ours reads them.
const SECTIONS: [&str; 10] = [
    "Alerts",
    "CalibrateAHRS",
    "DOMRates",
    "ELOGService",
    "LocalDBService",
    "PMTRates",
    "TriggerMap",
    "TriggerRate",
    "WebServer",
    "ZTPlot",
];

/// Section of values that entries refer to by name.
const VARIABLES: &str = "VARIABLES";

/// The sections of a `pipeline.toml`, and which of them were read.
#[derive(Default)]
pub(crate) struct Pipeline {
    sections: DeTable<'static>,
    read: BTreeSet<String>,
}

impl Pipeline {
    /// Takes the content of a file and puts the values of variables in.
    pub(crate) fn new(mut sections: DeTable<'static>) -> Self {
        let variables = match sections.remove(VARIABLES).map(Spanned::into_inner) {
            Some(DeValue::Table(variables)) => variables,
            _ => DeTable::new(),
        };
        for (_, section) in sections.iter_mut() {
            if let DeValue::Table(section) = section.get_mut() {
                section
                    .iter_mut()
                    .for_each(|(_, value)| substitute(value, &variables));
            }
        }
        let read = BTreeSet::new();
        Self { sections, read }
    }

    /// Adds the options that a kind finds in its section to those given for a service.
    pub(crate) fn apply(
        &mut self,
        section: &'static str,
        shape: &Shape,
        options: &mut DeTable<'static>,
    ) {
        let Some(DeValue::Table(entries)) = self.sections.get(section).map(Spanned::get_ref) else {
            return;
        };
        self.read.insert(section.to_owned());
        for (key, value) in entries.iter() {
            let name: &str = key.get_ref();
            let Some(shape) = shape.key(name) else {
                continue;
            };
            if !options.contains_key(name) {
                options.insert(key.clone(), with_unit(value.clone(), &shape));
            }
        }
    }

    /// Adds the one option that a kind finds in the section of another.
    pub(crate) fn lend(
        &self,
        (section, key): (&str, &str),
        shape: &Shape,
        options: &mut DeTable<'static>,
    ) {
        let Some(DeValue::Table(entries)) = self.sections.get(section).map(Spanned::get_ref) else {
            return;
        };
        let Some(shape) = shape.key(key).filter(|_| !options.contains_key(key)) else {
            return;
        };
        if let Some((key, value)) = entries.get_key_value(key) {
            options.insert(key.clone(), with_unit(value.clone(), &shape));
        }
    }

    /// Warns of everything that nothing reads.
    pub(crate) fn unread(&self, problems: &mut Vec<Problem>) {
        for (key, value) in self.sections.iter() {
            let name: &str = key.get_ref();
            let at = value.span();
            match value.get_ref() {
                DeValue::Table(entries) if self.read.contains(name) => {
                    unread_keys(name, entries, problems);
                }
                DeValue::Table(_) if is_known(name) => problems.push(
                    Problem::warning(format!("[{name}] is not read by any service of this stack"))
                        .at(at),
                ),
                DeValue::Table(_) => problems.push(
                    Problem::warning(format!("nothing reads [{name}]"))
                        .at(at)
                        .suggest(name, known(), "section"),
                ),
                _ => problems.push(
                    Problem::warning(format!("nothing reads `{name}`, which is in no section"))
                        .at(key.span()),
                ),
            }
        }
    }
}

fn known() -> impl Iterator<Item = &'static str> {
    let ours = registry::kinds().filter_map(|kind| kind.section);
    let all: BTreeSet<&str> = SECTIONS.into_iter().chain(ours).collect();
    all.into_iter()
}

fn is_known(section: &str) -> bool {
    known().any(|name| name == section)
}

fn unread_keys(section: &str, entries: &DeTable<'static>, problems: &mut Vec<Problem>) {
    let readers = registry::kinds().filter(|kind| kind.section == Some(section));
    let own = readers.flat_map(|kind| Shape::of((kind.schema)()).keys());
    let borrowed = registry::kinds().filter_map(|kind| kind.borrowed);
    let borrowed = borrowed.filter(|(from, _)| *from == section);
    let keys: BTreeSet<String> = own.chain(borrowed.map(|(_, key)| key.to_owned())).collect();
    for key in entries
        .keys()
        .filter(|key| !keys.contains(&**key.get_ref()))
    {
        let name = key.get_ref();
        let problem = Problem::warning(format!("nothing reads `{section}.{name}`"))
            .at(key.span())
            .suggest(name, keys.iter().map(String::as_str), "key");
        problems.push(problem);
    }
}

/// Puts the value of a variable where an entry's value is the variable's name.
fn substitute(value: &mut Spanned<DeValue<'static>>, variables: &DeTable<'static>) {
    match value.get_mut() {
        DeValue::String(name) => {
            if let Some(found) = variables.get(&**name) {
                *value = found.clone();
            }
        }
        DeValue::Array(list) => list.iter_mut().for_each(|item| substitute(item, variables)),
        _ => {}
    }
}

/// Numbers of km3mon have no unit; ours of time and size have one.
fn with_unit(value: Spanned<DeValue<'static>>, shape: &Shape) -> Spanned<DeValue<'static>> {
    let number = match value.get_ref() {
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        _ => return value,
    };
    let unit = match shape.text("format") {
        Some("span") => shape.text("unit").unwrap_or("s"),
        Some("size") => shape.text("unit").unwrap_or("B"),
        _ if shape.takes() == Takes::Text => "",
        _ => return value,
    };
    let text = DeValue::String(Cow::Owned(format!("{number}{unit}")));
    Spanned::new(value.span(), text)
}
