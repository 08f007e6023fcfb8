//! What stands around the tree: details, log, help, and the last line.

use fathom_kernel::ServiceStatus;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Clear, Paragraph};

use crate::control::{lag, reasons};

use super::figures::{count, size};
use super::keys::KEYS;
use super::log::harmless;
use super::state::{Mode, State};

/// Draws two lines about the service that is chosen.
pub(super) fn detail(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(service) = state.selected().filter(|_| area.height > 0) else {
        return;
    };
    let figures = state
        .figures
        .get(&service.name)
        .copied()
        .unwrap_or_default();
    let what = match &service.kind {
        Some(kind) => format!("{kind} ({})", service.run),
        None => service.run.clone(),
    };
    let mut first = format!("{}: {what}, {}", service.name, service.description);
    if let Some(why) = &service.watch.suspended {
        first.push_str(&format!(", health not judged: {why}"));
    }
    let memory = figures
        .memory_bytes
        .map_or(String::new(), |rss| format!(", memory {}", size(rss)));
    let late = figures
        .lag_s
        .map_or(String::new(), |lag_s| format!(", lag {}", lag(lag_s)));
    let bad: u64 = service.counters.bad.values().sum();
    let mut second = format!(
        "queue {}, dropped {}, bad {}, outputs {}{late}{memory}",
        count(figures.queued),
        count(figures.dropped),
        count(bad),
        count(service.counters.outputs),
    );
    if bad > 0 {
        second.push_str(&format!(", unreadable: {}", reasons(&service.counters.bad)));
    }
    if let Some(hold) = &service.watch.hold {
        second.push_str(&format!(", held by {}", hold.by));
    }
    if let Some(incident) = last_incident(service) {
        second.push_str(&format!(", last incident {incident}"));
    }
    let lines = [first, second].map(|line| Line::raw(harmless(&line)));
    frame.render_widget(Paragraph::new(Text::from(lines.to_vec())), area);
}

/// Returns the number of the last report on the service and what it is about.
pub(super) fn last_incident(service: &ServiceStatus) -> Option<String> {
    let number = service.last_incident?;
    let reason = service.last_incident_reason.as_deref().map(harmless);
    Some(format!("#{number} {}", reason.unwrap_or_default()))
}

/// Draws the log with its title.
pub(super) fn log(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let title = match state.log.of.as_deref() {
        Some("") => "log of fathom itself".to_owned(),
        Some(name) => format!("log of {name}"),
        None => "log".to_owned(),
    };
    let title = match state.log.back() {
        0 => title,
        back => format!("{title}, {back} lines back (f follows)"),
    };
    let width = usize::from(area.width);
    let title = format!("{title:<width$}");
    let title = Line::styled(title, Style::new().add_modifier(Modifier::UNDERLINED));
    let height = usize::from(area.height.saturating_sub(1));
    let lines = state.log.shown(height).map(Line::raw);
    let text: Vec<Line<'_>> = std::iter::once(title).chain(lines).collect();
    frame.render_widget(Paragraph::new(text), area);
}

/// Returns the last line: a question, the filter, what was said, or the keys.
pub(super) fn footer(state: &State, width: u16) -> Line<'static> {
    let warn = |text: String| {
        let style = Style::new().add_modifier(Modifier::BOLD);
        match state.colours {
            true => Line::styled(text, style.fg(Color::Red)),
            false => Line::styled(text, style),
        }
    };
    match &state.mode {
        Mode::Confirm(order) => {
            let text = format!("{}  y/n", order.question());
            return Line::styled(text, Style::new().add_modifier(Modifier::REVERSED));
        }
        Mode::Filter => return Line::raw(format!("/{}_", state.filter)),
        Mode::Watch | Mode::Help => {}
    }
    if let Some(why) = &state.gone {
        return warn(format!("{}; trying again", harmless(why)));
    }
    if let Some(said) = &state.said {
        let text = harmless(&said.text);
        return if said.well {
            Line::raw(text)
        } else {
            warn(text)
        };
    }
    if state.busy > 0 {
        return Line::raw("working ...");
    }
    if !state.filter.is_empty() {
        return Line::raw(format!("/{}  (Esc shows all)", state.filter));
    }
    let keys = match width {
        78.. => "s start  t stop  r restart  h hold  / filter  o order  l log  ? help  q quit",
        _ => "? help  q quit",
    };
    Line::raw(keys)
}

/// Draws the list of keys over everything else.
pub(super) fn help(frame: &mut Frame<'_>, area: Rect) {
    let lines: Vec<Line<'_>> = KEYS
        .iter()
        .map(|(keys, what)| Line::raw(format!(" {keys:<18} {what} ")))
        .collect();
    let width = lines.iter().map(Line::width).max().unwrap_or(0) + 2;
    let width = u16::try_from(width).unwrap_or(u16::MAX);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let inside = area.centered(width.min(area.width).into(), height.min(area.height).into());
    frame.render_widget(Clear, inside);
    let block = Block::bordered().title(" keys ");
    frame.render_widget(Paragraph::new(lines).block(block), inside);
}
