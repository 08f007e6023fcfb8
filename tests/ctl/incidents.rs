//! `ctl incidents` and `ctl incident`.

use crate::fake::{Fake, example};

#[tokio::test]
async fn failures_are_listed_with_the_newest_last() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["incidents"]).await, @r"");
    insta::assert_snapshot!(fake.ctl(&["--json", "incidents", "web"]).await, @r"");
}

#[tokio::test]
async fn a_report_is_readable() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["incident", "web"]).await, @r"");
}

#[tokio::test]
async fn a_report_that_does_not_exist_is_told() {
    let fake = Fake::start(example()).await;
    insta::assert_snapshot!(fake.ctl(&["incident", "77"]).await, @r"");
    insta::assert_snapshot!(fake.ctl(&["incident", "nobody"]).await, @r"");
}

#[tokio::test]
async fn a_report_is_also_text_for_people() {
    let fake = Fake::start(example()).await;
    let text = fake.client().text("/api/incidents/1?text=true").await;
    assert_eq!(text.expect("text"), "a report\nfor people\n");
    let report = fake.client().incident(2).await.expect("a report");
    assert_eq!((report.id, report.service.as_str()), (2, "web"));
}
