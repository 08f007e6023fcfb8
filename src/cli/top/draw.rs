//! The picture: a headline, the tree, details and log of what is chosen, and the last line.

use std::collections::BTreeMap;

use fathom_kernel::{Health, ServiceStatus, State as Life};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Row as Cells, Table, TableState};

use crate::control::lag;

use super::figures::{Figures, count, rate, size, span, uptime_s};
use super::panes;
use super::rows::{Item, Row};
use super::state::{Mode, State};

/// Lines that the log gets at least.
const LOG_MIN: u16 = 4;

/// Width of the column of names on a narrow and on a wide terminal.
const NAME_MIN: u16 = 14;
const NAME_MAX: u16 = 48;

/// A column of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    State,
    Health,
    Uptime,
    Restarts,
    Cpu,
    Memory,
    In,
    Out,
    Queue,
    Lag,
    Drops,
    Last,
}

/// Columns with heading, width, and the width of the terminal from which they are shown.
const COLUMNS: [(Column, &str, u16, u16); 12] = [
    (Column::State, "STATE", 8, 0),
    (Column::Health, "HEALTH", 7, 60),
    (Column::Uptime, "UPTIME", 8, 70),
    (Column::Restarts, "RST", 4, 50),
    (Column::Cpu, "CPU%", 5, 80),
    (Column::Memory, "MEM", 5, 92),
    (Column::In, "IN/s", 5, 64),
    (Column::Out, "OUT/s", 5, 64),
    (Column::Queue, "QUEUE", 5, 98),
    (Column::Lag, "LAG", 5, 126),
    (Column::Drops, "DROPS", 5, 76),
    (Column::Last, "LAST INCIDENT", 24, 120),
];

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(headline(state, head.width), head);
    frame.render_widget(panes::footer(state, foot.width), foot);
    let rows = state.rows();
    if state.log_only {
        panes::log(frame, body, state);
    } else {
        let wanted = u16::try_from(rows.len() + 1).unwrap_or(u16::MAX);
        let detail = if state.selected().is_some() { 2 } else { 0 };
        let left = body.height.saturating_sub(detail + 1 + LOG_MIN);
        let [tree_area, detail_area, log_area] = Layout::vertical([
            Constraint::Length(wanted.min(left.max(3))),
            Constraint::Length(detail),
            Constraint::Min(0),
        ])
        .areas(body);
        tree(frame, tree_area, state, &rows);
        panes::detail(frame, detail_area, state);
        panes::log(frame, log_area, state);
    }
    if state.mode == Mode::Help {
        panes::help(frame, area);
    }
}

fn headline(state: &State, width: u16) -> Line<'_> {
    let style = Style::new().add_modifier(Modifier::BOLD);
    let Some(status) = state.status() else {
        let text = match &state.gone {
            Some(_) => format!("fathom  {}: gone, trying again", state.place),
            None => format!("fathom  {}", state.place),
        };
        return Line::styled(text, style);
    };
    let up = state.now.duration_since(status.started).as_secs();
    let mut states: BTreeMap<u32, (&str, usize)> = BTreeMap::new();
    for service in &status.services {
        let life = service.state;
        states.entry(life.code()).or_insert((life.name(), 0)).1 += 1;
    }
    let states = states.into_values().rev();
    let states: Vec<String> = states.map(|(name, n)| format!("{n} {name}")).collect();
    let cpu = state
        .own_percent
        .map_or(String::new(), |cpu| format!("  {cpu:.1}% CPU"));
    let rss = state
        .sample
        .as_ref()
        .map_or(0, |sample| sample.usage.supervisor.rss_bytes);
    let name = &status.stack;
    let mut text = format!(
        "{name}  {}  up {}{cpu} {}",
        states.join(" "),
        span(up),
        size(rss)
    );
    if width >= 100 {
        text.push_str(&format!("  pid {}  fathom {}", status.pid, status.version));
    }
    Line::styled(text, style)
}

fn tree(frame: &mut Frame<'_>, area: Rect, state: &State, rows: &[Row]) {
    let columns: Vec<_> = COLUMNS
        .iter()
        .filter(|(_, _, _, from)| area.width >= *from)
        .collect();
    // On a wide terminal what is left goes to the last column, else to the names.
    let wide = columns.iter().any(|(column, ..)| *column == Column::Last);
    let longest = rows.iter().map(|row| name(row, state).width()).max();
    let longest = u16::try_from(longest.unwrap_or(0)).unwrap_or(u16::MAX);
    let names = match wide {
        true => Constraint::Length(longest.clamp(NAME_MIN, NAME_MAX)),
        false => Constraint::Min(NAME_MIN),
    };
    let widths = columns.iter().map(|(column, _, width, _)| match column {
        Column::Last => Constraint::Min(*width),
        _ => Constraint::Length(*width),
    });
    let widths = std::iter::once(names).chain(widths);
    let right = |column: Column, text: String| match column {
        Column::State | Column::Health | Column::Last => Text::from(text),
        _ => Text::from(text).right_aligned(),
    };
    let headings = columns
        .iter()
        .map(|(column, heading, _, _)| right(*column, (*heading).into()));
    let order = match state.order {
        super::rows::Order::Tree => "NAME".to_owned(),
        order => format!("NAME (by {})", order.name()),
    };
    let heading = std::iter::once(Text::from(order)).chain(headings);
    let heading = Cells::new(heading).style(Style::new().add_modifier(Modifier::UNDERLINED));
    let lines = rows.iter().map(|row| {
        let service = match &row.item {
            Item::Service(name) => state.service(name),
            Item::Group(_) => None,
        };
        let cells = columns.iter().map(|(column, _, _, _)| {
            let text = match service {
                Some(service) => of_service(*column, service, row, state),
                None => of_group(*column, row),
            };
            let style = service.map_or(Style::new(), |s| style(*column, s, &row.figures, state));
            right(*column, text).style(style)
        });
        Cells::new(std::iter::once(Text::from(name(row, state))).chain(cells))
    });
    let table = Table::new(lines, widths)
        .header(heading)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let at = rows
        .iter()
        .position(|row| Some(&row.item) == state.cursor.as_ref());
    let mut chosen = TableState::new().with_selected(at);
    frame.render_stateful_widget(table, area, &mut chosen);
}

