//! Accounts and the check of a name with its password.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::failures::{Attempt, Failures};
use crate::options::{Role, WebServerConfig};

/// How long a verified password is remembered, so that argon2 does not run for each request.
const REMEMBERED_FOR: Duration = Duration::from_secs(300);
/// Most verified logins remembered.
const REMEMBERED_MAX: usize = 256;
/// Argon2 needs 19 MiB and tens of milliseconds of a core each time; so many run at once, which
/// leaves the other cores to the detector whatever somebody tries here ...
const CHECKS_AT_ONCE: usize = 1;
/// ... and a login that waits longer than this for its turn is told to come back.
const CHECK_WAIT: Duration = Duration::from_secs(5);

/// Accounts with what is known of recent logins.
pub(crate) struct Access {
    accounts: HashMap<String, Account>,
    anonymous: Option<Role>,
    /// A hash that no account has: an unknown name costs the same time as a wrong password.
    nobody: Arc<str>,
    salt: [u8; 16],
    remembered: Mutex<HashMap<[u8; 32], (Login, Instant)>>,
    failures: Failures,
    checks: Arc<Semaphore>,
}

struct Account {
    role: Role,
    password: Password,
}

enum Password {
    /// Digest of a password that stands in plain text in the configuration.
    Plain([u8; 32]),
    Argon(Arc<str>),
}

/// A user who is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: Arc<str>,
    pub(crate) role: Role,
}

/// Why a login is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("wrong user name or password")]
    Wrong,
    #[error("too many failed logins; try again in {wait_s} s")]
    Throttled { wait_s: u64 },
    #[error("too many logins at this moment; try again")]
    Busy,
}

/// Hashes a password with argon2id and a fresh salt, as `password_hash` expects it.
///
/// # Errors
/// When the system gives no random numbers.
pub fn hash_password(password: &str) -> Result<String, argon2::password_hash::Error> {
    let hash = Argon2::default().hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

/// Says what is wrong with a configured hash.
pub(crate) fn hash_problem(hash: &str) -> Option<String> {
    let argon2id = PasswordHash::new(hash)
        .is_ok_and(|hash| hash.algorithm.as_str().starts_with("argon2") && hash.hash.is_some());
    (!argon2id).then(|| "`password_hash` is not an argon2 hash ($argon2id$v=19$...)".to_owned())
}

impl Access {
    /// Takes over the accounts of a configuration.
    pub(crate) fn new(config: &WebServerConfig) -> Result<Self, argon2::password_hash::Error> {
        let salt = random_salt();
        let mut accounts = HashMap::new();
        for account in &config.accounts {
            let password = Password::Argon(account.password_hash.reveal().into());
            let role = account.role;
            accounts.insert(account.name.clone(), Account { role, password });
        }
        if let Some(name) = &config.username {
            let password = match (&config.password_hash, &config.password) {
                (Some(hash), _) => Some(Password::Argon(hash.reveal().into())),
                (None, Some(plain)) => Some(Password::Plain(digest(&salt, &[plain.reveal()]))),
                (None, None) => None,
            };
            let role = config.role;
            accounts.extend(password.map(|password| (name.clone(), Account { role, password })));
        }
        let open = config.anonymous || accounts.is_empty();
        let nobody = if accounts.is_empty() {
            String::new()
        } else {
            hash_password("")?
        };
        Ok(Self {
            accounts,
            anonymous: open.then_some(Role::Viewer),
            nobody: nobody.into(),
            salt,
            remembered: Mutex::default(),
            failures: Failures::default(),
            checks: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
        })
    }

    /// Returns what somebody without a login may do, if anything.
    pub(crate) fn anonymous(&self) -> Option<Role> {
        self.anonymous
    }

    /// Tells whether nobody can log in at all.
    pub(crate) fn is_open(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Returns how many refused logins there were since the last that stands in the log; `None` when
    /// that was a moment ago, so that guessing does not fill the log.
    pub(crate) fn refusals_to_log(&self) -> Option<u64> {
        self.failures.refusals_to_log()
    }

    /// Checks a name with its password, asked from an address.
    pub(crate) async fn check(
        &self,
        from: IpAddr,
        user: &str,
        password: &str,
    ) -> Result<Login, Denied> {
        let key = digest(&self.salt, &[user, password]);
        if let Some(login) = self.recall(&key) {
            return Ok(login);
        }
        let attempt = (from, digest(&self.salt, &[user]));
        if let Some(wait_s) = self.failures.wait_s(&attempt) {
            return Err(Denied::Throttled { wait_s });
        }
        if !self.verify(&attempt, user, password).await? {
            return Err(Denied::Wrong);
        }
        let account = self.accounts.get(user).ok_or(Denied::Wrong)?;
        let login = Login {
            user: user.into(),
            role: account.role,
        };
        self.failures.forget(&attempt);
        self.remember(key, login.clone());
        Ok(login)
    }

    /// Checks a password and counts a failure.
    async fn verify(&self, attempt: &Attempt, user: &str, password: &str) -> Result<bool, Denied> {
        let (hash, known) = match self.accounts.get(user).map(|account| &account.password) {
            Some(Password::Plain(expected)) => {
                let right = digest(&self.salt, &[password]).ct_eq(expected).into();
                return Ok(self.counted(attempt, right));
            }
            Some(Password::Argon(hash)) => (hash.clone(), true),
            None => (self.nobody.clone(), false),
        };
        let turn = tokio::time::timeout(CHECK_WAIT, self.checks.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Denied::Busy);
        };
        // Others may have failed while this one waited, so that guesses side by side gain nothing.
        if let Some(wait_s) = self.failures.wait_s(attempt) {
            return Err(Denied::Throttled { wait_s });
        }
        let password = password.to_owned();
        let check = tokio::task::spawn_blocking(move || {
            let right = PasswordHash::new(&hash).is_ok_and(|hash| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &hash)
                    .is_ok()
            });
            // The turn ends with the work, also when nobody waits for it any more.
            (right, turn)
        });
        let (right, turn) = check.await.map_or((false, None), |(r, t)| (r, Some(t)));
        let right = self.counted(attempt, right && known);
        drop(turn);
        Ok(right)
    }

    fn counted(&self, attempt: &Attempt, right: bool) -> bool {
        if !right {
            self.failures.count(*attempt);
        }
        right
    }

    fn recall(&self, key: &[u8; 32]) -> Option<Login> {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (login, until) = remembered.get(key)?;
        (*until > Instant::now()).then(|| login.clone())
    }

    fn remember(&self, key: [u8; 32], login: Login) {
        let now = Instant::now();
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, (_, until)| *until > now);
        }
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(key, (login, now + REMEMBERED_FOR));
        }
    }
}

