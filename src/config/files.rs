//! The main file and all it includes, merged into one table.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fileset::FileSet;
use super::problem::Problem;
use super::source::{Place, Sources};

/// Largest file read as configuration.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Most files of one configuration.
const FILES_MAX: usize = 256;

/// Tables whose entries may come from several files.
const SHARED: [&str; 2] = ["group", "service"];

/// Reads files and merges what they say.
pub(crate) struct Files<'a> {
    set: &'a mut FileSet,
    sources: &'a mut Sources,
    problems: &'a mut Vec<Problem>,
    merged: DeTable<'static>,
    /// Files being read, outermost first.
    chain: Vec<PathBuf>,
    /// Files read.
    seen: Vec<PathBuf>,
    /// A text is missing or is no TOML.
    broken: bool,
}

/// Reads a file with all it includes; `None` when a text is missing or is no TOML, because that says
/// too little about what was meant to go on.
pub(crate) fn read_all(
    path: &Path,
    set: &mut FileSet,
    sources: &mut Sources,
    problems: &mut Vec<Problem>,
) -> Option<DeTable<'static>> {
    let (chain, seen, merged) = (Vec::new(), Vec::new(), DeTable::new());
    let mut files = Files {
        set,
        sources,
        problems,
        merged,
        chain,
        seen,
        broken: false,
    };
    files.file(path, None);
    (!files.broken).then_some(files.merged)
}

/// Reads the text of one file, within limits.
pub(crate) fn read_text(path: &Path, set: &mut FileSet) -> Result<String, String> {
    let shown = path.display();
    let bytes = set
        .read(path, FILE_BYTES_MAX)
        .map_err(|why| format!("cannot read {shown}: {why}"))?;
    String::from_utf8(bytes).map_err(|error| format!("cannot read {shown}: {error}"))
}

/// Reads a regular file of at most so many bytes; anything else could never end, or never begin.
pub(crate) fn read_bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let in_words = |error: std::io::Error| error.to_string();
    // Opening a named pipe would wait for a writer.
    let file = File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
        .map_err(in_words)?;
    let found = file.metadata().map_err(in_words)?;
    if !found.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let limit = || fathom_kernel::Size::from_bytes(bytes_max);
    if found.len() > bytes_max {
        return Err(format!("{} bytes, the limit is {}", found.len(), limit()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or_default());
    let more = bytes_max.saturating_add(1);
    file.take(more).read_to_end(&mut bytes).map_err(in_words)?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("it grows beyond the limit of {}", limit()));
    }
    Ok(bytes)
}

