//! A selected event: its numbers, its names, and by which of them it competes.

use fathom_formats::km3net::Event as Payload;
use serde::{Deserialize, Serialize};

/// What events compete in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    /// Number of merged events.
    Overlays,
    /// Hits of the snapshot.
    Hits,
    /// Triggered hits.
    TriggeredHits,
}

impl Category {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Overlays, Self::Hits, Self::TriggeredHits];

    /// Returns its column in km3mon's table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Overlays => "overlays",
            Self::Hits => "n_hits",
            Self::TriggeredHits => "n_triggered_hits",
        }
    }

    /// Returns what people call it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Overlays => "overlays",
            Self::Hits => "hits",
            Self::TriggeredHits => "triggered hits",
        }
    }
}

/// What makes two events the same: detector, run, frame, trigger counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) det_id: i32,
    pub(super) run_id: i32,
    pub(super) frame_index: i32,
    pub(super) trigger_counter: u64,
}

impl Key {
    pub(super) fn of(event: &Payload<'_>) -> Self {
        Self {
            det_id: event.header.detector_id.0,
            run_id: event.header.run.0,
            frame_index: event.header.frame_index,
            trigger_counter: event.trigger_counter,
        }
    }

    /// Reads such a name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let (det_id, rest) = name.strip_prefix("ztplot_")?.split_once('_')?;
        let (run_id, rest) = rest.split_once("_FI")?;
        let (frame_index, trigger_counter) = rest.split_once("_TC")?;
        let key = Self {
            det_id: det_id.parse().ok()?,
            run_id: run_id.parse().ok()?,
            frame_index: frame_index.parse().ok()?,
            trigger_counter: trigger_counter.parse().ok()?,
        };
        (key.name() == name).then_some(key)
    }

    /// Returns the name of the event's picture and files, without ending.
    pub(super) fn name(&self) -> String {
        let Self {
            det_id,
            run_id,
            frame_index,
            trigger_counter,
        } = self;
        format!("ztplot_{det_id:08}_{run_id:08}_FI{frame_index}_TC{trigger_counter}")
    }
}

/// One event of the selection, as km3mon's table has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) overlays: i64,
    pub(super) n_hits: i64,
    pub(super) n_triggered_hits: i64,
    /// DUs with triggered hits.
    pub(super) n_dus: i64,
    /// Second of the frame's start since 1970.
    pub(super) utc_timestamp: i64,
    /// Name of the picture in the file of `local_db`, for a row that was found there: its payload is
    /// not here, and files that go by its name are not ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) found_as: Option<String>,
    /// It came again after it was found: its row in that file stays when it goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) was_found: bool,
}

impl Row {
    pub(super) fn of(event: &Payload<'_>, n_dus: usize) -> Self {
        let wide = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        Self {
            key: Key::of(event),
            overlays: event.overlays.into(),
            n_hits: wide(event.snapshot.len()),
            n_triggered_hits: wide(event.triggered.len()),
            n_dus: wide(n_dus),
            utc_timestamp: event.header.utc_seconds.into(),
            found_as: None,
            was_found: false,
        }
    }

    /// Returns the number by which it competes.
    pub(super) fn value(&self, category: Category) -> i64 {
        match category {
            Category::Overlays => self.overlays,
            Category::Hits => self.n_hits,
            Category::TriggeredHits => self.n_triggered_hits,
        }
    }

    /// Tells whether its payload and picture are kept here.
    pub(super) fn has_files(&self) -> bool {
        self.found_as.is_none()
    }

    /// Returns its day, counted from 1970.
    pub(super) fn day(&self) -> i64 {
        self.utc_timestamp.div_euclid(86_400)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_is_read_again_and_no_other() {
        let key = Key {
            det_id: 44,
            run_id: -1,
            frame_index: 156,
            trigger_counter: u64::MAX,
        };
        assert_eq!(Key::of_name(&key.name()), Some(key));
        for other in [
            "ztplot",
            "ztplot_44_00006760_FI156_TC1",
            "ztplot_00000044_00006760_FI156",
            "ztplot_00000044_00006760_FI156_TC1.png",
            "ztplot_00000044_00006760_FI+156_TC1",
            "../ztplot_00000044_00006760_FI156_TC1",
        ] {
            assert_eq!(Key::of_name(other), None, "{other}");
        }
    }
}
