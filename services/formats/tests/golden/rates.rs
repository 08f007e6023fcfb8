//! Rate codes and the order of channels in plots.

use fathom_formats::km3net::{CHANNEL_ROWS, rate_code, rate_hz};

use super::super::{close, golden};

#[test]
fn golden_rate_table() {
    for entry in golden()["rate_table"].as_array().unwrap() {
        let code = u8::try_from(entry["code"].as_u64().unwrap()).unwrap();
        let expected = entry["rate_hz"].as_f64().unwrap();
        assert!(close(rate_hz(code), expected), "{code}");
        assert_eq!(rate_code(expected), code);
    }
}

#[test]
fn golden_channel_rows() {
    let rows = serde_json::to_value(CHANNEL_ROWS).unwrap();
    assert_eq!(golden()["pmt_order_top_to_bottom"], rows);
}
