//! Services follow the description of the detector: its file, and a page of the data base.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use fathom::config::{Origin, load};
use fathom::stack::{Options, Stack};
use fathom_formats::detx::{Detector, DetxVersion, Layout};
use fathom_formats::km3net::{
    CHANNELS, DetectorId, DomId, FrameStatus, Header, RunNumber, SummaryFrame, SummarySlice,
};
use fathom_kernel::view::{Map, View};
use fathom_kernel::{
    Caller, Command, Event, Filter, Frame, Limits, ServiceStatus, Subscription, Timestamp, Topic,
    tags,
};

/// Longest wait for what comes by itself; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Floors of one DU.
const FLOORS: usize = 18;

const SERVICES: &str = "
[service.dom_rates]
kind = \"dom_rates\"
interval = \"1s\"

[service.dom_activity]
kind = \"dom_activity\"
reference = \"data\"
interval = \"1s\"
run = \"process\"
";

fn detector(dus: u32) -> Detector {
    Detector::generated(&Layout::orca(dus))
}

fn detx(dus: u32) -> String {
    detector(dus).to_detx(DetxVersion::V5)
}

/// Starts monitors, one here and one in a child, with this `[detector]`.
fn start(folder: &Path, section: &str) -> Stack {
    let file = folder.join("supervisor.toml");
    let data_dir = folder.join("data");
    let text = format!("[stack]\ndata_dir = {data_dir:?}\n[detector]\n{section}\n{SERVICES}");
    std::fs::write(&file, text).unwrap();
    let loaded = load(&Origin {
        file,
        ..Origin::default()
    });
    let loaded = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
    let options = Options {
        program: Some(env!("CARGO_BIN_EXE_fathom").into()),
        ..Options::default()
    };
    Stack::start(loaded.plan, options).unwrap()
}

/// Waits for something that comes by itself.
async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn map(stack: &Stack, name: &str) -> Option<Map> {
    match &stack.board.entry(name)?.output.view {
        View::Map(map) => Some(map.clone()),
        _ => None,
    }
}

async fn until_modules(stack: &Stack, dus: usize) {
    for name in ["dom_rates", "dom_activity"] {
        until(&format!("{dus} DUs in {name}"), || {
            map(stack, name).filter(|map| map.values.len() == dus * FLOORS)
        })
        .await;
    }
}

/// The value of a module in a map, once it is one.
async fn until_value(stack: &Stack, name: &str, dom: DomId) -> f64 {
    until(&format!("{dom} in {name}"), || {
        let map = map(stack, name)?;
        let at = map.id.iter().position(|id| *id == dom.0)?;
        map.values
            .get(at)
            .copied()
            .filter(|value| value.is_finite())
    })
    .await
}

async fn status(stack: &Stack, name: &str) -> ServiceStatus {
    let command = Command::Status {
        targets: vec![name.to_owned()],
    };
    let caller = Caller::new("test", "status");
    match stack.control.ask(command, caller).await.unwrap() {
        fathom_kernel::Reply::Status(status) => status.services[0].clone(),
        other => panic!("{other:?}"),
    }
}

