//! Text to plan: reads everything, checks everything, and returns a plan or all problems.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fathom_kernel::{Factory, Setup};
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::control::ControlDoc;
use super::detector::Folders;
use super::document::{DetectorDoc, OwnLogDoc, StackDoc};
use super::expand::Environment;
use super::fileset::FileSet;
use super::gather::{Subject, gather};
use super::groups::{Declared, GroupDoc};
use super::overlay::Overlay;
use super::pipeline::Pipeline;
use super::plan::{HealthPlan, OwnLog, Plan};
use super::problem::Problem;
use super::report::Report;
use super::resolve::{Read, Readers};
use super::source::{Place, Sources};
use super::tree::{Builder, Tree};
use super::{claims, detector, files};
use crate::registry;

/// Sections of the file.
const SECTIONS: [&str; 8] = [
    "include", "stack", "detector", "control", "log", "health", "group", "service",
];

/// Name under which the supervisor itself writes.
pub(crate) const SUPERVISOR: &str = "fathom";

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The file; its folder is where relative paths in it start.
    pub file: PathBuf,
    /// Text to read in place of the file.
    pub text: Option<String>,
    /// A `pipeline.toml` of km3mon, in place of the one that `[stack]` names.
    pub pipeline: Option<PathBuf>,
    /// Data folder, in place of the one that `[stack]` names.
    pub data_dir: Option<PathBuf>,
    /// `KEY=VALUE` of the command line.
    pub set: Vec<String>,
    /// Variables for `${…}` and for overrides.
    pub environment: Environment,
}

/// A plan and what was odd in its configuration.
pub struct Loaded {
    /// The plan.
    pub plan: Plan,
    /// Warnings.
    pub warnings: Report,
    /// The files it was read from.
    pub files: FileSet,
}

/// Reads and checks a configuration. The error holds all problems, warnings included.
pub fn load(origin: &Origin) -> Result<Loaded, Report> {
    let mut loader = Loader {
        origin,
        files: FileSet::default(),
        sources: Sources::default(),
        problems: Vec::new(),
        unnamed: BTreeSet::new(),
    };
    let plan = loader.root().map(|root| loader.plan(root));
    let Loader {
        files,
        sources,
        problems,
        ..
    } = loader;
    let report = Report { sources, problems }.tidied();
    match plan {
        Some(plan) if !report.has_errors() => Ok(Loaded {
            plan,
            warnings: report,
            files,
        }),
        _ => Err(report),
    }
}

/// Makes the factory of a kind from options that a plan has already checked.
pub fn factory(kind: &str, options: &str, setup: &Setup) -> Result<Factory, toml::de::Error> {
    let unknown = || serde::de::Error::custom(format!("unknown kind `{kind}`"));
    let kind = registry::find(kind).ok_or_else(unknown)?;
    // Lives as long as the child that asks for it once.
    let table = DeTable::parse(options.to_owned().leak())?;
    (kind.parse)(table, setup)
}

fn own_log(doc: OwnLogDoc) -> OwnLog {
    OwnLog {
        level: doc.level.map_or("info".into(), Spanned::into_inner),
        max: doc.max,
        backups: doc.backups,
        format: doc.format,
    }
}

struct Loader<'a> {
    origin: &'a Origin,
    files: FileSet,
    sources: Sources,
    problems: Vec<Problem>,
    /// Services whose kind or command holds a variable that has no value.
    unnamed: BTreeSet<String>,
}

/// The sections that stand for themselves.
struct Sections {
    stack: StackDoc,
    control: ControlDoc,
    log: OwnLogDoc,
    health: HealthPlan,
    detector: Option<(DetectorDoc, Place)>,
    /// What stands in the section cannot be read, which has been said.
    detector_failed: bool,
    groups: Vec<Declared>,
    services: DeTable<'static>,
}

