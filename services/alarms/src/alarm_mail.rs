//! `alarm_mail`: alarms by e-mail, over SMTP or through the machine's `sendmail`.
//!
//! The subject of a single alarm is its text, as in `Trigger rate is 0Hz!`; several that come
//! together are one mail.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use fathom_kernel::{
    BoxFuture, Clock, FromConfig, Service, ServiceCx, ServiceError, Setup, Severity, Span, Stage,
    chain,
};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tracing::debug;

use crate::own_certificate::explained;
use crate::sink::{
    Only, Outlet, Parcel, QueueOptions, SendError, Taste, digest, one_line, run, subject,
};
use crate::web;

/// Longest wait for each answer of the server.
const ANSWER_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// Characters of what a program says that are told.
const TOLD_CHARS: usize = 200;

/// Options of `alarm_mail`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// File with the certificate (PEM) of an authority that is trusted beside those of the machine. It is
    /// the one that has signed the server's: a self-signed one of the server itself, as
    /// `openssl req -x509` makes it, is refused.
    pub(crate) ca_file: Option<PathBuf>,
    /// The sender.
    pub(crate) from: String,
    /// The least severity passed on: `info`, `warning` or `alert`.
    pub(crate) least: Severity,
    /// Which alarms are passed on.
    pub(crate) only: Only,
    /// Password, when the server wants one.
    pub(crate) password: Option<String>,
    /// Mails in an hour; further alarms wait and become one mail. 0 is any number.
    /// While they wait the condition `sink_holding` holds and `status` says it; no sink passes that on.
    pub(crate) per_hour: usize,
    /// Port of the server.
    pub(crate) port: u16,
    /// How outages are borne.
    pub(crate) queue: QueueOptions,
    /// An alarm that still fires is told again after this at the soonest; `0s` is never.
    pub(crate) repeat: Span,
    /// Program that takes mails on its standard input, such as `/usr/sbin/sendmail`, instead of a
    /// server.
    pub(crate) sendmail: Option<PathBuf>,
    /// Mail server.
    pub(crate) server: String,
    /// Changes to these stages are passed on.
    pub(crate) stages: Vec<Stage>,
    /// Put before every subject.
    pub(crate) subject_prefix: String,
    /// Whether the connection is encrypted: `none`, `starttls` (begins in the clear, then must be) or
    /// `tls` (from the first byte).
    pub(crate) tls: Encryption,
    /// Who gets the mails.
    pub(crate) to: Vec<String>,
    /// User name, when the server wants one.
    pub(crate) username: Option<String>,
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encryption {
    /// Not.
    None,
    /// After a word in the clear.
    Starttls,
    /// From the first byte.
    Tls,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ca_file: None,
            from: "fathom@localhost".to_owned(),
            least: Severity::Alert,
            only: Only::default(),
            password: None,
            per_hour: 20,
            port: 25,
            queue: QueueOptions::default(),
            repeat: Span::from_secs(900),
            sendmail: None,
            server: "localhost".to_owned(),
            stages: vec![Stage::Firing, Stage::Resolved],
            subject_prefix: String::new(),
            tls: Encryption::None,
            to: Vec::new(),
            username: None,
        }
    }
}

/// The service.
pub(crate) struct AlarmMail {
    options: Options,
}

impl FromConfig<Options> for AlarmMail {
    fn check(options: &Options, _: &Setup) -> Result<(), String> {
        if options.to.is_empty() {
            return Err("to is empty, expected addresses".to_owned());
        }
        for address in options.to.iter().chain([&options.from]) {
            let read = address.parse::<Mailbox>();
            read.map_err(|error| format!("address {address:?}: {error}"))?;
        }
        if options.username.is_some() != options.password.is_some() {
            return Err("expected both `username` and `password`, or neither".to_owned());
        }
        if options.password.is_some() && options.tls == Encryption::None {
            let is_here = matches!(&*options.server, "localhost" | "127.0.0.1" | "::1");
            if !is_here {
                return Err(
                    "a password in the clear: expected tls = `starttls` or `tls`".to_owned(),
                );
            }
        }
        options.queue.problem().map_or(Ok(()), Err)
    }

    fn from_config(options: &Options, _: &Setup) -> Self {
        Self {
            options: options.clone(),
        }
    }
}

