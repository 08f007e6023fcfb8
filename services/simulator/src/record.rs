//! `fathom record`: a broker's stream into a recording.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use fathom_formats::controlhost::{
    BODY_BYTES_MAX_DEFAULT, Control, Frame, FrameError, Mode, Prefix, Splitter, Subscriptions, Tag,
};
use fathom_kernel::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, interval};

use crate::recording::RecordingWriter;

/// Frames between the network and the disk. When they, or their bytes, are too many, a slow disk
/// slows the reading down, and the broker decides by the mode of the subscription what that means.
const FRAMES_AHEAD: usize = 4096;
/// Their bytes, in units of 1 KiB.
const KIB_AHEAD: u32 = 64 << 10;
/// Bytes read at a time.
const READ_BYTES: usize = 1 << 18;
/// Written data reach the system at least this often.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// What to record, and how long.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// The broker, `HOST:PORT`.
    pub from: String,
    /// Tags to subscribe.
    pub tags: Vec<Tag>,
    /// Whether the broker may skip messages when the recorder is slow.
    pub mode: Mode,
    /// Ends after so long.
    pub duration: Option<Duration>,
    /// Ends after so many messages.
    pub messages_max: Option<u64>,
}

/// What was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Messages by tag.
    pub by_tag: BTreeMap<Tag, u64>,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Why recording ended early.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// No connection to the broker.
    #[error("cannot connect to {address}")]
    Connect {
        /// The broker.
        address: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The connection broke.
    #[error("connection to the broker broke")]
    Connection(#[source] io::Error),
    /// The broker ended.
    #[error("the broker closed the connection")]
    Closed,
    /// The stream is no stream of messages any more.
    #[error("the broker sent what is no message")]
    Stream(#[from] FrameError),
    /// The file cannot be written.
    #[error("cannot write the recording")]
    Write(#[source] io::Error),
}

impl Recorded {
    /// Returns the number of messages.
    pub fn messages(&self) -> u64 {
        self.by_tag.values().sum()
    }
}

/// A frame on its way to the disk, with its share of the bytes that may be on the way.
struct Stamped {
    received_ns: i64,
    frame: Frame,
    _room: OwnedSemaphorePermit,
}

/// Records until the options or `stop` end it. The file is closed in order in any case; `each` sees
/// the state about once a second.
pub async fn record(
    options: &RecordOptions,
    writer: RecordingWriter,
    clock: Clock,
    stop: impl Future<Output = ()>,
    mut each: impl FnMut(&Recorded),
) -> (Recorded, Result<(), RecordError>) {
    let (to, frames) = mpsc::channel(FRAMES_AHEAD);
    let disk = tokio::task::spawn_blocking(move || write(writer, frames));
    let mut recorded = Recorded::default();
    let end = {
        let receive = receive(options, &clock, &to, &mut recorded, &mut each);
        tokio::pin!(receive);
        let limit = async {
            match options.duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop => Ok(()),
            () = limit => Ok(()),
            end = &mut receive => end,
        }
    };
    drop(to);
    let written = match disk.await {
        Ok(written) => written,
        Err(error) => Err(io::Error::other(error)),
    };
    match written {
        Ok(bytes) => {
            recorded.bytes = bytes;
            (recorded, end)
        }
        Err(error) => (recorded, Err(RecordError::Write(error))),
    }
}

async fn receive(
    options: &RecordOptions,
    clock: &Clock,
    to: &mpsc::Sender<Stamped>,
    recorded: &mut Recorded,
    each: &mut impl FnMut(&Recorded),
) -> Result<(), RecordError> {
    let mut stream = subscribe(options).await?;
    let mut splitter = Splitter::new(BODY_BYTES_MAX_DEFAULT);
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let mut shows = interval(Duration::from_secs(1));
    let room = Arc::new(Semaphore::new(KIB_AHEAD as usize));
    loop {
        while let Some(frame) = splitter.take_frame(&mut buffer)? {
            let received_ns = i64::try_from(clock.now().as_nanosecond()).unwrap_or(i64::MAX);
            *recorded.by_tag.entry(frame.tag).or_default() += 1;
            let stamped = Stamped {
                received_ns,
                _room: take_room(&room, frame.whole().len()).await,
                frame,
            };
            if to.send(stamped).await.is_err() {
                // The writing side has ended; its own error says why.
                return Ok(());
            }
            if options
                .messages_max
                .is_some_and(|most| recorded.messages() >= most)
            {
                return Ok(());
            }
        }
        buffer.reserve(READ_BYTES);
        tokio::select! {
            read = stream.read_buf(&mut buffer) => {
                if read.map_err(RecordError::Connection)? == 0 {
                    return Err(RecordError::Closed);
                }
            }
            _ = shows.tick() => each(recorded),
        }
    }
}

async fn take_room(room: &Arc<Semaphore>, bytes: usize) -> OwnedSemaphorePermit {
    let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
    let permit = room.clone().acquire_many_owned(kib.min(KIB_AHEAD)).await;
    permit.expect("the semaphore is never closed")
}

async fn subscribe(options: &RecordOptions) -> Result<TcpStream, RecordError> {
    let connected = TcpStream::connect(&options.from).await;
    let mut stream = connected.map_err(|cause| RecordError::Connect {
        address: options.from.clone(),
        cause,
    })?;
    let tags = options.tags.iter().map(|tag| (*tag, options.mode));
    let mut list = Vec::new();
    tags.collect::<Subscriptions>().encode(&mut list);
    let mut wire = Vec::new();
    for (control, body) in [(Control::Subscribe, &list[..]), (Control::Always, &[])] {
        if let Some(tag) = control.tag() {
            wire.extend_from_slice(&Prefix::new(tag, body.len())?.wire());
            wire.extend_from_slice(body);
        }
    }
    stream
        .write_all(&wire)
        .await
        .map_err(RecordError::Connection)?;
    Ok(stream)
}

fn write(mut writer: RecordingWriter, mut frames: mpsc::Receiver<Stamped>) -> io::Result<u64> {
    let mut flushed = Instant::now();
    while let Some(stamped) = frames.blocking_recv() {
        writer.append(
            stamped.received_ns,
            stamped.frame.tag,
            &stamped.frame.body(),
        )?;
        // The newest message is worth more on the disk than the time that flushing takes.
        if frames.is_empty() && flushed.elapsed() > FLUSH_EVERY {
            writer.flush()?;
            flushed = Instant::now();
        }
    }
    let (_, bytes) = writer.written();
    writer.finish()?;
    Ok(bytes)
}
