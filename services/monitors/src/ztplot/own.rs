//! Looks whether pictures of rows that were found are our own: after the loss of what was kept, rows come
//! back from the file of `local_db` and their pictures still lie here.

use std::collections::{BTreeSet, VecDeque};

use fathom_kernel::{Content, Fetch, FetchError, Fetched, Outputs};

use super::ZtPlot;
use super::folder::Folder;

/// What the answers to our wishes are called, before the name of the picture.
const PREFIX: &str = "picture of ";
/// Files read at a time.
const READS_MAX: usize = 4;

/// Pictures to look for.
#[derive(Debug, Default)]
pub(super) struct Own {
    waiting: VecDeque<String>,
    under_way: BTreeSet<String>,
}

impl Own {
    /// Looks for these pictures next.
    pub(super) fn look_for(&mut self, names: impl Iterator<Item = String>) {
        self.waiting = names.collect();
    }

    /// Wishes for the next pictures.
    pub(super) fn fetch(&mut self, folder: &Folder, out: &mut Outputs) {
        while self.under_way.len() < READS_MAX {
            let Some(name) = self.waiting.pop_front() else {
                return;
            };
            // The picture as an output, which km3mon does not write beside its own files.
            let place = folder.place_of(&name, "json");
            if self.under_way.insert(name.clone()) {
                out.fetch(Fetch::new(format!("{PREFIX}{name}"), place.into()));
            }
        }
    }
}

/// Returns the name of the picture that an answer is about, if it is about any.
pub(super) fn picture_of(fetched: &Fetched) -> Option<String> {
    fetched.name.strip_prefix(PREFIX).map(str::to_owned)
}

impl ZtPlot {
    /// Takes a picture that was looked for; the files of one that is ours go with its row again.
    pub(super) fn take_picture(&mut self, name: &str, fetched: Fetched, out: &mut Outputs) {
        self.own.under_way.remove(name);
        self.own.fetch(&self.folder, out);
        match fetched.content {
            Ok(Content::Bytes(..)) => {
                if self.is_signed(name, &fetched) {
                    self.tables.changed |= self.selection.own(name);
                }
            }
            Ok(Content::Unchanged) | Err(FetchError::Absent { .. }) => {}
            Err(_) => out.bad("picture that cannot be read"),
        }
    }
}
