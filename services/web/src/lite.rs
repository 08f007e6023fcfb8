//! `/lite`: the same in plain pages, without scripts, for any browser.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use fathom_kernel::{Entry, StackStatus, State as ServiceState, Timestamp};
use maud::{DOCTYPE, Markup, html};

use crate::api::status::ask_status;
use crate::api::{Fault, age_s};
use crate::app::App;
use crate::options::{PageConfig, PageView};
use crate::pages::{expand, is_glob};

/// How often a browser asks again (s).
const REFRESH_S: u32 = 15;
const STYLE: &str = include_str!("lite.css");

/// Shows the first page with the state of the services.
pub(crate) async fn overview(State(app): State<Arc<App>>) -> Response {
    render(&app, app.pages.first()).await
}

/// Shows a page by the stem of its path.
pub(crate) async fn page(State(app): State<Arc<App>>, Path(stem): Path<String>) -> Response {
    if stem == "style.css" {
        let css = HeaderValue::from_static("text/css; charset=utf-8");
        return ([(header::CONTENT_TYPE, css)], STYLE).into_response();
    }
    match app.pages.iter().find(|page| stem_of(page) == stem) {
        Some(page) => render(&app, Some(page)).await,
        None => Fault::new(StatusCode::NOT_FOUND, "no such page").into_response(),
    }
}

fn stem_of(page: &PageConfig) -> &str {
    let path = page.path.trim_start_matches('/');
    path.strip_suffix(".html").unwrap_or(path)
}

fn link_of(page: &PageConfig) -> String {
    match stem_of(page) {
        "" => "/lite".to_owned(),
        stem => format!("/lite/{stem}"),
    }
}

async fn render(app: &App, page: Option<&PageConfig>) -> Response {
    let status = ask_status(app).await;
    let now = app.clock.now();
    let title = page.map_or("Overview", |page| page.title.as_str());
    let stack = status
        .as_ref()
        .map_or("fathom", |status| status.stack.as_str());
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content=(REFRESH_S);
                meta name="viewport" content="width=device-width";
                title { (stack) ": " (title) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/lite/style.css";
            }
            body {
                header {
                    h1 { (stack) }
                    nav { (navigation(app, page)) }
                    p.clock { (now.strftime("%Y-%m-%d %H:%M:%S")) " UTC" }
                }
                @if page.is_none_or(|page| page.view != PageView::Services) {
                    (outputs(app, page, now))
                }
                (services(&status))
            }
        }
    };
    Html(body.into_string()).into_response()
}

fn navigation(app: &App, current: Option<&PageConfig>) -> Markup {
    // Lines of logs have no plain page; `fathom ctl tail` shows them.
    let has_plots = |page: &&PageConfig| page.view != PageView::Logs || !page.rows.is_empty();
    let pages = app.pages.iter().filter(has_plots);
    html! {
        @for page in pages {
            @if current == Some(page) { b { (page.title) } } @else { a href=(link_of(page)) { (page.title) } }
            " "
        }
        @if app.assets.has_page() { a href="/" { "live" } }
    }
}

fn outputs(app: &App, page: Option<&PageConfig>, now: Timestamp) -> Markup {
    let entries = app.board.entries();
    let names = || entries.iter().map(|entry| entry.output.name.as_str());
    let find = |name: &str| entries.iter().find(|entry| entry.output.name == name);
    let rows = page.map(|page| page.rows.as_slice()).unwrap_or_default();
    let named = rows.iter().flatten().filter(|entry| !is_glob(entry));
    let absent: BTreeSet<&str> = named
        .map(String::as_str)
        .filter(|name| find(name).is_none())
        .collect();
    html! {
        @for row in rows {
            section {
                @for name in row.iter().flat_map(|pattern| expand(pattern, names())) {
                    @if let Some(entry) = find(name) { (figure(entry, now)) }
                }
            }
        }
        @if !absent.is_empty() {
            p.foot { "Not running here: " @for (index, name) in absent.iter().enumerate() { @if index > 0 { ", " } (name) } }
        }
    }
}

fn figure(entry: &Entry, now: Timestamp) -> Markup {
    let output = &entry.output;
    let losses = output.losses;
    let picture = format!("/plots/{}.png", output.name);
    html! {
        figure {
            a href=(picture) { img src=(picture) alt=(output.title) loading="lazy"; }
            figcaption {
                b { (output.title) }
                " " (age(entry, now))
                @if output.is_stale(now) { " " strong { "STALE" } }
                " " a href=(format!("/api/outputs/{}", output.name)) { "data" }
                br;
                (losses.received) " received, " (losses.dropped) " lost, " (losses.bad) " bad"
            }
        }
    }
}

fn age(entry: &Entry, now: Timestamp) -> String {
    match age_s(entry, now) {
        None => "no data yet".to_owned(),
        Some(age) => format!("{} old", duration(age)),
    }
}

/// Writes a length of time for people.
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

fn services(status: &Result<StackStatus, Fault>) -> Markup {
    let status = match status {
        Ok(status) => status,
        Err(fault) => return html! { p { strong { "Services: " (fault.text()) } } },
    };
    html! {
        table {
            tr { th { "Service" } th { "State" } th { "" } th { "Health" } th { "In" } th { "Lost" } th { "Bad" } th { "Restarts" } }
            @for service in &status.services {
                tr {
                    td { (service.name) }
                    td class=(class_of(service.state)) { (service.state) }
                    td { (service.description) }
                    td.bad[service.health.is_broken()] { (service.health) @if service.watch.hold.is_some() { ", held" } }
                    td.number { (service.counters.received) }
                    td.number { (service.counters.dropped) }
                    td.number { (service.counters.bad.values().sum::<u64>()) }
                    td.number { (service.restarts) }
                }
            }
        }
        p.foot { "fathom " (status.version) ", supervisor since " (status.started.strftime("%Y-%m-%d %H:%M:%S")) " UTC" }
    }
}

fn class_of(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Running => "good",
        ServiceState::Starting | ServiceState::Stopping | ServiceState::Backoff => "soon",
        ServiceState::Stopped | ServiceState::Exited => "off",
        ServiceState::Fatal | ServiceState::Unknown => "bad",
    }
}
