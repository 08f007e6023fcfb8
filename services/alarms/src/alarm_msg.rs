//! `alarm_msg`: alarms as lines of the detector's log (tag MSG), for all who read that.
//!
//! A line begins `ALERT (MONITORING) <UTC date>: `, with the date as the C library writes it; the log
//! pages and the shifters' habits know that beginning.

use bytes::{Bytes, BytesMut};
use fathom_formats::controlhost::{Prefix, tags};
use fathom_formats::km3net::encode_message;
use fathom_kernel::{
    Addresses, BoxFuture, Bus, Clock, Event, Frame, FromConfig, Notice, Service, ServiceCx,
    ServiceError, Setup, Severity, Span, Stage,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use crate::sink::{Only, Outlet, Parcel, QueueOptions, SendError, Taste, one_line, run, words};

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Rules whose lines others read by machine, word by word as the first monitoring sent them:
/// `ALERT (MONITORING) <date>: invalid time sync for DOM ID: 1,2 /// valid: 3,4`.
const WORD_BY_WORD: [&str; 1] = ["time_sync"];
/// Most lines at a time; of further alarms only the number is told.
const LINES_MAX: usize = 50;

/// Options of `alarm_msg`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// The least severity passed on: `info`, `warning` or `alert`.
    pub(crate) least: Severity,
    /// Which alarms are passed on.
    pub(crate) only: Only,
    /// Messages in an hour; further alarms wait and become one message. 0 is any number.
    /// While they wait the condition `sink_holding` holds and `status` says it; no sink passes that on.
    pub(crate) per_hour: usize,
    /// How outages are borne.
    pub(crate) queue: QueueOptions,
    /// An alarm that still fires is told again after this at the soonest; `0s` is never.
    pub(crate) repeat: Span,
    /// Changes to these stages are passed on.
    pub(crate) stages: Vec<Stage>,
    /// Where the lines go: `bus`, `HOST:PORT` of a ligier, or `service:NAME`.
    pub(crate) to: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            least: Severity::Info,
            only: Only::default(),
            per_hour: 0,
            queue: QueueOptions::default(),
            repeat: Span::from_secs(900),
            stages: vec![
                Stage::Firing,
                Stage::Acknowledged,
                Stage::Muted,
                Stage::Resolved,
            ],
            to: "bus".to_owned(),
        }
    }
}

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Bus,
    Address(String),
    Service(String),
}

impl Target {
    fn parse(text: &str) -> Result<Self, String> {
        let service = text
            .strip_prefix("service:")
            .filter(|name| !name.is_empty());
        if let Some(name) = service {
            return Ok(Self::Service(name.to_owned()));
        }
        let is_address = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        match text {
            "bus" => Ok(Self::Bus),
            address if is_address => Ok(Self::Address(address.to_owned())),
            _ => Err(format!(
                "to is {text:?}, expected `bus`, `HOST:PORT` or `service:NAME`"
            )),
        }
    }
}

/// The service.
pub(crate) struct AlarmMsg {
    options: Options,
}

impl FromConfig<Options> for AlarmMsg {
    fn check(options: &Options, _: &Setup) -> Result<(), String> {
        Target::parse(&options.to)?;
        options.queue.problem().map_or(Ok(()), Err)
    }

    fn from_config(options: &Options, _: &Setup) -> Self {
        Self {
            options: options.clone(),
        }
    }
}

impl Service for AlarmMsg {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        let options = self.options;
        let taste = Taste {
            least: options.least,
            only: options.only,
            stages: options.stages,
            repeat: options.repeat.duration(),
            per_hour: options.per_hour,
            queue: options.queue,
        };
        // It was checked when the configuration was read.
        let target = Target::parse(&options.to).unwrap_or(Target::Bus);
        let outlet = Log {
            target,
            source: cx.name.clone(),
            bus: cx.bus.clone(),
            addresses: cx.addresses.clone(),
            clock: cx.clock.clone(),
            stream: None,
        };
        Box::pin(run(cx, outlet, taste))
    }
}

/// Writes lines to the log.
struct Log {
    target: Target,
    source: std::sync::Arc<str>,
    bus: Bus,
    addresses: Addresses,
    clock: Clock,
    /// The connection to the ligier, while it stands.
    stream: Option<TcpStream>,
}

impl Outlet for Log {
    fn send(&mut self, parcel: Parcel) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(async move {
            let lines = lines(&parcel);
            let address = match &self.target {
                Target::Bus => {
                    self.publish(&lines);
                    return Ok(());
                }
                Target::Address(address) => address.clone(),
                Target::Service(name) => match self.addresses.of(name) {
                    Some(address) => address.to_string(),
                    None => return Err(SendError(format!("{name} does not listen yet"))),
                },
            };
            let sent = self.write(&address, &lines).await;
            sent.map_err(|error| SendError(format!("ligier {address}: {error}")))
        })
    }
}

