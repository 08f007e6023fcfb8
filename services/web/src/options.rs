//! Options of the kind `webserver`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use fathom_kernel::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pages;

/// Options of the kind `webserver`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebServerConfig {
    /// Address to listen on; port 0 takes a free one. Without an account only a loopback address is
    /// allowed, unless `anonymous` is true.
    pub listen: SocketAddr,
    /// User name of the first account.
    pub username: Option<String>,
    /// Password of the first account in plain text, as in km3mon's pipeline.toml; works with a
    /// warning. Prefer `password_hash`.
    pub password: Option<Secret>,
    /// Password of the first account as an argon2 hash (PHC text, `$argon2id$...`).
    pub password_hash: Option<Secret>,
    /// What the first account may do.
    pub role: Role,
    /// Further accounts.
    pub accounts: Vec<AccountConfig>,
    /// Anybody may look without a login; commands still need one.
    pub anonymous: bool,
    /// Host names under which the page is asked for, when it is open on loopback without a login;
    /// `localhost` and loopback addresses always are. Guards against web sites that point a name of
    /// theirs here.
    pub hosts: Vec<String>,
    /// Pages and what stands on them, replacing the default pages.
    pub pages: Vec<PageConfig>,
    /// Most connections at one time; further ones wait in the listen queue.
    pub connections_max: usize,
    /// Most live event streams at one time; further ones are refused.
    pub live_max: usize,
    /// Memory for drawn pictures and serialised outputs.
    pub cache: Size,
    /// Folder of the files of `msg_dumper`, relative to the stack's data folder; they are at `/logs`.
    pub log_directory: PathBuf,
    /// First part of their names.
    pub log_prefix: String,
}

impl Default for WebServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            username: None,
            password: None,
            password_hash: None,
            role: Role::Viewer,
            accounts: Vec::new(),
            anonymous: false,
            hosts: Vec::new(),
            pages: pages::default_pages(),
            connections_max: 512,
            live_max: 128,
            cache: Size::from_mib(96),
            log_directory: PathBuf::from("."),
            log_prefix: "MSG".to_owned(),
        }
    }
}

/// One account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// User name.
    pub name: String,
    /// What the user may do.
    #[serde(default)]
    pub role: Role,
    /// Argon2 hash of the password (PHC text, `$argon2id$...`).
    pub password_hash: Secret,
}

/// What a user may do; each includes the ones before.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks at everything.
    #[default]
    Viewer,
    /// Is on shift: acknowledges and mutes alarms.
    Shifter,
    /// Starts and stops services.
    Operator,
}

/// One page: rows of outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageConfig {
    /// Path, such as `/trigger.html`.
    pub path: String,
    /// Title in the navigation.
    pub title: String,
    /// What the page shows.
    #[serde(default)]
    pub view: PageView,
    /// Rows of equal columns. An entry is the name of an output, or a glob with `*` and `?` that
    /// stands for all matching ones.
    #[serde(default)]
    pub rows: Vec<Vec<String>>,
}

/// What a page shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PageView {
    /// Outputs in rows.
    #[default]
    Plots,
    /// The same for a display on the wall: dark, nothing to click.
    Wall,
    /// State of all services.
    Services,
    /// Ends of the services' logs.
    Logs,
}

/// A text that is not shown in debug output.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

impl WebServerConfig {
    /// Checks what serde cannot; the text says what was expected.
    pub(crate) fn problem(&self) -> Option<String> {
        self.account_problem()
            .or_else(|| pages::problem(&self.pages))
            .or_else(|| self.limit_problem())
    }

    /// Tells whether any account can log in.
    pub(crate) fn has_accounts(&self) -> bool {
        self.username.is_some() || !self.accounts.is_empty()
    }

    fn account_problem(&self) -> Option<String> {
        let secret = self.password.is_some() || self.password_hash.is_some();
        if self.username.is_some() != secret {
            return Some(
                "`username` needs `password_hash` (or `password`), and these need it".into(),
            );
        }
        if self.password.is_some() && self.password_hash.is_some() {
            return Some("give `password_hash` or `password`, not both".into());
        }
        if !self.has_accounts() && !self.anonymous && !self.listen.ip().is_loopback() {
            return Some(format!(
                "listening on {} needs an account (`username` and `password_hash`, or \
                 `accounts`), or `anonymous = true` to let anybody look",
                self.listen
            ));
        }
        let mut names: Vec<&str> = self.accounts.iter().map(|a| a.name.as_str()).collect();
        names.extend(self.username.as_deref());
        names.sort_unstable();
        if let Some(name) = names
            .iter()
            .find(|name| name.is_empty() || name.contains(':'))
        {
            return Some(format!("user name {name:?} is empty or has a colon"));
        }
        if let Some(twice) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            return Some(format!("account {:?} is given twice", twice.first()?));
        }
        let hashes = self.accounts.iter().map(|a| &a.password_hash);
        hashes
            .chain(&self.password_hash)
            .find_map(|hash| crate::access::hash_problem(hash.reveal()))
    }

    fn limit_problem(&self) -> Option<String> {
        let limits = [
            ("connections_max", self.connections_max, 1..=65_536),
            ("live_max", self.live_max, 1..=8_192),
        ];
        limits
            .into_iter()
            .find(|(_, value, range)| !range.contains(value))
            .map(|(name, value, range)| {
                format!(
                    "`{name}` is {value}, expected {} to {}",
                    range.start(),
                    range.end()
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> WebServerConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_section_of_pipeline_toml_loads_as_it_is() {
        let config = read("username = \"km3net\"\npassword = \"pyrosoma\"");
        assert_eq!(config.problem(), None);
        assert!(!format!("{config:?}").contains("pyrosoma"));
    }

    #[test]
    fn an_open_page_is_refused_on_an_address_that_others_reach() {
        assert!(read("").problem().is_none());
        let problem = read("listen = \"0.0.0.0:8081\"").problem().unwrap();
        assert!(problem.contains("anonymous"), "{problem}");
        let allowed = read("listen = \"0.0.0.0:8081\"\nanonymous = true");
        assert!(allowed.problem().is_none());
    }

    #[test]
    fn half_an_account_is_refused() {
        assert!(read("username = \"a\"").problem().is_some());
        assert!(read("password = \"a\"").problem().is_some());
        let twice = "username = \"a\"\npassword = \"b\"\n[[accounts]]\nname = \"a\"\n\
                     password_hash = \"$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$\
                     ZGVhZGJlZWZkZWFkYmVlZg\"";
        assert!(read(twice).problem().unwrap().contains("twice"));
    }

    #[test]
    fn a_hash_that_is_none_is_refused() {
        let problem = read("username = \"a\"\npassword_hash = \"secret\"").problem();
        assert!(problem.unwrap().contains("argon2"));
    }
}
