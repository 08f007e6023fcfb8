//! One file of messages, whatever its form.

use std::io;
use std::path::{Path, PathBuf};

use fathom_formats::controlhost::Tag;
use fathom_formats::km3net::{Payload, Versioning};

use crate::packed::Source;
use crate::recording::{Recording, RecordingError};

use super::dump::{DumpFile, guess_tag, tag_of_preamble};

/// A file that is being read.
pub struct InputFile {
    path: PathBuf,
    form: Form,
    length: u64,
}

enum Form {
    Recording(Box<Recording>),
    Dump(Box<DumpFile>, Tag),
}

/// A message of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMessage {
    /// Where it is in the file: the body in a dump, the record in a recording; in a packed file that
    /// of the content.
    pub offset: u64,
    /// Its tag.
    pub tag: Tag,
    /// When it came, in nanoseconds since 1970; recordings only.
    pub received_ns: Option<i64>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Something in a file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FileProblem {
    /// The file.
    pub file: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// A short name of the reason.
    pub reason: &'static str,
    /// The reason for people.
    pub text: String,
}

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not there, or may not be read.
    #[error("cannot open {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is a recording that cannot be read.
    #[error("cannot open {}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: RecordingError,
    },
    /// Nothing tells its tag.
    #[error(
        "neither the name nor the first bytes of {} tell its tag, expected one by --tag",
        path.display()
    )]
    NoTag {
        /// The file.
        path: PathBuf,
    },
}

impl InputFile {
    /// Opens a recording or a dump, also one that is packed with gzip, whatever its name; `tag` says what a dump holds when it does not tell itself.
    pub fn open(path: &Path, tag: Option<Tag>) -> Result<Self, OpenError> {
        let failed = |cause| OpenError::Io {
            path: path.to_owned(),
            cause,
        };
        let length = std::fs::metadata(path).map_err(failed)?.len();
        let is_plain = |start: &[u8]| tag_of_preamble(start).is_some();
        let mut source = Source::open(path, is_plain).map_err(failed)?;
        let start = source.peek(16).map_err(failed)?;
        let form = if Recording::is_one(&start) {
            let recording = Recording::of(source).map_err(|cause| OpenError::Recording {
                path: path.to_owned(),
                cause,
            })?;
            Form::Recording(Box::new(recording))
        } else {
            let tag = tag.or_else(|| guess_tag(path, &start));
            let tag = tag.ok_or_else(|| OpenError::NoTag {
                path: path.to_owned(),
            })?;
            Form::Dump(Box::new(DumpFile::new(source, tag)), tag)
        };
        Ok(Self {
            path: path.to_owned(),
            form,
            length,
        })
    }

    /// Returns the file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the bytes read, and of the whole file; of a packed dump those on the disk.
    pub fn progress(&self) -> (u64, u64) {
        match &self.form {
            Form::Recording(recording) => recording.progress(),
            Form::Dump(dump, _) => (dump.position(), self.length),
        }
    }

    /// Returns the next message, or what is wrong at this place; `None` at the end.
    pub fn next_message(&mut self) -> Option<Result<FileMessage, FileProblem>> {
        match &mut self.form {
            Form::Recording(recording) => Some(match recording.next_record()? {
                Ok(record) => Ok(FileMessage {
                    offset: record.offset,
                    tag: record.tag,
                    received_ns: Some(record.received_ns),
                    body: record.body,
                }),
                Err(error) => {
                    let (offset, reason) = (error.offset(), error.reason());
                    Err(self.problem(offset, reason, &error))
                }
            }),
            Form::Dump(dump, tag) => Some(match dump.next_body()? {
                Ok((offset, body)) => Ok(FileMessage {
                    offset,
                    tag: *tag,
                    received_ns: None,
                    body,
                }),
                Err((offset, error)) => Err(self.problem(offset, error.reason(), &error)),
            }),
        }
    }

    /// Makes the report of something wrong in this file.
    pub(crate) fn problem(
        &self,
        offset: u64,
        reason: &'static str,
        error: &dyn std::error::Error,
    ) -> FileProblem {
        FileProblem {
            file: self.path.clone(),
            offset,
            reason,
            text: error.to_string(),
        }
    }
}

impl FileMessage {
    /// Returns when the message came or was taken, in nanoseconds since 1970; `None` for those that
    /// do not say, such as text.
    pub fn time_ns(&self) -> Option<i64> {
        if self.received_ns.is_some() {
            return self.received_ns;
        }
        let payload = Payload::decode_with(self.tag, &self.body, Versioning::AcceptLegacy).ok()?;
        let time_ns = match &payload {
            Payload::Monitoring(packet) => packet.time_ns(),
            Payload::Online(reco) => u64::from(reco.utc_seconds) * 1_000_000_000,
            other => other.header()?.start_ns(),
        };
        i64::try_from(time_ns).ok()
    }
}

impl std::fmt::Display for FileProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            file, offset, text, ..
        } = self;
        write!(f, "{}: offset {offset}: {text}", file.display())
    }
}