impl Files<'_> {
    /// Reads one file; `place` is where it was asked for.
    fn file(&mut self, path: &Path, place: Option<Place>) {
        let known = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(from) = self.chain.iter().position(|file| *file == known) {
            let names = self
                .chain
                .iter()
                .skip(from)
                .chain([&known])
                .map(|p| short(p));
            let way = names.collect::<Vec<_>>().join(" -> ");
            self.say(
                Problem::error(format!("files include each other: {way}")),
                place,
            );
            return;
        }
        if self.seen.contains(&known) {
            return;
        }
        if self.seen.len() >= FILES_MAX {
            self.say(
                Problem::error(format!("more than {FILES_MAX} files")),
                place,
            );
            return;
        }
        let text = match read_text(path, self.set) {
            Ok(text) => text,
            Err(why) => {
                self.broken = true;
                return self.say(Problem::error(why), place);
            }
        };
        self.seen.push(known.clone());
        self.chain.push(known);
        let before = self.problems.len();
        let name = path.display().to_string();
        let mut table = self.sources.parse(name, text, self.problems);
        self.broken |= self.problems.len() > before;
        let include = table.remove("include");
        self.merge(table);
        if let Some(include) = include {
            self.include(path, &include);
        }
        self.chain.pop();
    }

    fn say(&mut self, mut problem: Problem, place: Option<Place>) {
        problem.place = place;
        self.problems.push(problem);
    }

    fn include(&mut self, from: &Path, value: &Spanned<DeValue<'static>>) {
        let one = std::slice::from_ref(value);
        let list = value.get_ref().as_array().map_or(one, |list| list.as_ref());
        for item in list {
            let Some(pattern) = item.get_ref().as_str() else {
                let problem = Problem::error("expected a file name, or a list of file names");
                self.say(problem, Some(item.span()));
                continue;
            };
            let pattern = from.parent().unwrap_or(Path::new("")).join(pattern);
            match matching(&pattern) {
                Ok(files) => {
                    self.set.add_pattern(&pattern, &files);
                    for file in &files {
                        self.file(file, Some(item.span()));
                    }
                }
                Err(why) => {
                    self.broken = true;
                    self.say(Problem::error(why), Some(item.span()));
                }
            }
        }
    }

    fn merge(&mut self, table: DeTable<'static>) {
        for (key, value) in table {
            let name = key.get_ref().to_string();
            if !SHARED.contains(&name.as_str()) {
                self.add(&[], key, value);
                continue;
            }
            match value.into_inner() {
                DeValue::Table(entries) => {
                    let here = (key.clone(), key.span());
                    self.shared(here);
                    for (entry, value) in entries {
                        self.add(&[&name], entry, value);
                    }
                }
                _ => self.say(
                    Problem::error(format!("expected a table [{name}.NAME]")),
                    Some(key.span()),
                ),
            }
        }
    }

    /// Makes sure that a shared table exists.
    fn shared(&mut self, (key, place): (Spanned<Cow<'static, str>>, Place)) {
        self.merged
            .entry(key)
            .or_insert(Spanned::new(place, DeValue::Table(DeTable::new())));
    }

    /// Adds an entry, or reports that it exists.
    fn add(
        &mut self,
        path: &[&str],
        key: Spanned<Cow<'static, str>>,
        value: Spanned<DeValue<'static>>,
    ) {
        let mut table = &mut self.merged;
        for name in path {
            match table.get_mut(*name).map(Spanned::get_mut) {
                Some(DeValue::Table(inner)) => table = inner,
                _ => return,
            }
        }
        if let Some((first, _)) = table.get_key_value(&**key.get_ref()) {
            let mut parts: Vec<&str> = path.to_vec();
            parts.push(key.get_ref());
            let problem = Problem::error(format!("[{}] is there twice", parts.join(".")))
                .label("second time")
                .also(first.span(), "first time");
            return self.say(problem, Some(key.span()));
        }
        table.insert(key, value);
    }
}

/// Returns the files that a path stands for; `*` and `?` may stand in its last part, and may fit
/// none: whoever removes the last of several files wants the others to go on.
pub(crate) fn matching(path: &Path) -> Result<Vec<PathBuf>, String> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(format!("{} is not a file name", path.display()));
    };
    let name = name.to_string_lossy();
    if !name.contains(['*', '?']) {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |e| format!("cannot read folder {}: {e}", folder.display());
    let mut files = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(files),
        entries => entries.map_err(unreadable)?,
    };
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        if fits(&name, &entry.file_name().to_string_lossy()) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Tells whether a name fits a pattern of `*` and `?`.
fn fits(pattern: &str, name: &str) -> bool {
    let (mut pattern_rest, mut name_rest) = (pattern.chars(), name.chars());
    match (pattern_rest.next(), name_rest.next()) {
        (None, None) => true,
        (Some('*'), None) => fits(pattern_rest.as_str(), name),
        (Some('*'), Some(_)) => {
            fits(pattern_rest.as_str(), name) || fits(pattern, name_rest.as_str())
        }
        (Some('?'), Some(_)) => fits(pattern_rest.as_str(), name_rest.as_str()),
        (Some(a), Some(b)) => a == b && fits(pattern_rest.as_str(), name_rest.as_str()),
        _ => false,
    }
}

fn short(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names() {
        for (pattern, name, fit) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.tom", false),
            ("a?c*", "abcdef", true),
            ("*", "", true),
            ("a*b*c", "a_b_b_c", true),
            ("a*b*c", "a_c_b", false),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }
}
