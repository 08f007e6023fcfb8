//! Spawns children from one thread that lives as long as the stack: the signal that ends children
//! with their parent is sent when the *thread* that made them ends.

use std::io;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Most commands waiting to be spawned; further ones wait.
const WAITING_MAX: usize = 64;

type Job = (Command, oneshot::Sender<io::Result<Child>>);

/// Spawns children. Clones use the same thread.
#[derive(Debug, Clone)]
pub struct Spawner(mpsc::Sender<Job>);

impl Spawner {
    /// Starts the thread; it ends with the last clone. To be called on the runtime that waits for
    /// the children.
    pub fn start() -> io::Result<Self> {
        let (to, mut jobs) = mpsc::channel::<Job>(WAITING_MAX);
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                let _entered = runtime.enter();
                while let Some((mut command, reply)) = jobs.blocking_recv() {
                    // A child that nobody waits for is killed when dropped.
                    reply.send(command.spawn()).ok();
                }
            })?;
        Ok(Self(to))
    }

    /// Spawns a child; an error of the exec comes back as the error of this call.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, child) = oneshot::channel();
        let gone = || io::Error::other("the stack is ending");
        self.0.send((command, reply)).await.map_err(|_| gone())?;
        child.await.unwrap_or_else(|_| Err(gone()))
    }
}
