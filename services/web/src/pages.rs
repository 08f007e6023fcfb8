//! Pages: the default ones, and which outputs a row of a page stands for.

use crate::options::{PageConfig, PageView};

/// Most pages, rows and entries that are taken.
const PAGES_MAX: usize = 64;
const ENTRIES_MAX: usize = 1_000;

/// Paths that belong to the server itself.
const RESERVED: [&str; 10] = [
    "/api",
    "/plots",
    "/plot/",
    "/plot_",
    "/logs/",
    "/metrics",
    "/event_selection",
    "/lite",
    "/healthz",
    "/assets",
];

/// The default pages: path, title, what they show, rows.
type Pages = [(
    &'static str,
    &'static str,
    PageView,
    &'static [&'static [&'static str]],
)];

/// km3mon's pages, and what else the monitors say. Outputs that come only when something is wrong, or
/// on some stacks, stand there as globs, so that nobody waits for them.
const PAGES: &Pages = &[
    (
        "/",
        "Overview",
        PageView::Plots,
        &[
            &["dom_activity", "dom_rates"],
            &["trigger_rates"],
            &["ztplot", "triggermap"],
            &["pmt_rates_du*"],
        ],
    ),
    (
        "/trigger.html",
        "Trigger",
        PageView::Plots,
        &[
            &["trigger_rates"],
            &["trigger_rates_lin"],
            &["ztplot"],
            &["triggermap", "hitmap"],
            &["hitmap_*", "triggermap_*"],
            &["trigger_lost"],
            &["trigger_hits", "trigger_overlays"],
            &["trigger_multiplicity", "trigger_counts"],
        ],
    ),
    (
        "/doms.html",
        "DOMs",
        PageView::Plots,
        &[
            &["dom_activity", "dom_rates"],
            &["dom_rates_trend"],
            &["dom_rates_history"],
            &["dom_activity_summary", "dom_*_unknown"],
            &["timesync_*"],
        ],
    ),
    (
        "/pmts.html",
        "PMTs",
        PageView::Plots,
        &[
            &["pmt_rates_du*"],
            &["pmt_hrv_du*"],
            &["pmt_rates_summary", "pmt_outliers", "pmt_*_unknown"],
        ],
    ),
    (
        "/ahrs.html",
        "AHRS",
        PageView::Plots,
        &[
            &["yaw_calib_du*"],
            &["pitch_calib_du*"],
            &["roll_calib_du*"],
            &["ahrs_*"],
        ],
    ),
    (
        "/rttc.html",
        "RTTC",
        PageView::Plots,
        &[&["rttc"], &["rttc_*"]],
    ),
    (
        "/reco.html",
        "Reco",
        PageView::Plots,
        &[
            &["time_residuals"],
            &["time_residuals_*"],
            &["ztplot_roy"],
            &["royfit_*"],
            &["reco_zenith", "reco_quality"],
            &[
                "reco_zenith_*",
                "reco_quality_*",
                "reco_rates",
                "reco_counts",
            ],
        ],
    ),
    ("/sn.html", "SN", PageView::Plots, &[&["sn_*"]]),
    (
        "/k40.html",
        "K40",
        PageView::Plots,
        &[&["intradom"], &["angular_k40rate_distribution"], &["k40_*"]],
    ),
    (
        "/top10.html",
        "Top10",
        PageView::Plots,
        &[
            &["event_selection_overlays"],
            &["event_selection_n_hits"],
            &["event_selection_n_triggered_hits"],
        ],
    ),
    (
        "/acoustics.html",
        "Acoustics",
        PageView::Plots,
        &[&["Online_Acoustic_Monitoring"], &["acoustics_*"]],
    ),
    (
        "/alarms.html",
        "Alarms",
        PageView::Plots,
        &[&["alarms"], &["alarm_history"]],
    ),
    (
        "/daq.html",
        "DAQ",
        PageView::Plots,
        &[
            &["*_tags"],
            &["*_clients", "*_links"],
            &["timeslice_rates"],
            &["timeslice_rates_lin"],
            &[
                "timeslice_gaps",
                "timeslice_completeness",
                "timeslice_counts",
            ],
            &["messages"],
        ],
    ),
    (
        "/compact.html",
        "Compact",
        PageView::Plots,
        &[
            &["dom_activity", "dom_rates", "pmt_rates_summary"],
            &["trigger_rates", "trigger_rates_lin"],
            &["ztplot", "ztplot_roy", "triggermap"],
        ],
    ),
    ("/services.html", "Services", PageView::Services, &[]),
    (
        "/logs.html",
        "Logs",
        PageView::Logs,
        &[
            &["log_stats"],
            &["log_errors", "log_warnings"],
            &["log_alerts", "log_statuses", "log_unmatched"],
            &["log_today"],
            &["log_days"],
        ],
    ),
    (
        "/rasp.html",
        "Wall",
        PageView::Wall,
        &[
            &["dom_rates", "ztplot", "triggermap"],
            &["pmt_rates_du?"],
            &["trigger_rates", "trigger_rates_lin"],
        ],
    ),
];

/// Returns the pages that a stack without own ones has.
pub(crate) fn default_pages() -> Vec<PageConfig> {
    let pages = PAGES.iter();
    pages
        .map(|(path, title, view, rows)| page(path, title, *view, rows))
        .collect()
}

fn page(path: &str, title: &str, view: PageView, rows: &[&[&str]]) -> PageConfig {
    let row = |row: &&[&str]| row.iter().map(|&entry| entry.to_owned()).collect();
    PageConfig {
        path: path.to_owned(),
        title: title.to_owned(),
        view,
        rows: rows.iter().map(row).collect(),
    }
}

/// Says what is wrong with configured pages.
pub(crate) fn problem(pages: &[PageConfig]) -> Option<String> {
    let entries: usize = pages.iter().flat_map(|page| &page.rows).map(Vec::len).sum();
    if pages.len() > PAGES_MAX || entries > ENTRIES_MAX {
        return Some(format!(
            "more than {PAGES_MAX} pages or {ENTRIES_MAX} entries in rows"
        ));
    }
    for (index, page) in pages.iter().enumerate() {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_-.".contains(&b);
        if !page.path.starts_with('/') || !page.path.bytes().all(plain) || page.path.contains("..")
        {
            return Some(format!(
                "page path {:?} must start with `/` and have letters, digits, `_`, `-`, `.`",
                page.path
            ));
        }
        if RESERVED.iter().any(|taken| page.path.starts_with(taken)) {
            return Some(format!("page path {:?} belongs to the server", page.path));
        }
        if pages
            .iter()
            .take(index)
            .any(|other| other.path == page.path)
        {
            return Some(format!("page path {:?} is given twice", page.path));
        }
    }
    None
}

/// Tells whether an entry of a row stands for any number of outputs.
pub(crate) fn is_glob(entry: &str) -> bool {
    entry.contains(['*', '?'])
}

/// Returns the names that an entry of a row stands for: itself, or for a glob all matching names,
/// sorted so that `du2` comes before `du10`.
pub(crate) fn expand<'a>(entry: &'a str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if !is_glob(entry) {
        return vec![entry];
    }
    let mut found: Vec<&str> = names.filter(|name| matches(entry, name)).collect();
    found.sort_by_cached_key(|name| natural_key(name));
    found
}

