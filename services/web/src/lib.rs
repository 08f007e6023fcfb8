//! The web page of a stack: its outputs as live data, as pictures and as plain pages.
//!
//! Kind `webserver` reads the board, hears of new outputs, alarms and state changes on the bus, and
//! passes commands of operators to the supervisor. It computes nothing about the detector, and it
//! never makes anybody wait: serialising and drawing run on blocking threads, results are cached by
//! version, and a client that cannot follow loses events, counted. The front end lives in `ui/` and
//! is built by this crate's build script; without it the plain pages of `/lite` remain.
//!
//! | route | answer |
//! |---|---|
//! | `GET /`, pages of the configuration, `/plot/NAME` | the front end, or `/lite` without one |
//! | `GET /lite`, `/lite/PAGE` | the same as plain pages with pictures |
//! | `GET /api/config` | pages, colour maps, who is asking |
//! | `GET /api/outputs` | all outputs without their values |
//! | `GET /api/outputs/NAME?since=N` | one output with its value; of an image only columns after a time (ms), of a hit map only those after a number |
//! | `GET /api/live` | server-sent events: `hello`, `outputs`, `status`, `nostatus`, `life`, `alarm`, `lagged` |
//! | `GET /api/status`, `/api/alarms`, `/api/life` | state of all services, conditions that hold, recent state changes |
//! | `GET /api/messages?text=&regex=&level=&class=&from=&to=&limit=` | the detector's log, searched in its files; with `truncated` when older messages were not looked at or did not fit, and `unread`: files that could not be read to their end, and why |
//! | `GET /api/messages/live` | server-sent events: `hello` with the last messages and highlights, `lines`, `lagged` |
//! | `GET /api/logs/NAME?lines=N` | end of a service's log; `_` is the supervisor |
//! | `GET /api/ask` | services that answer questions, and which |
//! | `GET /api/ask/SERVICE/VERB?NAME=VALUE&`, or `?args={...}` | the answer of a service, for requests that only read; values are JSON or else text |
//! | `GET /api/faulty/SERVICE`, `/api/faulty/SERVICE/NUMBER` | the last messages that a monitor could not read; one of them as the bytes it was |
//! | `POST /api/services/NAME/VERB` | `start`, `stop`, `restart`, for operators |
//! | `GET /plots/NAME.png?w=&h=`, `.svg` | an output as a picture: pixels, or the same as vectors with text, where only images, and areas with too much to draw, are pixels |
//! | `GET /logs`, `/logs/MSG.log`, `/logs/MSG_2026-01-31.log.gz` | list of the files of the detector's log, and these files |
//! | `GET /plot_NAME.html` | leads to `/plot/NAME`, as km3mon's page of one plot |
//! | `GET /event_selection/NAME.png?w=&h=`, `.json`, `.dat`, `/event_selection/TABLE/NAME.png` | a stored event: picture, output, message; of a table of another name below that |
//! | `GET /metrics` | counters of the services for Prometheus |
//! | `GET /healthz` | `ok`, without login |
//!
//! Other services get pictures through the control handle, by the request `picture` to this service:
//! with `{"name": "dom_rates"}` the output of that name, with `{"view": {...}}` an output given as JSON,
//! with `{"event": "ztplot_..."}` a stored event, each with `width` and `height` where wished. The answer
//! is `{"name": ..., "title": ..., "media_type": "image/png", "base64": "..."}`. Further requests are
//! `clients` (`{"live": 3}`) and `reset`, which empties the cache.
//!
//! The conditions that hold when the server starts are asked of the alarm engine, or without one of each
//! service that runs; what is said later is heard on the bus.
//!
//! Questions go through the supervisor, which knows what only reads ([`fathom_kernel::Kind::questions`])
//! and passes on nothing else: an unknown service or verb is 404, what the service refuses 422, no answer
//! within ten seconds 504.
//!
//! Outputs and pictures have entity tags; failures are `{"error": "..."}` with their status.

mod access;
mod api;
mod app;
mod assets;
mod conditions;
mod exposition;
mod feed;
mod hub;
mod lite;
mod messages;
mod options;
mod pages;
pub mod picture;
mod requests;
mod serve;
mod shelf;
mod stall;
mod webserver;

use fathom_kernel::Kind;

pub use access::hash_password;
pub use exposition::{OfService, RealCounter, RealGauge, of_services};
pub use options::{AccountConfig, PageConfig, PageView, Role, WebServerConfig};
pub use webserver::WebServer;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[Kind::service::<WebServerConfig, WebServer>(
    "webserver",
    "live pages, plots and their data over HTTP, with login",
)
.in_section("WebServer")
.reading_board()];
