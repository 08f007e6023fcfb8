//! What is kept over a restart: the selection, and the event drawn last.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fathom_kernel::{Persist, Saved};
use serde::{Deserialize, Serialize};

use super::ZtPlot;
use super::gone::Gone;
use super::row::Row;
use super::stored;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    rows: Vec<Row>,
    /// Rows whose files are still there.
    leaving: Vec<Row>,
    /// Rows that have left.
    #[serde(default)]
    gone: Vec<Row>,
    drawn_s: Option<i64>,
    /// Payload of the event drawn last, in base 64.
    latest: Option<String>,
    /// What was done with the rows of the file.
    #[serde(default)]
    stored: stored::Kept,
}

impl ZtPlot {
    pub(super) fn keep(&self, keep: &mut Persist) {
        let kept = Kept {
            version: VERSION,
            rows: self.selection.rows().to_vec(),
            leaving: self.leaving.clone(),
            gone: self.gone.kept(),
            drawn_s: self.drawn_s,
            latest: self.latest.as_ref().map(|body| STANDARD.encode(body)),
            stored: self.stored.kept(),
        };
        keep.json(&kept);
    }

    pub(super) fn take_back(&mut self, saved: &Saved) -> Result<(), String> {
        let Some(kept) = saved.json::<Kept>()? else {
            return Ok(());
        };
        if kept.version != VERSION {
            let got = kept.version;
            return Err(format!("kept with version {got}, expected {VERSION}"));
        }
        self.leaving = self.selection.restore(kept.rows);
        self.leaving.extend(kept.leaving);
        self.gone = Gone::of(kept.gone);
        self.stored.take_back(kept.stored);
        self.drawn_s = kept.drawn_s;
        let latest = kept.latest.and_then(|text| STANDARD.decode(text).ok());
        self.latest = latest.map(Bytes::from);
        self.tables.changed = true;
        self.is_hidden = self.latest.is_some();
        Ok(())
    }
}
