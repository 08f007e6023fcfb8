//! Where services listen: chosen ports are announced here, printed, and written to a file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

/// The listening addresses of the stack, by service or `service/door`. Clones share the list.
#[derive(Clone)]
pub struct Addresses(Arc<watch::Sender<BTreeMap<String, SocketAddr>>>);

impl Default for Addresses {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }
}

impl Addresses {
    /// Announces where a service listens.
    pub fn announce(&self, name: &str, address: SocketAddr) {
        self.0.send_modify(|list| {
            list.insert(name.to_owned(), address);
        });
    }

    /// Takes an announcement back.
    pub fn withdraw(&self, name: &str) {
        self.0.send_modify(|list| {
            list.remove(name);
        });
    }

    /// Returns the address of a name.
    pub fn of(&self, name: &str) -> Option<SocketAddr> {
        self.0.borrow().get(name).copied()
    }

    /// Returns a receiver that sees every change of the list.
    pub fn watch(&self) -> watch::Receiver<BTreeMap<String, SocketAddr>> {
        self.0.subscribe()
    }
}
