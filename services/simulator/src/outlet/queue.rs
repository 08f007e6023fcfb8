//! What waits for a connection: bounded in bytes; live sources drop the oldest, replays wait.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fathom_kernel::Lost;
use tokio::sync::Notify;

use crate::batch::Sealed;
use crate::generator::Disturbance;

/// One thing to do on a connection.
#[derive(Debug, Clone)]
pub(super) enum Parcel {
    /// Messages to write.
    Messages(Sealed),
    /// Something that goes wrong on purpose.
    Disturb(Disturbance),
}

/// The queue between a source and its connection.
#[derive(Debug)]
pub(super) struct Queue {
    inside: Mutex<Inside>,
    bytes_max: usize,
    filled: Notify,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Inside {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    /// Parcels taken and not yet done.
    in_hand: bool,
    closed: bool,
}

impl Parcel {
    fn bytes(&self) -> usize {
        match self {
            Self::Messages(sealed) => sealed.wire.len(),
            Self::Disturb(_) => 0,
        }
    }

    /// Returns what is lost with the parcel.
    pub(super) fn lost(&self) -> Lost {
        match self {
            Self::Messages(sealed) => Lost {
                messages: sealed.len() as u64,
                bytes: sealed.wire.len() as u64,
            },
            Self::Disturb(_) => Lost::default(),
        }
    }
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            inside: Mutex::default(),
            bytes_max,
            filled: Notify::new(),
            emptied: Notify::new(),
        }
    }

    /// Appends a parcel; drops the oldest ones when there is no room and returns what was lost. The
    /// newest one stays even when it alone is too large.
    pub(super) fn push(&self, parcel: Parcel) -> Lost {
        let mut lost = Lost::default();
        let mut inside = self.lock();
        inside.bytes += parcel.bytes();
        inside.parcels.push_back(parcel);
        while inside.bytes > self.bytes_max && inside.parcels.len() > 1 {
            let Some(oldest) = inside.parcels.pop_front() else {
                break;
            };
            inside.bytes -= oldest.bytes();
            lost.messages += oldest.lost().messages;
            lost.bytes += oldest.lost().bytes;
        }
        drop(inside);
        self.filled.notify_one();
        lost
    }

    /// Appends a parcel once there is room for it.
    pub(super) async fn push_when_room(&self, parcel: Parcel) {
        self.wait_for(|inside| {
            inside.bytes == 0 || inside.bytes + parcel.bytes() <= self.bytes_max
        })
        .await;
        let mut inside = self.lock();
        inside.bytes += parcel.bytes();
        inside.parcels.push_back(parcel);
        drop(inside);
        self.filled.notify_one();
    }

    /// Waits until everything was taken and done.
    pub(super) async fn drained(&self) {
        self.wait_for(|inside| inside.parcels.is_empty() && !inside.in_hand)
            .await;
    }

    /// Takes the oldest parcel; `None` when the queue was closed and nothing is left.
    /// Cancel-safe: nothing is taken before it returns.
    pub(super) async fn take(&self) -> Option<Parcel> {
        loop {
            {
                let mut inside = self.lock();
                inside.in_hand = false;
                if let Some(parcel) = inside.parcels.pop_front() {
                    inside.bytes -= parcel.bytes();
                    inside.in_hand = true;
                    drop(inside);
                    self.emptied.notify_one();
                    return Some(parcel);
                }
                if inside.closed {
                    drop(inside);
                    self.emptied.notify_one();
                    return None;
                }
            }
            self.emptied.notify_one();
            self.filled.notified().await;
        }
    }

    /// Lets [`Queue::take`] end when nothing is left.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Takes everything out and returns what is lost with it.
    pub(super) fn abandon(&self) -> Lost {
        let mut inside = self.lock();
        inside.bytes = 0;
        inside.in_hand = false;
        let parcels = std::mem::take(&mut inside.parcels);
        parcels.iter().fold(Lost::default(), |sum, parcel| Lost {
            messages: sum.messages + parcel.lost().messages,
            bytes: sum.bytes + parcel.lost().bytes,
        })
    }

    /// Waits for a state; there is one sender, so one waiter.
    async fn wait_for(&self, is_so: impl Fn(&Inside) -> bool) {
        loop {
            let changed = self.emptied.notified();
            if is_so(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use fathom_formats::controlhost::tags;

    use super::*;
    use crate::batch::Chunk;

    fn parcel(body: &[u8]) -> Parcel {
        let mut chunk = Chunk::default();
        chunk.push(tags::MSG, |out| out.put_slice(body));
        Parcel::Messages(chunk.seal())
    }

    #[tokio::test]
    async fn the_oldest_parcels_go_first_and_are_counted() {
        let queue = Queue::new(40);
        assert_eq!(queue.push(parcel(b"1234")).messages, 0);
        assert_eq!(queue.push(parcel(b"5678")).messages, 0);
        let lost = queue.push(parcel(b"9"));
        assert_eq!((lost.messages, lost.bytes), (1, 20));
        let large = queue.push(parcel(&[0; 100]));
        assert_eq!(large.messages, 2);
        let Some(Parcel::Messages(left)) = queue.take().await else {
            panic!("the newest parcel stays");
        };
        assert_eq!(left.wire.len(), 116);
        queue.close();
        assert!(queue.take().await.is_none());
    }

    #[tokio::test]
    async fn a_replay_waits_for_room() {
        let queue = Queue::new(20);
        queue.push_when_room(parcel(b"1234")).await;
        let second = queue.push_when_room(parcel(b"5678"));
        let taker = async { (queue.take().await, queue.take().await) };
        let ((), (first, second)) = tokio::join!(second, taker);
        assert!(first.is_some() && second.is_some());
        let done = async {
            queue.close();
            queue.take().await
        };
        let ((), end) = tokio::join!(queue.drained(), done);
        assert!(end.is_none());
    }
}