impl Loader<'_> {
    /// Reads the files and lays overrides and variables over them; `None` when they are no TOML.
    fn root(&mut self) -> Option<DeTable<'static>> {
        let Self {
            origin,
            files: set,
            sources,
            problems,
            unnamed,
        } = self;
        let mut root = match &origin.text {
            Some(text) => {
                set.add_text(text);
                let name = origin.file.display().to_string();
                let root = sources.parse(name, text.clone(), problems);
                problems.is_empty().then_some(root)?
            }
            None => files::read_all(&origin.file, set, sources, problems)?,
        };
        let mut overlay = Overlay {
            root: &mut root,
            sources,
            problems,
        };
        *unnamed = overlay.expand(&origin.environment);
        overlay.environment(&origin.environment);
        overlay.arguments(&origin.set);
        Some(root)
    }

    fn plan(&mut self, mut root: DeTable<'static>) -> Plan {
        let sections = self.sections(&mut root);
        let folder = self
            .origin
            .file
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        let data_dir = self
            .origin
            .data_dir
            .as_ref()
            .unwrap_or(&sections.stack.data_dir);
        let before = self.errors();
        let data_dir = self.absolute(data_dir);
        let folders = Folders {
            config: &folder,
            data: &data_dir,
        };
        let found = sections
            .detector
            .map(|(doc, place)| detector::make(doc, place, &folders, &mut self.problems));
        let detector::Found { detector, plan } = found.unwrap_or_default();
        let is_page = plan.as_ref().is_some_and(|plan| plan.url.is_some());
        let setup = Setup {
            detector_comes: is_page && detector.is_none(),
            data_dir,
            config_dir: self.absolute(&folder),
            detector,
        };
        let detector_failed = sections.detector_failed || self.errors() > before;
        let mut pipeline = self.pipeline(&sections.stack, &folder);
        let reads = self.services(sections.services, &setup, detector_failed, &mut pipeline);
        pipeline.unread(&mut self.problems);
        let builder = Builder {
            groups: &sections.groups,
            services: &reads,
            problems: &mut self.problems,
        };
        let Tree {
            groups,
            services,
            levels,
        } = builder.build();
        claims::check(&reads, &mut self.problems);
        let control = sections
            .control
            .checked(&setup.config_dir, &mut self.problems);
        Plan {
            name: sections.stack.name,
            setup,
            detector: plan,
            shutdown_limit: sections.stack.shutdown_limit.duration(),
            budget: sections.stack.budget,
            health: sections.health,
            control,
            log: own_log(sections.log),
            groups,
            services,
            levels,
        }
    }

    /// Reads all sections but the services.
    fn sections(&mut self, root: &mut DeTable<'static>) -> Sections {
        for (key, value) in root.iter() {
            let name: &str = key.get_ref();
            if !SECTIONS.contains(&name) {
                let what = if value.get_ref().is_table() {
                    "section"
                } else {
                    "key"
                };
                let problem = Problem::error(format!("unknown {what} `{name}`"))
                    .at(key.span())
                    .suggest(name, SECTIONS, "section");
                self.problems.push(problem);
            }
        }
        let before = self.errors();
        let detector = root.contains_key("detector").then(|| {
            let place = root.get("detector").map_or(0..0, Spanned::span);
            (self.section(root, "detector"), place)
        });
        let detector_failed = self.errors() > before;
        // What would have named the detector may be what cannot be read.
        let detector =
            detector.filter(|(doc, _)| !(detector_failed && detector::names_nothing(doc)));
        Sections {
            stack: self.section(root, "stack"),
            control: self.section(root, "control"),
            log: self.section(root, "log"),
            health: self.section(root, "health"),
            detector,
            detector_failed,
            groups: self.groups(root),
            services: self
                .table(root, "", "service")
                .map_or_else(DeTable::new, |(table, _)| table),
        }
    }

    fn section<T: DeserializeOwned + Default>(
        &mut self,
        root: &mut DeTable<'static>,
        name: &str,
    ) -> T {
        let Some((table, place)) = self.table(root, "", name) else {
            return T::default();
        };
        self.read(table, place).unwrap_or_default()
    }

    fn read<T: DeserializeOwned>(&mut self, table: DeTable<'static>, place: Place) -> Option<T> {
        let subject = Subject {
            table,
            place,
            names: &[],
        };
        gather(subject, &mut self.problems, |table| {
            T::deserialize(toml::de::Deserializer::from(table))
        })
    }

    /// Takes a table out of another one; what is no table is reported.
    fn table(
        &mut self,
        from: &mut DeTable<'static>,
        prefix: &str,
        name: &str,
    ) -> Option<(DeTable<'static>, Place)> {
        let value = from.remove(name)?;
        let place = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some((table, place)),
            _ => {
                let problem =
                    Problem::error(format!("expected a table [{prefix}{name}]")).at(place);
                self.problems.push(problem);
                None
            }
        }
    }

    fn groups(&mut self, root: &mut DeTable<'static>) -> Vec<Declared> {
        let Some((mut table, _)) = self.table(root, "", "group") else {
            return Vec::new();
        };
        let mut declared = Vec::new();
        for (name, place) in in_file_order(&table) {
            self.name(&name, "group", &place);
            if let Some((table, place)) = self.table(&mut table, "group.", &name) {
                let doc: GroupDoc = self.read(table, place.clone()).unwrap_or_default();
                declared.push(Declared { name, place, doc });
            }
        }
        declared
    }

    fn services(
        &mut self,
        mut table: DeTable<'static>,
        setup: &Setup,
        detector_failed: bool,
        pipeline: &mut Pipeline,
    ) -> Vec<Read> {
        let mut services = Vec::new();
        for (name, name_place) in in_file_order(&table) {
            self.name(&name, "service", &name_place);
            let Some((table, place)) = self.table(&mut table, "service.", &name) else {
                continue;
            };
            let (setup, unnamed) = ((setup, detector_failed), &self.unnamed);
            let mut readers = Readers::new(setup, unnamed, pipeline, &mut self.problems);
            services.extend(readers.service(&name, place, table));
        }
        services
    }

    /// Checks a name that people will write in commands.
    fn name(&mut self, name: &str, what: &str, place: &Place) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let wrong = match name {
            "" => "is empty",
            "all" => "means every service in commands",
            SUPERVISOR if what == "service" => "is that of the supervisor, and of its log file",
            name if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
                "does not begin with a letter or a digit"
            }
            name if !name.chars().all(plain) => "has characters other than a-z A-Z 0-9 _ -",
            _ => return,
        };
        let problem = Problem::error(format!("the name of this {what} {wrong}"));
        self.problems.push(problem.at(place.clone()));
    }

    fn pipeline(&mut self, stack: &StackDoc, folder: &Path) -> Pipeline {
        let (path, place) = match (&self.origin.pipeline, &stack.pipeline) {
            (Some(path), _) => (path.clone(), None),
            (None, Some(path)) => (folder.join(path.get_ref()), Some(path.span())),
            (None, None) => return Pipeline::default(),
        };
        match files::read_text(&path, &mut self.files) {
            Ok(text) => {
                let name = path.display().to_string();
                Pipeline::new(self.sources.parse(name, text, &mut self.problems))
            }
            Err(why) => {
                let mut problem = Problem::error(why);
                problem.place = place;
                self.problems.push(problem);
                Pipeline::default()
            }
        }
    }

    fn errors(&self) -> usize {
        let is_error = |p: &&Problem| p.gravity == super::problem::Gravity::Error;
        self.problems.iter().filter(is_error).count()
    }

    fn absolute(&mut self, path: &Path) -> PathBuf {
        // An empty path is the working folder itself.
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }
}

/// Returns the keys of a table in the order in which they are written.
fn in_file_order(table: &DeTable<'static>) -> Vec<(String, Place)> {
    let entries = table
        .keys()
        .map(|key| (key.get_ref().to_string(), key.span()));
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|(_, place)| place.start);
    entries
}
