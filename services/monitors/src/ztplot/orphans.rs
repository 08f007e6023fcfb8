//! Files that no row goes with, of a start that ended badly: their events are taken back into the
//! selection when they belong there, and otherwise their files go.
//!
//! Only files with a `NAME.json` beside them that says that this selection wrote it are looked at.

use std::collections::{BTreeSet, VecDeque};

use fathom_formats::km3net::Event as Payload;
use fathom_kernel::{Content, Fetch, FetchError, Fetched, FileEdit, Output, Outputs};
use serde::{Deserialize, Serialize};

use super::ZtPlot;
use super::drawing::EVERY_DU;
use super::folder::Folder;
use super::row::{Key, Row};

/// What the answer with the names of all files is called.
const LIST: &str = "files of the selection";
/// What the answers with pictures and payloads are called, before the name of the picture.
const PICTURE: &str = "left picture of ";
const PAYLOAD: &str = "left event of ";
/// Time after which the files are listed again when that failed (ms).
const AGAIN_MS: u64 = 60_000;
/// Most bytes of names taken, some 200000 files.
const NAMES_BYTES_MAX: usize = 16 << 20;
/// Events looked at at one time.
const READS_MAX: usize = 4;

/// Files to look at.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    asked_ms: Option<i64>,
    is_listed: bool,
    waiting: VecDeque<Key>,
    under_way: BTreeSet<String>,
}

/// A picture as it is written.
#[derive(Serialize)]
pub(super) struct Signed<'a> {
    #[serde(flatten)]
    pub(super) picture: &'a Output,
    /// The table of the selection.
    pub(super) selected_for: &'a str,
}

/// What of a picture tells who wrote it.
#[derive(Deserialize)]
struct Signature {
    name: String,
    /// Absent in pictures of before.
    #[serde(default)]
    selected_for: Option<String>,
}

/// An answer to one of our wishes.
pub(super) enum Answer {
    List,
    Picture(String),
    Payload(String),
}

impl Answer {
    /// Tells what an answer is about, if it is one of ours.
    pub(super) fn of(fetched: &Fetched) -> Option<Self> {
        let about = |prefix: &str| fetched.name.strip_prefix(prefix).map(str::to_owned);
        match &*fetched.name {
            LIST => Some(Self::List),
            _ => about(PICTURE)
                .map(Self::Picture)
                .or_else(|| about(PAYLOAD).map(Self::Payload)),
        }
    }
}

impl Orphans {
    /// Wishes for the names of all files, once.
    pub(super) fn fetch(&mut self, now_ms: i64, folder: &Folder, out: &mut Outputs) {
        let is_early = |at: i64| now_ms.abs_diff(at) < AGAIN_MS;
        if self.is_listed || self.asked_ms.is_some_and(is_early) {
            return;
        }
        self.asked_ms = Some(now_ms);
        let place = format!("data:files/{}", folder.path().display());
        let mut list = Fetch::list(LIST, place.into());
        list.bytes_max = NAMES_BYTES_MAX;
        out.fetch(list);
    }

    /// Wishes for the next pictures.
    fn look_on(&mut self, folder: &Folder, out: &mut Outputs) {
        while self.under_way.len() < READS_MAX {
            let Some(key) = self.waiting.pop_front() else {
                return;
            };
            let name = key.name();
            let place = folder.place_of(&name, "json");
            out.fetch(Fetch::new(format!("{PICTURE}{name}"), place.into()));
            self.under_way.insert(name);
        }
    }
}

impl ZtPlot {
    pub(super) fn take_orphan(&mut self, answer: Answer, fetched: Fetched, out: &mut Outputs) {
        match answer {
            Answer::List => self.take_list(fetched, out),
            Answer::Picture(name) => {
                if self.is_signed(&name, &fetched) {
                    let place = self.folder.place_of(&name, "dat");
                    out.fetch(Fetch::new(format!("{PAYLOAD}{name}"), place.into()));
                    return;
                }
                self.orphans.under_way.remove(&name);
            }
            Answer::Payload(name) => {
                self.orphans.under_way.remove(&name);
                self.take_payload(&name, fetched, out);
            }
        }
        self.orphans.look_on(&self.folder, out);
    }

