//! How long a picture and a serialised output take.

#[path = "../tests/pictures/events.rs"]
mod events;
#[path = "../tests/pictures/samples.rs"]
mod samples;

use criterion::{Criterion, criterion_group, criterion_main};
use fathom_kernel::Output;
use fathom_web::picture::{Size, draw, draw_svg};

fn pictures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("picture");
    let cases: [(&str, Output); 14] = [
        ("series of 4 x 288 points", samples::trigger_rates(true)),
        ("map of 4 DUs", samples::dom_rates(4)),
        ("map of 230 DUs", samples::dom_rates(230)),
        ("image of 558 x 800", samples::pmt_rates()),
        ("histogram of 100 bins", samples::residuals()),
        ("scalar", samples::scalar()),
        ("table of 39 rows", samples::table()),
        ("115 panels with 3000 hits", events::zt_plot(115, 3_000)),
        ("4 panels over time", events::rttc(4)),
        ("panel of all shapes", events::shapes()),
        ("18 panels of 115 histograms", events::time_residuals(115)),
        (
            "hit map of 2070 x 1000",
            events::hit_map(2_070, 1_000, 1_000, 0.05),
        ),
        (
            "hit map of 2070 x 1000, all hit",
            events::hit_map(2_070, 1_000, 1_000, 1.0),
        ),
        (
            "hit map of 2070 x 5000",
            events::hit_map(2_070, 5_000, 5_000, 0.05),
        ),
    ];
    for (name, output) in cases {
        let size = Size::of(&output.view);
        group.bench_function(name, |bencher| {
            bencher.iter(|| draw(&output, samples::now(), samples::now(), size));
        });
    }
    group.finish();
}

fn vectors(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("svg");
    let cases: [(&str, Output); 4] = [
        ("series of 4 x 288 points", samples::trigger_rates(true)),
        ("map of 230 DUs", samples::dom_rates(230)),
        ("image of 558 x 800", samples::pmt_rates()),
        ("115 panels with 3000 hits", events::zt_plot(115, 3_000)),
    ];
    for (name, output) in cases {
        let size = Size::of(&output.view);
        group.bench_function(name, |bencher| {
            bencher.iter(|| draw_svg(&output, samples::now(), samples::now(), size));
        });
    }
    group.finish();
}

fn values(criterion: &mut Criterion) {
    let image = samples::pmt_rates();
    criterion.bench_function("json of an image of 558 x 800", |bencher| {
        bencher.iter(|| serde_json::to_vec(&image.view));
    });
}

criterion_group!(benches, pictures, vectors, values);
criterion_main!(benches);
