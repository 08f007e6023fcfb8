//! The servers of supervisord: its socket, its port, and who may use them.

use std::net::SocketAddr;

use argon2::{Argon2, PasswordHasher as _};

use super::context::Context;
use super::daemon::reading;
use super::note::{Gravity, Notes};
use super::options::{Options, Reading};
use super::outcome::Field;
use super::reader::Section;
use super::value;

/// Where supervisord listens unless told.
const EVERYBODY: &str = "0.0.0.0";

/// Returns the fields of `[control]` that the Unix socket of supervisord asks for.
pub(super) fn socket(section: &Section, cx: &Context<'_>, notes: &mut Notes) -> Vec<Field> {
    let options = Options::of(section, cx.defaults);
    let mut reading = reading(&options, cx, notes);
    let mode = reading.value("chmod", value::octal);
    for (key, message) in [
        ("file", "the socket is `fathom.sock` under `data_dir`"),
        ("username", "who may open the socket may command"),
        ("password", "who may open the socket may command"),
    ] {
        if reading.options.entry(key).is_some() {
            let gravity = if key == "file" {
                Gravity::Changed
            } else {
                Gravity::Dropped
            };
            reading.say(gravity, key, message);
        }
    }
    let mode = mode.map(|mode| Field::new("socket_mode", format!("{mode:04o}")));
    mode.into_iter().chain(group(&mut reading)).collect()
}

/// Returns the group of `chown`; its user cannot be kept.
fn group(reading: &mut Reading<'_, '_>) -> Option<Field> {
    let group = reading.value("chown", |text| {
        let group = text.split_once(':').map(|(_, group)| group.trim());
        Ok(group.filter(|group| !group.is_empty()).map(str::to_owned))
    })?;
    let message = match &group {
        Some(_) => "its group is kept; it belongs to the user who starts fathom",
        None => "it belongs to who starts fathom; its group may use it",
    };
    let gravity = match &group {
        Some(_) => Gravity::Changed,
        None => Gravity::Dropped,
    };
    reading.say(gravity, "chown", message);
    group.map(|group| Field::new("socket_group", group))
}

/// Returns the fields of `[control]` that the TCP port of supervisord asks for.
pub(super) fn port(section: &Section, cx: &Context<'_>, notes: &mut Notes) -> Vec<Field> {
    let options = Options::of(section, cx.defaults);
    let mut reading = reading(&options, cx, notes);
    let Some((listen, address)) = listen(&mut reading) else {
        return Vec::new();
    };
    let mut fields = vec![Field::new("listen", listen)];
    if !address.ip().is_loopback() {
        let message = "other machines reach it, as before; with 127.0.0.1 they do not";
        reading.say(Gravity::Changed, "port", message);
        fields.push(Field::new("allow_remote", true));
    }
    fields.extend(account(&mut reading, address));
    fields
}

/// Returns the address as it is written, and as it is at present.
fn listen(reading: &mut Reading<'_, '_>) -> Option<(String, SocketAddr)> {
    let given = reading.text("port")?;
    let now = match given.now(reading.names.environment) {
        Ok(now) => now,
        Err(error) => {
            reading.wrong("port", &error);
            return None;
        }
    };
    let (host, port) = now.rsplit_once(':').unwrap_or(("", &now));
    let plain = match host {
        "" | "*" => EVERYBODY,
        "localhost" => "127.0.0.1",
        host => host,
    };
    let Ok(address) = format!("{plain}:{port}").parse::<SocketAddr>() else {
        let (gravity, message) = match port.parse::<u16>() {
            Ok(_) => (
                Gravity::Dropped,
                "write the number of the address: listen = \"ADDRESS:PORT\"",
            ),
            Err(_) => (Gravity::Wrong, "expected HOST:PORT"),
        };
        reading.say(gravity, "port", message);
        return None;
    };
    // What comes from the environment goes on coming from there, where it needs no change.
    let kept = given.varies() && plain == host;
    let kept = kept.then(|| reading.kept("port", &given)).flatten();
    Some((kept.unwrap_or_else(|| address.to_string()), address))
}

/// Returns who may command over TCP: the same user, or everybody on this machine as before.
fn account(reading: &mut Reading<'_, '_>, address: SocketAddr) -> Vec<Field> {
    let user = reading
        .for_fathom("username")
        .filter(|user| !user.is_empty());
    let Some(user) = user else {
        if address.ip().is_loopback() {
            return vec![Field::new("rpc_open", true)];
        }
        let message = "supervisord's clients need a password now: that in `control.token` under \
                       `data_dir`, or set `user` and `password_hash`";
        reading.say(Gravity::Changed, "port", message);
        return Vec::new();
    };
    let password = reading.value("password", |text| Ok(text.to_owned()));
    let password = password.unwrap_or_default();
    if password.starts_with("{SHA}") {
        let message = "a SHA-1 hash opens nothing here: make one with `fathom hash-password`, then \
                       set `user` and `password_hash`";
        reading.say(Gravity::Dropped, "password", message);
        return Vec::new();
    }
    match Argon2::default().hash_password(password.as_bytes()) {
        Ok(hash) => vec![
            Field::new("user", user),
            Field::new("password_hash", hash.to_string()),
        ],
        Err(_) => {
            let message = "cannot be hashed: make one with `fathom hash-password`";
            reading.say(Gravity::Dropped, "password", message);
            Vec::new()
        }
    }
}
