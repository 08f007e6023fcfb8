//! Services of this crate on free ports, and clients on raw sockets.

use std::net::SocketAddr;
use std::time::Duration;

use fathom_kernel::{Board, Bus, Kind, Outside, Request, ServiceCx, ServiceError, Setup};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use toml::de::DeTable;

/// Longer than anything here takes; a test that waits that long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, what).await;
    done.expect("it did not happen")
}

/// A service at work.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) bus: Bus,
    pub(crate) board: Board,
    pub(crate) stop: CancellationToken,
    outside: Outside,
    task: JoinHandle<Result<(), ServiceError>>,
}

impl Running {
    /// Starts a broker on a free port.
    pub(crate) async fn ligier(options: &str) -> Self {
        Self::broker("127.0.0.1:0", options).await
    }

    /// Starts a broker on an address.
    pub(crate) async fn broker(listen: &str, options: &str) -> Self {
        let options = format!("listen = \"{listen}\"\n{options}");
        Self::start("ligier", "ligiers:ligier", &options).await
    }

    /// Starts a service and waits until it is ready.
    pub(crate) async fn start(kind: &str, name: &str, options: &str) -> Self {
        let (cx, mut outside) = ServiceCx::alone(name, "nowhere");
        let (bus, board, stop) = (cx.bus.clone(), cx.board.clone(), cx.stop.clone());
        let addresses = cx.addresses.clone();
        let task = tokio::spawn(make(kind, options).run(cx));
        soon(outside.ready.wait_for(|ready| *ready)).await.unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            address: addresses.of(name).unwrap_or(nowhere),
            bus,
            board,
            stop,
            outside,
            task,
        }
    }

    /// Connects a client.
    pub(crate) async fn peer(&self) -> Peer {
        Peer(TcpStream::connect(self.address).await.unwrap())
    }

    /// Connects a client that has subscribed.
    pub(crate) async fn subscriber(&self, list: &str) -> Peer {
        let mut peer = self.peer().await;
        peer.subscribe(list).await;
        peer
    }

    /// Connects a subscriber whose kernel takes few bytes while nobody reads.
    pub(crate) async fn sluggard(&self, list: &str) -> Peer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut peer = Peer(socket.connect(self.address).await.unwrap());
        peer.subscribe(list).await;
        peer
    }

    /// Asks the service.
    pub(crate) async fn ask(&self, verb: &str, args: Value) -> Result<Value, String> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            verb: verb.into(),
            args,
            reply,
        };
        self.outside.inbox.send(request).await.unwrap();
        soon(answer).await.unwrap()
    }

    /// Returns the row of a table where a column has a value.
    pub(crate) async fn row(&self, table: &str, column: &str, value: Value) -> Value {
        let rows = self.ask(table, json!({})).await.unwrap();
        let mut rows = rows.as_array().unwrap().iter();
        rows.find(|r| r[column] == value)
            .cloned()
            .unwrap_or_default()
    }

    /// Asks until the answer is as wished.
    pub(crate) async fn until(&self, table: &str, wished: impl Fn(&[Value]) -> bool) {
        soon(async {
            loop {
                let rows = self.ask(table, json!({})).await.unwrap();
                if wished(rows.as_array().unwrap()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    /// Stops the service and waits for its end.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        soon(self.task).await.unwrap().unwrap();
    }

    /// Waits for the service to end by itself.
    pub(crate) async fn ended(self) -> Result<(), ServiceError> {
        soon(self.task).await.unwrap()
    }
}

/// Makes a service of a kind of this crate.
pub(crate) fn make(kind: &str, options: &str) -> Box<dyn fathom_kernel::Service> {
    let kind: &Kind = fathom_ligier::KINDS
        .iter()
        .find(|k| k.name == kind)
        .unwrap();
    let options: &'static str = Box::leak(options.to_owned().into_boxed_str());
    let table = DeTable::parse(options).unwrap();
    let factory = (kind.parse)(table, &Setup::default()).map_err(|error| error.to_string());
    factory.unwrap()()
}

/// Returns the wire bytes of a message.
pub(crate) fn wire(tag: &str, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 16];
    out[..tag.len()].copy_from_slice(tag.as_bytes());
    out[8..12].copy_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// A client on a raw socket.
pub(crate) struct Peer(pub(crate) TcpStream);

impl Peer {
    /// Sends bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        soon(self.0.write_all(bytes)).await.unwrap();
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, tag: &str, body: impl AsRef<[u8]>) {
        self.raw(&wire(tag, body.as_ref())).await;
    }

    /// Subscribes as the known clients do, and waits until the broker has read it.
    pub(crate) async fn subscribe(&mut self, list: &str) {
        self.send("_Subscri", list).await;
        self.send("_Always", "").await;
        self.settled().await;
    }

    /// Waits until the broker has read everything sent so far: it answers `_WhereIs` only.
    pub(crate) async fn settled(&mut self) {
        self.send("_WhereIs", "nobody").await;
        assert_eq!(self.recv().await, ("_WhereIs".to_owned(), Vec::new()));
    }

    /// Receives a message.
    pub(crate) async fn recv(&mut self) -> (String, Vec<u8>) {
        soon(self.try_recv()).await.expect("the connection ended")
    }

    /// Receives a message whose body is text.
    pub(crate) async fn text(&mut self) -> (String, String) {
        let (tag, body) = self.recv().await;
        (tag, String::from_utf8(body).unwrap())
    }

    /// Receives a message; `None` at the end of the connection between two messages.
    pub(crate) async fn try_recv(&mut self) -> Option<(String, Vec<u8>)> {
        let mut prefix = [0; 16];
        let mut got = 0;
        while got < prefix.len() {
            match self.0.read(&mut prefix[got..]).await {
                Ok(0) | Err(_) if got == 0 => return None,
                Ok(n) if n > 0 => got += n,
                end => panic!("connection ended inside a prefix: {end:?}"),
            }
        }
        let length = u32::from_be_bytes(prefix[8..12].try_into().unwrap());
        let mut body = vec![0; length as usize];
        self.0.read_exact(&mut body).await.unwrap();
        let tag = String::from_utf8(prefix[..8].to_vec()).unwrap();
        Some((tag.trim_end_matches('\0').to_owned(), body))
    }

    /// Waits until the broker has closed the connection.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        // A reset is as good as an end here.
        let _end = soon(self.0.read_to_end(&mut rest)).await;
    }
}

/// Makes the text of a message that the other side expects.
pub(crate) fn msg(tag: &str, body: &str) -> (String, String) {
    (tag.to_owned(), body.to_owned())
}
