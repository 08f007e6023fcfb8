//! ControlHost broker, mirror and source.
//!
//! Everything here is one relay: producers' bytes are read in large pieces, the frames found in
//! them are grouped by who wants them, each client's queue gets its frames as few shared slices,
//! and one vectored write per wake-up sends them. Bodies are opaque: decoding is done by whoever
//! receives the frames from the bus.

mod ligier;
mod ligier_source;
mod ligiermirror;
mod links;
mod relay;
mod tables;

use fathom_kernel::Kind;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[
    Kind::service::<ligier::LigierConfig, ligier::Ligier>(
        "ligier",
        "ControlHost broker: takes tagged messages from producers to every subscriber",
    ),
    Kind::service::<ligiermirror::MirrorConfig, ligiermirror::LigierMirror>(
        "ligiermirror",
        "copies tagged messages from brokers to other brokers or the bus, unchanged",
    ),
    Kind::service::<ligier_source::SourceConfig, ligier_source::LigierSource>(
        "ligier_source",
        "reads tagged messages from a broker elsewhere into the bus",
    ),
];
