//! The user and password that supervisord's clients log in with.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use crate::config::plan::AccountPlan;

/// A user and the hash of a password.
#[derive(Clone)]
pub(super) struct Account {
    plan: Arc<AccountPlan>,
    /// Digest of the credentials that were found right: argon2 is made to be slow, and clients send
    /// their password with every call.
    right: Arc<Mutex<Option<[u8; 32]>>>,
    /// One password at a time, so that neither guesses nor their cost come in parallel.
    turn: Arc<Semaphore>,
}

impl Account {
    /// Takes the account of a configuration.
    pub(super) fn new(plan: AccountPlan) -> Self {
        Self {
            plan: Arc::new(plan),
            right: Arc::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Tells whether these are the right credentials.
    pub(super) async fn admits(&self, user: &str, password: &str) -> bool {
        let digest = digest(user, password);
        if self.remembers(&digest) {
            return true;
        }
        let Ok(_turn) = self.turn.acquire().await else {
            return false;
        };
        // Somebody who waited with the same password need not be checked again.
        if self.remembers(&digest) {
            return true;
        }
        let same_user: bool = self.plan.user.as_bytes().ct_eq(user.as_bytes()).into();
        let (plan, password) = (self.plan.clone(), password.to_owned());
        let checked = tokio::task::spawn_blocking(move || fits(&plan.password_hash, &password));
        // The hash is computed for a wrong user, too: the time must not tell who exists.
        let right = checked.await.unwrap_or(false) && same_user;
        if right {
            *self.right.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
        }
        right
    }

    fn remembers(&self, digest: &[u8; 32]) -> bool {
        let right = *self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.is_some_and(|right| right.ct_eq(digest).into())
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", self.plan.user)
    }
}

fn digest(user: &str, password: &str) -> [u8; 32] {
    let length = (user.len() as u64).to_le_bytes();
    let text = [&length[..], user.as_bytes(), password.as_bytes()].concat();
    Sha256::digest(text).into()
}

fn fits(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher as _;

    use super::*;

    #[tokio::test]
    async fn only_the_right_user_with_the_right_password_is_admitted() {
        let hash = Argon2::default().hash_password(b"deep sea").unwrap();
        let account = Account::new(AccountPlan {
            user: "shift".to_owned(),
            password_hash: hash.to_string(),
        });
        // The second time from memory.
        for _ in 0..2 {
            assert!(account.admits("shift", "deep sea").await);
            assert!(!account.admits("shift", "deep se").await);
            assert!(!account.admits("shif", "tdeep sea").await);
            assert!(!account.admits("root", "deep sea").await);
        }
    }
}
