//! Structs that mirror the TOML one to one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use fathom_kernel::{Size, Span};
use schemars::JsonSchema;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::health::{CheckDoc, FlowDoc};
use super::log::LogDoc;
use super::plan::{LogFormat, Placement, Run, Until};
use super::policy::{Backoff, Budget, OnFatal, Restart};
use super::process::{Limits, OnDaemonDeath, StopDoc};
use super::ready::Ready;

/// `[stack]`: the stack as a whole.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StackDoc {
    /// Name shown to shifters.
    pub(crate) name: String,
    /// Folder under which everything the stack writes lives; relative to the working folder.
    pub(crate) data_dir: PathBuf,
    /// Longest time an ordered end may take.
    pub(crate) shutdown_limit: Span,
    /// Groups that may fail for good; one more and the stack ends with exit code 1. Without it the
    /// stack goes on with what is left.
    pub(crate) budget: Option<Budget>,
    /// A `pipeline.toml` of km3mon whose sections serve as options; relative to this file.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) pipeline: Option<Spanned<PathBuf>>,
}

impl Default for StackDoc {
    fn default() -> Self {
        Self {
            name: "fathom".into(),
            data_dir: "fathom-data".into(),
            shutdown_limit: Span::from_secs(30),
            budget: None,
            pipeline: None,
        }
    }
}

/// `[detector]`: what is monitored; a file, a page of the data base, or a generated geometry.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DetectorDoc {
    /// DETX file, versions 1 to 5; relative to this file. When it changes, monitors follow.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) file: Option<Spanned<PathBuf>>,
    /// Page that answers with DETX, or with the data base's table of which module is where
    /// (`streamds/clbmap.txt`). It goes over `file`, which then is what a table takes positions and
    /// calibrations from. The last good answer is kept in the data folder.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) url: Option<Spanned<String>>,
    /// Time between two questions for the page; one minute when not given.
    #[schemars(with = "Option<Span>")]
    #[serde(skip_serializing)]
    pub(crate) every: Option<Spanned<Span>>,
    /// Geometry to generate instead of reading a file.
    #[schemars(with = "Option<GeometryDoc>")]
    #[serde(skip_serializing)]
    pub(crate) geometry: Option<Spanned<GeometryDoc>>,
    /// Detection units to generate; all of the geometry when not given.
    #[schemars(with = "Option<u16>")]
    #[serde(skip_serializing)]
    pub(crate) dus: Option<Spanned<u16>>,
    /// Detector id of a generated geometry, or of a table that does not say.
    #[schemars(with = "Option<i32>")]
    #[serde(skip_serializing)]
    pub(crate) id: Option<Spanned<i32>>,
}

/// Geometries that can be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GeometryDoc {
    /// One ORCA block: 115 DUs, 20 m apart.
    Orca,
    /// One ARCA block: 115 DUs, 90 m apart.
    ArcaBlock,
    /// Two ARCA blocks: 230 DUs.
    #[serde(rename = "arca_2blocks")]
    Arca2Blocks,
}

/// `[log]`: the supervisor's own log.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OwnLogDoc {
    /// Least level written, also by target: `info,fathom_ligier=debug`.
    #[schemars(with = "String", extend("default" = "info"))]
    #[serde(skip_serializing)]
    pub(crate) level: Option<Spanned<String>>,
    /// A file of this size is rotated.
    pub(crate) max: Size,
    /// Rotated files kept.
    pub(crate) backups: usize,
    /// Form of the lines.
    pub(crate) format: LogFormat,
}

impl Default for OwnLogDoc {
    fn default() -> Self {
        Self {
            level: None,
            max: Size::from_mib(50),
            backups: 10,
            format: LogFormat::Text,
        }
    }
}

