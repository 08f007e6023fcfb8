//! What a program says on `NOTIFY_SOCKET`, for as long as it runs: `READY=1` and `WATCHDOG=1`.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, chown};
use tokio::net::UnixDatagram;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::health::Heartbeat;

/// Most bytes of one notice.
const NOTICE_MAX: usize = 4096;

/// Who owns the socket may speak, and nobody else.
const MODE: u32 = 0o600;

/// Listens to one program; its socket is removed when this is dropped.
pub(super) struct Notices {
    ready: watch::Receiver<bool>,
    _listening: AbortOnDropHandle<()>,
    _file: SocketFile,
}

/// A socket in the file system; removed when dropped.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "socket was removed already");
        }
    }
}

impl Notices {
    /// Makes the socket, for a program that runs as `user` when that is not ours, and listens.
    pub(super) fn listen(
        path: PathBuf,
        user: Option<Uid>,
        heartbeat: Heartbeat,
    ) -> io::Result<Self> {
        let socket = UnixDatagram::bind(&path)?;
        let file = SocketFile(path);
        give(&file.0, user)?;
        let (tell, ready) = watch::channel(false);
        let listening = tokio::spawn(async move {
            let mut notice = [0; NOTICE_MAX];
            while let Ok(count) = socket.recv(&mut notice).await {
                let (notice, _) = notice.split_at(count);
                for line in notice.split(|byte| *byte == b'\n') {
                    match line {
                        b"READY=1" => drop(tell.send_replace(true)),
                        b"WATCHDOG=1" => heartbeat.beat(),
                        _ => {}
                    }
                }
            }
        });
        Ok(Self {
            ready,
            _listening: AbortOnDropHandle::new(listening),
            _file: file,
        })
    }

    /// Becomes true with `READY=1`.
    pub(super) fn ready(&self) -> watch::Receiver<bool> {
        self.ready.clone()
    }
}

/// Lets one user send to a socket. Closed first, so that nobody else ever could.
fn give(path: &Path, user: Option<Uid>) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(MODE))?;
    match user {
        Some(_) => Ok(chown(path, user, None)?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[tokio::test]
    async fn the_socket_belongs_to_whom_the_program_runs_as() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        // Only the superuser can give it to somebody else.
        let user = match Uid::current().is_root() {
            true => Uid::from_raw(65534),
            false => Uid::current(),
        };
        let _notices = Notices::listen(path.clone(), Some(user), Heartbeat::default()).unwrap();
        let about = std::fs::metadata(&path).unwrap();
        assert_eq!((about.uid(), about.mode() & 0o777), (user.as_raw(), 0o600));
    }

    #[tokio::test]
    async fn notices_are_read_line_by_line_until_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let heartbeat = Heartbeat::default();
        let notices = Notices::listen(path.clone(), None, heartbeat.clone()).unwrap();
        let program = UnixDatagram::unbound().unwrap();
        program.connect(&path).unwrap();
        program.send(b"STATUS=starting\nREADY=0").await.unwrap();
        program.send(b"WATCHDOG=1\nREADY=1\n").await.unwrap();
        notices.ready().wait_for(|ready| *ready).await.unwrap();
        assert_eq!(heartbeat.count(), 1);
        drop(notices);
        assert!(!path.exists());
    }
}
