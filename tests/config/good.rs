//! What sound files mean.

use std::path::Path;
use std::time::Duration;

use fathom::config::plan::{Body, KindBody, Plan, Ready, Run, Strategy};
use fathom::config::{Loaded, Origin, load};

fn text(text: &str) -> Origin {
    Origin {
        file: "test.toml".into(),
        text: Some(text.to_owned()),
        ..Origin::default()
    }
}

fn loaded(origin: &Origin) -> Loaded {
    load(origin).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

fn plan(origin: &Origin) -> Plan {
    loaded(origin).plan
}

fn kind<'a>(plan: &'a Plan, service: &str) -> &'a KindBody {
    match &plan.service(service).unwrap().body {
        Body::Kind(body) => body,
        Body::Command(_) => panic!("{service} is a command"),
    }
}

fn option(plan: &Plan, service: &str, key: &str) -> toml::Value {
    let options: toml::Table = kind(plan, service).options.parse().unwrap();
    options[key].clone()
}

#[test]
fn an_empty_file_is_an_empty_stack() {
    let plan = plan(&text(""));
    assert_eq!(plan.name, "fathom");
    assert!(plan.services.is_empty());
    assert!(plan.setup.data_dir.is_absolute() && plan.setup.data_dir.ends_with("fathom-data"));
}

#[test]
fn groups_within_groups_have_names_with_dots() {
    let plan = plan(&text(
        r#"
        [stack]
        budget = { restarts = 3, period = "10m" }
        [group.rates]
        group = "monitors"
        strategy = "rest_for_one"
        budget = { restarts = 20, period = "5m" }
        [group.monitors]
        strategy = "one_for_all"
        [service.late]
        group = "monitors"
        kind = "dom_rates"
        after = ["rates"]
        [service.second]
        group = "rates"
        kind = "dom_rates"
        after = ["rates:first=started"]
        [service.first]
        group = "rates"
        kind = "dom_rates"
        [service.lone]
        kind = "dom_rates"
        after = ["monitors:*"]
        "#,
    ));
    let groups: Vec<_> = plan
        .groups
        .iter()
        .map(|group| {
            let members: Vec<&str> = group.members.iter().map(|name| &**name).collect();
            (&*group.name, group.parent.as_deref(), members)
        })
        .collect();
    let rates = vec!["monitors.rates:second", "monitors.rates:first"];
    assert_eq!(
        groups,
        [
            ("monitors", None, vec!["monitors:late"]),
            ("lone", None, vec!["lone"]),
            ("monitors.rates", Some("monitors"), rates),
        ]
    );
    assert_eq!(plan.groups[2].strategy, Strategy::RestForOne);
    assert_eq!(plan.groups[2].budget.as_ref().unwrap().restarts, 20);
    assert_eq!(plan.budget.as_ref().unwrap().restarts, 3);
    assert!(plan.groups[1].lone);
    assert_eq!(plan.levels.len(), 4);
    assert_eq!(plan.service("lone").unwrap().after.len(), 3);
}

#[test]
fn services_come_in_order_with_full_names() {
    let plan = plan(&text(
        r#"
        [group.monitors]
        [group.ligiers]
        description = "brokers"
        [service.dom_rates]
        group = "monitors"
        kind = "dom_rates"
        after = ["ligiers", "once=done"]
        [service.ligier]
        group = "ligiers"
        kind = "ligier"
        [service.second]
        group = "ligiers"
        kind = "ligier"
        after = [{ name = "ligier", until = "started" }]
        [service.once]
        command = "sh -c 'echo a b' # comment"
        args = ["$${x}"]
        restart = "never"
        "#,
    ));
    let names: Vec<_> = plan.services.iter().map(|service| &*service.name).collect();
    assert_eq!(
        names,
        [
            "ligiers:ligier",
            "once",
            "ligiers:second",
            "monitors:dom_rates"
        ]
    );
    assert_eq!(
        plan.levels.iter().map(Vec::len).collect::<Vec<_>>(),
        [2, 1, 1]
    );
    let groups: Vec<_> = plan
        .groups
        .iter()
        .map(|group| (&*group.name, group.members.len()))
        .collect();
    assert_eq!(groups, [("monitors", 1), ("ligiers", 2), ("once", 1)]);
    let once = plan.service("once").unwrap();
    let Body::Command(command) = &once.body else {
        panic!()
    };
    assert_eq!(command.argv, ["sh", "-c", "echo a b", "${x}"]);
    assert_eq!(once.ready, Ready::Secs(Duration::from_secs(1)));
    assert_eq!(plan.service("ligiers:ligier").unwrap().ready, Ready::Notify);
    let after = &plan.service("monitors:dom_rates").unwrap().after;
    assert_eq!(after.len(), 3);
}

