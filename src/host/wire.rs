//! What passes between the supervisor and a hosted service.
//!
//! ```text
//! length u32 BE | 0 | JSON of a message
//! length u32 BE | 1 | received i64 [µs] | source length u16 | tag length u8 | source | tag | body
//! ```
//! Frames of the bus go as they are; everything else is rare and goes as JSON.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fathom_kernel::{
    Alarm, Answer, Caller, Command, CountersSnapshot, Event, Exit, Filter, Frame, LifeChange,
    LogLine, Output, OutputChange, Tag, Timestamp,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::net::unix::OwnedWriteHalf;
use tokio_util::codec::LengthDelimitedCodec;

use super::images::{Had, Joins, Told};

/// Largest message either way.
const MESSAGE_MAX: usize = 256 << 20;

const JSON: u8 = 0;
const FRAME: u8 = 1;

/// The first message to a child: what it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Full name of the service.
    pub(crate) name: String,
    /// Its kind.
    pub(crate) kind: String,
    /// Its options as TOML.
    pub(crate) options: String,
    /// Folder of the stack.
    pub(crate) data_dir: PathBuf,
    /// Folder of the configuration file.
    pub(crate) config_dir: PathBuf,
    /// The detector as DETX.
    pub(crate) detector: Option<Arc<str>>,
    /// Which records to write.
    pub(crate) level: String,
}

/// Events lost since the child began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lost {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// To the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Down {
    Hello(Box<Hello>),
    Event(Notice),
    /// For the board only.
    Mirror(Notice),
    Addresses(BTreeMap<String, SocketAddr>),
    Answer(u64, Answer),
    Request(u64, String, serde_json::Value),
    /// Another description of the detector, as DETX.
    Detector(Arc<str>),
    /// What the supervisor's end dropped of this child's events until now.
    Lost(Lost),
}

/// To the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Up {
    Ready,
    Interest(Vec<Filter>),
    Event(Notice),
    Counters(CountersSnapshot),
    Announce(String, SocketAddr),
    Withdraw(String),
    Ask(u64, Command, Caller),
    Answer(u64, Result<serde_json::Value, String>),
    Exit(Exit),
}

/// An event that is no frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Notice {
    Output {
        service: Arc<str>,
        version: u64,
        updated: Timestamp,
        output: Arc<Output>,
        /// The output is an image or hit map without the columns that the reader has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        joins: Option<Joins>,
    },
    Alarm(Alarm),
    Change(fathom_kernel::Notice),
    Life(LifeChange),
    Log(LogLine),
}

/// One message as it was read.
#[derive(Debug)]
pub(super) enum Received<T> {
    Message(T),
    Frame(Frame),
}

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// It ends too early, or has a tag that is none.
    #[error("frame of {0} bytes is not well formed")]
    Frame(usize),
    /// Its first byte is not known.
    #[error("message of unknown form {0}")]
    Form(u8),
    /// Its JSON does not fit.
    #[error("message cannot be read")]
    Json(#[from] serde_json::Error),
    /// Reading or writing failed.
    #[error("connection failed")]
    Io(#[from] std::io::Error),
}

/// Returns the codec that reads both directions.
pub(super) fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(MESSAGE_MAX)
        .new_codec()
}

/// Writes a message with its length in front; the writer is buffered and needs a flush.
pub(super) async fn put(to: &mut BufWriter<OwnedWriteHalf>, message: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(message.len()).ok();
    let Some(length) = length.filter(|_| message.len() <= MESSAGE_MAX) else {
        let text = format!(
            "message of {} bytes exceeds limit {MESSAGE_MAX}",
            message.len()
        );
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, text));
    };
    to.write_u32(length).await?;
    to.write_all(message).await
}

/// Makes the text of a message.
pub(super) fn encode<T: Serialize>(message: &T) -> Result<Bytes, WireError> {
    let mut bytes = vec![JSON];
    serde_json::to_writer(&mut bytes, message)?;
    Ok(bytes.into())
}

/// Writes an event; `wrap` makes the message of one that is no frame. What it writes of images
/// depends on what the other end was told, and has to be sent.
pub(super) fn encode_event<T: Serialize>(
    event: &Event,
    told: &mut Told,
    wrap: impl FnOnce(Notice) -> T,
) -> Result<Bytes, WireError> {
    match event {
        Event::Frame(frame) => Ok(encode_frame(frame)),
        Event::Output(change) => encode(&wrap(Notice::of(change, told))),
        Event::Alarm(alarm) => encode(&wrap(Notice::Alarm(alarm.clone()))),
        Event::Notice(change) => encode(&wrap(Notice::Change(change.clone()))),
        Event::Life(life) => encode(&wrap(Notice::Life(life.clone()))),
        Event::Log(line) => encode(&wrap(Notice::Log(line.clone()))),
    }
}