/// Publishes a slice in which these modules count.
fn slice(stack: &Stack, at_s: u32, doms: &[DomId]) {
    let status = FrameStatus::complete(4, 0, 0);
    let frames: Vec<_> = doms
        .iter()
        .map(|dom| SummaryFrame::new(*dom, status, [100; CHANNELS]))
        .collect();
    let header = Header {
        detector_id: DetectorId(49),
        run: RunNumber(1),
        frame_index: 1,
        utc_seconds: at_s,
        white_rabbit: false,
        ticks: 0,
    };
    let mut body = Vec::new();
    let summary = SummarySlice {
        header,
        frames: &frames,
    };
    summary.encode(&mut body).unwrap();
    stack.bus.publish(Event::Frame(Frame {
        source: "test".into(),
        tag: tags::IO_SUM,
        received: Timestamp::from_second(at_s.into()).unwrap(),
        body: body.into(),
    }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_is_new_in_the_file_shows_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.detx");
    std::fs::write(&file, detx(1)).unwrap();
    let mut stack = start(folder.path(), "file = \"a.detx\"");
    until_modules(&stack, 1).await;
    let (old, new) = (detector(1), detector(2));
    let known = old.module_at(1, 3).unwrap().id;
    slice(&stack, 1_700_000_000, &[known]);
    until_value(&stack, "dom_activity", known).await;

    let stranger = new.module_at(2, 5).unwrap().id;
    std::fs::write(folder.path().join("b.detx"), detx(2)).unwrap();
    std::fs::rename(folder.path().join("b.detx"), &file).unwrap();
    until_modules(&stack, 2).await;
    // What the one in the child knew is there still.
    until_value(&stack, "dom_activity", known).await;
    slice(&stack, 1_700_000_010, &[known, stranger]);
    for name in ["dom_rates", "dom_activity"] {
        until_value(&stack, name, stranger).await;
    }
    for name in ["dom_rates", "dom_activity"] {
        let status = status(&stack, name).await;
        assert_eq!((status.incarnation, status.restarts), (1, 0), "{name}");
        let counters = status.counters;
        assert!(counters.lag_s.is_some(), "{name}");
        assert!(
            counters.memory_bytes.is_some_and(|bytes| bytes > 0),
            "{name}"
        );
    }
    stack.shutdown().await;
}

#[test]
fn a_broken_file_and_a_description_out_of_date_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.detx");
    let text = |floor: &str| {
        format!("49 v2\n0.0 1000.0\nUTM WGS84 32N 0 0 0\n1\n808 1 {floor} 1\n1 0 0 0 0 0 1 5\n")
    };
    std::fs::write(&file, text("1")).unwrap();
    let config = folder.path().join("supervisor.toml");
    let data_dir = folder.path().join("data");
    let sections = "[detector]\nfile = \"a.detx\"\n[service.dom_rates]\nkind = \"dom_rates\"\n";
    std::fs::write(
        &config,
        format!("[stack]\ndata_dir = {data_dir:?}\n{sections}"),
    )
    .unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_fathom"))
        .args(["up", "-c"])
        .arg(&config)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut until = |text: &str| {
        let found = told.find(|line| line.as_ref().unwrap().contains(text));
        found
            .unwrap_or_else(|| panic!("nobody says {text:?}"))
            .unwrap()
    };
    until(
        "the description of detector 49 does not hold now, only from 1970-01-01T00:00:00Z until \
         1970-01-01T00:16:40Z",
    );
    std::fs::write(&file, text("first")).unwrap();
    let line = until("the former one stays");
    let place = format!("{}:5: ", file.display());
    assert!(
        line.contains(&place) && line.contains("expected floor"),
        "{line}"
    );
    std::fs::write(&file, text("2")).unwrap();
    until("can be read again");
    until("there is a new description of the detector id=49 modules=1");
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    for _rest in told {}
    assert!(child.wait().unwrap().success());
    let events = std::fs::read_dir(data_dir.join("events")).unwrap();
    let text = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default()
    };
    assert!(
        events
            .map(text)
            .any(|text| text.contains("detector_invalid"))
    );
}

/// What the data base answers at present.
type Answer = Arc<Mutex<Result<String, StatusCode>>>;

async fn serve(answer: Answer) -> String {
    async fn page(State(answer): State<Answer>) -> Result<String, StatusCode> {
        answer.lock().unwrap().clone()
    }
    let app = Router::new().route("/detx", get(page)).with_state(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/detx", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_base_is_followed_and_its_last_good_answer_survives_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.detx"), detx(1)).unwrap();
    let answer: Answer = Arc::new(Mutex::new(Ok(detx(2))));
    let url = serve(answer.clone()).await;
    let section = format!("file = \"a.detx\"\nurl = \"{url}\"\nevery = \"1s\"");
    let mut stack = start(folder.path(), &section);
    until_modules(&stack, 2).await;
    // A table: one module less, and one exchanged.
    let ground = detector(1);
    let mut table = "DETOID\tDUID\tFLOORID\tUPI\tDOMID\n".to_owned();
    for module in ground.optical_modules().filter(|m| m.place.floor > 1) {
        let id = if module.place.floor == 2 {
            7
        } else {
            module.id.0
        };
        table += &format!("D_ORCA\t1\t{}\tx\t{id}\n", module.place.floor);
    }
    *answer.lock().unwrap() = Ok(table);
    let shown = |name: &str| {
        let map = map(&stack, name).filter(|map| map.values.len() == FLOORS - 1)?;
        map.id.contains(&7).then_some(())
    };
    for name in ["dom_rates", "dom_activity"] {
        until("the table", || shown(name)).await;
    }
    *answer.lock().unwrap() = Err(StatusCode::SERVICE_UNAVAILABLE);
    stack.shutdown().await;

    let mut stack = start(folder.path(), &section);
    let map = until("a map", || map(&stack, "dom_rates")).await;
    assert!(map.id.contains(&7), "{:?}", map.id);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_needs_the_detector_was_refused_before_the_page_was_ever_asked() {
    let folder = tempfile::tempdir().unwrap();
    let answer: Answer = Arc::new(Mutex::new(Err(StatusCode::SERVICE_UNAVAILABLE)));
    let url = serve(answer.clone()).await;
    let section = format!(
        "url = \"{url}\"\nevery = \"1s\"\n\
         [service.rttc]\nkind = \"rttc\"\nurl = \"http://127.0.0.1:9\"\n\
         [service.ztplot]\nkind = \"ztplot\"\n\
         [service.royfit]\nkind = \"royfit\"\nrun = \"process\"\ninterval = \"1s\"\n"
    );
    let mut stack = start(folder.path(), &section);
    let rows = |stack: &Stack| match &stack.board.entry("rttc_summary")?.output.view {
        View::Table(table) => Some(table.rows.len()),
        _ => None,
    };
    until("no DU", || rows(&stack).filter(|rows| *rows == 0)).await;
    *answer.lock().unwrap() = Ok(detx(2));
    until("two DUs", || rows(&stack).filter(|rows| *rows == 2)).await;
    until("a map of two DUs", || {
        map(&stack, "time_residual_medians").filter(|map| map.values.len() == 2 * FLOORS)
    })
    .await;
    stack.shutdown().await;
}