#[test]
fn what_stands_nearer_to_the_operator_wins() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = folder.path().join("pipeline.toml");
    std::fs::write(
        &pipeline,
        "[VARIABLES]\nlow = 111\n[DOMRates]\nlowest_rate = \"low\"\nhighest_rate = 222\n\
         [TriggerRate]\ninterval = 20\n",
    )
    .unwrap();
    let mut origin = text(
        "[service.dom_rates]\nkind = \"dom_rates\"\n[service.other]\nkind = \"dom_rates\"\n\
         highest_rate = 333\n[service.trigger-rates]\nkind = \"trigger_rates\"\n",
    );
    let find = |origin: &Origin, service: &str, key: &str| option(&plan(origin), service, key);
    origin.pipeline = Some(pipeline);
    assert_eq!(find(&origin, "dom_rates", "lowest_rate"), 111.into());
    assert_eq!(find(&origin, "dom_rates", "highest_rate"), 222.into());
    assert_eq!(find(&origin, "other", "highest_rate"), 333.into());
    // km3mon's number of seconds becomes a duration.
    assert_eq!(find(&origin, "trigger-rates", "interval"), "20s".into());

    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    origin.environment.extend([
        variable("FATHOM__SERVICE__OTHER__HIGHEST_RATE", "444"),
        variable("FATHOM__SERVICE__TRIGGER_RATES__INTERVAL", "30s"),
        variable("FATHOM__STACK__NAME", "123"),
    ]);
    assert_eq!(find(&origin, "other", "highest_rate"), 444.into());
    assert_eq!(find(&origin, "trigger-rates", "interval"), "30s".into());
    // A key that takes text gets text, whatever it looks like.
    assert_eq!(plan(&origin).name, "123");

    origin.set = vec![
        "service.other.highest_rate=555.5".into(),
        "stack.name=\"quoted\"".into(),
    ];
    assert_eq!(find(&origin, "other", "highest_rate"), 555.5.into());
    // Quotes that a shell left are those of a file.
    assert_eq!(plan(&origin).name, "quoted");

    origin.set = vec![
        "service.trigger-rates.interval=\"45s\"".into(),
        "stack.name='it is'".into(),
    ];
    assert_eq!(find(&origin, "trigger-rates", "interval"), "45s".into());
    assert_eq!(plan(&origin).name, "it is");

    origin.set = vec!["stack.name=\"one\" and \"two\"".into()];
    assert_eq!(plan(&origin).name, "\"one\" and \"two\"");
}

#[test]
fn the_pipeline_file_of_km3mon_loads_unchanged() {
    let folder = Path::new("tests/config/km3mon");
    let mut origin = Origin {
        file: folder.join("supervisor.toml"),
        ..Origin::default()
    };
    let first = loaded(&origin);
    let warnings: Vec<_> = first
        .warnings
        .findings()
        .into_iter()
        .map(|f| f.message)
        .collect();
    assert_eq!(
        warnings,
        [
            "[PMTRates] is not read by any service of this stack",
            "[TriggerMap] is not read by any service of this stack",
            "[ZTPlot] is not read by any service of this stack",
            "[CalibrateAHRS] is not read by any service of this stack",
            "[LocalDBService] is not read by any service of this stack",
        ]
    );
    assert_eq!(option(&first.plan, "dom_rates", "lowest_rate"), 150.into());
    assert_eq!(
        option(&first.plan, "webserver", "username"),
        "km3net".into()
    );
    assert_eq!(
        option(&first.plan, "trigger_rates", "with_minor_ticks"),
        true.into()
    );
    assert_eq!(option(&first.plan, "alarm_chat", "enabled"), false.into());
    assert_eq!(
        option(&first.plan, "chatbot", "shifters"),
        "shifters".into()
    );
    assert_eq!(
        option(&first.plan, "alarm_elog", "password"),
        "secret".into()
    );
    // It was taken from the file and then ignored.
    assert_eq!(
        option(&first.plan, "alarm_elog", "logbook"),
        "Operations+FR".into()
    );
    origin.set = vec!["service.dom_rates.lowest_rate=100".into()];
    assert_eq!(
        option(&plan(&origin), "dom_rates", "lowest_rate"),
        100.into()
    );
}

/// The name was taken for the page, and rows went into the table of another name.
#[cfg(feature = "sqlite")]
#[test]
fn the_table_of_the_event_selection_has_one_name_for_all_who_need_it() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = "[ZTPlot]\nevent_selection_table = \"best\"\n\
                    [LocalDBService]\nfilename = \"/data/x.sqlite3\"\n";
    std::fs::write(folder.path().join("pipeline.toml"), pipeline).unwrap();
    let stack = "[stack]\npipeline = \"pipeline.toml\"\n[service.local_db]\nkind = \"local_db\"\n\
                 [service.ztplot]\nkind = \"ztplot\"\n[detector]\ngeometry = \"orca\"\ndus = 1\n";
    let file = folder.path().join("supervisor.toml");
    std::fs::write(&file, stack).unwrap();
    let loaded = loaded(&Origin {
        file,
        ..Origin::default()
    });
    for service in ["ztplot", "local_db"] {
        let name = option(&loaded.plan, service, "event_selection_table");
        assert_eq!(name, "best".into(), "{service}");
    }
    assert_eq!(
        option(&loaded.plan, "local_db", "filename"),
        "/data/x.sqlite3".into()
    );
    assert!(loaded.warnings.findings().is_empty());
}

