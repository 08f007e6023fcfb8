//! `ctl incidents`: failures, newest last.

use anstyle::{AnsiColor, Style};
use clap::Args;

use super::CtlError;
use super::session::Session;
use crate::incidents::Summary;

const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));

/// Arguments of `incidents`.
#[derive(Debug, Args)]
pub(super) struct Incidents {
    /// Only those of this service.
    name: Option<String>,
    /// Most reports to list.
    #[arg(short = 'n', long, default_value_t = 20)]
    count: usize,
}

impl Incidents {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let name = self.name.unwrap_or_default();
        let mut heads = session.client.incidents(&name, self.count).await?;
        if session.json {
            session.value(&heads)?;
            return Ok(0);
        }
        // As in a log, the newest stands last.
        heads.reverse();
        for line in lines(&heads) {
            session.line(&line)?;
        }
        Ok(0)
    }
}

fn lines(heads: &[Summary]) -> Vec<String> {
    let longest = |text: fn(&Summary) -> &str| {
        let widths = heads.iter().map(|head| text(head).chars().count());
        widths.max().unwrap_or(0)
    };
    let (name, reason) = (longest(|h| &h.service), longest(|h| &h.reason));
    let line = |head: &Summary| {
        let uptime = head
            .uptime_s
            .map_or_else(|| "-".to_owned(), |uptime_s| format!("{uptime_s:.1} s"));
        format!(
            "{:>6}  {:.3}  {:name$}  {BAD}{:reason$}{BAD:#}  after {uptime}, {}",
            head.id, head.ended, head.service, head.reason, head.next
        )
    };
    heads.iter().map(line).collect()
}
