//! Counters of the stack for Prometheus: made new for every question, from the same status that
//! people see, so that both always agree.

use fathom_kernel::{Addresses, StackStatus, Timestamp};
use fathom_web::{OfService, RealCounter, RealGauge, of_services};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::console::Console;
use super::usage;
use super::wire::Readiness;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfQueue {
    subscriber: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProcess {
    process: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: String,
    stack: String,
}

/// Returns the exposition.
pub(super) fn text(console: &Console, status: &StackStatus) -> String {
    let mut registry = Registry::with_prefix("fathom");
    let now = Timestamp::now();
    stack(&mut registry, console, status, now);
    of_services(&mut registry, status, now);
    queues(&mut registry, console);
    processes(&mut registry, status);
    logs(&mut registry, console, status);
    let mut text = String::new();
    // Writing to a String cannot fail.
    encode(&mut text, &registry).ok();
    text
}

fn stack(registry: &mut Registry, console: &Console, status: &StackStatus, now: Timestamp) {
    let build = Family::<Build, Gauge>::default();
    build
        .get_or_create(&Build {
            version: status.version.clone(),
            stack: status.stack.clone(),
        })
        .set(1);
    registry.register("build_info", "Version and name of the stack", build);
    gauge(
        registry,
        "uptime_seconds",
        "Time since the supervisor started",
        seconds(status.started, now),
    );
    let ready = f64::from(u8::from(Readiness::of(status).ready));
    gauge(
        registry,
        "ready",
        "Whether every service that starts with the stack is ready",
        ready,
    );
    count(
        registry,
        "bus_published",
        "Events ever published on the bus",
        status.events,
    );
    let drops: u64 = console
        .parts()
        .log_drops
        .iter()
        .map(|counter| counter.dropped_lines() as u64)
        .sum();
    count(
        registry,
        "log_dropped",
        "Records lost because a log was too slow",
        drops,
    );
    gauge(
        registry,
        "control_followers",
        "Clients that follow events or logs",
        console.followers() as f64,
    );
    gauge(
        registry,
        "listeners",
        "Addresses on which services listen",
        listeners(&console.parts().addresses) as f64,
    );
}

fn queues(registry: &mut Registry, console: &Console) {
    let queued = Family::<OfQueue, Gauge>::default();
    let bytes = Family::<OfQueue, Gauge>::default();
    let delivered = Family::<OfQueue, Counter>::default();
    let dropped = Family::<OfQueue, Counter>::default();
    for queue in console.parts().bus.subscribers() {
        let labels = OfQueue {
            subscriber: queue.name,
        };
        // Several followers share a name; their queues are shown as one.
        queued.get_or_create(&labels).inc_by(whole(queue.queued));
        bytes
            .get_or_create(&labels)
            .inc_by(whole(queue.queued_bytes));
        delivered.get_or_create(&labels).inc_by(queue.delivered);
        dropped.get_or_create(&labels).inc_by(queue.dropped);
    }
    registry.register(
        "queue_messages",
        "Events waiting for a subscriber of the bus",
        queued,
    );
    registry.register("queue_bytes", "Their bytes", bytes);
    registry.register("queue_delivered", "Events put into the queue", delivered);
    registry.register("queue_dropped", "Events dropped from the queue", dropped);
}

fn logs(registry: &mut Registry, console: &Console, status: &StackStatus) {
    let bytes = Family::<OfService, Counter>::default();
    let dropped = Family::<OfService, Counter>::default();
    for service in &status.services {
        let Some(logs) = console.parts().logs.of(&service.name) else {
            continue;
        };
        for outlet in std::iter::once(&logs.out).chain(&logs.err) {
            bytes
                .get_or_create(&OfService::new(service))
                .inc_by(outlet.bytes());
            let lost = outlet.dropped().bytes;
            dropped.get_or_create(&OfService::new(service)).inc_by(lost);
        }
    }
    let help = "Output of the service that was captured";
    registry.register_with_unit("service_log", help, Unit::Bytes, bytes);
    let help = "Output of the service that was dropped because its log takes nothing";
    registry.register_with_unit("service_log_dropped", help, Unit::Bytes, dropped);
    let chronicle = &console.parts().chronicle;
    let events = chronicle.next_number().saturating_sub(1);
    count(registry, "events", "Number of the last event", events);
    let help = "Events that the disk did not take";
    count(registry, "events_lost", help, chronicle.lost());
}

fn processes(registry: &mut Registry, status: &StackStatus) {
    let report = usage::report(status);
    let cpu = Family::<OfProcess, RealCounter>::default();
    let rss = Family::<OfProcess, Gauge>::default();
    let own = std::iter::once(("supervisor".to_owned(), report.supervisor));
    for (name, used) in own.chain(report.services) {
        let labels = OfProcess { process: name };
        cpu.get_or_create(&labels).inc_by(used.cpu_s);
        let bytes = i64::try_from(used.rss_bytes).unwrap_or(i64::MAX);
        rss.get_or_create(&labels).set(bytes);
    }
    registry.register_with_unit("process_cpu", "Processor time used", Unit::Seconds, cpu);
    registry.register_with_unit(
        "process_resident_memory",
        "Resident memory",
        Unit::Bytes,
        rss,
    );
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = RealGauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn count(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter = Counter::<u64>::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn listeners(addresses: &Addresses) -> usize {
    addresses.watch().borrow().len()
}
