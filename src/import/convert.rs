//! A whole configuration: each section to what it becomes, in the order of the original.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::context::Context;
use super::daemon;
use super::files::{Files, ImportError, folder_of};
use super::groups::{Groups, plain_name};
use super::layout::{ServiceLines, all_remarks, apart, preface, service_lines};
use super::note::{Gravity, Note, Notes};
use super::options::Options;
use super::order::order;
use super::outcome::{Field, Line, Service};
use super::program::{Process, Program};
use super::reader::Section;
use super::remarks;
use super::servers;
use super::writer::write;
use crate::config::Environment;

/// Most services of one configuration.
const SERVICES_MAX: usize = 4096;

/// Sections that are not carried over: how their names begin, and why.
const DROPPED: [(&str, &str); 5] = [
    (
        "eventlistener:",
        "it speaks supervisord's event protocol; follow `fathom ctl events -f` or GET /api/events",
    ),
    (
        "fcgi-program:",
        "fathom opens no FastCGI sockets for its children",
    ),
    ("rpcinterface:", "an extension of supervisord in Python"),
    ("ctlplugin:", "an extension of supervisorctl in Python"),
    ("", "supervisord has no such section either"),
];

/// What is imported, and for where.
#[derive(Debug, Clone)]
pub struct Source {
    /// Configuration of supervisord.
    pub file: PathBuf,
    /// Folder the new file will stand in, when it is known; else the folder of the old one.
    pub folder: Option<PathBuf>,
    /// Variables there are at present, for values that must be known now.
    pub environment: Environment,
    /// Name of this machine.
    pub host: String,
}

/// A configuration of fathom, and what of the original is not in it.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The new file.
    pub text: String,
    /// Full names of its services, in the order of the file.
    pub services: Vec<String>,
    /// What could not be carried over as it was.
    pub notes: Vec<Note>,
}

/// Reads a configuration of supervisord with all it includes and translates it.
pub fn import(source: &Source) -> Result<Imported, ImportError> {
    let mut notes = Notes::default();
    let here = folder_of(&source.file);
    let other = source.folder.as_ref().filter(|folder| **folder != here);
    let mut cx = Context {
        environment: &source.environment,
        defaults: &[],
        set: Vec::new(),
        host: source.host.clone(),
        base: other.map(|_| here.clone()),
        here,
        folder: None,
        umask: None,
    };
    let files = Files::read(&source.file, &cx.names(), &mut notes)?;
    cx.defaults = &files.defaults;
    let own = files.section("supervisord");
    cx.folder = daemon::folder(own, &cx, &mut notes);
    cx.set = daemon::variables(own, &cx, &mut notes);
    cx.umask = daemon::umask(own, &cx, &mut notes);
    let mut conversion = Conversion {
        groups: Groups::of(&files, &cx, &mut notes),
        files: &files,
        cx: &cx,
        notes,
        services: Vec::new(),
        programs: rightful(&files),
        names: BTreeSet::new(),
        declared: BTreeSet::new(),
    };
    let mut blocks = vec![Block::Lines(preface(source))];
    blocks.extend(conversion.control());
    for section in &files.sections {
        blocks.extend(conversion.section(section));
    }
    Ok(conversion.finish(blocks))
}

