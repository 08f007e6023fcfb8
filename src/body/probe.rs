//! Finds out when a started service is ready, in the way its plan says.

use std::io::PipeReader;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fathom_kernel::Counters;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::net::{TcpStream, UnixDatagram};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// First and longest time between two probes.
const PERIODS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Longest time for one probe.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Most bytes of one notification.
const NOTE_MAX: usize = 4096;

/// How readiness is found out, with what is needed for it.
pub(super) enum Probe {
    /// The life cycle knows by itself.
    None,
    /// Somebody says so: the service by its context, or a line of its output.
    Told(watch::Receiver<bool>),
    /// `READY=1` on a socket; its file is removed in the end.
    Notified(UnixDatagram, SocketFile),
    /// One of two ways: the word of a guest at the door counts as well.
    Either(Box<Self>, watch::Receiver<bool>),
    /// A newline on a pipe.
    Pipe(PipeReader),
    /// Somebody accepts connections.
    Tcp(String),
    /// A GET answers 2xx.
    Http(String),
    /// A command exits with 0.
    Exec(Vec<String>),
    /// A file is touched after the start.
    File(PathBuf, SystemTime),
    /// The service has sent something.
    Flow(Arc<Counters>),
}

/// A socket in the file system; removed when dropped.
pub(super) struct SocketFile(pub(super) PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "socket was removed already");
        }
    }
}

impl Probe {
    /// Waits until the service is ready; for ever, when it cannot become so.
    pub(super) async fn ready(self) {
        let ready = match self {
            Self::None => false,
            Self::Told(mut told) => told.wait_for(|ready| *ready).await.is_ok(),
            Self::Notified(socket, _file) => notified(&socket).await,
            Self::Either(other, mut told) => {
                let told = async {
                    if told.wait_for(|ready| *ready).await.is_err() {
                        std::future::pending().await
                    }
                };
                tokio::select! {
                    () = Box::pin(other.ready()) => true,
                    () = told => true,
                }
            }
            Self::Pipe(reader) => newline(reader).await.unwrap_or(false),
            Self::Tcp(address) => again(|| TcpStream::connect(&address), |r| r.is_ok()).await,
            Self::Http(url) => again(|| get(&url), |ok| *ok).await,
            Self::Exec(argv) => again(|| succeeds(&argv), |ok| *ok).await,
            Self::File(path, since) => again(|| touched(&path, since), |ok| *ok).await,
            Self::Flow(counters) => {
                let flows = || std::future::ready(counters.snapshot());
                again(flows, |now| now.sent + now.outputs > 0).await
            }
        };
        if !ready {
            std::future::pending::<()>().await;
        }
    }
}

/// Probes until it succeeds, ever less often.
async fn again<T, F: Future<Output = T>>(probe: impl Fn() -> F, good: impl Fn(&T) -> bool) -> bool {
    let (mut period, longest) = PERIODS;
    loop {
        if timeout(ANSWER_MAX, probe()).await.is_ok_and(|r| good(&r)) {
            return true;
        }
        sleep(period).await;
        period = (period * 3 / 2).min(longest);
    }
}

async fn notified(socket: &UnixDatagram) -> bool {
    let mut note = [0; NOTE_MAX];
    loop {
        let Ok(count) = socket.recv(&mut note).await else {
            return false;
        };
        let (note, _) = note.split_at(count);
        if note
            .split(|byte| *byte == b'\n')
            .any(|line| line == b"READY=1")
        {
            return true;
        }
    }
}

async fn newline(reader: PipeReader) -> std::io::Result<bool> {
    let mut reader = pipe::Receiver::from_owned_fd(reader.into())?;
    let mut bytes = [0; 64];
    loop {
        match reader.read(&mut bytes).await? {
            0 => return Ok(false),
            count if bytes.split_at(count).0.contains(&b'\n') => return Ok(true),
            _ => {}
        }
    }
}

async fn get(url: &str) -> bool {
    reqwest::get(url)
        .await
        .is_ok_and(|response| response.status().is_success())
}

async fn succeeds(argv: &[String]) -> bool {
    let Some((program, args)) = argv.split_first() else {
        return false;
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true);
    command.status().await.is_ok_and(|status| status.success())
}

async fn touched(path: &std::path::Path, since: SystemTime) -> bool {
    let metadata = tokio::fs::metadata(path).await;
    metadata
        .and_then(|m| m.modified())
        .is_ok_and(|at| at >= since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_is_ready_once_somebody_listens() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let probe = tokio::spawn(Probe::Tcp(address.clone()).ready());
        let _listener = tokio::net::TcpListener::bind(&address).await.unwrap();
        timeout(ANSWER_MAX, probe).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn commands_files_and_counters_are_asked_again_until_they_are_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("there");
        let argv = ["test", "-e", path.to_str().unwrap()].map(str::to_owned);
        let exec = tokio::spawn(Probe::Exec(argv.into()).ready());
        let file = tokio::spawn(Probe::File(path.clone(), SystemTime::UNIX_EPOCH).ready());
        let counters = Arc::new(Counters::default());
        let flow = tokio::spawn(Probe::Flow(counters.clone()).ready());
        tokio::task::yield_now().await;
        std::fs::write(path, "").unwrap();
        counters.sent(1, 10);
        for probe in [exec, file, flow] {
            timeout(ANSWER_MAX, probe).await.unwrap().unwrap();
        }
    }
}