/// Waits for an alarm of the detector.
async fn alarm_of(
    (alarms, batch): (&mut Subscription, &mut VecDeque<Arc<Event>>),
    rule: &str,
    subject: &str,
    firing: bool,
) -> String {
    let found = async {
        loop {
            while let Some(event) = batch.pop_front() {
                if let Event::Alarm(alarm) = &*event
                    && (&*alarm.rule, &*alarm.subject, alarm.firing) == (rule, subject, firing)
                {
                    return alarm.text.clone();
                }
            }
            assert!(alarms.recv_batch(batch).await, "the bus is closed");
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("{rule} of {subject}, {firing}, is not said"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_or_missing_file_is_an_alarm_and_another_detector_ends_those_of_the_former() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.detx");
    let text = |id: u32, until: &str| {
        format!("{id} v2\n0.0 {until}\nUTM WGS84 32N 0 0 0\n1\n808 1 1 1\n1 0 0 0 0 0 1 5\n")
    };
    std::fs::write(&file, text(49, "9999999999.0")).unwrap();
    let mut stack = start(folder.path(), "file = \"a.detx\"");
    let wanted = Filter::none().and(Topic::Alarm);
    let mut alarms = stack.bus.subscribe("test", wanted, Limits::default());
    let mut batch = VecDeque::new();
    std::fs::write(&file, "broken").unwrap();
    let (unread, named) = ("detector_unreadable", "detector file");
    let why = alarm_of((&mut alarms, &mut batch), unread, named, true).await;
    assert!(why.contains("a.detx:1"), "{why}");
    std::fs::write(&file, text(49, "1000.0")).unwrap();
    // It is of a time that is over.
    alarm_of(
        (&mut alarms, &mut batch),
        "detector_invalid",
        "detector 49",
        true,
    )
    .await;
    alarm_of((&mut alarms, &mut batch), unread, named, false).await;
    std::fs::remove_file(&file).unwrap();
    alarm_of((&mut alarms, &mut batch), unread, named, true).await;
    std::fs::write(&file, text(50, "9999999999.0")).unwrap();
    alarm_of(
        (&mut alarms, &mut batch),
        "detector_invalid",
        "detector 49",
        false,
    )
    .await;
    stack.shutdown().await;
}

/// A page that answered a login form, or nothing, was a line in the log and no alarm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_answers_rubbish_or_nothing_is_an_alarm_until_it_answers_well() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.detx"), detx(1)).unwrap();
    let answer: Answer = Arc::new(Mutex::new(Ok(detx(1))));
    let url = serve(answer.clone()).await;
    let section = format!("file = \"a.detx\"\nurl = \"{url}\"\nevery = \"1s\"");
    let mut stack = start(folder.path(), &section);
    let wanted = Filter::none().and(Topic::Alarm);
    let mut alarms = stack.bus.subscribe("test", wanted, Limits::default());
    let mut batch = VecDeque::new();
    let (unread, named) = ("detector_unreadable", "detector page");
    for bad in [
        Ok("<html>login</html>".to_owned()),
        Err(StatusCode::SERVICE_UNAVAILABLE),
    ] {
        *answer.lock().unwrap() = bad;
        let why = alarm_of((&mut alarms, &mut batch), unread, named, true).await;
        assert!(why.contains("former description"), "{why}");
        assert!(why.contains("/detx"), "{why}");
        *answer.lock().unwrap() = Ok(detx(1));
        alarm_of((&mut alarms, &mut batch), unread, named, false).await;
    }
    stack.shutdown().await;
}
