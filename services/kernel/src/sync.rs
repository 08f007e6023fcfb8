//! The locks and counters that the bus is made of, named in one place so that a test can put those of
//! a scheduler in theirs.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
