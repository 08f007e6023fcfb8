//! Who may speak at the door: one guest per running child, known by its token.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use fathom_kernel::ServiceCx;
use rand::TryRngCore;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Most streams of the bus that one guest may follow at a time.
const STREAMS_MAX: usize = 4;

/// The hash of a token. Only hashes are kept and looked up, so the time of a look-up tells nothing.
type Key = [u8; 32];

/// All guests. Clones are handles to the same book.
#[derive(Clone, Default)]
pub(crate) struct Guests(Arc<RwLock<HashMap<Key, Arc<Guest>>>>);

/// A child that may speak.
pub(super) struct Guest {
    /// What a service of this process would be given.
    pub(super) cx: ServiceCx,
    pub(super) incarnation: u64,
    /// Places for streams.
    pub(super) streams: Arc<Semaphore>,
    /// Cancelled when the child has ended.
    pub(super) gone: CancellationToken,
}

/// The right of one child to speak; ends when dropped.
pub(crate) struct Pass {
    /// What the child has to show.
    pub(crate) token: String,
    key: Key,
    gone: CancellationToken,
    guests: Guests,
}

impl Guests {
    /// Admits an incarnation of a service, which gets the context of a service of this process.
    pub(crate) fn admit(&self, cx: ServiceCx, incarnation: u64) -> std::io::Result<Pass> {
        let mut chance = [0_u8; 32];
        rand::rngs::OsRng
            .try_fill_bytes(&mut chance)
            .map_err(std::io::Error::other)?;
        let token: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
        let (key, gone) = (key_of(&token), CancellationToken::new());
        let guest = Guest {
            cx,
            incarnation,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            gone: gone.clone(),
        };
        self.write().insert(key, Arc::new(guest));
        Ok(Pass {
            token,
            key,
            gone,
            guests: self.clone(),
        })
    }

    /// Returns the guest with a token.
    pub(super) fn find(&self, token: &str) -> Option<Arc<Guest>> {
        let guests = self.0.read().unwrap_or_else(PoisonError::into_inner);
        guests.get(&key_of(token)).cloned()
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Key, Arc<Guest>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.guests.write().remove(&self.key);
        self.gone.cancel();
    }
}

fn key_of(token: &str) -> Key {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_with_its_pass() {
        let guests = Guests::default();
        let admit = |name| {
            guests
                .admit(ServiceCx::alone(name, "").0, 1)
                .expect("chance")
        };
        let (one, other) = (admit("one"), admit("other"));
        assert_eq!(&*guests.find(&one.token).expect("known").cx.name, "one");
        let token = one.token.clone();
        drop(one);
        assert!(guests.find(&token).is_none());
        assert!(guests.find(&other.token).is_some() && guests.find("").is_none());
    }
}
