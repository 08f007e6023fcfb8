//! Every kind keeps the contract: each is built from its section of the example and tried in a process
//! of its own, where nobody else opens files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use fathom::config::plan::{Body, KindBody, Plan};
use fathom::config::{Origin, load};
use fathom::registry;
use fathom_kernel::contract::{Subject, Went};
use fathom_kernel::{Addresses, Kind, Service, ServiceCx, Setup};
use toml::de::DeTable;

/// Names the kind that a process tries.
const KIND: &str = "FATHOM_CONTRACT_KIND";

/// Processes at a time.
const PROCESSES: usize = 3;

/// Longest time from start to ready; only a failing trial waits that long.
const START_MAX: Duration = Duration::from_secs(60);

/// What a service has until it is killed, when nothing is said.
const GRACE: Duration = Duration::from_secs(10);

/// Kinds that cannot become ready from their section alone, with the reason they must give.
const FAILING: [(&str, &str); 1] = [("replay", "No such file")];

fn plan() -> Plan {
    let origin = Origin {
        file: "supervisor.toml.example".into(),
        ..Origin::default()
    };
    load(&origin)
        .unwrap_or_else(|report| panic!("{}", report.render(false)))
        .plan
}

/// The section of a kind in the example.
fn section<'a>(plan: &'a Plan, kind: &Kind) -> &'a KindBody {
    let bodies = plan
        .services
        .iter()
        .filter_map(|service| match &service.body {
            Body::Kind(body) => Some((service, body)),
            Body::Command(_) => None,
        });
    let mut of_kind = bodies.filter(|(_, body)| body.kind.name == kind.name);
    let named = of_kind
        .clone()
        .find(|(service, _)| service.name.ends_with(kind.name));
    named.or_else(|| of_kind.next()).unwrap().1
}

/// Options that listen on ports of their own.
fn free_ports(kind: &Kind, options: &str) -> String {
    let mut options: toml::Table = options.parse().unwrap();
    let schema = serde_json::to_value((kind.schema)()).unwrap();
    if schema.pointer("/properties/listen").is_some() {
        options.insert("listen".to_owned(), "127.0.0.1:0".into());
    }
    options.to_string()
}

/// Starts a broker for those who look for one; it lives as long as the process.
async fn broker(addresses: &Addresses, setup: &Setup) {
    let kind = registry::find("ligier").unwrap();
    let options = DeTable::parse("listen = \"127.0.0.1:0\"").unwrap();
    let service: Box<dyn Service> = (kind.parse)(options, setup).unwrap()();
    let (mut cx, mut outside) = ServiceCx::alone("ligiers:ligier", &setup.data_dir);
    cx.addresses = addresses.clone();
    std::mem::forget(cx.stop.clone().drop_guard());
    tokio::spawn(async move {
        service.run(cx).await.unwrap();
    });
    outside.ready.wait_for(|ready| *ready).await.unwrap();
    // Its context must stay.
    std::mem::forget(outside);
}

fn try_out(kind: &'static Kind) -> Result<Went, String> {
    fathom::reach::install_tls();
    let folder = tempfile::tempdir().unwrap();
    let plan = plan();
    let setup = Setup {
        data_dir: folder.path().to_owned(),
        ..plan.setup.clone()
    };
    let options = free_ports(kind, &section(&plan, kind).options);
    let read = || DeTable::parse(options.clone().leak()).unwrap();
    let factory = (kind.parse)(read(), &setup).map_err(|error| error.to_string())?;
    let monitor = kind
        .by_hand
        .map(|make| make(read(), &setup).unwrap().wants());
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let addresses = Addresses::default();
        broker(&addresses, &setup).await;
        let subject = Subject {
            name: format!("contract:{}", kind.name),
            factory,
            monitor,
            data_dir: folder.path().to_owned(),
            addresses,
            start_max: START_MAX,
            grace: GRACE,
        };
        subject.try_out().await
    })
}

/// Not a test: what [`every_kind_keeps_the_contract`] runs, in a process for each kind.
#[test]
#[ignore = "run by the other one"]
fn one_kind() {
    let Some(kind) = std::env::var(KIND)
        .ok()
        .and_then(|name| registry::find(&name))
    else {
        return;
    };
    let expected = FAILING.iter().find(|(name, _)| *name == kind.name);
    match (try_out(kind), expected) {
        (Ok(Went::Ready), None) => {}
        (Ok(Went::Failed(why)), Some((_, part))) if why.contains(part) => {}
        (went, _) => panic!("{}: {went:?}", kind.name),
    }
}

#[test]
fn every_kind_keeps_the_contract() {
    let kinds = Mutex::new(registry::kinds());
    let wrong = Mutex::new(Vec::new());
    let program = std::env::current_exe().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..PROCESSES {
            scope.spawn(|| {
                loop {
                    let Some(kind) = kinds.lock().unwrap().next() else {
                        return;
                    };
                    let ran = Command::new(&program)
                        .args(["--exact", "one_kind", "--ignored", "--nocapture"])
                        .env(KIND, kind.name)
                        .output()
                        .unwrap();
                    if !ran.status.success() {
                        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
                        wrong.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