/// Digests texts with their lengths, so that no two lists give the same bytes.
fn digest(salt: &[u8; 16], texts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().into()
}

fn random_salt() -> [u8; 16] {
    let half = || RandomState::new().hash_one("fathom").to_le_bytes();
    let mut salt = [0; 16];
    let (first, second) = salt.split_at_mut(8);
    first.copy_from_slice(&half());
    second.copy_from_slice(&half());
    salt
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn access(text: &str) -> Access {
        Access::new(&toml::from_str(text).unwrap()).unwrap()
    }

    fn hashed() -> Access {
        let hash = hash_password("deep sea").unwrap();
        access(&format!(
            "username = \"km3net\"\npassword = \"pyrosoma\"\n\
             accounts = [{{ name = \"op\", role = \"operator\", password_hash = \"{hash}\" }}]"
        ))
    }

    #[tokio::test]
    async fn the_right_password_gives_the_role_of_the_account() {
        let access = hashed();
        let op = access.check(HOME, "op", "deep sea").await.unwrap();
        assert_eq!((&*op.user, op.role), ("op", Role::Operator));
        let viewer = access.check(HOME, "km3net", "pyrosoma").await.unwrap();
        assert_eq!(viewer.role, Role::Viewer);
    }

    #[tokio::test]
    async fn a_wrong_password_or_name_is_refused_with_the_same_words() {
        let access = hashed();
        for (user, password) in [("op", "deep"), ("nobody", ""), ("km3net", "x"), ("", "")] {
            assert_eq!(
                access.check(HOME, user, password).await,
                Err(Denied::Wrong),
                "{user}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn guessing_is_slowed_down_but_not_for_who_is_logged_in() {
        let access = access("username = \"km3net\"\npassword = \"pyrosoma\"");
        access.check(HOME, "km3net", "pyrosoma").await.unwrap();
        let mut throttled = 0;
        for guess in 0..20 {
            let answer = access.check(HOME, "km3net", &guess.to_string()).await;
            throttled += usize::from(matches!(answer, Err(Denied::Throttled { .. })));
        }
        assert_eq!(throttled, 15, "five guesses are free");
        access.check(HOME, "km3net", "pyrosoma").await.unwrap();
        tokio::time::advance(Duration::from_secs(120)).await;
        assert_eq!(access.check(HOME, "km3net", "x").await, Err(Denied::Wrong));
    }

    #[tokio::test]
    async fn guesses_side_by_side_are_slowed_down_like_others() {
        let access = hashed();
        let guesses = (0..12).map(|guess| {
            let access = &access;
            async move { access.check(HOME, "op", &guess.to_string()).await }
        });
        let answers = futures_util::future::join_all(guesses).await;
        let wrong = answers.iter().filter(|a| **a == Err(Denied::Wrong));
        assert_eq!(wrong.count(), 5, "five guesses are free: {answers:?}");
    }

    #[test]
    fn without_accounts_anybody_may_look_and_nobody_may_command() {
        assert_eq!(access("").anonymous(), Some(Role::Viewer));
        assert_eq!(hashed().anonymous(), None);
    }
}
