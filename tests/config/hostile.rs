//! Any text gives a plan or a report, never a panic.

use fathom::config::{Origin, load};
use proptest::prelude::*;

/// Loads a text and renders what is said of it.
fn survive(text: String) {
    let set = vec![text.chars().take(40).collect()];
    for set in [Vec::new(), set] {
        let origin = Origin {
            file: "hostile.toml".into(),
            text: Some(text.clone()),
            set,
            ..Origin::default()
        };
        let report = match load(&origin) {
            Ok(loaded) => loaded.warnings,
            Err(report) => report,
        };
        let rendered = report.render(false);
        assert_eq!(rendered.is_empty(), report.findings().is_empty());
        assert!(!rendered.contains("Failed to read"), "{rendered}");
    }
}

#[test]
fn the_example_cut_anywhere_gives_a_plan_or_a_report() {
    let text = std::fs::read_to_string("supervisor.toml.example").unwrap();
    for end in (0..text.len())
        .step_by(211)
        .filter(|end| text.is_char_boundary(*end))
    {
        survive(text.get(..end).unwrap().to_owned());
    }
}

fn piece() -> impl Strategy<Value = String> {
    let words = [
        "[service.a]\n",
        "[service.b]\n",
        "[group.g]\n",
        "[stack]\n",
        "[detector]\n",
        "kind = ",
        "\"dom_rates\"\n",
        "group = \"g\"\n",
        "after = ",
        "[\"a\", \"b=done\", {}]\n",
        "command = ",
        "\"${X:-é}\"\n",
        "\"${\"\n",
        "\"ü \"\n",
        "3\n",
        "{ first = 1 }\n",
        "backoff = ",
        "bind = [\"b\"]\n",
        "include = ",
        "name = ",
        "geometry = \"orca\"\ndus = 1\n",
        "lowest_rate = ",
        "'''",
        "\"",
        "=",
        ".",
        "\n",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_gives_a_plan_or_a_report(pieces in proptest::collection::vec(piece(), 0..24)) {
        survive(pieces.concat());
    }
}
