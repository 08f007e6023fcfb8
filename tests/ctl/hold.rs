//! `ctl hold` and `ctl unhold`.

use fathom_kernel::{Command, Span};

use crate::fake::{Fake, example};

#[tokio::test]
async fn a_service_is_held_for_a_time_written_either_way() {
    let fake = Fake::start(example()).await;
    for words in [
        &["hold", "rttc", "for", "1h"][..],
        &["hold", "rttc", "--for=1h"],
    ] {
        let ran = fake.ctl(words).await.to_string();
        assert_eq!(ran.trim_end(), "exit 0\nmonitoring_process:rttc: held");
        let heard = Command::Hold {
            targets: vec!["rttc".to_owned()],
            time: Some(Span::from_secs(3600)),
        };
        assert_eq!(fake.last_heard().0, heard);
    }
    assert_eq!(fake.ctl(&["hold", "nobody"]).await.code, 1);
    assert_eq!(fake.ctl(&["hold", "rttc", "--for=soon"]).await.code, 2);
}

#[tokio::test]
async fn a_mistyped_time_holds_nobody() {
    let fake = Fake::start(example()).await;
    for words in [
        &["hold", "rttc", "for", "1x"][..],
        &["hold", "rttc", "for"],
        &["hold", "rttc", "for", "1h", "webserver"],
        &["hold", "rttc", "for", "1h", "--for=2h"],
    ] {
        let refused = fake.ctl(words).await;
        assert_eq!(refused.code, 2, "{refused}");
    }
}

#[tokio::test]
async fn a_held_service_is_released() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["unhold", "rttc"]).await, @r"
    exit 0
    monitoring_process:rttc: released
    ");
}
