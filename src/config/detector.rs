//! `[detector]`: a file or a generated geometry becomes the detector that all services share.

use std::path::Path;
use std::sync::Arc;

use fathom_formats::detx::{Detector, Layout};
use fathom_formats::km3net::DetectorId;

use super::document::{DetectorDoc, GeometryDoc};
use super::fileset::FileSet;
use super::problem::Problem;
use super::source::Place;

/// Largest detector file read.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Detection units of one ORCA or ARCA building block.
const BLOCK_DUS: u16 = 115;

/// Most detection units that can be generated: two ARCA blocks.
const DUS_MAX: u16 = 2 * BLOCK_DUS;

/// Makes the detector, or says why there is none.
pub(crate) fn make(
    doc: DetectorDoc,
    place: Place,
    (folder, set): (&Path, &mut FileSet),
    problems: &mut Vec<Problem>,
) -> Option<Arc<Detector>> {
    match (&doc.file, &doc.geometry) {
        (Some(file), Some(geometry)) => {
            let problem = Problem::error("[detector] takes either `file` or `geometry`, not both")
                .at(geometry.span())
                .also(file.span(), "file");
            problems.push(problem);
            None
        }
        (Some(file), None) => {
            for (key, at) in [
                ("dus", doc.dus.as_ref().map(|v| v.span())),
                ("id", doc.id.as_ref().map(|v| v.span())),
            ] {
                if let Some(at) = at {
                    let text = format!("`{key}` goes with `geometry` only; a file says it itself");
                    problems.push(Problem::error(text).at(at));
                }
            }
            let path = folder.join(file.get_ref());
            read(&path, set, file.span(), problems)
        }
        (None, Some(geometry)) => generate(*geometry.get_ref(), &doc, problems),
        (None, None) => {
            let problem = Problem::error("[detector] has neither `file` nor `geometry`")
                .at(place)
                .help("write file = \"detector.detx\", or geometry = \"orca\"");
            problems.push(problem);
            None
        }
    }
}

fn generate(
    geometry: GeometryDoc,
    doc: &DetectorDoc,
    problems: &mut Vec<Problem>,
) -> Option<Arc<Detector>> {
    let all = match geometry {
        GeometryDoc::Orca | GeometryDoc::ArcaBlock => BLOCK_DUS,
        GeometryDoc::Arca2Blocks => DUS_MAX,
    };
    let dus = match &doc.dus {
        Some(dus) if (1..=all).contains(dus.get_ref()) => *dus.get_ref(),
        Some(dus) => {
            let text = format!("this geometry has 1 to {all} detection units");
            problems.push(Problem::error(text).at(dus.span()));
            return None;
        }
        None => all,
    };
    let mut layout = match geometry {
        GeometryDoc::Orca => Layout::orca(dus.into()),
        GeometryDoc::ArcaBlock | GeometryDoc::Arca2Blocks => Layout::arca(dus.into()),
    };
    if let Some(id) = &doc.id {
        layout.detector_id = DetectorId(*id.get_ref());
    }
    Some(Arc::new(Detector::generated(&layout)))
}

fn read(
    path: &Path,
    set: &mut FileSet,
    place: Place,
    problems: &mut Vec<Problem>,
) -> Option<Arc<Detector>> {
    let shown = path.display();
    let at = || place.clone();
    let bytes = match set.read(path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(why) => {
            problems.push(Problem::error(format!("cannot read {shown}: {why}")).at(at()));
            return None;
        }
    };
    // The messages begin with `line N: `; with the file in front that is a place one can jump to.
    let located = |message: String| match message.strip_prefix("line ") {
        Some(rest) => format!("{shown}:{rest}"),
        None => format!("{shown}: {message}"),
    };
    match Detector::parse(&bytes) {
        Ok(parsed) => {
            for warning in parsed.warnings {
                problems.push(Problem::warning(located(warning.to_string())).at(at()));
            }
            Some(Arc::new(parsed.detector))
        }
        Err(error) => {
            problems.push(Problem::error(located(error.to_string())).at(at()));
            None
        }
    }
}
