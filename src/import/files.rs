//! The main file and those it includes, merged section by section.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

use super::expand::{Names, expand};
use super::note::{At, Gravity, Notes, Subject};
use super::reader::{Entry, Section, read};

/// Largest file read.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Most files of one configuration.
const FILES_MAX: usize = 256;

/// Where supervisord keeps options for all sections.
const DEFAULTS: &str = "DEFAULT";

/// Patterns as Python's `glob` understands them.
const PATTERNS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Why nothing can be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no configuration.
    #[error("{path} has more than {limit} bytes")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Most bytes that are read.
        limit: u64,
    },
}

/// All sections of all files.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The files, the main one first.
    pub(super) paths: Vec<PathBuf>,
    /// Sections in the order they first appear, each name once.
    pub(super) sections: Vec<Section>,
    /// Options that stand in for missing ones of every section.
    pub(super) defaults: Vec<Entry>,
    index: HashMap<String, usize>,
}

impl Files {
    /// Reads a file and all it includes.
    pub(super) fn read(
        path: &Path,
        names: &Names<'_>,
        notes: &mut Notes,
    ) -> Result<Self, ImportError> {
        let mut files = Self::default();
        let folder = folder_of(path);
        files.file(path, &folder, notes)?;
        if let Some(include) = files.position("include") {
            let beside = path.parent().unwrap_or(Path::new(""));
            files.include(include, beside, names, notes);
        }
        let defaults = files.position(DEFAULTS);
        if let Some(at) = defaults {
            files.defaults = std::mem::take(&mut files.sections[at].entries);
        }
        Ok(files)
    }

    /// Returns the section of a name.
    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.get(self.position(name)?)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    fn file(&mut self, path: &Path, here: &Path, notes: &mut Notes) -> Result<(), ImportError> {
        let bytes = read_bytes(path)?;
        let number = self.paths.len();
        self.paths.push(path.to_owned());
        let text = String::from_utf8_lossy(&bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            let at = At {
                file: number,
                line: 1,
            };
            let of = Subject {
                at,
                section: "",
                option: None,
            };
            notes.add(Gravity::Changed, of, "is not UTF-8: some letters are lost");
        }
        // As supervisord does: `here` is the folder of the file it is written in.
        let here = here.display().to_string().replace('%', "%%");
        for mut section in read(&text, number, notes) {
            for entry in &mut section.entries {
                if entry.value.contains("%(here)s") {
                    entry.value = entry.value.replace("%(here)s", &here);
                }
            }
            self.merge(section);
        }
        Ok(())
    }

    /// Adds a section, or its options to the one of the same name; of two options the later counts.
    fn merge(&mut self, section: Section) {
        let at = *self.index.entry(section.name.clone()).or_insert_with(|| {
            self.sections.push(Section {
                entries: Vec::new(),
                comments: Vec::new(),
                tail: Vec::new(),
                ..section.clone()
            });
            self.sections.len() - 1
        });
        let known = &mut self.sections[at];
        known.comments.extend(section.comments);
        known.tail.extend(section.tail);
        known.entries.extend(section.entries);
        let mut last: HashMap<String, usize> = HashMap::new();
        for (position, entry) in known.entries.iter().enumerate() {
            last.insert(entry.key.clone(), position);
        }
        if last.len() < known.entries.len() {
            let entries = std::mem::take(&mut known.entries).into_iter().enumerate();
            let kept = entries.filter(|(position, entry)| last.get(&entry.key) == Some(position));
            known.entries = kept.map(|(_, entry)| entry).collect();
        }
    }

    /// Reads what the section `include` of the main file names.
    fn include(&mut self, at: usize, folder: &Path, names: &Names<'_>, notes: &mut Notes) {
        let section = &self.sections[at];
        let Some(entry) = section.entries.iter().find(|e| e.key == "files").cloned() else {
            let of = Subject {
                at: section.at,
                section: "include",
                option: None,
            };
            return notes.add(Gravity::Wrong, of, "names no `files`");
        };
        let of = Subject {
            at: entry.at,
            section: "include",
            option: Some("files"),
        };
        let patterns = expand(&entry.value, names)
            .map_err(|error| error.to_string())
            .and_then(|text| text.now(names.environment).map_err(|e| e.to_string()));
        let patterns = match patterns {
            Ok(patterns) => patterns,
            Err(why) => return notes.add(Gravity::Wrong, of, why),
        };
        for pattern in patterns.split_whitespace() {
            let found = matching(&folder.join(pattern));
            if found.is_empty() {
                notes.add(Gravity::Wrong, of, format!("no file matches {pattern}"));
            }
            for path in found {
                if self.paths.len() >= FILES_MAX {
                    let message = format!("more than {FILES_MAX} files; the rest is left out");
                    return notes.add(Gravity::Wrong, of, message);
                }
                let here = folder_of(&path);
                if let Err(error) = self.file(&path, &here, notes) {
                    let error = with_causes(&error);
                    notes.add(Gravity::Wrong, of, error);
                }
            }
        }
    }
}

/// Returns an error with its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", with_causes(source)),
        None => error.to_string(),
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, ImportError> {
    let failed = |source| ImportError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let mut file = file.take(FILE_BYTES_MAX + 1);
    file.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ImportError::TooLarge {
            path: path.to_owned(),
            limit: FILE_BYTES_MAX,
        });
    }
    Ok(bytes)
}

/// Returns the folder of a file, from the root.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.parent().map(Path::to_owned).unwrap_or_default()
}

/// Returns the files that a pattern stands for, sorted.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let Some(pattern) = pattern.to_str() else {
        return Vec::new();
    };
    let Ok(found) = glob::glob_with(pattern, PATTERNS) else {
        return Vec::new();
    };
    // More than can be read need not be listed.
    let mut found: Vec<PathBuf> = found.flatten().take(FILES_MAX + 1).collect();
    found.sort();
    found
}
