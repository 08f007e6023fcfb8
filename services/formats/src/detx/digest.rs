//! SHA-256 digest over what identifies modules and PMTs, to compare readers of DETX files.

use crate::km3net::LineHash;

use super::detector::Detector;

impl Detector {
    /// Returns the digest over all modules and PMTs in file order.
    ///
    /// Per module a line `M id du floor n_pmts status`, then `P pmt_id channel status` for each of
    /// its PMTs; a status that the file does not have is -1.
    pub fn digest(&self) -> String {
        let number = |status: Option<u32>| status.map_or(-1, i64::from);
        let mut hash = LineHash::default();
        for module in self.modules() {
            let (id, place, pmts) = (module.id, module.place, module.pmts.len());
            let status = number(module.status);
            hash.line(format_args!(
                "M {id} {} {} {pmts} {status}",
                place.du, place.floor
            ));
            for (channel, pmt) in module.pmts.iter().enumerate() {
                hash.line(format_args!(
                    "P {} {channel} {}",
                    pmt.id,
                    number(pmt.status)
                ));
            }
        }
        hash.finish()
    }
}