fn encode_frame(frame: &Frame) -> Bytes {
    let (source, tag) = (frame.source.as_bytes(), frame.tag.as_str().as_bytes());
    let mut bytes = BytesMut::with_capacity(12 + source.len() + tag.len() + frame.body.len());
    bytes.put_u8(FRAME);
    bytes.put_i64(frame.received.as_microsecond());
    bytes.put_u16(u16::try_from(source.len()).unwrap_or(u16::MAX));
    bytes.put_u8(u8::try_from(tag.len()).unwrap_or(u8::MAX));
    bytes.put_slice(source);
    bytes.put_slice(tag);
    bytes.put_slice(&frame.body);
    bytes.freeze()
}

/// Reads a message.
pub(super) fn decode<T: for<'a> Deserialize<'a>>(bytes: Bytes) -> Result<Received<T>, WireError> {
    match bytes.split_first() {
        Some((&JSON, json)) => Ok(Received::Message(serde_json::from_slice(json)?)),
        Some((&FRAME, _)) => {
            let length = bytes.len();
            let frame = decode_frame(bytes).ok_or(WireError::Frame(length))?;
            Ok(Received::Frame(frame))
        }
        Some((&form, _)) => Err(WireError::Form(form)),
        None => Err(WireError::Frame(0)),
    }
}

fn decode_frame(mut bytes: Bytes) -> Option<Frame> {
    bytes.try_get_u8().ok()?;
    let received = Timestamp::from_microsecond(bytes.try_get_i64().ok()?).ok()?;
    let source_bytes = usize::from(bytes.try_get_u16().ok()?);
    let tag_bytes = usize::from(bytes.try_get_u8().ok()?);
    if bytes.len() < source_bytes + tag_bytes {
        return None;
    }
    let source = bytes.split_to(source_bytes);
    let tag = bytes.split_to(tag_bytes);
    let tag: Tag = std::str::from_utf8(&tag).ok()?.parse().ok()?;
    Some(Frame {
        source: std::str::from_utf8(&source).ok()?.into(),
        tag,
        received,
        body: bytes,
    })
}

impl Notice {
    /// Takes a change of an output.
    fn of(change: &OutputChange, told: &mut Told) -> Self {
        let (output, joins) = told.shorten(&change.output);
        Self::Output {
            service: change.service.clone(),
            version: change.version,
            updated: change.updated,
            output,
            joins,
        }
    }

    /// Makes the event again; `None` for an image or hit map without its former columns.
    pub(super) fn event(self, had: &mut Had) -> Option<Event> {
        Some(match self {
            Self::Output {
                service,
                version,
                updated,
                output,
                joins,
            } => Event::Output(OutputChange {
                service,
                version,
                updated,
                output: had.complete(output, joins)?,
            }),
            Self::Alarm(alarm) => Event::Alarm(alarm),
            Self::Change(change) => Event::Notice(change),
            Self::Life(life) => Event::Life(life),
            Self::Log(line) => Event::Log(line),
        })
    }
}

#[cfg(test)]
mod tests {
    use fathom_kernel::tags;

    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was_and_a_cut_one_is_refused() {
        let frame = Frame {
            source: "ligiers:ligier".into(),
            tag: tags::IO_EVT,
            received: "2026-11-21T00:00:00.123456Z".parse().unwrap(),
            body: Bytes::from_static(b"\0\x01binary"),
        };
        let bytes = encode_frame(&frame);
        let Ok(Received::<Up>::Frame(back)) = decode(bytes.clone()) else {
            panic!("no frame")
        };
        assert_eq!((back.tag, back.received), (frame.tag, frame.received));
        assert_eq!(back.source, frame.source);
        assert_eq!(back.body, frame.body);
        for cut in 0..bytes.len() - frame.body.len() {
            assert!(decode::<Up>(bytes.slice(..cut)).is_err(), "{cut}");
        }
    }

    #[test]
    fn filters_pass_as_json() {
        let filter = Filter::frames([tags::MSG]).not_from("me".into());
        let bytes = encode(&Up::Interest(vec![filter.clone()])).unwrap();
        let Ok(Received::Message(Up::Interest(back))) = decode(bytes) else {
            panic!("no interest")
        };
        assert_eq!(back, [filter]);
    }
}
