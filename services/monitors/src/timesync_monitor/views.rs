//! What the time synchronisation looks like: a map, the list of those that lost it, and numbers.

use fathom_formats::detx::status_bits;
use fathom_kernel::view::{Colours, Detail, Map, Table};
use serde_json::{Value, json};

use super::{Dom, Source, TimesyncMonitor};
use crate::clock::{seconds, text_of_ms};
use crate::places::Place;

/// Most DOMs listed.
const LISTED_MAX: usize = 200;

impl TimesyncMonitor {
    /// Shows the affected share of the frames of the interval; a DOM without any is missing.
    pub(super) fn map(&self) -> Map {
        let of = |number: &dyn Fn(&Dom) -> f64| self.doms.iter().map(number).collect::<Vec<_>>();
        #[expect(clippy::cast_precision_loss, reason = "frames stay below 2^53")]
        let details: [(&str, Vec<f64>); 5] = [
            (
                "out of sync",
                of(&|dom| f64::from(u8::from(dom.lost_ms.is_some()))),
            ),
            ("frames", of(&|dom| f64::from(dom.interval.0))),
            ("affected frames", of(&|dom| f64::from(dom.interval.1))),
            ("affected frames ever", of(&|dom| dom.affected as f64)),
            (
                "last affected frame [s since 1970 UTC]",
                of(&|dom| dom.affected_ms.map_or(f64::NAN, seconds)),
            ),
        ];
        let details = details.map(|(name, values)| Detail {
            name: name.to_owned(),
            values,
        });
        let share = of(&|dom| 100.0 * f64::from(dom.interval.1) / f64::from(dom.interval.0));
        let colours = Colours {
            map: "coolwarm".into(),
            low: 0.0,
            high: 100.0,
            log: false,
            under: None,
            over: None,
            missing: "lightgrey".into(),
            label: "frames out of sync [%]".into(),
        };
        self.places.map(share, details.to_vec(), colours)
    }

    /// Lists the DOMs that are out of sync, the newest loss on top, then those that were.
    pub(super) fn lost_table(&self) -> Table {
        let affected = self.all().filter(|(_, dom)| dom.affected > 0);
        let mut lost: Vec<(u32, &Dom)> = affected.collect();
        lost.sort_by_key(|(_, dom)| std::cmp::Reverse((dom.lost_ms, dom.affected_ms)));
        let row = |(id, dom): &(u32, &Dom)| {
            let rank = self.places.rank(*id);
            let place = rank.and_then(|rank| self.places.list().get(rank));
            vec![
                json!(place.map(|place| place.du)),
                json!(place.map(|place| place.floor)),
                json!(id),
                json!(dom.lost_ms.map(text_of_ms)),
                json!(dom.affected_ms.map(text_of_ms)),
                json!(dom.affected),
                json!(dom.frames),
            ]
        };
        let columns = [
            "DU",
            "floor",
            "DOM id",
            "out of sync since [UTC]",
            "last affected frame [UTC]",
            "affected frames",
            "frames",
        ];
        Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: lost.iter().take(LISTED_MAX).map(row).collect(),
        }
    }

    pub(super) fn summary(&self) -> Table {
        let count = |fits: fn(&Dom) -> bool| self.all().filter(|(_, dom)| fits(dom)).count();
        let source = self.source.map(|source| match source {
            Source::Supernova => "IO_TSSN",
            Source::Summary => "IO_SUM",
        });
        let is_off = |place: &&Place| self.places.is_off(place, status_bits::MODULE_OUT_OF_SYNC);
        let off = self.places.list().iter().filter(is_off).count();
        let rows: [(&str, Value); 10] = [
            (
                "in sync",
                count(|dom| dom.lost_ms.is_none() && dom.newest_ms.is_some()).into(),
            ),
            ("out of sync", count(|dom| dom.lost_ms.is_some()).into()),
            (
                "never seen since the start",
                count(|dom| dom.newest_ms.is_none()).into(),
            ),
            ("off, or out of sync, by the detector file", off.into()),
            ("decided by", json!(source)),
            ("slices", self.counts.slices.into()),
            (
                "summary slices left aside, as IO_TSSN comes",
                self.counts.aside.into(),
            ),
            (
                "slices marked as not synchronised",
                self.counts.marked.into(),
            ),
            ("slices far off the clock", self.counts.clock_off.into()),
            ("newest slice [UTC]", json!(self.newest_ms.map(text_of_ms))),
        ];
        Table {
            columns: vec!["".into(), "value".into()],
            rows: rows.map(|(name, value)| vec![name.into(), value]).to_vec(),
        }
    }
}
