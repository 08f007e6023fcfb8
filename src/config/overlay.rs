//! Single values from the environment and the command line, put over what the files say.

use std::borrow::Cow;
use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::expand::{Environment, expand};
use super::problem::Problem;
use super::shape::{self, Takes};
use super::source::{Place, Sources, kept};

/// Variables with this beginning override keys: `FATHOM__SERVICE__DOM_RATES__LOWEST_RATE`.
pub(crate) const PREFIX: &str = "FATHOM__";

/// Lays values over a table and puts variables into its texts.
pub(crate) struct Overlay<'a> {
    pub(crate) root: &'a mut DeTable<'static>,
    pub(crate) sources: &'a mut Sources,
    pub(crate) problems: &'a mut Vec<Problem>,
}

/// One value to be laid over: where it goes and where it is written.
struct Patch {
    path: Vec<String>,
    key_place: Place,
    text: &'static str,
    text_place: Place,
}

impl Overlay<'_> {
    /// Lays the variables that begin with [`PREFIX`] over the table.
    pub(crate) fn environment(&mut self, environment: &Environment) {
        for (name, value) in environment {
            let Some(path) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let path = path.split("__").map(str::to_lowercase).collect();
            self.lay("environment", name, value, path);
        }
    }

    /// Lays arguments such as `service.dom_rates.lowest_rate=150` over the table.
    pub(crate) fn arguments(&mut self, arguments: &[String]) {
        for argument in arguments {
            match argument.split_once('=') {
                Some((key, value)) => {
                    let path = key.split('.').map(|part| part.trim().to_owned()).collect();
                    self.lay("--set", key, value, path);
                }
                None => {
                    let start = self.sources.add("--set", argument.clone());
                    let problem = Problem::error("expected KEY=VALUE, such as log.level=debug");
                    self.problems
                        .push(problem.at(start..start + argument.len()));
                }
            }
        }
    }

    fn lay(&mut self, origin: &str, key: &str, value: &str, path: Vec<String>) {
        let start = self.sources.add(origin, format!("{key}={value}"));
        let key_place = start..start + key.len();
        let text_place = key_place.end + 1..key_place.end + 1 + value.len();
        let whole = key_place.start..text_place.end;
        let text = self.sources.locate(&whole).map_or("", |(source, local)| {
            source
                .text
                .get(local.start + key.len() + 1..)
                .unwrap_or_default()
        });
        self.apply(Patch {
            path,
            key_place,
            text,
            text_place,
        });
    }

    fn apply(&mut self, mut patch: Patch) {
        if let ["service" | "group", name, _, ..] = &*refs(&patch.path) {
            let Some(table) = patch
                .path
                .first()
                .and_then(|section| table_at(self.root, section))
            else {
                return self.unknown(&patch, &[]);
            };
            let names: Vec<String> = table.keys().map(|k| k.get_ref().to_string()).collect();
            let short = name.rsplit(':').next().unwrap_or(name).to_owned();
            match names.into_iter().find(|name| same(name, &short)) {
                Some(found) => patch.path[1] = found,
                None => {
                    let names: Vec<String> =
                        table.keys().map(|k| k.get_ref().to_string()).collect();
                    return self.unknown(&patch, &names);
                }
            }
        } else if patch.path.len() < 2 {
            let problem =
                Problem::error("expected SECTION and KEY, such as log.level").at(patch.key_place);
            return self.problems.push(problem);
        }
        let value = self.value(&patch);
        insert(self.root, &patch, value);
    }

    fn unknown(&mut self, patch: &Patch, names: &[String]) {
        let (section, name) = (&patch.path[0], &patch.path[1]);
        let problem = Problem::error(format!("there is no {section} `{name}`"))
            .at(patch.key_place.clone())
            .suggest(name, names.iter().map(String::as_str), section);
        self.problems.push(problem);
    }

    fn value(&self, patch: &Patch) -> Spanned<DeValue<'static>> {
        let takes = shape::at(&refs(&patch.path), |name| kind_of(self.root, name))
            .map_or(Takes::Either, |shape| shape.takes());
        let place = patch.text_place.clone();
        match takes {
            Takes::Text if is_quoted(patch.text) => understood(patch.text, Takes::Either, place),
            _ => understood(patch.text, takes, place),
        }
    }

    /// Puts variables into all texts of the table. Returns the services whose kind or command was
    /// left out for that.
    pub(crate) fn expand(&mut self, environment: &Environment) -> BTreeSet<String> {
        let kinds: Vec<(String, String)> = table_at(self.root, "service")
            .into_iter()
            .flat_map(|services| services.keys())
            .filter_map(|name| {
                let kind = kind_of(self.root, name.get_ref())?;
                Some((name.get_ref().to_string(), kind.to_owned()))
            })
            .collect();
        let (sources, problems) = (&*self.sources, &mut *self.problems);
        let mut walk = Walk {
            environment,
            sources,
            problems,
            kinds,
            path: Vec::new(),
            unnamed: BTreeSet::new(),
        };
        walk.table(self.root);
        walk.unnamed
    }
}

/// Goes through all values of a table.
struct Walk<'a> {
    environment: &'a Environment,
    sources: &'a Sources,
    problems: &'a mut Vec<Problem>,
    kinds: Vec<(String, String)>,
    path: Vec<String>,
    unnamed: BTreeSet<String>,
}

