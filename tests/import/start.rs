//! The converted configuration runs its scripts as child processes.

use std::path::Path;

use fathom::config::{Environment, Origin, load};
use fathom::stack::{Options, Stack};
use fathom_kernel::{State, Verdict};

use super::rig::{done, restart, results, status, stop, until_state};
use super::{VARIABLES, import};

/// Says what it was called with and where, then works until it is told to stop.
const SCRIPT: &str = "\
echo \"$0 $*\" \"$TZ $PLOT_DIR $MPLBACKEND\" > said.$SUPERVISOR_PROCESS_NAME
trap 'exit 0' TERM INT
while :; do sleep 0.1; done
";

fn install(folder: &Path) {
    let conf = std::fs::read_to_string("tests/import/km3mon/supervisord.conf").unwrap();
    // The scripts are the shell's, so that no interpreter of a certain name is needed; and no port
    // of this machine is taken.
    let conf = conf
        .replace("python3", "sh")
        .replace("[inet_http_server]\nport=127.0.0.1:9001\n", "");
    std::fs::write(folder.join("supervisord.conf"), conf).unwrap();
    std::fs::create_dir(folder.join("conf.d")).unwrap();
    std::fs::copy(
        "tests/import/km3mon/conf.d/extra.conf",
        folder.join("conf.d/extra.conf"),
    )
    .unwrap();
    let scripts = folder.join("scripts");
    std::fs::create_dir(&scripts).unwrap();
    for name in [
        "message_log.py",
        "mirror.sh",
        "rates.py",
        "reader.sh",
        "alerts.py",
        "page.sh",
        "disk.sh",
    ] {
        std::fs::write(scripts.join(name), SCRIPT).unwrap();
    }
}

#[tokio::test]
async fn a_configuration_of_the_shape_of_km3mon_starts() {
    let folder = tempfile::tempdir().unwrap();
    install(folder.path());
    let ran = import(folder.path(), &["-o", "supervisor.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let environment: Environment = VARIABLES.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let loaded = load(&Origin {
        file: folder.path().join("supervisor.toml"),
        data_dir: Some(folder.path().join("fathom")),
        environment,
        ..Origin::default()
    });
    let plan = loaded.unwrap_or_else(|_| panic!("it loads")).plan;
    assert_eq!(plan.name, "monitoring_43");
    let names: Vec<String> = plan.services.iter().map(|s| s.name.to_string()).collect();
    let mut stack = Stack::start(plan, Options::default()).unwrap();
    for name in names.iter().filter(|name| *name != "alerts") {
        until_state(&stack, name, State::Running).await;
    }
    assert_eq!(status(&stack, "alerts").await.state, State::Stopped);
    let said =
        |name: &str| std::fs::read_to_string(folder.path().join(format!("said.{name}"))).unwrap();
    assert_eq!(said("reader_02"), "scripts/reader.sh 2 of 2   agg\n");
    assert_eq!(
        said("dom_rates"),
        "scripts/rates.py -d 43 -o data/dom_rates UTC data/plots_43 agg\n"
    );
    assert_eq!(
        said("ligier_mirror"),
        "scripts/mirror.sh --from 127.0.0.1:5553 --tags IO_SUM, IO_EVT   agg\n"
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn one_program_that_cannot_start_does_not_keep_those_of_higher_priority_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let conf = "[program:first]\ncommand=/no/such/prog\npriority=1\n\
                [program:second]\ncommand=sleep 1000\npriority=2\n\
                [program:third]\ncommand=sh -c \"exit 3\"\npriority=3\n\
                [program:fourth]\ncommand=sleep 1000\npriority=4\n";
    std::fs::write(folder.path().join("supervisord.conf"), conf).unwrap();
    let ran = import(folder.path(), &["-o", "supervisor.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let loaded = load(&Origin {
        file: folder.path().join("supervisor.toml"),
        data_dir: Some(folder.path().join("fathom")),
        ..Origin::default()
    });
    let plan = loaded.unwrap_or_else(|_| panic!("it loads")).plan;
    let mut stack = Stack::start(plan, Options::default()).unwrap();
    until_state(&stack, "second", State::Running).await;
    until_state(&stack, "fourth", State::Running).await;
    // What an operator has stopped keeps nobody from coming back, and is not started for others.
    done(&stack, stop("second")).await;
    let again = done(&stack, restart("fourth")).await;
    assert_eq!(results(&again), [("fourth", Verdict::Started)]);
    assert_eq!(status(&stack, "second").await.state, State::Stopped);
    stack.shutdown().await;
}
