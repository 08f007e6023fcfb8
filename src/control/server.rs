//! Serves the router on the Unix socket and, when configured, on TCP.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::unistd::{Gid, Group, chown};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{Instrument as _, debug, info, warn};

use super::api::router;
use super::console::Console;
use super::rights::{Guard, Peer, Token, TokenError};
use crate::config::plan::{AccountPlan, ControlPlan};
use crate::door::Guests;

/// Most connections on the socket; further ones wait in the kernel's queue. TCP has its own places,
/// so that nobody there can lock an operator on the machine out.
const SOCKET_CLIENTS_MAX: usize = 128;
/// Most connections on TCP.
const TCP_CLIENTS_MAX: usize = 128;
/// Time for a client to send the head of a request; also ends idle connections.
const HEAD_MAX: Duration = Duration::from_secs(20);
/// Pause after a failed accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Connections the kernel holds before they are accepted.
const BACKLOG: u32 = 128;

/// Name of the control socket in the data folder.
pub const SOCKET_NAME: &str = "fathom.sock";

/// Where the control API is served.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The Unix socket.
    pub socket: PathBuf,
    /// Its file mode.
    pub mode: u32,
    /// Name or number of the group that owns it, when that is not ours.
    pub group: Option<String>,
    /// TCP, when wanted.
    pub tcp: Option<TcpDoor>,
}

/// The control API on TCP.
#[derive(Debug, Clone)]
pub struct TcpDoor {
    /// Address; port 0 chooses one.
    pub listen: SocketAddr,
    /// A token that the operator provides; without one a new one is written at every start.
    pub token_file: Option<PathBuf>,
    /// Names, beside addresses and `localhost`, that lead here.
    pub hosts: Vec<String>,
    /// User and password, as good as the token.
    pub account: Option<AccountPlan>,
    /// Take the calls of supervisord's clients from everybody.
    pub rpc_open: bool,
}

impl Doors {
    /// Takes the doors of a configuration; the socket stands in the data directory.
    pub fn of(control: &ControlPlan, data_dir: &Path) -> Self {
        Self {
            socket: data_dir.join(SOCKET_NAME),
            mode: control.socket_mode,
            group: control.socket_group.clone(),
            tcp: control.listen.map(|listen| TcpDoor {
                listen,
                token_file: control.token_file.clone(),
                hosts: control.hosts.clone(),
                account: control.account.clone(),
                rpc_open: control.rpc_open,
            }),
        }
    }
}

/// Why the control API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another supervisor answers on the socket.
    #[error("another supervisor answers on {}", .0.display())]
    InUse(PathBuf),
    /// Something that is not a socket stands at the place of the socket.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The socket cannot be made.
    #[error("control socket {}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket shall belong to a group that does not exist.
    #[error("control socket: there is no group `{0}`")]
    NoGroup(String),
    /// The address cannot be taken.
    #[error("control address {listen}")]
    Tcp {
        /// Which.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no token for TCP.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// The control API as it is served.
pub struct Server {
    /// Closes the doors also when the server is dropped without [`Server::close`].
    closing: DropGuard,
    clients: TaskTracker,
    /// Those that accept.
    tasks: Vec<JoinHandle<()>>,
    tcp: Option<SocketAddr>,
    socket: OwnFile,
    /// A token that was made for this run ends with it.
    _token: Option<OwnFile>,
}

/// Starts to serve. The token file of TCP stands in the data directory.
pub async fn serve(console: Console, doors: Doors) -> Result<Server, ServeError> {
    let closing = console.closing().clone();
    let span = console.parts().records.span("", 0);
    let listener = bind_socket(&doors.socket, (doors.mode, doors.group.as_deref())).await?;
    let socket = OwnFile::new(&doors.socket);
    let tcp = match &doors.tcp {
        Some(door) => Some(bind_tcp(door, &console.parts().data_dir).await?),
        None => None,
    };
    let token = doors
        .tcp
        .as_ref()
        .filter(|door| door.token_file.is_none())
        .map(|_| OwnFile::new(&token_path(&console.parts().data_dir)));
    let address = tcp.as_ref().and_then(|(l, _)| l.local_addr().ok());
    if let Some(address) = address {
        console.parts().addresses.announce("control", address);
    }
    let guard = tcp.as_ref().map(|(_, guard)| guard.clone());
    let hall = Hall {
        router: router(console.clone(), guard),
        closing: closing.clone(),
        clients: TaskTracker::new(),
    };
    let door = accept(Socket(listener), hall.clone(), SOCKET_CLIENTS_MAX);
    let mut tasks = vec![tokio::spawn(door.instrument(span.clone()))];
    if let Some((listener, _)) = tcp {
        let door = accept(Tcp(listener), hall.clone(), TCP_CLIENTS_MAX);
        tasks.push(tokio::spawn(door.instrument(span.clone())));
    }
    span.in_scope(|| info!(socket = %doors.socket.display(), "control socket is open"));
    Ok(Server {
        closing: closing.drop_guard(),
        clients: hall.clients,
        tasks,
        tcp: address,
        socket,
        _token: token,
    })
}

/// Starts to serve the door of foreign children.
pub(crate) async fn serve_guests(guests: Guests, path: &Path) -> Result<Server, ServeError> {
    let closing = CancellationToken::new();
    let listener = bind_socket(path, (crate::door::SOCKET_MODE, None)).await?;
    let hall = Hall {
        router: crate::door::router(guests, closing.clone()),
        closing: closing.clone(),
        clients: TaskTracker::new(),
    };
    let accepting = accept(Socket(listener), hall.clone(), SOCKET_CLIENTS_MAX);
    Ok(Server {
        closing: closing.drop_guard(),
        clients: hall.clients,
        tasks: vec![tokio::spawn(accepting)],
        tcp: None,
        socket: OwnFile::new(path),
        _token: None,
    })
}

impl Server {
    /// Returns the address on TCP, with the port that was chosen.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// Stops accepting, ends the streams, lets running requests finish for at most `grace`, and
    /// removes the socket.
    pub async fn close(self, grace: Duration) {
        drop(self.closing);
        for task in self.tasks {
            // Its loop ends at the token; a panic inside was already recorded.
            task.await.ok();
        }
        // From here on a new `fathom` may take the place.
        drop(self.socket);
        self.clients.close();
        if tokio::time::timeout(grace, self.clients.wait())
            .await
            .is_err()
        {
            debug!(clients = self.clients.len(), "control clients were cut off");
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Hall {
    router: Router,
    closing: CancellationToken,
    clients: TaskTracker,
}

/// Where connections come from.
trait Door: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

struct Socket(UnixListener);
struct Tcp(TcpListener);

impl Door for Socket {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.0.accept().await?;
        let uid = stream.peer_cred()?.uid();
        Ok((stream, Peer::Socket { uid }))
    }
}

impl Door for Tcp {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, from) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, Peer::Tcp { from }))
    }
}

