//! One `[service.NAME]` to its plan, except what needs the other services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fathom_kernel::{Kind, Setup};
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::document::{CommandDoc, ServiceDoc};
use super::gather::{Subject, gather};
use super::pipeline::Pipeline;
use super::plan::{Body, CommandBody, KindBody, Placement};
use super::problem::{Problem, nearest};
use super::shape::Shape;
use super::source::Place;
use super::text::to_text;
use crate::registry;

/// What all services are read with.
pub(crate) struct Readers<'a> {
    pub(crate) setup: &'a Setup,
    /// The detector could not be made, so a kind that misses it is not to blame.
    pub(crate) detector_failed: bool,
    pub(crate) pipeline: &'a mut Pipeline,
    pub(crate) problems: &'a mut Vec<Problem>,
    /// Services whose kind or command was written, but holds a variable that has no value.
    unnamed: &'a BTreeSet<String>,
    /// Keys of [`ServiceDoc`].
    common: BTreeSet<String>,
}

/// A service table, read by itself.
pub(crate) struct Read {
    pub(crate) name: String,
    /// Where its name is written.
    pub(crate) place: Place,
    pub(crate) doc: ServiceDoc,
    /// `None` when it was reported why.
    pub(crate) body: Option<Body>,
}

impl<'a> Readers<'a> {
    /// Prepares reading.
    pub(crate) fn new(
        (setup, detector_failed): (&'a Setup, bool),
        unnamed: &'a BTreeSet<String>,
        pipeline: &'a mut Pipeline,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        let common = Shape::of_type::<ServiceDoc>().keys().into_iter().collect();
        Self {
            setup,
            detector_failed,
            pipeline,
            problems,
            unnamed,
            common,
        }
    }

    /// Reads one service.
    pub(crate) fn service(
        &mut self,
        name: &str,
        place: Place,
        table: DeTable<'static>,
    ) -> Option<Read> {
        let mut common = DeTable::new();
        let mut options = DeTable::new();
        for (key, value) in table {
            match self.common.contains(&**key.get_ref()) {
                true => common.insert(key, value),
                false => options.insert(key, value),
            };
        }
        let named = common.contains_key("kind")
            || common.contains_key("command")
            || self.unnamed.contains(name);
        let subject = Subject {
            table: common,
            place: place.clone(),
            names: &[],
        };
        let doc = gather(subject, self.problems, |table| {
            ServiceDoc::deserialize(toml::de::Deserializer::from(table))
        })?;
        let body = match (&doc.kind, &doc.command) {
            // What was written could not be read, and that has been said.
            (None, None) if named => None,
            _ => self.body(name, &place, &doc, options),
        };
        let name = name.to_owned();
        Some(Read {
            name,
            place,
            doc,
            body,
        })
    }

    fn body(
        &mut self,
        name: &str,
        place: &Place,
        doc: &ServiceDoc,
        options: DeTable<'static>,
    ) -> Option<Body> {
        match (&doc.kind, &doc.command) {
            (Some(kind), None) => self.kind(kind, place, doc, options),
            (None, Some(command)) => {
                self.unknown_options(&options);
                self.command(command, doc)
            }
            (Some(kind), Some(command)) => {
                let problem = Problem::error(format!("{name} has both a kind and a command"))
                    .at(command.span())
                    .also(kind.span(), "kind");
                self.problems.push(problem);
                None
            }
            (None, None) => {
                let problem = Problem::error(format!("{name} has neither a kind nor a command"))
                    .at(place.clone());
                self.problems.push(problem);
                None
            }
        }
    }

    fn kind(
        &mut self,
        kind: &Spanned<String>,
        place: &Place,
        doc: &ServiceDoc,
        mut options: DeTable<'static>,
    ) -> Option<Body> {
        self.only_commands(doc);
        let Some(found) = registry::find(kind.get_ref()) else {
            let problem = Problem::error(format!("unknown kind `{kind}`")).at(kind.span());
            let problem = match nearest(kind.get_ref(), registry::kinds().map(|kind| kind.name)) {
                Some(near) => problem.label(format!("did you mean `{near}`?")),
                None => problem.help("`fathom kinds` lists them all"),
            };
            self.problems.push(problem);
            return None;
        };
        let shape = || Shape::of((found.schema)());
        if let Some(section) = found.section {
            self.pipeline.apply(section, &shape(), &mut options);
        }
        if let Some(borrowed) = found.borrowed {
            self.pipeline.lend(borrowed, &shape(), &mut options);
        }
        let text = to_text(&options);
        let factory = self.factory(found, place, options)?;
        let run = doc
            .run
            .as_ref()
            .map(|run| *run.get_ref())
            .unwrap_or_default();
        self.check_limits(doc, run == super::plan::Run::Actor);
        let placement = doc
            .placement
            .as_ref()
            .map_or_else(|| Placement::usual(found), |p| *p.get_ref());
        Some(Body::Kind(KindBody {
            kind: found,
            factory: Arc::from(factory),
            options: text,
            run,
            placement,
        }))
    }

    fn factory(
        &mut self,
        kind: &'static Kind,
        place: &Place,
        table: DeTable<'static>,
    ) -> Option<fathom_kernel::Factory> {
        let common: Vec<&str> = self.common.iter().map(String::as_str).collect();
        let subject = Subject {
            table,
            place: place.clone(),
            names: &common,
        };
        let (setup, detector_failed) = (self.setup, self.detector_failed);
        let mut missing_detector = false;
        let mut found = Vec::new();
        let factory = gather(subject, &mut found, |options| {
            (kind.parse)(options, setup).inspect_err(|error| {
                missing_detector = detector_failed && error.span().is_none();
            })
        });
        if !missing_detector {
            self.problems.append(&mut found);
        }
        factory
    }

    fn command(&mut self, command: &Spanned<CommandDoc>, doc: &ServiceDoc) -> Option<Body> {
        for (key, at) in [
            ("run", doc.run.as_ref().map(Spanned::span)),
            ("placement", doc.placement.as_ref().map(Spanned::span)),
        ] {
            if let Some(at) = at {
                let text = format!("`{key}` goes with a kind; a command always runs as a child");
                self.problems.push(Problem::error(text).at(at));
            }
        }
        let mut argv = split(command, self.problems)?;
        if let Some(args) = &doc.args {
            self.problems
                .extend(cut_short(args.get_ref(), &args.span()));
            argv.extend(args.get_ref().iter().cloned());
        }
        let env = self.environment(doc);
        let user = doc.user.as_ref().map(|user| self.user(user));
        let cwd = doc
            .cwd
            .as_ref()
            .map(|cwd| self.setup.config_dir.join(cwd.get_ref()));
        Some(Body::Command(CommandBody {
            argv,
            env,
            cwd,
            user,
        }))
    }

    fn environment(&mut self, doc: &ServiceDoc) -> BTreeMap<String, String> {
        let Some(given) = &doc.env else {
            return BTreeMap::new();
        };
        let env = given.get_ref();
        for name in env.keys() {
            if name.is_empty() || name.contains('=') {
                let problem = Problem::error(format!("`{name}` is not the name of a variable"));
                self.problems.push(problem.at(given.span()));
            }
        }
        let texts = env.iter().flat_map(|(name, value)| [name, value]);
        self.problems.extend(cut_short(texts, &given.span()));
        env.clone()
    }

    /// Whoever does not exist yet may do so when the service is started, which fails otherwise.
    fn user(&mut self, given: &Spanned<String>) -> String {
        let name = given.get_ref();
        if matches!(nix::unistd::User::from_name(name), Ok(None)) {
            let problem = Problem::warning(format!("there is no user `{name}` here"));
            let problem = problem.at(given.span());
            self.problems
                .push(problem.help("the service cannot be started without"));
        }
        name.clone()
    }

    fn unknown_options(&mut self, options: &DeTable<'static>) {
        for key in options.keys() {
            let name = key.get_ref();
            let problem = Problem::error(format!("unknown key `{name}` of a command"))
                .at(key.span())
                .suggest(name, self.common.iter().map(String::as_str), "key");
            self.problems.push(problem);
        }
    }

    /// Reports keys that only programs have.
    fn only_commands(&mut self, doc: &ServiceDoc) {
        for (key, at) in [
            ("args", doc.args.as_ref().map(Spanned::span)),
            ("env", doc.env.as_ref().map(Spanned::span)),
            ("cwd", doc.cwd.as_ref().map(Spanned::span)),
            ("user", doc.user.as_ref().map(Spanned::span)),
        ] {
            if let Some(at) = at {
                let text = format!("`{key}` goes with a command, not with a kind");
                self.problems.push(Problem::error(text).at(at));
            }
        }
    }

    fn check_limits(&mut self, doc: &ServiceDoc, in_process: bool) {
        if let Some(limits) = doc.limits.as_ref().filter(|_| in_process) {
            let problem = Problem::error("`limits` need a process of its own")
                .at(limits.span())
                .help("write run = \"process\"");
            self.problems.push(problem);
        }
    }
}

/// Splits a command into its words; never into none.
pub(crate) fn split(
    command: &Spanned<CommandDoc>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<String>> {
    let argv = match command.get_ref() {
        CommandDoc::Words(words) => Some(words.clone()),
        CommandDoc::Line(line) => shlex::split(line),
    };
    let problem = match argv {
        None => "the command has an open quote or a trailing \\",
        Some(argv) if argv.first().is_none_or(String::is_empty) => "the command is empty",
        Some(argv) => {
            problems.extend(cut_short(&argv, &command.span()));
            return Some(argv);
        }
    };
    problems.push(Problem::error(problem).at(command.span()));
    None
}

/// Finds a text that would reach a program only in part.
fn cut_short<'a>(texts: impl IntoIterator<Item = &'a String>, place: &Place) -> Option<Problem> {
    let has_nul = |text: &String| text.contains('\0');
    let found = texts.into_iter().any(has_nul);
    found.then(|| Problem::error("what a program is given holds no NUL").at(place.clone()))
}
