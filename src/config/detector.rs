//! `[detector]`: a file, a page or a generated geometry becomes the detector that all services share.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fathom_formats::detx::{Detector, Layout};
use fathom_formats::km3net::DetectorId;
use toml::Spanned;

use super::document::{DetectorDoc, GeometryDoc};
use super::files::read_bytes;
use super::plan::DetectorPlan;
use super::problem::Problem;
use super::source::Place;
use crate::detector::{BYTES_MAX, Page, describe, read_detx};

/// Shortest and longest time between two questions for a page.
const EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);

/// Detection units of one ORCA or ARCA building block.
const BLOCK_DUS: u16 = 115;

/// Most detection units that can be generated: two ARCA blocks.
const DUS_MAX: u16 = 2 * BLOCK_DUS;

/// Where paths start, and what the stack writes goes.
pub(crate) struct Folders<'a> {
    pub(crate) config: &'a Path,
    pub(crate) data: &'a Path,
}

/// What `[detector]` says.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) detector: Option<Arc<Detector>>,
    /// Where it is from, when it may change there.
    pub(crate) plan: Option<DetectorPlan>,
}

/// Makes the detector, or says why there is none.
pub(crate) fn make(
    doc: DetectorDoc,
    place: Place,
    folders: &Folders<'_>,
    problems: &mut Vec<Problem>,
) -> Found {
    let is_read = doc.file.is_some() || doc.url.is_some();
    if let Some(geometry) = doc.geometry.as_ref().filter(|_| is_read) {
        let mut problem =
            Problem::error("[detector] takes either `geometry`, or `file` and `url`, not both")
                .at(geometry.span());
        let file = doc.file.as_ref().map(|file| (file.span(), "file"));
        let url = doc.url.as_ref().map(|url| (url.span(), "url"));
        for (span, name) in file.into_iter().chain(url) {
            problem = problem.also(span, name);
        }
        problems.push(problem);
        return Found::default();
    }
    misplaced(&doc, problems);
    if let Some(geometry) = &doc.geometry {
        let detector = generate(*geometry.get_ref(), &doc, problems);
        return Found {
            detector,
            plan: None,
        };
    }
    if names_nothing(&doc) {
        let problem = Problem::error("[detector] has none of `file`, `url` and `geometry`")
            .at(place)
            .help("write file = \"detector.detx\", or geometry = \"orca\"");
        problems.push(problem);
        return Found::default();
    }
    read_places(&doc, folders, problems)
}

/// Tells whether there is nothing that names a detector.
pub(crate) fn names_nothing(doc: &DetectorDoc) -> bool {
    doc.file.is_none() && doc.url.is_none() && doc.geometry.is_none()
}

/// Says which keys go with others only.
fn misplaced(doc: &DetectorDoc, problems: &mut Vec<Problem>) {
    let is_generated = doc.geometry.is_some();
    let dus = doc.dus.as_ref().filter(|_| !is_generated);
    let id = doc
        .id
        .as_ref()
        .filter(|_| !is_generated && doc.url.is_none());
    let every = doc.every.as_ref().filter(|_| doc.url.is_none());
    if let Some(at) = dus
        .map(Spanned::span)
        .filter(|_| doc.file.is_some() || doc.url.is_some())
    {
        let text = "`dus` goes with `geometry` only; a file says it itself";
        problems.push(Problem::error(text).at(at));
    }
    if let Some(at) = id.map(Spanned::span).filter(|_| doc.file.is_some()) {
        let text = "`id` goes with `geometry` or `url` only; a file says it itself";
        problems.push(Problem::error(text).at(at));
    }
    if let Some(every) = every {
        let text = "`every` goes with `url` only; a file is read again when it changes";
        problems.push(Problem::error(text).at(every.span()));
    }
}

/// Reads the file, and what was kept of the page.
fn read_places(doc: &DetectorDoc, folders: &Folders<'_>, problems: &mut Vec<Problem>) -> Found {
    let mut plan = DetectorPlan::default();
    if let Some(file) = &doc.file {
        let path = folders.config.join(file.get_ref());
        plan.ground = read(&path, file.span(), problems);
        plan.file = Some(std::path::absolute(&path).unwrap_or(path));
    }
    let Some(url) = &doc.url else {
        return Found {
            detector: plan.ground.clone(),
            plan: Some(plan),
        };
    };
    if !super::ready::is_web(url.get_ref()) {
        let problem = Problem::error(format!("`{url}` is no URL")).at(url.span());
        problems.push(problem.label("expected http://… or https://…"));
    }
    if let Some(every) = &doc.every {
        plan.every = every.get_ref().duration();
        if !EVERY.contains(&plan.every) {
            let problem = Problem::error("`every` is from 1s to 7d").at(every.span());
            problems.push(problem);
            plan.every = DetectorPlan::EVERY;
        }
    }
    plan.id = doc.id.as_ref().map(|id| DetectorId(*id.get_ref()));
    let page = Page::of(folders.data, url.get_ref());
    let mut detector = plan.ground.clone();
    if let Some((kept, bytes)) = kept(&page, &plan, url, problems) {
        detector = Some(kept);
        plan.kept = Some(bytes);
    }
    plan.page = Some(page);
    plan.url = Some(url.get_ref().clone());
    Found {
        detector,
        plan: Some(plan),
    }
}

/// Reads what was kept of the page, which is asked once the stack runs. A copy that cannot be used
/// is as none.
fn kept(
    page: &Page,
    plan: &DetectorPlan,
    url: &Spanned<String>,
    problems: &mut Vec<Problem>,
) -> Option<(Arc<Detector>, Bytes)> {
    let loaded = page.load().and_then(|bytes| {
        let Some(bytes) = bytes else { return Ok(None) };
        let name = page.path().display().to_string();
        let (detector, _) = describe(&name, &bytes, plan.id, plan.ground.as_deref())?;
        Ok(Some((detector, Bytes::from(bytes))))
    });
    loaded.unwrap_or_else(|why| {
        let text = format!("the kept description of the detector cannot be used: {why}");
        problems.push(Problem::warning(text).at(url.span()));
        None
    })
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

fn read(path: &Path, place: Place, problems: &mut Vec<Problem>) -> Option<Arc<Detector>> {
    let shown = path.display();
    let at = || place.clone();
    // Not one of the files that a plan is from: whoever needs it follows it by itself.
    let bytes = match read_bytes(path, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(why) => {
            problems.push(Problem::error(format!("cannot read {shown}: {why}")).at(at()));
            return None;
        }
    };
    match read_detx(&shown.to_string(), &bytes) {
        Ok((detector, warnings)) => {
            let warnings = warnings
                .into_iter()
                .map(|text| Problem::warning(text).at(at()));
            problems.extend(warnings);
            Some(detector)
        }
        Err(error) => {
            problems.push(Problem::error(error).at(at()));
            None
        }
    }
}