/// The keys of `[service.NAME]` that every service has; all others are options of its kind.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServiceDoc {
    /// What the service is for.
    pub(crate) description: String,
    /// Its group; by default one of its own.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) group: Option<Spanned<String>>,
    /// Built-in kind.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) kind: Option<Spanned<String>>,
    /// Whether a kind runs in the supervisor's process or in a child of the same binary.
    #[schemars(with = "Run", extend("default" = "actor"))]
    #[serde(skip_serializing)]
    pub(crate) run: Option<Spanned<Run>>,
    /// Whether a kind runs on the shared threads or on one of its own. Monitors, simulator and replay
    /// have one of their own by default, so that none disturbs another; other kinds share.
    #[schemars(with = "Option<Placement>")]
    #[serde(skip_serializing)]
    pub(crate) placement: Option<Spanned<Placement>>,
    /// Program to run instead of a kind; a string is split like shell words, without a shell.
    #[schemars(with = "Option<CommandDoc>")]
    #[serde(skip_serializing)]
    pub(crate) command: Option<Spanned<CommandDoc>>,
    /// Further arguments of the program.
    #[schemars(with = "Vec<String>")]
    #[serde(skip_serializing)]
    pub(crate) args: Option<Spanned<Vec<String>>>,
    /// Variables added to its environment.
    #[schemars(with = "BTreeMap<String, String>")]
    #[serde(skip_serializing)]
    pub(crate) env: Option<Spanned<BTreeMap<String, String>>>,
    /// Folder it runs in; relative to this file, and by default the folder of this file.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) cwd: Option<Spanned<PathBuf>>,
    /// User it runs as; by default the supervisor's.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) user: Option<Spanned<String>>,
    /// What must be true before it starts: `group:service`, `group:service=started`, `ready`,
    /// `flowing`, `done` or `settled`.
    #[schemars(with = "Vec<AfterDoc>")]
    #[serde(skip_serializing)]
    pub(crate) after: Vec<Spanned<AfterDoc>>,
    /// Services whose end also ends this one, until they are up again.
    #[schemars(with = "Vec<String>")]
    #[serde(skip_serializing)]
    pub(crate) bind: Vec<Spanned<String>>,
    /// Start with the stack.
    pub(crate) autostart: bool,
    /// When it is started again after it ended by itself.
    pub(crate) restart: Restart,
    /// Exit codes that are no failure.
    #[schemars(with = "Vec<i32>", extend("default" = [0]))]
    #[serde(skip_serializing)]
    pub(crate) exit_ok: Option<Spanned<Vec<i32>>>,
    /// Delays between restarts.
    #[schemars(with = "Backoff")]
    #[serde(skip_serializing)]
    pub(crate) backoff: Option<Spanned<Backoff>>,
    /// Failures until it is FATAL.
    pub(crate) budget: Budget,
    /// What happens then: `keep`, `retry:5m` or `shutdown`.
    #[schemars(with = "String", extend("default" = "keep"))]
    #[serde(skip_serializing)]
    pub(crate) on_fatal: OnFatal,
    /// When it counts as ready: `spawn`, `secs:N`, `notify`, `fd:N`, `tcp:HOST:PORT`, `http:URL`,
    /// `exec:COMMAND`, `log:REGEX`, `file:PATH`, `flow`; by default `notify` for kinds and `secs:1`
    /// for programs.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) ready: Option<Spanned<Ready>>,
    /// Longest time until it is ready; when nothing is said, with `secs:N` so much longer than N.
    #[schemars(with = "Span", extend("default" = "30s"))]
    #[serde(skip_serializing)]
    pub(crate) ready_timeout: Option<Spanned<Span>>,
    /// How it is stopped.
    #[schemars(with = "StopDoc")]
    #[serde(skip_serializing)]
    pub(crate) stop: Option<Spanned<StopDoc>>,
    /// Limits of its process.
    #[schemars(with = "Limits")]
    #[serde(skip_serializing)]
    pub(crate) limits: Option<Spanned<Limits>>,
    /// Priority of its process, from -20, the first, to 19.
    #[schemars(with = "Option<i32>")]
    #[serde(skip_serializing)]
    pub(crate) nice: Option<Spanned<i32>>,
    /// How readily the kernel kills its process when memory is short, from -1000, never, to 1000.
    #[schemars(with = "Option<i32>")]
    #[serde(skip_serializing)]
    pub(crate) oom_score_adj: Option<Spanned<i32>>,
    /// Permission bits that files made by its process do not get, octal.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) umask: Option<Spanned<String>>,
    /// Give its process a session of its own, not only a process group.
    #[schemars(with = "bool", extend("default" = false))]
    #[serde(skip_serializing)]
    pub(crate) session: Option<Spanned<bool>>,
    /// What becomes of its process when the supervisor dies.
    #[schemars(with = "OnDaemonDeath", extend("default" = "kill"))]
    #[serde(skip_serializing)]
    pub(crate) on_daemon_death: Option<Spanned<OnDaemonDeath>>,
    /// What becomes of its output.
    #[schemars(with = "LogDoc")]
    #[serde(skip_serializing)]
    pub(crate) log: Option<Spanned<LogDoc>>,
    /// Rules on its data flow.
    #[schemars(with = "Vec<FlowDoc>")]
    #[serde(skip_serializing)]
    pub(crate) flow: Vec<Spanned<FlowDoc>>,
    /// Checks of its health from outside.
    #[schemars(with = "Vec<CheckDoc>")]
    #[serde(skip_serializing)]
    pub(crate) check: Vec<Spanned<CheckDoc>>,
}

