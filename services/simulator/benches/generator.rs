//! How much faster than real time two ARCA blocks are simulated on one core.

use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fathom_formats::detx::{Detector, Layout as Geometry};
use fathom_simulator::{FakeDetectorOptions, Generator, Layout, STEPS_PER_FRAME};

fn generator(change: impl FnOnce(&mut FakeDetectorOptions)) -> Generator {
    let detector = Detector::generated(&Geometry::arca(230));
    let mut options = FakeDetectorOptions::default();
    change(&mut options);
    Generator::new(Arc::new(Layout::new(&detector)), &options, 1_767_225_600)
}

/// Returns the processor time of this thread, which a busy machine does not distort [s].
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let on_cpu_ns = text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    on_cpu_ns.unwrap_or(f64::NAN) / 1e9
}

/// Runs so many frames; returns messages and bytes.
fn run(generator: &mut Generator, frames: usize) -> (usize, usize) {
    let (mut messages, mut bytes) = (0, 0);
    for _ in 0..frames * STEPS_PER_FRAME {
        for chunk in generator.step().chunks {
            messages += chunk.len();
            bytes += chunk.wire.len();
        }
    }
    (messages, bytes)
}

fn two_blocks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("two_arca_blocks");
    // Ten frames are one second of the detector: 1 element/s is real time.
    group.throughput(Throughput::Elements(1)).sample_size(10);
    type Change = fn(&mut FakeDetectorOptions);
    let cases: [(&str, Change); 4] = [
        ("default", |_| {}),
        ("rates_only", |o| {
            (o.io_evt.enabled, o.io_tsl1.enabled, o.io_tssn.enabled) = (false, false, false);
        }),
        ("without_tsl1", |o| o.io_tsl1.enabled = false),
        ("all_of_tsl1", |o| o.io_tsl1.every = 1),
    ];
    for (name, change) in cases {
        let mut source = generator(change);
        // Bursts need some time to be as many as they are on average.
        run(&mut source, 30);
        let (start, cpu_before_s) = (Instant::now(), cpu_s());
        let (messages, bytes) = run(&mut source, 20);
        let factor = 2.0 / start.elapsed().as_secs_f64();
        let core = (cpu_s() - cpu_before_s) / 2.0;
        println!(
            "{name}: {factor:.1} times real time, {core:.3} of a core at real time, \
             {} messages/s, {:.1} MB/s",
            messages / 2,
            bytes as f64 / 2e6,
        );
        group.bench_function(name, |bencher| bencher.iter(|| run(&mut source, 10)));
    }
    group.finish();
}

criterion_group!(benches, two_blocks);
criterion_main!(benches);
