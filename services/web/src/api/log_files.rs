//! `/logs/MSG.log`, `/logs/MSG_2026-01-31.log` and `.log.gz`: the files of `msg_dumper` as they are, and
//! `/logs` with the list of them.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, html};
use tokio::fs;
use tokio_util::io::ReaderStream;

use super::Fault;
use crate::app::App;

/// Where the files are.
#[derive(Debug)]
pub(crate) struct LogFiles {
    pub(crate) folder: PathBuf,
    pub(crate) prefix: String,
}

impl LogFiles {
    /// Tells whether a file is one of them: that of today, or that of a day.
    fn is_one(&self, file: &str) -> bool {
        let stem = file.strip_suffix(".gz").unwrap_or(file);
        let rest = stem.strip_suffix(".log");
        let Some(rest) = rest.and_then(|stem| stem.strip_prefix(&*self.prefix)) else {
            return false;
        };
        let is_day = |day: &str| {
            let pattern = "dddd-dd-dd".bytes();
            let fits = |(got, wanted): (u8, u8)| match wanted {
                b'd' => got.is_ascii_digit(),
                _ => got == wanted,
            };
            day.len() == pattern.len() && day.bytes().zip(pattern).all(fits)
        };
        match rest.strip_prefix('_') {
            Some(day) => is_day(day),
            None => rest.is_empty() && stem == file,
        }
    }

    /// Returns names and sizes (bytes): today's first, then the newest day.
    async fn list(&self) -> std::io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        let mut entries = fs::read_dir(&self.folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name().into_string().unwrap_or_default();
            let facts = entry.metadata().await;
            if let Some(facts) = facts.ok().filter(|facts| facts.is_file())
                && self.is_one(&name)
            {
                files.push((name, facts.len()));
            }
        }
        // A dot, as in the name of today's, comes before the `_` of all others.
        let is_archived = |name: &str| name.contains('_');
        files.sort_by(|(a, _), (b, _)| (is_archived(a), b).cmp(&(is_archived(b), a)));
        Ok(files)
    }
}

/// Lists the files, as links.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Response, Fault> {
    let files = app.log_files.list().await.map_err(|error| why(&error))?;
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "Log files" }
                link rel="stylesheet" href="/lite/style.css";
            }
            body {
                table {
                    tr { th { "File" } th { "MB" } }
                    @for (name, bytes) in &files {
                        tr {
                            td { a href=(format!("/logs/{name}")) { (name) } }
                            td.number { (format!("{:.1}", *bytes as f64 / 1e6)) }
                        }
                    }
                }
                @if files.is_empty() { p { "There are none yet." } }
            }
        }
    };
    Ok(Html(body.into_string()).into_response())
}

/// Sends a file.
pub(crate) async fn file(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
) -> Result<Response, Fault> {
    let not_there = || Fault::new(StatusCode::NOT_FOUND, format!("no log file {file:?}"));
    let files = &app.log_files;
    if !files.is_one(&file) {
        return Err(not_there());
    }
    let path = files.folder.join(&file);
    let facts = fs::symlink_metadata(&path).await;
    if !facts.is_ok_and(|facts| facts.is_file()) {
        return Err(not_there());
    }
    let opened = fs::File::open(&path).await.map_err(|error| why(&error))?;
    let media_type = match file.ends_with(".gz") {
        true => "application/gzip",
        false => "text/plain; charset=utf-8",
    };
    let mut response = Body::from_stream(ReaderStream::new(opened)).into_response();
    let media_type = HeaderValue::from_static(media_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}

fn why(error: &std::io::Error) -> Fault {
    let status = match error.kind() {
        std::io::ErrorKind::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Fault::new(status, format!("the log files cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_of_messages_are_given_out() {
        let files = LogFiles {
            folder: PathBuf::new(),
            prefix: "MSG".to_owned(),
        };
        for right in ["MSG.log", "MSG_2026-01-31.log", "MSG_2026-01-31.log.gz"] {
            assert!(files.is_one(right), "{right}");
        }
        for wrong in [
            "MSG.log.gz",
            "MSG.idx",
            "MSG_.log",
            "MSG_2026-01-3x.log",
            "../MSG.log",
            "fathom.log",
            "MSG_2026-01-31.log/x",
            "MSG_\u{e9}026-01-31.log",
            "",
        ] {
            assert!(!files.is_one(wrong), "{wrong}");
        }
    }
}
