//! `alarm_mail`: mails reach a server, through its refusals, and the program `sendmail`.

use std::os::unix::fs::PermissionsExt as _;

use fathom_kernel::Severity;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{QUICK, Stack, until};

/// Speaks with one client as a mail server; refuses the mail, or returns it.
async fn serve(stream: TcpStream, refuse: bool) -> Option<String> {
    let (from, mut to) = stream.into_split();
    let mut lines = BufReader::new(from).lines();
    to.write_all(b"220 here\r\n").await.unwrap();
    let (mut mail, mut is_mail) = (String::new(), false);
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match &*line {
            "." if is_mail => {
                is_mail = false;
                "250 taken"
            }
            line if is_mail => {
                mail.push_str(line);
                mail.push('\n');
                continue;
            }
            "DATA" => {
                is_mail = true;
                "354 go on"
            }
            line if line.starts_with("RCPT") && refuse => "450 not now",
            line if line.starts_with("QUIT") => {
                to.write_all(b"221 bye\r\n").await.unwrap();
                break;
            }
            _ => "250 fine",
        };
        to.write_all(format!("{answer}\r\n").as_bytes())
            .await
            .unwrap();
    }
    (!mail.is_empty()).then_some(mail)
}

#[tokio::test]
async fn a_mail_that_is_refused_for_now_is_sent_later_with_what_came_meanwhile() {
    let stack = Stack::live();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let engine = stack.start("alarms", "alarms", "").await;
    let options =
        format!("server = \"127.0.0.1\"\nport = {port}\nto = [\"shift@example.org\"]\n{QUICK}");
    let sink = stack.start("alarm_mail", "alarm_mail", &options).await;
    stack.say("trigger_rate_zero", "Overall", Severity::Alert, true);
    let (stream, _) = listener.accept().await.unwrap();
    assert_eq!(serve(stream, true).await, None);
    stack.say("disk_full", "/data", Severity::Alert, true);
    stack.say("dom_inactive", "DU 1", Severity::Warning, true);
    let mail = loop {
        let (stream, _) = listener.accept().await.unwrap();
        if let Some(mail) = serve(stream, false).await {
            break mail;
        }
    };
    assert!(mail.contains("To: shift@example.org"), "{mail}");
    assert!(mail.contains("trigger_rate_zero of Overall"), "{mail}");
    assert!(
        !mail.contains("dom_inactive"),
        "a warning is not worth a mail: {mail}"
    );
    sink.stop().await;
    engine.stop().await;
}

#[tokio::test]
async fn the_subject_of_a_mail_is_the_text_of_its_alarm() {
    let stack = Stack::live();
    let folder = stack.folder.path().to_owned();
    let program = folder.join("sendmail");
    // It fails at first, as one does whose queue is full.
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\n\
        [ -e tried ] || { touch tried; echo no room >&2; exit 75; }\n\
        echo \"$@\" > words; cat > mail.part && mv mail.part mail\n";
    std::fs::write(&program, script).unwrap();
    let rights = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, rights).unwrap();
    let engine = stack.start("alarms", "alarms", "").await;
    let options = format!(
        "sendmail = {:?}\nfrom = \"monitoring@example.org\"\nto = [\"a@example.org\", \"b@example.org\"]\n{QUICK}",
        program.display().to_string()
    );
    let sink = stack.start("alarm_mail", "alarm_mail", &options).await;
    stack.say("trigger_rate_zero", "Overall", Severity::Alert, true);
    let mail = folder.join("mail");
    until("the program has it", || mail.exists()).await;
    let mail = std::fs::read_to_string(mail).unwrap();
    assert!(
        mail.contains("Subject: trigger_rate_zero of Overall\r\n"),
        "{mail}"
    );
    assert!(mail.contains("From: monitoring@example.org\r\n"), "{mail}");
    let words = std::fs::read_to_string(folder.join("words")).unwrap();
    let expected = "-i -f monitoring@example.org -- a@example.org b@example.org\n";
    assert_eq!(words, expected);
    sink.stop().await;
    engine.stop().await;
}