impl Log {
    fn publish(&self, lines: &[String]) {
        let frame = |line: &String| {
            Event::Frame(Frame {
                source: self.source.clone(),
                tag: tags::MSG,
                received: self.clock.now(),
                body: body(line),
            })
        };
        self.bus.publish_batch(lines.iter().map(frame).collect());
    }

    async fn write(&mut self, address: &str, lines: &[String]) -> std::io::Result<()> {
        let mut wire = BytesMut::new();
        for line in lines {
            let body = body(line);
            let prefix = Prefix::new(tags::MSG, body.len()).map_err(std::io::Error::other)?;
            wire.extend_from_slice(&prefix.wire());
            wire.extend_from_slice(&body);
        }
        let mut stream = match self.stream.take().filter(is_open) {
            Some(stream) => stream,
            None => timeout(CONNECT_MAX, TcpStream::connect(address)).await??,
        };
        stream.write_all(&wire).await?;
        stream.flush().await?;
        // A broken connection is not used again.
        self.stream = Some(stream);
        Ok(())
    }
}

/// Tells whether the ligier has not closed the connection; what it says is of no interest.
fn is_open(stream: &TcpStream) -> bool {
    let mut said = [0; 256];
    loop {
        match stream.try_read(&mut said) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

fn body(line: &str) -> Bytes {
    let mut body = BytesMut::with_capacity(line.len());
    encode_message(line, &mut body);
    body.freeze()
}

fn lines(parcel: &Parcel) -> Vec<String> {
    let told = parcel.notices.iter().take(LINES_MAX);
    let mut lines: Vec<String> = told.map(line).collect();
    let more = parcel.notices.len().saturating_sub(LINES_MAX);
    let lost = parcel.dropped;
    if let Some(last) = parcel.notices.last().filter(|_| more > 0 || lost > 0) {
        let text = format!("{more} further alarms, {lost} earlier ones lost");
        lines.push(format!("{}{text}", head(last)));
    }
    lines
}

fn line(notice: &Notice) -> String {
    let is_plain = notice.to == Stage::Firing && WORD_BY_WORD.contains(&&*notice.rule);
    let text = match is_plain {
        true => one_line(&notice.text),
        false => words(notice),
    };
    format!("{}{text}", head(notice))
}

/// The beginning that all alerts of the monitoring have.
fn head(notice: &Notice) -> String {
    let date = notice.at.strftime("%a %b %e %H:%M:%S %Y");
    format!("ALERT (MONITORING) {date}: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(subject: &str) -> Notice {
        Notice {
            entry: 1,
            id: 7,
            at: "2026-11-01T04:05:06Z".parse().unwrap(),
            service: "m".into(),
            rule: "r".into(),
            subject: subject.into(),
            severity: Severity::Alert,
            from: Stage::Ok,
            to: Stage::Firing,
            text: "two\nlines".into(),
            since: "2026-11-01T04:05:06Z".parse().unwrap(),
            repeat: 0,
            by: None,
            until: None,
            sinks: Vec::new(),
        }
    }

    #[test]
    fn a_line_begins_as_shifters_know_it_and_stays_one_line() {
        let expected = "ALERT (MONITORING) Sun Nov  1 04:05:06 2026: [alert] two lines (r, s, #7)";
        assert_eq!(line(&notice("s")), expected);
    }

    #[test]
    fn a_lost_time_synchronisation_is_told_word_by_word_as_ever() {
        let text = "invalid time sync for DOM ID: 808969857,808972593 /// valid: 808972698";
        let mut notice = Notice {
            rule: "time_sync".into(),
            text: text.into(),
            ..notice("all DOMs")
        };
        let head = "ALERT (MONITORING) Sun Nov  1 04:05:06 2026: ";
        assert_eq!(line(&notice), format!("{head}{text}"));
        // Its end was never told by the original.
        notice.to = Stage::Resolved;
        assert!(line(&notice).starts_with(&format!("{head}[resolved] ")));
    }

    #[test]
    fn a_storm_does_not_fill_the_log() {
        let parcel = Parcel {
            notices: (0..4140).map(|dom| notice(&format!("DOM {dom}"))).collect(),
            dropped: 2,
        };
        let lines = lines(&parcel);
        assert_eq!(lines.len(), 51);
        assert!(lines[50].ends_with("4090 further alarms, 2 earlier ones lost"));
    }

    #[test]
    fn targets_are_told_apart() {
        assert_eq!(Target::parse("bus"), Ok(Target::Bus));
        let service = Target::Service("ligiers:ligier".into());
        assert_eq!(Target::parse("service:ligiers:ligier"), Ok(service));
        assert!(Target::parse("localhost:5553").is_ok());
        assert!(
            Target::parse("localhost")
                .unwrap_err()
                .contains("HOST:PORT")
        );
    }
}
