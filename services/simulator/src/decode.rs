//! `fathom decode`: every message of a file as one line of JSON.

use std::io::{self, Write};
use std::path::Path;

use fathom_formats::controlhost::Tag;
use fathom_formats::km3net::{Payload, Versioning, sha256_hex};
use serde::Serialize;

use crate::input::{FileMessage, FileProblem, InputFile};

/// What to print.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecodeOptions {
    /// Add the digests of the values and of the bytes.
    pub digest: bool,
    /// Also read events and time slices from before payloads had versions.
    pub versioning: Versioning,
}

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Messages printed.
    pub good: u64,
    /// Messages and places that could not be read.
    pub bad: u64,
}

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a Path,
    offset: u64,
    tag: Tag,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_ns: Option<String>,
    payload_len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(flatten)]
    payload: &'a Payload<'a>,
}

/// Prints all messages of a file; what cannot be read goes to `report`, and the rest goes on.
pub fn decode(
    file: &mut InputFile,
    options: DecodeOptions,
    out: &mut impl Write,
    mut report: impl FnMut(&FileProblem),
) -> io::Result<Decoded> {
    let mut decoded = Decoded::default();
    while let Some(message) = file.next_message() {
        let message = match message {
            Ok(message) => message,
            Err(problem) => {
                decoded.bad += 1;
                report(&problem);
                continue;
            }
        };
        match Payload::decode_with(message.tag, &message.body, options.versioning) {
            Ok(payload) => {
                print(file.path(), &message, &payload, options, out)?;
                decoded.good += 1;
            }
            Err(error) => {
                decoded.bad += 1;
                report(&file.problem(message.offset, error.reason(), &error));
            }
        }
    }
    Ok(decoded)
}

fn print(
    file: &Path,
    message: &FileMessage,
    payload: &Payload<'_>,
    options: DecodeOptions,
    out: &mut impl Write,
) -> io::Result<()> {
    let line = Line {
        file,
        offset: message.offset,
        tag: message.tag,
        received_ns: message.received_ns.map(|ns| ns.to_string()),
        payload_len: message.body.len(),
        payload_sha256: options.digest.then(|| sha256_hex(&message.body)),
        digest: payload.digest().filter(|_| options.digest),
        payload,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}
