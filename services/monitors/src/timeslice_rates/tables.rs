//! The streams in numbers, and the list of what is missing.

use fathom_formats::km3net::SliceLevel;
use fathom_kernel::view::{Marker, Table};
use serde_json::json;

use super::frames::Gap;
use super::{LOOKS, Stream, TimesliceRates};
use crate::clock::text_of_ms;

impl TimesliceRates {
    pub(super) fn counts(&self) -> Table {
        let row = |(stream, (level, ..)): (&Stream, &(SliceLevel, &str, &str, Marker))| {
            let newest = stream.frames.newest();
            let mean_bytes = stream.bytes.checked_div(stream.messages);
            vec![
                json!(level.tag()),
                json!(stream.messages),
                json!(stream.messages - stream.again - stream.strays),
                json!(stream.frames.missing),
                json!(stream.again),
                json!(stream.late),
                json!(stream.strays),
                json!(mean_bytes),
                json!(newest.map(|(run, _)| run.run)),
                json!(newest.map(|(_, index)| index)),
                json!(stream.newest_ms.map(text_of_ms)),
            ]
        };
        let columns = [
            "stream",
            "messages",
            "frames",
            "frames missing",
            "further parts or repeated",
            "late",
            "far off time or index",
            "mean size [bytes]",
            "run",
            "newest frame",
            "newest slice [UTC]",
        ];
        Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: self.streams.iter().zip(&LOOKS).map(row).collect(),
        }
    }

    /// Lists the gaps, newest first.
    pub(super) fn gaps(&self) -> Table {
        let mut all: Vec<_> = self
            .streams
            .iter()
            .zip(&LOOKS)
            .flat_map(|(stream, (level, ..))| stream.frames.gaps().map(move |gap| (level, gap)))
            .collect();
        all.sort_by_key(|(_, (gap, _))| std::cmp::Reverse(gap.at_ms));
        let row = |(level, (gap, frames)): (&SliceLevel, (&Gap, u64))| {
            vec![
                json!(text_of_ms(gap.at_ms)),
                json!(level.tag()),
                json!(gap.run.run),
                json!(gap.first),
                json!(gap.last),
                json!(frames),
            ]
        };
        let columns = [
            "since [UTC]",
            "stream",
            "run",
            "first frame",
            "last frame",
            "frames",
        ];
        Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: all.into_iter().map(row).collect(),
        }
    }
}
