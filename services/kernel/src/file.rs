//! Files that a monitor wants written or taken away, under `data_dir/files`.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use crate::FileLine;

/// One change of a file; paths are relative to `data_dir/files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileEdit {
    /// Writes a whole file; readers see the old one or the new one.
    Write {
        /// Where.
        path: PathBuf,
        /// What.
        bytes: Vec<u8>,
    },
    /// Takes a file away; one that is not there is no error.
    Remove {
        /// Where.
        path: PathBuf,
    },
    /// Gives a file another name, in place of the file that has it; one that is not there is no
    /// error.
    Rename {
        /// Where it is.
        from: PathBuf,
        /// Where it shall be.
        to: PathBuf,
    },
}

impl FileEdit {
    /// Carries the change out below a folder.
    ///
    /// # Errors
    /// When the path leads out of the folder, or the disk refuses.
    pub fn apply(&self, folder: &Path) -> io::Result<()> {
        match self {
            Self::Write { path, bytes } => write(&inside(folder, path)?, bytes).map_err(of(path)),
            Self::Remove { path } => {
                let removed = std::fs::remove_file(inside(folder, path)?);
                unless_absent(removed).map_err(of(path))
            }
            Self::Rename { from, to } => {
                let to_whole = inside(folder, to)?;
                let renamed = std::fs::rename(inside(folder, from)?, to_whole);
                unless_absent(renamed).map_err(of(to))
            }
        }
    }
}

/// Returns the whole path of one that stays inside the folder.
fn inside(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let is_inside = path.components().all(|c| matches!(c, Component::Normal(_)));
    if is_inside && !path.as_os_str().is_empty() {
        return Ok(folder.join(path));
    }
    let text = format!("{}: expected a path inside the folder", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

fn unless_absent(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write(target: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let unfinished = target.with_file_name(name);
    let written = std::fs::write(&unfinished, bytes);
    let placed = written.and_then(|()| std::fs::rename(&unfinished, target));
    if placed.is_err() {
        // The first error tells why; this is only tidied up.
        std::fs::remove_file(&unfinished).ok();
    }
    placed
}

/// Makes an error name its file.
fn of(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Writes what a monitor said into a folder, and returns what could not be written. Blocks.
pub fn write_files(
    folder: &Path,
    lines: &[FileLine],
    files: &[FileEdit],
) -> Vec<(&'static str, io::Error)> {
    let mut faults = Vec::new();
    if !lines.is_empty() {
        let fault = append(folder, lines).err();
        faults.extend(fault.map(|error| ("line not written", error)));
    }
    let failed = files.iter().filter_map(|edit| edit.apply(folder).err());
    faults.extend(failed.map(|error| ("file not written", error)));
    faults
}

fn append(folder: &Path, lines: &[FileLine]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for line in lines {
        let text =
            files
                .entry(line.file)
                .or_insert_with(|| match folder.join(line.file).exists() {
                    true => String::new(),
                    false => format!("{}\n", line.header),
                });
        text.push_str(&line.line);
        text.push('\n');
    }
    for (name, text) in files {
        append_whole(&folder.join(name), text.as_bytes()).map_err(of(Path::new(name)))?;
    }
    Ok(())
}

/// Appends all or nothing: the next line shall not follow half of one.
fn append_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)?;
    let before = file.metadata()?.len();
    let written = file.write_all(bytes);
    if written.is_err() {
        // A disk that refuses even this keeps half a line.
        file.set_len(before).ok();
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_name_takes_the_place_of_the_one_before() {
        let name = format!("fathom-file-rename-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let write = |path: &str, bytes: &[u8]| FileEdit::Write {
            path: path.into(),
            bytes: bytes.to_vec(),
        };
        write("new", b"2").apply(&folder).unwrap();
        write("old", b"1").apply(&folder).unwrap();
        let rename = FileEdit::Rename {
            from: "new".into(),
            to: "old".into(),
        };
        rename.apply(&folder).unwrap();
        rename.apply(&folder).unwrap();
        assert_eq!(std::fs::read(folder.join("old")).unwrap(), b"2");
        assert!(!folder.join("new").exists());
        let outside = FileEdit::Rename {
            from: "old".into(),
            to: "../old".into(),
        };
        assert!(outside.apply(&folder).is_err());
        let error = write("old/below", b"3").apply(&folder).unwrap_err();
        assert!(error.to_string().starts_with("old/below: "), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn files_appear_whole_vanish_and_stay_inside() {
        let name = format!("fathom-file-edit-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let path = PathBuf::from("events/one.dat");
        let write = FileEdit::Write {
            path: path.clone(),
            bytes: vec![1, 2],
        };
        write.apply(&folder).unwrap();
        assert_eq!(std::fs::read(folder.join(&path)).unwrap(), [1, 2]);
        let remove = FileEdit::Remove { path: path.clone() };
        remove.apply(&folder).unwrap();
        remove.apply(&folder).unwrap();
        assert!(!folder.join(&path).exists());
        for outside in ["../x", "/tmp/x", ""] {
            let path = PathBuf::from(outside);
            assert!(
                FileEdit::Remove { path }.apply(&folder).is_err(),
                "{outside}"
            );
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
