//! Who may look and who may command: accounts, their check, and the guard in front of all routes.

mod accounts;
mod failures;
mod guard;

pub use accounts::hash_password;
pub(crate) use accounts::{Access, hash_problem};
pub(crate) use guard::{Identity, Peer, guard};