    fn take_list(&mut self, fetched: Fetched, out: &mut Outputs) {
        let names = match fetched.content {
            Ok(Content::Bytes(names, _)) => names,
            Err(FetchError::Absent { .. }) => {
                self.orphans.is_listed = true;
                return;
            }
            Ok(Content::Unchanged) | Err(_) => {
                out.bad("files of the selection cannot be listed");
                return;
            }
        };
        self.orphans.is_listed = true;
        let rows = self.selection.rows().iter();
        let known: BTreeSet<Key> = rows.filter(|r| r.has_files()).map(|r| r.key).collect();
        for file in String::from_utf8_lossy(&names).lines() {
            // One that was being written at the end.
            let unfinished = [".json.tmp", ".dat.tmp"]
                .into_iter()
                .find_map(|ending| file.strip_suffix(ending));
            if unfinished.and_then(Key::of_name).is_some() {
                let path = self.folder.path().join(file);
                out.file(FileEdit::Remove { path });
            }
            let key = file.strip_suffix(".json").and_then(Key::of_name);
            let left = key.filter(|key| !known.contains(key));
            self.orphans.waiting.extend(left);
        }
    }

    /// Tells whether a picture was written for this selection; in files of before
    /// another one may have shared the folder.
    pub(super) fn is_signed(&self, name: &str, fetched: &Fetched) -> bool {
        let Ok(Content::Bytes(bytes, _)) = &fetched.content else {
            return false;
        };
        let Ok(signed) = serde_json::from_slice::<Signature>(bytes) else {
            return false;
        };
        let table = &*self.config.event_selection_table;
        signed.name == name && signed.selected_for.is_none_or(|whose| whose == table)
    }

    fn take_payload(&mut self, name: &str, fetched: Fetched, out: &mut Outputs) {
        // It may have come again meanwhile.
        if self.selection.find(name).is_some_and(Row::has_files) {
            return;
        }
        match fetched.content {
            Ok(Content::Bytes(body, _)) => {
                if self.take_left(name, &body, out) {
                    return;
                }
            }
            Err(FetchError::Absent { .. }) => {}
            Ok(Content::Unchanged) | Err(_) => {
                out.bad("stored event cannot be read");
                return;
            }
        }
        for ending in ["dat", "json"] {
            let path = self.folder.path_of(name, ending);
            out.file(FileEdit::Remove { path });
        }
    }

    /// Takes an event back whose row was lost; tells whether it has a place. Nothing is told of it: that
    /// was done when it came.
    fn take_left(&mut self, name: &str, body: &[u8], out: &mut Outputs) -> bool {
        let Ok(event) = Payload::decode(body) else {
            out.bad("stored event is damaged");
            return false;
        };
        let spread = self.gauge.spread(&event);
        let row = Row::of(&event, spread.dus);
        let key = row.key;
        let is_unwanted = spread.dus < self.config.min_dus
            || spread.doms < self.config.min_doms
            || self.runs.excludes(key.run_id)
            || self.stored.is_removed(key)
            || self.stored.is_stopped();
        if key.name() != name || is_unwanted {
            return false;
        }
        if !self.selection.own(name) {
            let (_, gone) = self.selection.merge(vec![row]);
            self.leaving.extend(gone);
        }
        if !self.selection.has(key) {
            return false;
        }
        self.gone.came(key);
        // Anew, because it may have been on its way out while it was read.
        let picture = self.output(name, &event, self.draw(&event, EVERY_DU));
        self.write_event(name, body.to_vec(), &picture, out);
        self.counts.taken_back += 1;
        self.tables.changed = true;
        out.keep();
        true
    }
}
