//! What becomes of an event: its fits, their residuals, the next picture.

use fathom_formats::km3net::{CalibratedHit, Event as Payload, Header, slew_ns};
use fathom_kernel::{Frame, Outputs};

use super::event::EventFits;
use super::extras::{azimuth_deg, prefit_cos_zenith};
use super::history::{Listed, MINUTE_MS};
use super::picture::Drawn;
use super::residuals::{Kept, key_of};
use super::{LineFit, Royfit};
use crate::clock::ms_of_header;
use crate::timeline::Fit;
use crate::ztplot::drawing::name_of;

impl Royfit {
    pub(super) fn take(&mut self, frame: &Frame, event: &Payload<'_>, out: &mut Outputs) {
        let data_ms = ms_of_header(&event.header);
        self.counts.events += 1;
        match self.timeline.saw(data_ms, frame.received.as_millisecond()) {
            Fit::Near => self.newest_ms = self.newest_ms.max(Some(data_ms)),
            Fit::Stray => self.counts.stray += 1,
            Fit::Set => {
                self.newest_ms = Some(data_ms);
                self.residuals.set_clock(data_ms.div_euclid(MINUTE_MS));
                self.history.cover(data_ms);
            }
        }
        let Some(fitter) = &mut self.fitter else {
            return;
        };
        let fits = fitter.fit(event);
        for dom_id in fitter.unknown() {
            self.counts.unknown_hits += 1;
            self.strangers.saw(dom_id.0, data_ms);
        }
        let found = fits.as_ref().map_or(0, |fits| fits.dus.len() as u64);
        self.history.count(data_ms, found > 0, found);
        let Some(fits) = fits else {
            self.counts.few_doms += 1;
            return;
        };
        self.counts.fitted += u64::from(found > 0);
        self.counts.fits += found;
        self.counts.few_hits += fits.few;
        self.counts.failed += fits.failed;
        self.remember(event, &fits);
        for (_, fit) in &fits.dus {
            self.take_residuals(&event.header, fit, out);
        }
        self.csv.turn_over(out);
        if self.config.is_drawn(&fits) {
            self.counts.pictures += 1;
            self.draw_next(event, fits);
        }
    }

    fn remember(&mut self, event: &Payload<'_>, fits: &EventFits) {
        let hits = self.fitter.as_ref().map_or(&[][..], |fitter| fitter.hits());
        let selected = fits.dus.iter().flat_map(|(_, fit)| &fit.hits);
        let is_several = fits.dus.len() > 1;
        let prefit_cos_zenith = is_several.then(|| prefit_cos_zenith(selected)).flatten();
        for (du, fit) in &fits.dus {
            let from = hits.partition_point(|hit| hit.place.du < *du);
            let until = hits.partition_point(|hit| hit.place.du <= *du);
            self.history.add(Listed {
                at_ms: ms_of_header(&event.header),
                run: event.header.run.0,
                frame_index: event.header.frame_index,
                trigger_counter: event.trigger_counter,
                du: *du,
                hits: fit.hits.len(),
                q: fit.q(),
                cos_zenith: -fit.track.up,
                distance_m: fit.track.distance_m,
                z_m: fit.track.z_m,
                time_ns: fit.track.time_ns,
                azimuth_deg: azimuth_deg(fit, &hits[from..until]),
                prefit_cos_zenith,
            });
        }
    }

    fn take_residuals(&mut self, header: &Header, fit: &LineFit, out: &mut Outputs) {
        let minute = ms_of_header(header).div_euclid(MINUTE_MS);
        let q = fit.q();
        let counts = self.config.residual_q <= 0.0 || q <= self.config.residual_q;
        for hit in &fit.hits {
            let (residual_ns, corrected_ns) = residuals_of(hit, fit);
            if self.config.csv {
                self.csv
                    .line((header, hit), (residual_ns, corrected_ns), q, out);
            }
            if !counts {
                self.counts.large_q += 1;
                continue;
            }
            let shown_ns = match self.config.slewing {
                true => corrected_ns,
                false => residual_ns,
            };
            self.take_residual(minute, hit, shown_ns);
        }
    }

    fn take_residual(&mut self, minute: i64, hit: &CalibratedHit, residual_ns: f64) {
        let Some(rank) = self.places.rank(hit.dom_id.0) else {
            return;
        };
        let counted = match self.residuals.add(minute, rank, residual_ns) {
            Kept::Yes => {
                if let Some(key) = key_of(rank, residual_ns) {
                    self.keeper.saw(minute, key);
                }
                &mut self.counts.residuals
            }
            Kept::TooLarge => &mut self.counts.too_large,
            Kept::NoRoom => &mut self.counts.no_room,
        };
        *counted += 1;
    }

    fn draw_next(&mut self, event: &Payload<'_>, fits: EventFits) {
        let Some(fitter) = &self.fitter else { return };
        self.next_picture = Some(Drawn {
            title: title(event, &fits),
            from_ns: fitter.first_ns(),
            hits: fitter.hits().to_vec(),
            fits: fits.dus,
        });
    }
}

/// Returns how much later than the model a hit is (ns): as it is, and corrected for slewing.
fn residuals_of(hit: &CalibratedHit, fit: &LineFit) -> (f64, f64) {
    let residual_ns = hit.time_ns - fit.track.arrival_ns(hit.position_m[2]);
    (residual_ns, residual_ns - slew_ns(hit.tot_ns))
}

fn title(event: &Payload<'_>, fits: &EventFits) -> String {
    let each = fits.dus.iter();
    let each = each.map(|(du, fit)| format!("DU {du} {:.1}", fit.q()));
    let each = each.collect::<Vec<_>>().join(", ");
    format!("ROy fit of {}, Q: {each}", name_of(event))
}