/// Tells whether a name fits a glob: `*` is any run of characters, `?` any one.
fn matches(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.as_bytes(), name.as_bytes());
    let (mut g, mut n) = (0, 0);
    // Where to go on when the newest `*` has to take one more character.
    let mut retry = None;
    while let Some(byte) = name.get(n) {
        match glob.get(g) {
            Some(b'*') => {
                retry = Some((g, n));
                g += 1;
            }
            Some(want) if want == byte || *want == b'?' => {
                g += 1;
                n += 1;
            }
            _ => {
                let Some((star, from)) = retry else {
                    return false;
                };
                retry = Some((star, from + 1));
                g = star + 1;
                n = from + 1;
            }
        }
    }
    glob.iter().skip(g).all(|byte| *byte == b'*')
}

/// Splits a name into texts and numbers.
fn natural_key(name: &str) -> Vec<(String, u64)> {
    let mut key: Vec<(String, u64)> = vec![Default::default()];
    let mut in_number = false;
    for c in name.chars() {
        let digit = c.to_digit(10);
        if in_number && digit.is_none() {
            key.push(Default::default());
        }
        in_number = digit.is_some();
        if let Some((text, number)) = key.last_mut() {
            match digit {
                Some(digit) => *number = number.saturating_mul(10).saturating_add(digit.into()),
                None => text.push(c),
            }
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_takes_what_fits_in_natural_order() {
        let names = [
            "pmt_rates_du10",
            "dom_rates",
            "pmt_rates_du2",
            "pmt_rates_du1x",
        ];
        let found = |entry| expand(entry, names.into_iter());
        assert_eq!(
            found("pmt_rates_du*"),
            ["pmt_rates_du1x", "pmt_rates_du2", "pmt_rates_du10"]
        );
        assert_eq!(found("*_rates"), ["dom_rates"]);
        assert_eq!(found("pmt_rates_du?"), ["pmt_rates_du2"]);
        assert_eq!(found("*du*x"), ["pmt_rates_du1x"]);
        assert_eq!(found("absent"), ["absent"]);
        assert!(found("q*").is_empty());
    }

    #[test]
    fn the_default_pages_are_valid() {
        assert_eq!(problem(&default_pages()), None);
    }

    #[test]
    fn a_page_cannot_take_a_path_of_the_server() {
        for path in [
            "/event_selection/x",
            "/api/x",
            "x",
            "/plots/a",
            "/a/../b",
            "/a b",
            "/{x}",
        ] {
            let pages = [page(path, "t", PageView::Plots, &[])];
            assert!(problem(&pages).is_some(), "{path}");
        }
        let twice = [
            page("/a", "t", PageView::Plots, &[]),
            page("/a", "t", PageView::Plots, &[]),
        ];
        assert!(problem(&twice).is_some());
    }
}
