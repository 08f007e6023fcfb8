//! Addresses of km3mon's page that were 404 here, and what stands beside them.

use reqwest::StatusCode;

use crate::fixture::{Server, scalar};

#[tokio::test]
async fn the_page_of_one_plot_is_found_under_its_old_address() {
    let server = Server::start("").await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let ask = client
        .build()
        .unwrap()
        .get(server.url("/plot_dom_rates.html"));
    let answer = ask.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(answer.headers()["location"], "/plot/dom_rates");
    let wrong = server.get("/plot_a%2f..%2fb.html").await;
    assert_eq!(wrong.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_supernova_page_is_among_the_pages() {
    let server = Server::start("").await;
    let config = server.json("/api/config").await;
    let pages = config["pages"].as_array().unwrap();
    assert!(pages.iter().any(|page| page["path"] == "/sn.html"));
    assert_eq!(server.get("/lite/sn").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_plot_can_be_embedded_as_svg() {
    let server = Server::start("").await;
    server.put(scalar("rate", 5.0));
    let answer = server.get("/plots/rate.svg?w=480&h=320").await;
    assert_eq!(answer.headers()["content-type"], "image/svg+xml");
    let svg = answer.text().await.unwrap();
    assert!(
        svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
        "{svg}"
    );
    assert!(svg.contains("viewBox=\"0 0 480 320\"") && svg.contains(">5.000</text>"));
    assert!(!svg.contains("<image"), "a number needs no pixels");
    // Both are kept, each as what it is.
    let png = server.get("/plots/rate.png?w=480&h=320").await;
    assert_eq!(png.headers()["content-type"], "image/png");
    assert!(png.bytes().await.unwrap().starts_with(b"\x89PNG"));
    let again = server.get("/plots/rate.svg?w=480&h=320").await;
    assert_eq!(again.text().await.unwrap(), svg);
    assert_eq!(
        server.get("/plots/rate.gif").await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn log_files_of_today_and_of_other_days_can_be_downloaded() {
    let server = Server::start("").await;
    std::fs::create_dir_all(&server.data_dir).unwrap();
    let write = |name: &str, text: &str| std::fs::write(server.data_dir.join(name), text).unwrap();
    write("MSG.log", "today\n");
    write("MSG_2026-01-30.log.gz", "old");
    write("MSG_2026-01-31.log", "yesterday\n");
    write("other.log", "secret");
    for (name, text) in [
        ("MSG.log", "today\n"),
        ("MSG_2026-01-31.log", "yesterday\n"),
    ] {
        let answer = server.get(&format!("/logs/{name}")).await;
        assert_eq!(
            answer.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        assert_eq!(answer.text().await.unwrap(), text);
    }
    let packed = server.get("/logs/MSG_2026-01-30.log.gz").await;
    assert_eq!(packed.headers()["content-type"], "application/gzip");
    assert_eq!(packed.text().await.unwrap(), "old");
    let list = server.get("/logs").await.text().await.unwrap();
    let at = |name: &str| list.find(name).unwrap();
    assert!(at("/logs/MSG.log") < at("/logs/MSG_2026-01-31.log"));
    assert!(at("/logs/MSG_2026-01-31.log") < at("/logs/MSG_2026-01-30.log.gz"));
    assert!(!list.contains("other"));
    for wrong in [
        "other.log",
        "MSG_2026-02-01.log",
        "..%2fMSG.log",
        "%2fetc%2fpasswd",
    ] {
        let answer = server.get(&format!("/logs/{wrong}")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{wrong}");
    }
}

#[tokio::test]
async fn counters_are_there_for_prometheus() {
    let server = Server::start("").await;
    let answer = server.get("/metrics").await;
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("fathom_service_restarts_total{service=\"monitoring:x\""),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn they_need_the_same_login_as_the_rest() {
    let server = Server::start("username = \"a\"\npassword = \"b\"").await;
    for path in [
        "/metrics",
        "/logs",
        "/logs/MSG.log",
        "/plots/x.svg",
        "/plot_x.html",
    ] {
        assert_eq!(
            server.get(path).await.status(),
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
}