async fn accept(door: impl Door, hall: Hall, clients_max: usize) {
    let places = Arc::new(Semaphore::new(clients_max));
    loop {
        let entering = async {
            // Never closed, so this only waits.
            let place = places.clone().acquire_owned().await.ok()?;
            Some((door.accept().await, place))
        };
        let entered = tokio::select! {
            biased;
            () = hall.closing.cancelled() => return,
            entered = entering => entered,
        };
        match entered {
            Some((Ok((stream, peer)), place)) => {
                hall.clients
                    .spawn(converse(stream, peer, hall.clone(), place));
            }
            Some((Err(error), _)) => {
                warn!(%error, "control connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None => return,
        }
    }
}

/// Serves one connection until its end, or until the server closes and its request is answered.
async fn converse<S>(stream: S, peer: Peer, hall: Hall, _place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = hall.router;
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|e| match e {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        // Web sockets.
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = hall.closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "control connection ended");
    }
}

async fn bind_tcp(door: &TcpDoor, data_dir: &Path) -> Result<(TcpListener, Guard), ServeError> {
    let failed = |source| ServeError::Tcp {
        listen: door.listen,
        source,
    };
    let token = match &door.token_file {
        Some(path) => Token::read(path)?,
        None => Token::generate(&token_path(data_dir))?,
    };
    let listener = TcpListener::bind(door.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, Guard::new(token, address, door)))
}

fn token_path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.token")
}

async fn bind_socket(
    path: &Path,
    (mode, group): (u32, Option<&str>),
) -> Result<UnixListener, ServeError> {
    let failed = |source| ServeError::Socket {
        path: path.to_owned(),
        source,
    };
    let group = group.map(group_id).transpose()?;
    remove_stale(path).await?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let socket = UnixSocket::new_stream().map_err(failed)?;
    socket.bind(path).map_err(failed)?;
    // Before anybody can connect: that needs `listen`.
    chown(path, None, group).map_err(|error| failed(error.into()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    socket.listen(BACKLOG).map_err(failed)
}

/// Looks up a group by its name or number.
fn group_id(group: &str) -> Result<Gid, ServeError> {
    if let Ok(number) = group.parse() {
        return Ok(Gid::from_raw(number));
    }
    let found = Group::from_name(group).ok().flatten();
    let found = found.ok_or_else(|| ServeError::NoGroup(group.to_owned()))?;
    Ok(found.gid)
}

/// Removes the socket of a supervisor that is gone; refuses to take the place of a living one.
async fn remove_stale(path: &Path) -> Result<(), ServeError> {
    let failed = |source| ServeError::Socket {
        path: path.to_owned(),
        source,
    };
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !found.file_type().is_socket() {
        return Err(ServeError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(ServeError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// A file of this run; removed when dropped, unless another supervisor's stands there by now.
struct OwnFile {
    path: PathBuf,
    inode: Option<u64>,
}

impl OwnFile {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            inode: inode(path),
        }
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if self.inode.is_some() && inode(&self.path) == self.inode {
            // Nothing more can be done about a file that cannot be removed.
            std::fs::remove_file(&self.path).ok();
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    Some(std::fs::symlink_metadata(path).ok()?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_belongs_to_the_group_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SOCKET_NAME);
        // Only the superuser may give it to a group that is not its own.
        let group = match nix::unistd::Uid::effective().is_root() {
            true => 4242,
            false => Gid::effective().as_raw(),
        };
        let bound = bind_socket(&path, (0o660, Some(&group.to_string()))).await;
        let _listener = bound.unwrap();
        let about = std::fs::metadata(&path).unwrap();
        assert_eq!((about.gid(), about.mode() & 0o777), (group, 0o660));
        let other = folder.path().join("other");
        let refused = bind_socket(&other, (0o660, Some("no such group"))).await;
        assert!(matches!(refused, Err(ServeError::NoGroup(_))));
        assert!(!other.exists());
    }
}