impl Walk<'_> {
    /// Expands a table; values that cannot be are reported and left out.
    fn table(&mut self, table: &mut DeTable<'static>) {
        let entries = std::mem::take(table).into_iter();
        let kept = entries.filter_map(|(key, mut value)| {
            self.path.push(key.get_ref().to_string());
            let keep = self.value(&mut value);
            if let (false, ["service", name, "kind" | "command"]) = (keep, &*refs(&self.path)) {
                self.unnamed.insert((*name).to_owned());
            }
            self.path.pop();
            keep.then_some((key, value))
        });
        *table = kept.collect();
    }

    /// Expands a value; tells whether it can be used.
    fn value(&mut self, value: &mut Spanned<DeValue<'static>>) -> bool {
        let place = value.span();
        let text = match value.get_mut() {
            DeValue::Table(table) => {
                self.table(table);
                return true;
            }
            DeValue::Array(list) => {
                let usable = list.iter_mut().map(|item| self.value(item));
                return usable.filter(|usable| !usable).count() == 0;
            }
            DeValue::String(text) if text.contains("${") => text.clone(),
            _ => return true,
        };
        match expand(&text, self.environment) {
            Ok(done) => {
                let takes = self.takes();
                // Leaked like the texts of files: options may borrow from it.
                *value = understood(kept(done.into_owned()), takes, place);
                true
            }
            Err(faults) => {
                for fault in faults {
                    let at = self.within(&place, &fault.part);
                    self.problems
                        .push(Problem::error(fault.error.to_string()).at(at));
                }
                false
            }
        }
    }

    fn takes(&self) -> Takes {
        let kind_of = |name: &str| {
            let known = self.kinds.iter().find(|(service, _)| service == name);
            known.map(|(_, kind)| kind.as_str())
        };
        match shape::at(&refs(&self.path), kind_of).map(|shape| shape.takes()) {
            Some(Takes::NoText) => Takes::NoText,
            // In a file a text was written, so it stays one wherever it can be one.
            _ => Takes::Text,
        }
    }

    /// Returns the place of a part of a text, as it is written.
    fn within(&self, place: &Place, part: &str) -> Place {
        match self.sources.text(place).find(part) {
            Some(at) => place.start + at..place.start + at + part.len(),
            None => place.clone(),
        }
    }
}

/// Tells whether a text is written in quotes as it would be in a file.
fn is_quoted(text: &str) -> bool {
    text.len() > 1
        && ['"', '\'']
            .iter()
            .any(|&quote| text.starts_with(quote) && text.ends_with(quote))
}

/// Returns a text as the value that its key takes.
pub(crate) fn understood(
    text: &'static str,
    takes: Takes,
    place: Place,
) -> Spanned<DeValue<'static>> {
    let value = match takes {
        Takes::Text => None,
        Takes::NoText | Takes::Either => DeValue::parse(text).ok(),
    };
    let value = match value.map(Spanned::into_inner) {
        Some(value) => flattened(value, &place),
        None => DeValue::String(Cow::Borrowed(text)),
    };
    Spanned::new(place, value)
}

/// Gives all parts of a value the same place.
fn flattened(value: DeValue<'static>, place: &Place) -> DeValue<'static> {
    let moved = |value: Spanned<DeValue<'static>>| {
        Spanned::new(place.clone(), flattened(value.into_inner(), place))
    };
    match value {
        DeValue::Array(list) => DeValue::Array(list.into_iter().map(moved).collect()),
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| (Spanned::new(place.clone(), key.into_inner()), moved(value)))
                .collect(),
        ),
        other => other,
    }
}

fn insert(root: &mut DeTable<'static>, patch: &Patch, value: Spanned<DeValue<'static>>) {
    let Some((last, path)) = patch.path.split_last() else {
        return;
    };
    let key = |name: &str| Spanned::new(patch.key_place.clone(), Cow::Owned(name.to_owned()));
    let mut table = root;
    for name in path {
        let empty = Spanned::new(patch.key_place.clone(), DeValue::Table(DeTable::new()));
        let inner = table.entry(key(name)).or_insert(empty);
        if !inner.get_ref().is_table() {
            *inner.get_mut() = DeValue::Table(DeTable::new());
        }
        match inner.get_mut() {
            DeValue::Table(inner) => table = inner,
            _ => return,
        }
    }
    // Removed first, so that the key's place is the new one as well.
    table.remove(last.as_str());
    table.insert(key(last), value);
}

/// Returns a table of the root.
pub(crate) fn table_at<'a>(root: &'a DeTable<'static>, name: &str) -> Option<&'a DeTable<'static>> {
    root.get(name)?.get_ref().as_table()
}

/// Returns the kind of a service as it is written.
pub(crate) fn kind_of<'a>(root: &'a DeTable<'static>, service: &str) -> Option<&'a str> {
    let service = table_at(root, "service")?
        .get(service)?
        .get_ref()
        .as_table()?;
    service.get("kind")?.get_ref().as_str()
}

fn refs(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// Tells whether two names differ only in case and in `-` against `_`, as variables must.
fn same(a: &str, b: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    plain(a) == plain(b)
}