impl Service for AlarmMail {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        let options = self.options;
        let taste = Taste {
            least: options.least,
            only: options.only.clone(),
            stages: options.stages.clone(),
            repeat: options.repeat.duration(),
            per_hour: options.per_hour,
            queue: options.queue.clone(),
        };
        Box::pin(async move {
            let clock = cx.clock.clone();
            // Certificates are read from the disk.
            let made = tokio::task::spawn_blocking(move || Post::new(options, clock)).await;
            let post = made
                .map_err(ServiceError::new)?
                .map_err(ServiceError::new)?;
            run(cx, post, taste).await
        })
    }
}

/// Sends mails.
struct Post {
    way: Way,
    from: Mailbox,
    to: Vec<Mailbox>,
    prefix: String,
    clock: Clock,
}

enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Program(PathBuf),
}

impl Post {
    fn new(options: Options, clock: Clock) -> Result<Self, String> {
        let mailbox = |address: &String| {
            let read = address.parse::<Mailbox>();
            read.map_err(|error| format!("address {address:?}: {error}"))
        };
        let way = match &options.sendmail {
            Some(program) => Way::Program(program.clone()),
            None => Way::Smtp(smtp(&options)?),
        };
        Ok(Self {
            way,
            from: mailbox(&options.from)?,
            to: options.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            prefix: options.subject_prefix,
            clock,
        })
    }

    fn message(&self, parcel: &Parcel) -> Result<Message, SendError> {
        let now = self.clock.now();
        let mut message = Message::builder()
            .from(self.from.clone())
            .date(SystemTime::from(now))
            .message_id(None)
            .subject(format!("{}{}", self.prefix, subject(parcel)));
        for to in &self.to {
            message = message.to(to.clone());
        }
        let body = format!("{}\n", digest(parcel));
        message.body(body).map_err(|error| SendError(chain(&error)))
    }
}

fn smtp(options: &Options) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let tls = match options.tls {
        Encryption::None => Tls::None,
        Encryption::Starttls => Tls::Required(trust(options)?),
        Encryption::Tls => Tls::Wrapper(trust(options)?),
    };
    let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&options.server)
        .port(options.port)
        .timeout(Some(ANSWER_MAX))
        .tls(tls);
    let builder = match (&options.username, &options.password) {
        (Some(user), Some(password)) => {
            builder.credentials(Credentials::new(user.clone(), password.clone()))
        }
        _ => builder,
    };
    Ok(builder.build())
}

/// What helps when the server shows a self-signed certificate of an authority.
const SIGNED_BY_ANOTHER: &str = "make one for the server that the authority signs, and name the \
     authority's as `ca_file`";

fn trust(options: &Options) -> Result<TlsParameters, String> {
    let mut trusted = TlsParameters::builder(options.server.clone());
    if !web::machine_has_certificates() {
        trusted = trusted.certificate_store(CertificateStore::WebpkiRoots);
    }
    if let Some(path) = &options.ca_file {
        let named = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", path.display());
        let pem = std::fs::read(path).map_err(|error| named(&error))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| named(&error))?;
        trusted = trusted.add_root_certificate(certificate);
    }
    trusted.build_rustls().map_err(|error| chain(&error))
}

impl Outlet for Post {
    fn send(&mut self, parcel: Parcel) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(async move {
            let message = self.message(&parcel)?;
            match &self.way {
                Way::Smtp(smtp) => {
                    let sent = smtp.send(message).await;
                    sent.map(|_| ())
                        .map_err(|error| SendError(explained(chain(&error), SIGNED_BY_ANOTHER)))
                }
                Way::Program(program) => pipe(program, &message).await,
            }
        })
    }
}

/// Hands a mail to a program, as all programs of the name `sendmail` take it.
async fn pipe(program: &Path, message: &Message) -> Result<(), SendError> {
    let named = |error: std::io::Error| SendError(format!("{}: {error}", program.display()));
    let envelope = message.envelope();
    let mut command = Command::new(program);
    // A line with a single dot does not end the mail.
    command.arg("-i");
    if let Some(from) = envelope.from() {
        command.arg("-f").arg(from);
    }
    command.arg("--").args(envelope.to());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().map_err(named)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends early says why by its exit code.
        if let Err(error) = stdin.write_all(&message.formatted()).await {
            debug!(%error, "the program does not read the whole mail");
        }
    }
    let ended = child.wait_with_output().await.map_err(named)?;
    if ended.status.success() {
        return Ok(());
    }
    let said: String = String::from_utf8_lossy(&ended.stderr)
        .chars()
        .take(TOLD_CHARS)
        .collect();
    let (program, status) = (program.display(), ended.status);
    Err(SendError(format!(
        "{program}: {status}: {}",
        one_line(&said)
    )))
}