#[test]
fn a_variable_becomes_what_its_key_takes() {
    let mut origin = text(
        "[service.a]\nkind = \"dom_rates\"\nlowest_rate = \"${LOW}\"\nrun = \"${RUN:-process}\"\n\
         description = \"${LOW}\"\n",
    );
    origin.environment.insert("LOW".into(), "120".into());
    let plan = plan(&origin);
    assert_eq!(option(&plan, "a", "lowest_rate"), 120.into());
    assert_eq!(kind(&plan, "a").run, Run::Process);
    assert_eq!(plan.service("a").unwrap().description, "120");
}

#[test]
fn whoever_has_to_live_long_to_be_ready_has_more_time_than_that() {
    let plan = plan(&text(
        r#"
        [service.long]
        command = "true"
        ready = "secs:60"
        [service.usual]
        command = "true"
        [service.told]
        command = "true"
        ready = "secs:60"
        ready_timeout = "61s"
        "#,
    ));
    let limit = |name: &str| plan.service(name).unwrap().ready_timeout.as_secs();
    assert_eq!(["long", "usual", "told"].map(limit), [90, 30, 61]);
}

#[test]
fn included_files_are_one_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("more")).unwrap();
    write(
        "main.toml",
        "include = [\"more/*.toml\", \"more/a.toml\"]\n[group.g]\n",
    );
    write(
        "more/a.toml",
        "[service.a]\ngroup = \"g\"\nkind = \"dom_rates\"\nafter = [\"b\"]\n",
    );
    write(
        "more/b.toml",
        "[service.b]\ngroup = \"g\"\nkind = \"dom_rates\"\n[stack]\nname = \"x\"\n",
    );
    let origin = Origin {
        file: folder.path().join("main.toml"),
        ..Origin::default()
    };
    let plan = plan(&origin);
    assert_eq!(plan.name, "x");
    let names: Vec<_> = plan.services.iter().map(|service| &*service.name).collect();
    assert_eq!(names, ["g:b", "g:a"]);
}

#[test]
fn a_pattern_whose_last_file_was_removed_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("more")).unwrap();
    write(
        "main.toml",
        "include = [\"more/*.toml\", \"none/*.toml\"]\n",
    );
    write("more/a.toml", "[service.a]\ncommand = \"true\"\n");
    let origin = Origin {
        file: folder.path().join("main.toml"),
        ..Origin::default()
    };
    let before = loaded(&origin);
    assert_eq!(before.plan.services.len(), 1);
    assert!(!before.files.differs());
    std::fs::remove_file(folder.path().join("more/a.toml")).unwrap();
    assert!(before.files.differs());
    assert!(plan(&origin).services.is_empty());
}

#[test]
fn options_of_a_plan_make_the_same_service_in_a_child() {
    let plan = plan(&text(
        "[service.a]\nkind = \"dom_rates\"\nlowest_rate = 100\nrun = \"process\"\n",
    ));
    let body = kind(&plan, "a");
    assert!(fathom::config::factory(body.kind.name, &body.options, &plan.setup).is_ok());
    assert!(fathom::config::factory("nothing", "", &plan.setup).is_err());
}

#[test]
fn a_detector_is_generated_as_asked() {
    let plan = plan(&text("[detector]\ngeometry = \"orca\"\ndus = 2\nid = 43\n"));
    let detector = plan.setup.detector.unwrap();
    assert_eq!((detector.id.0, detector.dus().len()), (43, 2));
}

#[test]
fn two_of_a_kind_with_names_of_their_own_go_side_by_side() {
    let loaded = loaded(&text(
        "[detector]\ngeometry = \"orca\"\n[service.ztplot]\nkind = \"ztplot\"\n\
         [service.large]\nkind = \"ztplot\"\noutput = \"ztplot_large\"\n\
         event_selection_table = \"large\"\n",
    ));
    let warnings = loaded.warnings.render(false);
    assert!(loaded.warnings.findings().is_empty(), "{warnings}");
}

#[test]
fn outputs_that_cover_each_other_are_warned_of() {
    let loaded = loaded(&text(
        "[service.a]\nkind = \"dom_rates\"\n[service.b]\nkind = \"dom_rates\"\n",
    ));
    let findings = loaded.warnings.findings();
    let [finding] = &findings[..] else {
        panic!("{}", loaded.warnings.render(false));
    };
    assert!(finding.message.contains("a, b"), "{}", finding.message);
}
