//! The vectors of the reference.

use super::*;

#[test]
fn rttc_vectors() {
    let all = vectors();
    for case in all["rttc"]["values"].as_array().unwrap() {
        let deltas: [f64; 4] = serde_json::from_value(case["wr_delta"].clone()).unwrap();
        let [a, b, c, d] = deltas;
        let values = [case["wr_mu"].as_f64().unwrap(), a, b, c, d];
        let expected = case["rttc_ps"].as_f64().unwrap();
        assert!(close(rttc_ps(&values), expected, 1e-12));
        // The same through the conversation.
        let mut bench = bench(&[3]);
        second(&mut bench, T0, &[]);
        second(&mut bench, T0 + 10_000, &[values]);
        bench.tick(T0 + 11_000);
        let shown = &layers(panel(&bench, 0), Shape::Cross)[0].y;
        assert!(close(shown[0], expected, 1e-12), "{shown:?} {expected}");
    }
}

#[test]
fn rttc_baseline_vectors() {
    let all = vectors();
    let baseline = &all["rttc"]["baseline"];
    let names = [
        "wr_mu",
        "wr_delta[0]",
        "wr_delta[1]",
        "wr_delta[2]",
        "wr_delta[3]",
    ];
    let samples: [Vec<f64>; 5] =
        names.map(|name| serde_json::from_value(baseline["samples"][name].clone()).unwrap());
    let mut bench = bench(&[3]);
    second(&mut bench, T0 - 1000, &[]);
    let count = samples[0].len();
    let polls = (0..count).map(|n| std::array::from_fn(|k| samples[k][n]));
    for (values, minute) in polls.zip(0..) {
        second(&mut bench, T0 + 60_000 * minute, &[values]);
    }
    bench.tick(T0 + 3_600_001);
    let median = baseline["median_ps"].as_f64().unwrap();
    let sigma = baseline["improved_std_ps"].as_f64().unwrap();
    let line = layers(panel(&bench, 0), Shape::Line)[0];
    assert!(close(line.y[0], median, 1e-12) && line.colour == "red");
    let band = layers(panel(&bench, 0), Shape::Dashed);
    assert!(close(band[0].y[0] - median, sigma, 1e-6), "{band:?}");
    assert!(close(median - band[1].y[0], sigma, 1e-6));
    let original = baseline["original_std_ps"].as_f64().unwrap();
    assert!(!close(sigma, original, 1e-3), "the mistake is not copied");
}
