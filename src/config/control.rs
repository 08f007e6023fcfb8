//! `[control]`: where commands are taken, and from whom.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use argon2::password_hash::phc::PasswordHash;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::plan::{AccountPlan, ControlPlan};
use super::problem::Problem;

/// Permission bits of the Unix socket unless told.
const SOCKET_MODE: u32 = 0o660;

/// `[control]`: where commands are taken.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ControlDoc {
    /// TCP address of the control API, beside the Unix socket; without it there is none.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) listen: Option<Spanned<String>>,
    /// Allow `listen` on addresses that other machines reach.
    pub(crate) allow_remote: bool,
    /// Permission bits of the Unix socket, octal.
    #[schemars(with = "String", extend("default" = "0660"))]
    #[serde(skip_serializing)]
    pub(crate) socket_mode: Option<Spanned<String>>,
    /// Group that owns the Unix socket, by name or number; that of the supervisor unless told.
    pub(crate) socket_group: Option<String>,
    /// User that supervisord's clients log in as over TCP; its password comes as a hash. With a user,
    /// nothing is open to those without.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) user: Option<Spanned<String>>,
    /// Argon2 hash of the user's password, as `fathom hash-password` prints it.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) password_hash: Option<Spanned<String>>,
    /// Take the calls of supervisord's clients (`/RPC2`) on TCP without a password, as supervisord
    /// does; only on an address of this machine itself.
    #[schemars(with = "bool", extend("default" = false))]
    #[serde(skip_serializing)]
    pub(crate) rpc_open: Option<Spanned<bool>>,
    /// File with the token for commands over TCP, 16 characters at least; relative to this file.
    /// Without it a new token is written to `control.token` in the data folder at every start.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub(crate) token_file: Option<Spanned<PathBuf>>,
    /// Names that lead to `listen`, beside addresses and `localhost`; requests for other hosts are
    /// refused.
    #[schemars(with = "Vec<String>")]
    #[serde(skip_serializing)]
    pub(crate) hosts: Vec<Spanned<String>>,
}

#[expect(
    clippy::derivable_impls,
    reason = "defaults of a table stand in one place"
)]
impl Default for ControlDoc {
    fn default() -> Self {
        Self {
            listen: None,
            allow_remote: false,
            socket_mode: None,
            socket_group: None,
            user: None,
            password_hash: None,
            rpc_open: None,
            token_file: None,
            hosts: Vec::new(),
        }
    }
}

impl ControlDoc {
    /// Returns the checked form, with paths from this folder; what is wrong joins the problems.
    pub(crate) fn checked(&self, folder: &Path, problems: &mut Vec<Problem>) -> ControlPlan {
        fn keep<T>(checked: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
            checked.map_err(|problem| problems.push(problem)).ok()
        }
        ControlPlan {
            listen: keep(self.listen_address(), problems).flatten(),
            socket_mode: keep(self.mode(), problems).unwrap_or(SOCKET_MODE),
            socket_group: self.socket_group.clone(),
            account: keep(self.account(), problems).flatten(),
            rpc_open: keep(self.is_open(), problems).unwrap_or(false),
            token_file: self
                .token_file
                .as_ref()
                .map(|file| folder.join(file.get_ref())),
            hosts: keep(self.host_names(), problems).unwrap_or_default(),
        }
    }

    fn listen_address(&self) -> Result<Option<SocketAddr>, Problem> {
        let Some(given) = &self.listen else {
            return Ok(None);
        };
        let problem = match given.get_ref().parse::<SocketAddr>() {
            Ok(address) if self.allow_remote || address.ip().is_loopback() => {
                return Ok(Some(address));
            }
            Ok(_) => Problem::error("who reaches this address can command the stack")
                .help("listen on 127.0.0.1, or allow it: allow_remote = true"),
            Err(_) => Problem::error(format!("`{}` is no address", given.get_ref()))
                .label("expected ADDRESS:PORT, such as \"127.0.0.1:9001\""),
        };
        Err(problem.at(given.span()))
    }

    fn host_names(&self) -> Result<Vec<String>, Problem> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_name = |name: &str| !name.is_empty() && name.chars().all(plain);
        match self.hosts.iter().find(|given| !is_name(given.get_ref())) {
            None => Ok(self
                .hosts
                .iter()
                .map(|given| given.get_ref().clone())
                .collect()),
            Some(wrong) => {
                let text = format!("`{}` is no name of a host", wrong.get_ref());
                Err(Problem::error(text)
                    .at(wrong.span())
                    .label("expected a name without port, such as \"monitor.example.org\""))
            }
        }
    }

    fn mode(&self) -> Result<u32, Problem> {
        let Some(given) = &self.socket_mode else {
            return Ok(SOCKET_MODE);
        };
        match u32::from_str_radix(given.get_ref(), 8) {
            Ok(mode) if mode <= 0o777 => Ok(mode),
            _ => Err(
                Problem::error(format!("`{}` is no file mode", given.get_ref()))
                    .at(given.span())
                    .label("expected three octal digits, such as \"0660\""),
            ),
        }
    }

    fn account(&self) -> Result<Option<AccountPlan>, Problem> {
        let (user, hash) = match (&self.user, &self.password_hash) {
            (None, None) => return Ok(None),
            (Some(user), Some(hash)) => (user, hash),
            (Some(lonely), None) | (None, Some(lonely)) => {
                return Err(Problem::error("`user` and `password_hash` go together")
                    .at(lonely.span())
                    .label("the other one is missing")
                    .help("`fathom hash-password` makes the hash"));
            }
        };
        let is_argon2 = PasswordHash::new(hash.get_ref())
            .is_ok_and(|hash| hash.algorithm.as_str().starts_with("argon2") && hash.hash.is_some());
        if !is_argon2 {
            return Err(Problem::error("this is no argon2 hash")
                .at(hash.span())
                .label("expected $argon2id$v=19$…")
                .help("`fathom hash-password` makes it"));
        }
        Ok(Some(AccountPlan {
            user: user.get_ref().clone(),
            password_hash: hash.get_ref().clone(),
        }))
    }

    fn is_open(&self) -> Result<bool, Problem> {
        let Some(given) = self.rpc_open.as_ref().filter(|given| *given.get_ref()) else {
            return Ok(false);
        };
        if self.user.is_some() {
            let problem = Problem::error("`rpc_open` lets everybody in, `user` does not");
            return Err(problem.at(given.span()));
        }
        let listen = self.listen.as_ref().map(|given| given.get_ref().parse());
        if let Some(Ok::<SocketAddr, _>(listen)) = listen
            && !listen.ip().is_loopback()
        {
            let text = "who reaches this address could command the stack without a password";
            return Err(Problem::error(text)
                .at(given.span())
                .help("listen on 127.0.0.1, or set `user` and `password_hash`"));
        }
        Ok(true)
    }
}