/// Makes fields of a section.
type Maker = fn(&Section, &Context<'_>, &mut Notes) -> Vec<Field>;

/// Part of the new file.
enum Block {
    Lines(Vec<Line>),
    /// A service by its number; its lines before and behind its fields.
    Service(usize, ServiceLines),
}

/// How a process stands among the others.
#[derive(Clone, Copy)]
struct Standing {
    /// Its program is in no group and has no other process.
    alone: bool,
    /// Of its group, then its own.
    priority: (i64, i64),
}

struct Conversion<'a, 'b> {
    files: &'a Files,
    cx: &'b Context<'a>,
    groups: Groups,
    notes: Notes,
    services: Vec<Service>,
    /// Names of programs that are taken, or will be.
    programs: BTreeSet<String>,
    /// Keys of services that are taken.
    names: BTreeSet<String>,
    /// Groups that have a header.
    declared: BTreeSet<String>,
}

impl<'a> Conversion<'a, '_> {
    /// Returns `[stack]`, `[control]` and `[log]`, which are made of several sections.
    fn control(&mut self) -> Vec<Block> {
        let own = self.files.section("supervisord");
        let socket = self.files.section("unix_http_server");
        let port = self.files.section("inet_http_server");
        let (cx, notes) = (self.cx, &mut self.notes);
        let mut made = |section: Option<&Section>, make: Maker| {
            section.map_or_else(Vec::new, |section| make(section, cx, notes))
        };
        let stack = made(own, daemon::stack);
        let log = made(own, daemon::log);
        let control = [made(port, servers::port), made(socket, servers::socket)].concat();
        let tables = [
            ("stack", stack, vec![own]),
            ("control", control, vec![port, socket]),
            ("log", log, vec![own]),
        ];
        let blocks = tables.into_iter().map(|(name, fields, sections)| {
            let sections: Vec<_> = sections.into_iter().flatten().collect();
            Block::Lines(daemon::table(name, fields, &sections, cx))
        });
        blocks.collect()
    }

    fn section(&mut self, section: &'a Section) -> Vec<Block> {
        let name = section.name.as_str();
        if let Some(program) = name.strip_prefix("program:") {
            return self.program(section, program);
        }
        if let Some(group) = name.strip_prefix("group:") {
            return vec![Block::Lines(self.group(section, group))];
        }
        match name {
            // Made already, or merged.
            "supervisord" | "unix_http_server" | "inet_http_server" => return Vec::new(),
            "DEFAULT" | "include" => {}
            "supervisorctl" => self.client(section),
            "rpcinterface:supervisor" if is_main_interface(section) => {}
            _ => return vec![Block::Lines(self.dropped(section))],
        }
        let mut lines = all_remarks(section, self.cx);
        lines.push(Line::Gap);
        vec![Block::Lines(lines)]
    }

    /// Reports what supervisorctl reads.
    fn client(&mut self, section: &Section) {
        let options = Options::of(section, self.cx.defaults);
        for entry in &section.entries {
            let message = match entry.key.as_str() {
                "serverurl" => {
                    "name the new socket where supervisorctl reads it: \
                                unix://…/fathom.sock, under `data_dir`; `fathom ctl` needs none"
                }
                _ => "`fathom ctl` has nothing like it",
            };
            options.say(&mut self.notes, Gravity::Dropped, &entry.key, message);
        }
    }

    /// Returns a section as comments.
    fn dropped(&mut self, section: &Section) -> Vec<Line> {
        let why = DROPPED
            .iter()
            .find(|(start, _)| section.name.starts_with(start));
        let why = why.map_or("", |(_, why)| *why);
        let options = Options::of(section, self.cx.defaults);
        options.say_of_all(&mut self.notes, Gravity::Dropped, why);
        let mut lines = remarks::lines(&section.comments, None, self.cx);
        let text = format!(
            "[{}] is not carried over; the report says why:",
            section.name
        );
        lines.push(Line::Comment(text));
        for entry in &section.entries {
            lines.extend(remarks::lines(&entry.comments, None, self.cx));
            let text = format!("{} = {}", entry.key, entry.value);
            lines.extend(
                text.lines()
                    .map(|line| Line::Comment(format!("    {line}"))),
            );
        }
        lines.extend(remarks::lines(&section.tail, None, self.cx));
        lines.push(Line::Gap);
        lines
    }

    fn group(&mut self, section: &Section, name: &str) -> Vec<Line> {
        let options = Options::of(section, self.cx.defaults);
        for entry in &section.entries {
            if !["programs", "priority"].contains(&entry.key.as_str()) {
                let message = "supervisord has no such option for a group either";
                options.say(&mut self.notes, Gravity::Dropped, &entry.key, message);
            }
        }
        let name = self.checked_name(&options, name);
        let mut lines = remarks::lines(&section.comments, None, self.cx);
        if self.declared.insert(name.clone()) {
            lines.push(Line::Header(vec!["group".to_owned(), name]));
        }
        for entry in &section.entries {
            lines.extend(remarks::lines(&entry.comments, None, self.cx));
        }
        lines.extend(apart(remarks::lines(&section.tail, None, self.cx)));
        lines.push(Line::Gap);
        lines
    }

    fn program(&mut self, section: &'a Section, name: &str) -> Vec<Block> {
        let options = Options::of(section, self.cx.defaults);
        let in_groups = self.groups.of_program.get(name.trim()).cloned();
        let name = self.program_name(&options, name, in_groups.is_none());
        let is_alone = in_groups.is_none();
        let alone = vec![(name.clone(), i64::MIN)];
        let mut blocks = Vec::new();
        for (at, (group, priority)) in in_groups.unwrap_or(alone).into_iter().enumerate() {
            let program = Program {
                cx: self.cx,
                options: &options,
                name: &name,
                group: &group,
            };
            let own = program.priority(&mut self.notes);
            // A group of its own has the priority of its program.
            let priority = if priority == i64::MIN { own } else { priority };
            let processes = program.processes(&mut self.notes);
            let mut around = ServiceLines::default();
            if at == 0 {
                around = ServiceLines::of(section, program, processes.first());
            }
            if processes.is_empty() {
                let mut lines = std::mem::take(&mut around.above);
                lines.append(&mut around.behind);
                lines.push(Line::Gap);
                blocks.push(Block::Lines(lines));
            }
            let last = processes.len().saturating_sub(1);
            let standing = Standing {
                alone: is_alone && last == 0,
                priority: (priority, own),
            };
            let behind = std::mem::take(&mut around.behind);
            for (number, process) in processes.into_iter().enumerate() {
                if self.services.len() >= SERVICES_MAX {
                    let message = format!("only {SERVICES_MAX} services are written");
                    options.say_of_all(&mut self.notes, Gravity::Dropped, &message);
                    return blocks;
                }
                let mut around = std::mem::take(&mut around);
                if number == last {
                    around.behind.clone_from(&behind);
                }
                blocks.extend(self.service(&program, process, standing, around));
            }
        }
        blocks
    }

    fn service(
        &mut self,
        program: &Program<'a, '_>,
        process: Process,
        standing: Standing,
        around: ServiceLines,
    ) -> Vec<Block> {
        let group = program.group.to_owned();
        let name = self.checked_name(program.options, &process.name);
        let taken = !self.names.insert(name.clone());
        let name = match taken {
            false => name,
            true => {
                let other = self.free(&group, &name);
                let message = format!("called {other}, because there is another {name}");
                program
                    .options
                    .say_of_all(&mut self.notes, Gravity::Changed, &message);
                other
            }
        };
        let mut blocks = Vec::new();
        let alone = standing.alone && group == name;
        if !alone && self.needs_header(&group) {
            self.declared.insert(group.clone());
            let header = Line::Header(vec!["group".to_owned(), group.clone()]);
            blocks.push(Block::Lines(vec![header, Line::Gap]));
        }
        self.services.push(Service {
            section: program.options.section.name.clone(),
            name,
            group,
            alone,
            priority: standing.priority,
            fields: process.fields,
        });
        blocks.push(Block::Service(self.services.len() - 1, around));
        blocks
    }

    /// Tells whether a group has no header and will get none.
    fn needs_header(&self, group: &str) -> bool {
        let mut groups = group_names(self.files);
        groups.all(|own| own != group) && !self.declared.contains(group)
    }

    /// Returns a key that no service has yet.
    fn free(&mut self, group: &str, name: &str) -> String {
        let first = format!("{group}_{name}");
        let further = (2..).map(|number: u64| format!("{first}_{number}"));
        let mut names = std::iter::once(first.clone()).chain(further);
        let free = names
            .find(|name| !self.names.contains(name))
            .unwrap_or(first.clone());
        self.names.insert(free.clone());
        free
    }

    /// Returns a name that fathom takes, and reports when it is another one.
    fn checked_name(&mut self, options: &Options<'_>, name: &str) -> String {
        let plain = plain_name(name);
        if plain != name.trim() {
            let message = format!("called {plain}: names are of letters, digits, _ and -");
            options.say_of_all(&mut self.notes, Gravity::Changed, &message);
        }
        plain
    }

    /// Returns a name for a program that fathom takes and no other has a right to; who is alone is a
    /// group as well.
    fn program_name(&mut self, options: &Options<'_>, name: &str, alone: bool) -> String {
        let plain = plain_name(name);
        let groups: BTreeSet<String> = match alone {
            true => group_names(self.files).collect(),
            false => BTreeSet::new(),
        };
        let is_own = plain == name.trim() && !groups.contains(&plain);
        let mut is_free =
            |name: &str| !groups.contains(name) && self.programs.insert(name.to_owned());
        if is_own || is_free(&plain) {
            return self.checked_name(options, name);
        }
        let mut others = (2..).map(|number: u64| format!("{plain}_{number}"));
        let other = others.find(|other| is_free(other));
        let other = other.unwrap_or_else(|| plain.clone());
        let message = format!("called {other}, because there is another {plain}");
        options.say_of_all(&mut self.notes, Gravity::Changed, &message);
        other
    }

    fn finish(mut self, blocks: Vec<Block>) -> Imported {
        let waits = order(&self.services);
        for (service, waits) in self.services.iter().zip(&waits) {
            let section = self.files.section(&service.section);
            if let Some(section) = section.filter(|_| waits.cut) {
                let options = Options::of(section, self.cx.defaults);
                let message = "waits for the first of the next lower priority only";
                options.say(&mut self.notes, Gravity::Changed, "priority", message);
            }
        }
        let mut lines = Vec::new();
        for block in blocks {
            match block {
                Block::Lines(some) => lines.extend(some),
                Block::Service(at, around) => {
                    if let (Some(service), Some(waits)) = (self.services.get(at), waits.get(at)) {
                        lines.extend(service_lines(service, &waits.after, around));
                    }
                }
            }
        }
        Imported {
            text: write(&lines),
            services: self.services.iter().map(Service::full_name).collect(),
            notes: self.notes.finish(&self.files.paths),
        }
    }
}

/// Returns the names of the programs that can keep theirs, which nobody else may get.
fn rightful(files: &Files) -> BTreeSet<String> {
    let programs = files.sections.iter().filter_map(|section| {
        let name = section.name.strip_prefix("program:")?.trim();
        (plain_name(name) == name).then(|| name.to_owned())
    });
    programs.collect()
}

/// Returns the names of groups in the new file.
fn group_names(files: &Files) -> impl Iterator<Item = String> + '_ {
    let names = files.sections.iter();
    names.filter_map(|section| section.name.strip_prefix("group:").map(plain_name))
}

fn is_main_interface(section: &Section) -> bool {
    let mut entries = section.entries.iter();
    entries.any(|entry| entry.value.trim() == "supervisor.rpcinterface:make_main_rpcinterface")
}
