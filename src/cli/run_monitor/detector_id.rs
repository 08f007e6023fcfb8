//! Which detector recorded messages are from.

use std::path::PathBuf;

use fathom_formats::controlhost::Tag;
use fathom_formats::km3net::{DetectorId, Payload, Versioning};
use fathom_simulator::{Feed, FileMessage};

/// Messages looked at.
const MESSAGES_MAX: usize = 100;

/// Returns the detector of the first message that says it; `None` where none does, or where a file
/// could be read only once.
pub(super) fn detector_id(files: &[PathBuf], tag: Option<Tag>) -> Option<DetectorId> {
    if !files.iter().all(|file| file.is_file()) {
        return None;
    }
    // What is wrong with the files is told when they are played.
    let mut feed = Feed::open(files, tag).ok()?.take(MESSAGES_MAX);
    feed.find_map(|timed| of(&timed.message))
}

fn of(message: &FileMessage) -> Option<DetectorId> {
    let payload = Payload::decode_with(message.tag, &message.body, Versioning::AcceptLegacy);
    match payload.ok()? {
        Payload::Online(reco) => Some(reco.detector_id),
        other => other.header().map(|header| header.detector_id),
    }
}
