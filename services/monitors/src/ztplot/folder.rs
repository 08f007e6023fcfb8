//! Where the files of a selection lie: every table has a folder of its own, so that selections of one
//! stack leave each other's events alone.

use std::path::{Path, PathBuf};

/// The folder of all selections, below `data_dir/files`, and its address at the web server.
const ROOT: &str = "event_selection";

/// The folder of a selection: `event_selection` for the table of this name, `event_selection/TABLE` for
/// another.
#[derive(Debug)]
pub(super) struct Folder {
    table: Option<String>,
}

impl Folder {
    /// Returns the folder of a table, whose name has been checked: it has no slash and begins with no
    /// dot.
    pub(super) fn of(table: &str) -> Self {
        Self {
            table: (table != ROOT).then(|| table.to_owned()),
        }
    }

    /// Returns the path below `data_dir/files`.
    pub(super) fn path(&self) -> PathBuf {
        let root = Path::new(ROOT);
        match &self.table {
            Some(table) => root.join(table),
            None => root.to_owned(),
        }
    }

    /// Returns the path of a file of an event below `data_dir/files`.
    pub(super) fn path_of(&self, name: &str, ending: &str) -> PathBuf {
        self.path().join(format!("{name}.{ending}"))
    }

    /// Returns where a file of an event is fetched from.
    pub(super) fn place_of(&self, name: &str, ending: &str) -> String {
        format!("data:files/{}", self.path_of(name, ending).display())
    }

    /// Returns what the web server calls an event: its name, behind `TABLE/` in a folder of that name.
    pub(super) fn event(&self, name: &str) -> String {
        match &self.table {
            Some(table) => format!("{table}/{name}"),
            None => name.to_owned(),
        }
    }

    /// Returns the address of the picture of an event.
    pub(super) fn address_of(&self, name: &str) -> String {
        format!("/{ROOT}/{}.png", self.event(name))
    }
}
