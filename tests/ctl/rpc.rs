//! supervisord's XML-RPC: calls as its own client sends them, answers as its server gives them.

use fathom::control::TcpDoor;
use fathom_kernel::{Command, State};

use crate::fake::{Fake, service, stranger};

/// The whole of an answer with one value.
fn response(value: &str) -> String {
    format!(
        "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n{value}</param>\n</params>\n\
         </methodResponse>\n"
    )
}

fn call(method: &str, params: &[&str]) -> String {
    let params: String = params
        .iter()
        .map(|value| format!("<param>\n<value><string>{value}</string></value>\n</param>\n"))
        .collect();
    format!(
        "<?xml version='1.0'?>\n<methodCall>\n<methodName>{method}</methodName>\n<params>\n{params}\
         </params>\n</methodCall>\n"
    )
}

async fn post(fake: &Fake, path: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
    let client = reqwest::Client::builder().unix_socket(fake.socket.clone());
    let sent = client
        .build()
        .expect("a client")
        .post(format!("http://localhost{path}"))
        .header("content-type", "text/xml")
        .body(body)
        .send();
    let answer = sent.await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

async fn ligiers() -> Fake {
    Fake::start(vec![
        service(
            "ligiers:ligiermirror",
            State::Running,
            "pid 3150, uptime 0:00:06",
        ),
        service(
            "ligiers:monitoring_ligier",
            State::Running,
            "pid 3151, uptime 0:00:06",
        ),
    ])
    .await
}

#[tokio::test]
async fn the_stop_of_a_group_is_answered_as_recorded() {
    let fake = ligiers().await;
    let result = |name: &str| {
        format!(
            "<value><struct>\n\
             <member>\n<name>name</name>\n<value><string>{name}</string></value>\n</member>\n\
             <member>\n<name>group</name>\n<value><string>ligiers</string></value>\n</member>\n\
             <member>\n<name>status</name>\n<value><int>80</int></value>\n</member>\n\
             <member>\n<name>description</name>\n<value><string>OK</string></value>\n</member>\n\
             </struct></value>\n"
        )
    };
    let both = result("ligiermirror") + &result("monitoring_ligier");
    let stop = call("supervisor.stopProcessGroup", &["ligiers"]);
    let (status, text) = post(&fake, "/RPC2", stop.clone()).await;
    let expected = format!("<value><array><data>\n{both}</data></array></value>\n");
    assert_eq!((status, text), (200, response(&expected)));
    // Nothing is left to stop.
    let nothing = response("<value><array><data>\n</data></array></value>\n");
    assert_eq!(post(&fake, "/RPC2", stop).await, (200, nothing));
}

#[tokio::test]
async fn the_state_of_a_service_has_all_members_in_their_order() {
    let fake = ligiers().await;
    let ask = call("supervisor.getProcessInfo", &["ligiers:ligiermirror"]);
    let (_, text) = post(&fake, "/RPC2", ask).await;
    let names = text.split("<name>").skip(1);
    let names: Vec<&str> = names.filter_map(|rest| rest.split('<').next()).collect();
    let expected = "name group start stop now state statename spawnerr exitstatus logfile \
                    stdout_logfile stderr_logfile pid description";
    assert_eq!(names.join(" "), expected);
    for value in [
        "<value><string>ligiermirror</string></value>",
        "<value><int>20</int></value>",
        "<value><int>3150</int></value>",
        "<value><string>pid 3150, uptime 0:00:06</string></value>",
    ] {
        assert!(text.contains(value), "{value}: {text}");
    }
}

#[tokio::test]
async fn what_is_no_call_is_refused_and_what_is_unknown_is_a_fault() {
    let fake = ligiers().await;
    for body in ["", "hello", "<methodCall/>", "<methodCall><methodName>a.b"] {
        assert_eq!(post(&fake, "/RPC2", body).await.0, 400, "{body}");
    }
    assert_eq!(post(&fake, "/RPC2", vec![b' '; 2 << 20]).await.0, 413);
    for method in ["a.b.c", "supervisor.__class__", "supervisor"] {
        let (status, text) = post(&fake, "/RPC2/any", call(method, &[])).await;
        assert!(status == 200 && text.contains("UNKNOWN_METHOD"), "{text}");
    }
    let (_, text) = post(&fake, "/RPC2", call("supervisor.getPID", &["one"])).await;
    assert!(
        text.contains("<int>2</int>") && text.contains("INCORRECT_PARAMETERS"),
        "{text}"
    );
    let (_, text) = post(&fake, "/RPC2", call("supervisor.stopProcess", &["no:such"])).await;
    assert!(text.contains("BAD_NAME: no:such"), "{text}");
}

#[tokio::test]
async fn a_lone_service_is_never_taken_for_a_group_of_its_name() {
    let fake = Fake::start(vec![service(
        "web",
        State::Running,
        "pid 7, uptime 0:00:01",
    )])
    .await;
    let stop = call("supervisor.stopProcess", &["web"]);
    post(&fake, "/RPC2", stop).await;
    let (command, caller) = fake.last_heard();
    assert!(caller.ends_with("via socket"), "{caller}");
    assert!(matches!(command, Command::Stop { targets, .. } if targets == ["web:web"]));
}

#[tokio::test]
async fn over_tcp_a_password_is_asked_for() {
    let door = TcpDoor {
        listen: "127.0.0.1:0".parse().expect("an address"),
        token_file: None,
        hosts: Vec::new(),
        account: None,
        rpc_open: false,
    };
    let fake = Fake::start_with(Vec::new(), Some(door)).await;
    let url = format!("http://{}/RPC2", fake.tcp_address());
    let ask = |password: Option<String>| {
        let sent = stranger().post(&url).body(call("supervisor.getState", &[]));
        match password {
            Some(password) => sent.basic_auth("anybody", Some(password)).send(),
            None => sent.send(),
        }
    };
    let refused = ask(None).await.expect("an answer");
    assert_eq!(refused.status(), 401);
    let wanted = refused.headers().get("www-authenticate");
    assert_eq!(wanted.expect("there"), "Basic realm=\"default\"");
    assert_eq!(
        ask(Some("wrong".to_owned()))
            .await
            .expect("an answer")
            .status(),
        401
    );
    let token = std::fs::read_to_string(fake.token_file()).expect("readable");
    let admitted = ask(Some(token.trim().to_owned())).await.expect("an answer");
    assert_eq!(admitted.status(), 200);
    assert!(
        admitted
            .text()
            .await
            .expect("text")
            .contains("<string>RUNNING</string>")
    );
}