impl Default for ServiceDoc {
    fn default() -> Self {
        Self {
            description: String::new(),
            group: None,
            kind: None,
            run: None,
            placement: None,
            command: None,
            args: None,
            env: None,
            cwd: None,
            user: None,
            after: Vec::new(),
            bind: Vec::new(),
            autostart: true,
            restart: Restart::Always,
            exit_ok: None,
            backoff: None,
            budget: Budget::default(),
            on_fatal: OnFatal::Keep,
            ready: None,
            ready_timeout: None,
            stop: None,
            limits: None,
            nice: None,
            oom_score_adj: None,
            umask: None,
            session: None,
            on_daemon_death: None,
            log: None,
            flow: Vec::new(),
            check: Vec::new(),
        }
    }
}

/// A program: one string, or a list of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandDoc {
    /// To be split like shell words.
    Line(String),
    /// Program and arguments.
    Words(Vec<String>),
}

impl<'de> Deserialize<'de> for CommandDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CommandVisitor)
    }
}

struct CommandVisitor;

impl<'de> Visitor<'de> for CommandVisitor {
    type Value = CommandDoc;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a command, as a string or a list of words")
    }

    fn visit_str<E>(self, line: &str) -> Result<CommandDoc, E> {
        Ok(CommandDoc::Line(line.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<CommandDoc, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element()? {
            words.push(word);
        }
        Ok(CommandDoc::Words(words))
    }
}

impl JsonSchema for CommandDoc {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Command".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}

/// A dependency: `"name"`, `"name=until"`, or `{ name = …, until = … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AfterDoc {
    pub(crate) name: String,
    pub(crate) until: Until,
}

/// The table form of a dependency.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AfterTable {
    name: String,
    #[serde(default)]
    until: Until,
}

impl<'de> Deserialize<'de> for AfterDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AfterVisitor)
    }
}

struct AfterVisitor;

impl<'de> Visitor<'de> for AfterVisitor {
    type Value = AfterDoc;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a service name, `name=until` or { name = …, until = … }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<AfterDoc, E> {
        let (name, until) = match text.split_once('=') {
            None => (text, Until::Ready),
            Some((name, word)) => (name, until_of(word.trim()).map_err(E::custom)?),
        };
        let name = name.trim().to_owned();
        Ok(AfterDoc { name, until })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AfterDoc, A::Error> {
        let table = AfterTable::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(AfterDoc {
            name: table.name,
            until: table.until,
        })
    }
}

fn until_of(word: &str) -> Result<Until, serde::de::value::Error> {
    Until::deserialize(serde::de::value::StrDeserializer::new(word))
}

impl JsonSchema for AfterDoc {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "After".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let until = Until::json_schema(generator);
        schemars::json_schema!({
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "name": { "type": "string" }, "until": until },
                    "required": ["name"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
