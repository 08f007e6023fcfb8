//! Columns that were kept over a restart, as they are drawn.

use std::sync::Arc;

use fathom_formats::km3net::CHANNELS;
use fathom_hist::LogCode;
use fathom_kernel::view::Column;

use super::picture::{Du, KEPT_DOM_BYTES, set_overlay};

/// Makes the column of the veto alone from a column that was kept.
pub(super) fn veto_of(kept: &Arc<Column>) -> Column {
    let fraction = |(row, rate_hz): (usize, &f32)| match rate_hz.is_nan() {
        true => f32::NAN,
        false => f32::from(kept.overlay.get(row).copied().unwrap_or(0)) / 255.0,
    };
    Column {
        at_ms: kept.at_ms,
        values: kept.values.iter().enumerate().map(fraction).collect(),
        overlay: Box::default(),
    }
}

/// Makes a column from what was kept of the DOMs, by rank.
pub(super) fn kept_column(
    du: &Du,
    by_rank: &[Option<&[u8; KEPT_DOM_BYTES]>],
    at_ms: i64,
) -> Column {
    let mut column = Column {
        at_ms,
        values: vec![f32::NAN; du.floors * CHANNELS].into(),
        overlay: Box::default(),
    };
    for &(rank, row) in &du.doms {
        let Some(dom) = by_rank[rank] else { continue };
        for (channel, [low, high, veto]) in dom.as_chunks::<3>().0.iter().enumerate() {
            let code = LogCode(u16::from_le_bytes([*low, *high]));
            #[expect(
                clippy::cast_possible_truncation,
                reason = "kept with fewer digits anyway"
            )]
            let rate_hz = code.value() as f32;
            column.values[row + channel] = rate_hz;
            if *veto > 0 {
                set_overlay(&mut column, row + channel, *veto);
            }
        }
    }
    column
}
