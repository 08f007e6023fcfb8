//! Fan-out of the bus: batches of frames to 1, 10 and 50 subscribers, alone and among six tags.
//!
//! ```text
//! cargo bench -p fathom-kernel --bench bus
//! ```
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::collections::VecDeque;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fathom_kernel::{Bus, Event, Filter, Frame, Limits, Subscription, Tag, Timestamp, tags};

const BATCH: usize = 256;
const SIX: [Tag; 6] = [
    tags::IO_MONIT,
    tags::IO_EVT,
    tags::IO_SUM,
    tags::IO_TSSN,
    tags::IO_TSL1,
    tags::MSG,
];

fn batch(tags: &[Tag]) -> Vec<Event> {
    let source: std::sync::Arc<str> = "ligier".into();
    let body = Bytes::from_static(&[7; 200]);
    tags.iter()
        .cycle()
        .take(BATCH)
        .map(|tag| {
            Event::Frame(Frame {
                source: source.clone(),
                tag: *tag,
                received: Timestamp::UNIX_EPOCH,
                body: body.clone(),
            })
        })
        .collect()
}

/// Publishes one batch and takes it out of every queue.
fn round(bus: &Bus, subscriptions: &mut [Subscription], events: Vec<Event>) {
    bus.publish_batch(events);
    let mut taken = VecDeque::with_capacity(BATCH);
    for subscription in subscriptions {
        subscription.try_batch(&mut taken);
        black_box(&taken);
        taken.clear();
    }
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bus fan-out");
    for (case, sent) in [("one tag", &SIX[..1]), ("six tags", &SIX[..])] {
        for count in [1_usize, 10, 50] {
            let bus = Bus::new();
            let mut subscriptions: Vec<Subscription> = (0..count)
                .map(|n| {
                    let wanted = sent.iter().cycle().skip(n).take(2).copied();
                    bus.subscribe("bench", Filter::frames(wanted), Limits::default())
                })
                .collect();
            let wanted = (BATCH * count * 2.min(sent.len())).div_ceil(sent.len());
            group.throughput(Throughput::Elements(wanted as u64));
            group.bench_function(BenchmarkId::new(case, count), |bencher| {
                bencher.iter_batched(
                    || batch(sent),
                    |events| round(&bus, &mut subscriptions, events),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
