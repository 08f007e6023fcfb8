//! `IO_MONIT`: what each module says of itself ten times a second.

use std::ops::Range;

use fathom_formats::controlhost::tags;
use fathom_formats::km3net::{DomId, Header, TmchFields};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::batch::Chunk;
use crate::chance::{Purpose, Tables, generator, round_u32};
use crate::fault::DomFault;
use crate::layout::Layout;
use crate::physics::compass::{Board, Pointing};
use crate::physics::rates::DomCounts;

/// Bytes of a packet with its prefix.
const PACKET_BYTES: usize = 260;
/// Status bit of a synchronised module.
const SYNCHRONISED: u32 = 1 << 31;
/// Flags: compass values valid, structure version as in real packets.
const FLAGS: u32 = 0b11;
/// Packets between two readings of a module's slow sensors.
const SENSORS_EVERY_PACKETS: u64 = 10;

/// Makes monitoring packets.
#[derive(Debug)]
pub(crate) struct Monitoring {
    /// First the modules with PMTs, then the base modules.
    modules: Vec<TmchFields>,
    /// Compass board of each module.
    boards: Vec<Board>,
    /// Mean heading of each module (deg).
    headings_deg: Vec<f64>,
    /// Temperature of each module [degrees Celsius].
    temperatures_c: Vec<f64>,
    frame: u64,
    rng: SmallRng,
    tables: Tables,
}

impl Monitoring {
    pub(crate) fn new(layout: &Layout, seed: u64) -> Self {
        let mut rng = generator(seed, Purpose::Weather);
        let tables = Tables::new();
        let optical = layout.doms.iter().map(|dom| dom.id);
        let ids: Vec<DomId> = optical.chain(layout.bases.iter().copied()).collect();
        let packet = |id: &DomId| TmchFields {
            dom_id: *id,
            flags: FLAGS,
            humidity_raw: rng.random_range(900..2400),
            ..TmchFields::default()
        };
        let modules: Vec<_> = ids.iter().map(packet).collect();
        let boards = ids.iter().map(|id| Board::of(seed, *id)).collect();
        let number = modules.len();
        let headings = (0..number).map(|_| rng.random_range(0.0..360.0)).collect();
        let temperatures = (0..number).map(|_| 19.0 + 1.5 * tables.normal(&mut rng));
        let temperatures_c = temperatures.collect();
        Self {
            modules,
            boards,
            headings_deg: headings,
            temperatures_c,
            frame: 0,
            rng,
            tables,
        }
    }

    /// Returns the number of modules that send packets.
    pub(crate) fn len(&self) -> usize {
        self.modules.len()
    }

    /// Goes to the next frame.
    pub(crate) fn next_frame(&mut self) {
        self.frame += 1;
    }

    /// Makes the packets of some modules; base modules, which count nothing, come last.
    pub(crate) fn packets(
        &mut self,
        modules: Range<usize>,
        header: &Header,
        counts: &[DomCounts],
        faults: (&[DomFault], &[DomFault]),
    ) -> Chunk {
        let mut chunk = Chunk::with_capacity(modules.len() * PACKET_BYTES);
        for at in modules {
            let base_at = at.wrapping_sub(faults.0.len());
            let fault = faults.0.get(at).or_else(|| faults.1.get(base_at));
            let fault = fault.copied().unwrap_or_default();
            let sent = u64::from(self.modules[at].udp_sequence_number);
            if sent == 0 || (at as u64 + sent).is_multiple_of(SENSORS_EVERY_PACKETS) {
                self.read_sensors(at, fault.turned_deg);
            }
            let packet = &mut self.modules[at];
            // The counter goes on while a module is cut off, as packets lost on the way do.
            packet.udp_sequence_number = packet.udp_sequence_number.wrapping_add(1);
            if fault.dead {
                continue;
            }
            packet.run = header.run.0.cast_unsigned();
            packet.utc_seconds = header.utc_seconds;
            packet.ticks = header.ticks;
            packet.dom_status[0] = if fault.unsynchronised {
                0
            } else {
                SYNCHRONISED
            };
            if let Some(counted) = counts.get(at) {
                packet.rate_counts = counted.counts;
                packet.hrv = counted.hrv;
                let full = counted.fifo.count_ones();
                packet.tdc_full = packet.tdc_full.wrapping_add(full);
            }
            chunk.push(tags::IO_MONIT, |out| packet.encode(out));
        }
        chunk
    }

    /// Reads compass, tilt, temperature and humidity: a module swings a little in the current.
    fn read_sensors(&mut self, at: usize, turned_deg: f64) {
        let mut noise = || self.tables.normal(&mut self.rng);
        let swing_s = self.frame as f64 / 10.0;
        let heading_deg = self.headings_deg[at] + 4.0 * (swing_s / 900.0).sin() + 0.3 * noise();
        let pointing = Pointing {
            yaw_deg: (heading_deg + turned_deg).rem_euclid(360.0),
            pitch_deg: 1.5 + 0.2 * noise(),
            roll_deg: -0.8 + 0.2 * noise(),
        };
        let (acceleration_g, magnetic_gauss) = self.boards[at].readings(&pointing);
        let packet = &mut self.modules[at];
        packet.ypr_deg = single([pointing.yaw_deg, pointing.pitch_deg, pointing.roll_deg]);
        packet.acceleration_g = single(acceleration_g);
        packet.gyroscope = single([0.02 * noise(), 0.02 * noise(), 0.02 * noise()]);
        packet.magnetic_gauss = single(magnetic_gauss);
        let temperature_c = self.temperatures_c[at] + 0.05 * noise();
        packet.temperature_raw =
            u16::try_from(round_u32(temperature_c * 100.0)).unwrap_or(u16::MAX);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the wire has single precision"
)]
fn single(values: [f64; 3]) -> [f32; 3] {
    values.map(|value| value as f32)
}