fn name(row: &Row, state: &State) -> Line<'static> {
    let mark = match (&row.item, row.folded) {
        (Item::Group(_), true) => "+ ",
        (Item::Group(_), false) => "- ",
        (Item::Service(_), _) => "  ",
    };
    let indent = " ".repeat(usize::from(row.depth) * 2);
    let text = match &row.item {
        Item::Group(name) => name.clone(),
        // Below its group the group's name says nothing.
        Item::Service(name) if row.depth > 0 => {
            let short = name.split_once(':').map(|(_, short)| short);
            short.unwrap_or(name).to_owned()
        }
        Item::Service(name) => name.clone(),
    };
    let bold = match row.item {
        Item::Group(_) => Style::new().add_modifier(Modifier::BOLD),
        Item::Service(_) => Style::new(),
    };
    let flat = state.order != super::rows::Order::Tree;
    let mark = if flat { "" } else { mark };
    Line::from(vec![
        Span::raw(format!("{indent}{mark}")),
        Span::styled(text, bold),
    ])
}

fn of_service(column: Column, service: &ServiceStatus, row: &Row, state: &State) -> String {
    match column {
        Column::State => service.state.name().to_owned(),
        Column::Health if service.watch.hold.is_some() => "held".to_owned(),
        Column::Health => match service.health {
            Health::Unknown => "-".to_owned(),
            health => health.name().to_owned(),
        },
        Column::Uptime => uptime_s(service, state.now).map_or("-".to_owned(), span),
        Column::Last => panes::last_incident(service).unwrap_or_default(),
        _ => number(column, &row.figures),
    }
}

fn of_group(column: Column, row: &Row) -> String {
    match column {
        Column::State => match row.members {
            Some((all, run)) => format!("{run}/{all} up"),
            None => String::new(),
        },
        Column::Health | Column::Uptime | Column::Last => String::new(),
        _ => number(column, &row.figures),
    }
}

fn number(column: Column, figures: &Figures) -> String {
    match column {
        Column::Restarts => count(figures.restarts),
        Column::Cpu => figures.cpu_percent.map_or("-".to_owned(), |cpu| match cpu {
            cpu if cpu < 999.95 => format!("{cpu:.1}"),
            cpu => format!("{cpu:.0}"),
        }),
        Column::Memory => figures.memory_bytes.map_or("-".to_owned(), size),
        Column::In => rate(figures.in_hz),
        Column::Out => rate(figures.out_hz),
        Column::Queue => count(figures.queued),
        Column::Lag => figures.lag_s.map_or("-".to_owned(), lag),
        Column::Drops => count(figures.dropped),
        Column::State | Column::Health | Column::Uptime | Column::Last => String::new(),
    }
}

fn style(column: Column, service: &ServiceStatus, figures: &Figures, state: &State) -> Style {
    let colour = match column {
        Column::State => Some(life_colour(service.state)),
        Column::Health => health_colour(service),
        Column::Restarts if figures.restarts > 0 => Some(Color::Yellow),
        Column::Drops if figures.dropped > 0 => Some(Color::Red),
        _ => None,
    };
    match colour.filter(|_| state.colours) {
        Some(colour) => Style::new().fg(colour),
        None => Style::new(),
    }
}

fn life_colour(life: Life) -> Color {
    match life {
        Life::Running => Color::Green,
        Life::Starting | Life::Stopping => Color::Cyan,
        Life::Backoff => Color::Yellow,
        Life::Stopped | Life::Exited => Color::DarkGray,
        Life::Fatal | Life::Unknown => Color::Red,
    }
}

fn health_colour(service: &ServiceStatus) -> Option<Color> {
    if service.watch.hold.is_some() {
        return Some(Color::Magenta);
    }
    match service.health {
        Health::Unknown | Health::Idle => Some(Color::DarkGray),
        Health::Ok => Some(Color::Green),
        Health::Lagging => Some(Color::Yellow),
        Health::Stalled | Health::Failing => Some(Color::Red),
    }
}
