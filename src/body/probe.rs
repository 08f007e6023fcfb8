//! Finds out when a started service is ready, in the way its plan says.

use std::fs::Metadata;
use std::io::PipeReader;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fathom_kernel::Counters;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::errand::Surroundings;
use super::knock;

/// First and longest time between two probes.
const PERIODS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Longest time for one probe.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How readiness is found out, with what is needed for it.
pub(super) enum Probe {
    /// The life cycle knows by itself.
    None,
    /// Somebody says so: the service by its context, or a line of its output.
    Told(watch::Receiver<bool>),
    /// One of two ways: the word of a guest at the door counts as well.
    Either(Box<Self>, watch::Receiver<bool>),
    /// A newline on a pipe.
    Pipe(PipeReader),
    /// Somebody accepts connections.
    Tcp(String),
    /// A GET answers 2xx.
    Http(String),
    /// A command exits with 0.
    Exec(Vec<String>, Surroundings),
    /// A file is made or touched; with how it was before.
    File(PathBuf, Option<Shape>),
    /// The service has sent more than this.
    Flow(Arc<Counters>, u64),
}

/// By what a file is seen to be touched. Times of files are coarse, so they are compared with each
/// other and not with the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

impl Probe {
    /// Makes the probe of a file as it is before the start.
    pub(super) fn file(path: PathBuf) -> Self {
        let shape = std::fs::metadata(&path).ok().map(|now| Shape::of(&now));
        Self::File(path, shape)
    }

    /// Makes the probe of a service's first message or output; counters go on from start to start.
    pub(super) fn flow(counters: &Arc<Counters>) -> Self {
        Self::Flow(counters.clone(), sent(counters))
    }

    /// Waits until the service is ready; for ever, when it cannot become so.
    pub(super) async fn ready(self) {
        let ready = match self {
            Self::None => false,
            Self::Told(mut told) => told.wait_for(|ready| *ready).await.is_ok(),
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
            Self::Tcp(address) => again(|| async { knock::tcp(&address).await.is_ok() }).await,
            Self::Http(url) => again(|| async { knock::http(&url).await.is_ok() }).await,
            Self::Exec(argv, around) => {
                again(|| async { around.succeeds(&argv).await.is_ok() }).await
            }
            Self::File(path, before) => again(|| touched(&path, before)).await,
            Self::Flow(counters, before) => again(|| async { sent(&counters) > before }).await,
        };
        if !ready {
            std::future::pending::<()>().await;
        }
    }
}

/// Probes until it succeeds, ever less often.
async fn again<F: Future<Output = bool>>(probe: impl Fn() -> F) -> bool {
    let (mut period, longest) = PERIODS;
    while !timeout(ANSWER_MAX, probe()).await.unwrap_or(false) {
        sleep(period).await;
        period = (period * 3 / 2).min(longest);
    }
    true
}

fn sent(counters: &Counters) -> u64 {
    let now = counters.snapshot();
    now.sent + now.outputs
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

async fn touched(path: &Path, before: Option<Shape>) -> bool {
    let now = tokio::fs::metadata(path).await.ok();
    let now = now.map(|now| Shape::of(&now));
    now.is_some() && now != before
}

impl Shape {
    fn of(metadata: &Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            len: metadata.len(),
            inode: metadata.ino(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::remains::Remains;
    use super::super::spawner::Spawner;
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
        let old = folder.path().join("old");
        std::fs::write(&old, "").unwrap();
        let (spawner, remains) = (Spawner::start().unwrap(), Remains::start(false).unwrap());
        let around = Surroundings::bare("test-probe".to_owned(), spawner, remains);
        let argv = ["test", "-e", path.to_str().unwrap()].map(str::to_owned);
        let exec = tokio::spawn(Probe::Exec(argv.into(), around).ready());
        let file = tokio::spawn(Probe::file(path.clone()).ready());
        let touched = tokio::spawn(Probe::file(old.clone()).ready());
        let counters = Arc::new(Counters::default());
        counters.sent(5, 50);
        let flow = tokio::spawn(Probe::flow(&counters).ready());
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(
            ![&exec, &file, &touched, &flow]
                .into_iter()
                .any(|probe| probe.is_finished())
        );
        std::fs::write(path, "").unwrap();
        std::fs::write(old, "more").unwrap();
        counters.sent(1, 10);
        for probe in [exec, file, touched, flow] {
            timeout(ANSWER_MAX, probe).await.unwrap().unwrap();
        }
    }
}
