//! `/event_selection/NAME.png`, `.json` and `.dat`: events that a monitor keeps under
//! `data_dir/files/event_selection`, and `/event_selection/TABLE/NAME.png` those in a folder of that
//! below it. `NAME.json` is an output as JSON, drawn on request; `NAME.dat` is
//! the message as it came.

use std::fs::{File, symlink_metadata};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::extract::{Path as Segment, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use fathom_kernel::{Output, Timestamp};

use super::plots::Wanted;
use super::{ETag, Fault};
use crate::app::App;
use crate::picture::{self, Size};
use crate::shelf::{Edition, Form, Key, Variant};

/// Folder of the events below the folder of files.
pub(crate) const FOLDER: &str = "event_selection";
/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What is asked for of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Picture,
    Output,
    Message,
}

/// Tells whether an event can be there: `NAME` or `TABLE/NAME`, which lead out of no folder.
fn is_event(event: &str) -> bool {
    match event.split_once('/') {
        Some((table, name)) => Output::is_valid_name(table) && Output::is_valid_name(name),
        None => Output::is_valid_name(event),
    }
}

/// Takes the name of a file apart; `None` for one that cannot be there.
fn part_of(file: &str) -> Option<(&str, Part)> {
    let (name, ending) = file.rsplit_once('.')?;
    let part = match ending {
        "png" => Part::Picture,
        "json" => Part::Output,
        "dat" => Part::Message,
        _ => return None,
    };
    is_event(name).then_some((name, part))
}

/// Serves a part of a stored event.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Segment(file): Segment<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let (name, part) = part_of(&file).ok_or_else(|| no_event(&file))?;
    let (body, edition) = match part {
        Part::Picture => drawn(&app, name, wanted.size()).await?,
        Part::Output | Part::Message => raw(&app, &file).await?,
    };
    let tag = ETag::of(&app.boot, edition);
    if tag.is_known(&headers) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag.value())]).into_response());
    }
    let media_type = match part {
        Part::Picture => "image/png",
        Part::Output => "application/json",
        Part::Message => "application/octet-stream",
    };
    let mut response = body.into_response();
    let set = response.headers_mut();
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    set.insert(header::ETAG, tag.value());
    if part == Part::Message {
        let attachment = HeaderValue::from_static("attachment");
        set.insert(header::CONTENT_DISPOSITION, attachment);
    }
    Ok(response)
}

/// Returns the picture of a stored event, drawn as of its own time.
pub(crate) async fn drawn(
    app: &App,
    name: &str,
    wanted: (Option<u32>, Option<u32>),
) -> Result<(Bytes, Edition), Fault> {
    if !is_event(name) {
        return Err(no_event(name));
    }
    let path = app.events.join(format!("{name}.json"));
    let edition = edition(&path).map_err(|error| why_not(name, &error))?;
    // Names of outputs have no slash; 0 stands for the size that suits the view.
    let given = |side: Option<u32>| side.map_or(0, |pixels| pixels.max(1));
    let key = Key {
        name: format!("{FOLDER}/{name}"),
        variant: Variant::Picture {
            width: given(wanted.0),
            height: given(wanted.1),
            form: Form::Png,
        },
    };
    let name = name.to_owned();
    let make = move || {
        let json = read(&path).map_err(|error| why_not(&name, &error))?;
        draw(&json, edition, wanted).map_err(|why| unreadable(&name, &why))
    };
    let body = app.shelf.fetch_or(key, edition, make).await?;
    Ok((body, edition))
}

fn draw(
    json: &[u8],
    edition: Edition,
    wanted: (Option<u32>, Option<u32>),
) -> Result<Vec<u8>, String> {
    let mut output: Output = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    if let Some(why) = output.view.fault() {
        return Err(why);
    }
    let written = i64::try_from(edition.version).ok();
    let written = written.and_then(|us| Timestamp::from_microsecond(us).ok());
    // A stored event does not become stale: it is drawn as of its own time.
    let at = output.datum.or(written).unwrap_or(Timestamp::UNIX_EPOCH);
    output.datum = Some(at);
    let size = Size::wanted(&output.view, wanted);
    Ok(picture::draw(&output, at, at, size))
}

/// Returns a file as it is.
async fn raw(app: &App, file: &str) -> Result<(Bytes, Edition), Fault> {
    let path = app.events.join(file);
    let name = file.to_owned();
    let edition = edition(&path).map_err(|error| why_not(file, &error))?;
    let make = move || read(&path).map_err(|error| why_not(&name, &error));
    let body = app.shelf.make(make).await?;
    Ok((body.into(), edition))
}

/// Returns which state of a file there is: the time of its last change (µs).
fn edition(path: &Path) -> io::Result<Edition> {
    let facts = symlink_metadata(path)?;
    if !facts.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let changed = facts.modified()?.duration_since(UNIX_EPOCH);
    let version = changed.ok().and_then(|t| u64::try_from(t.as_micros()).ok());
    Ok(Edition {
        version: version.unwrap_or(0),
        staleness: facts.len(),
    })
}

/// Reads a file that is not larger than allowed, whatever happens to it meanwhile.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

fn no_event(name: &str) -> Fault {
    Fault::new(StatusCode::NOT_FOUND, format!("no stored event {name:?}"))
}

fn why_not(name: &str, error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::NotFound {
        return no_event(name);
    }
    tracing::warn!(name, %error, "a stored event cannot be read");
    unreadable(name, &error.to_string())
}

fn unreadable(name: &str, why: &str) -> Fault {
    let text = format!("stored event {name:?} cannot be read: {why}");
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_with_a_known_ending_are_files() {
        let event = "ztplot_00000133_00013821_FI184021_TC40213";
        for (ending, part) in [
            ("png", Part::Picture),
            ("json", Part::Output),
            ("dat", Part::Message),
        ] {
            assert_eq!(part_of(&format!("{event}.{ending}")), Some((event, part)));
            let of_a_table = format!("second/{event}");
            let file = format!("{of_a_table}.{ending}");
            assert_eq!(part_of(&file), Some((&*of_a_table, part)));
        }
        let long = "x".repeat(101) + ".png";
        for wrong in [
            "",
            "png",
            ".png",
            "..png",
            "../x.png",
            "a/b/c.json",
            "a\\b.dat",
            "a.toml",
            "a",
            "a.png\0",
            "a/../x.png",
            "../a/x.png",
            "./x.png",
            "/x.png",
            "a/.png",
            "a//x.png",
            &long,
        ] {
            assert_eq!(part_of(wrong), None, "{wrong:?}");
        }
    }
}
