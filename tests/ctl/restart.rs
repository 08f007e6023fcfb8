//! `ctl restart` and `ctl rolling`.

use fathom_kernel::Command;

use crate::fake::{Fake, example};

#[tokio::test]
async fn a_group_is_restarted_in_one_command() {
    let fake = Fake::start(example()).await;
    let ran = fake.ctl(&["restart", "ligiers:*", "rttc"]).await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(
        ran.out,
        "ligiers:ligiermirror: started\nmonitoring_process:rttc: started\n"
    );
    let wanted = Command::Restart {
        targets: vec!["ligiers:*".to_owned(), "rttc".to_owned()],
        wait: true,
    };
    assert_eq!(fake.last_heard().0, wanted);
}

#[tokio::test]
async fn a_rolling_restart_goes_by_service_or_by_level() {
    let fake = Fake::start(example()).await;
    for (args, by_level) in [
        (&["restart", "--rolling", "rttc"][..], false),
        (&["restart", "--rolling", "--level", "rttc"], true),
        (&["rolling", "rttc"], false),
        (&["rolling", "--level", "rttc"], true),
    ] {
        let ran = fake.ctl(args).await;
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (0, "monitoring_process:rttc: started\n")
        );
        let targets = vec!["rttc".to_owned()];
        assert_eq!(fake.last_heard().0, Command::Roll { targets, by_level });
    }
    assert_eq!(fake.ctl(&["restart", "--level", "rttc"]).await.code, 2);
}
