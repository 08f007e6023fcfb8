//! `ctl restart`.

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
