//! Each option of a program, and what it becomes.

use super::{converted, import};

/// Returns the lines of the only service that options make, without what every one has.
fn lines(options: &str) -> Vec<String> {
    let text = format!("[program:x]\ncommand=sleep 9\nredirect_stderr=true\n{options}\n");
    let out = converted(&text).out;
    let lines = out
        .lines()
        .skip_while(|line| *line != "[service.x]")
        .skip(2);
    let kept = lines.filter(|line| *line != "restart = \"on-failure\"" && !line.is_empty());
    kept.map(str::to_owned).collect()
}

#[test]
fn options_become_keys() {
    for (options, expected) in [
        ("autorestart=true", &[][..]),
        ("autorestart=false", &["restart = \"never\""]),
        ("autostart=no", &["autostart = false"]),
        ("exitcodes=0, 2", &["exit_ok = [0, 2]"]),
        ("startsecs=5", &["ready = \"secs:5\""]),
        ("startsecs=60", &["ready = \"secs:60\""]),
        (
            "startsecs=0",
            &["budget = { restarts = 0 }", "ready = \"spawn\""],
        ),
        (
            "startretries=3",
            &["budget = { restarts = 3, period = \"10s\" }"],
        ),
        ("stopsignal=sigint", &["stop = { signal = \"INT\" }"]),
        ("stopsignal=28", &["stop = { signal = \"WINCH\" }"]),
        (
            "stopsignal=10\nstopwaitsecs=600",
            &["stop = { signal = \"USR1\", wait = \"10m\" }"],
        ),
        ("stopasgroup=true", &["stop = { group = true }"]),
        ("stopasgroup=false", &["stop = { group = false }"]),
        ("killasgroup=true", &["stop = { group = false }"]),
        ("stdout_logfile_maxbytes=5MB", &["log = { max = \"5MiB\" }"]),
        ("stdout_logfile_backups=0", &["log = { backups = 0 }"]),
        (
            "redirect_stderr=false",
            &["log = { stderr = \"separate\" }"],
        ),
        ("stdout_logfile=NONE", &["log = { target = \"none\" }"]),
        (
            "stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0",
            &["log = { target = \"stdout\", max = \"0B\" }"],
        ),
        ("user=root", &["user = \"root\""]),
        ("user=0", &["user = \"root\""]),
        (
            "directory=/srv/%(ENV_DETECTOR_ID)s",
            &["cwd = \"/srv/${DETECTOR_ID}\""],
        ),
        (
            "environment=A=\"x, y\",B=%(program_name)s",
            &["env = { A = \"x, y\", B = \"x\" }"],
        ),
        ("priority=5", &[]),
    ] {
        assert_eq!(lines(options), expected, "{options}");
    }
}

#[test]
fn commands_keep_their_words() {
    for (command, expected) in [
        ("a 'b c' \"d\"", "command = \"a 'b c' \\\"d\\\"\""),
        (
            "a --x=%(ENV_LIGIER)s 100%%",
            "command = \"a --x=${LIGIER} 100%\"",
        ),
        (
            "sh -c 'echo $${X} ${Y}'",
            "command = \"sh -c 'echo $$${X} $${Y}'\"",
        ),
        // Only a shell would take the backslash away here.
        ("a \"\\$x\"", "command = [\"a\", '\\$x']"),
        ("a %(host_node_name)s %(group_name)s", ""),
    ] {
        let out = converted(&format!("[program:x]\ncommand={command}\n")).out;
        let line = out
            .lines()
            .find(|line| line.starts_with("command"))
            .unwrap();
        if expected.is_empty() {
            assert!(line.ends_with(" x\"") && !line.contains('%'), "{line}");
        } else {
            assert_eq!(line, expected);
        }
    }
}

#[test]
fn what_has_no_equivalent_is_reported_with_its_line() {
    for (option, message) in [
        (
            "stdout_capture_maxbytes=1MB",
            "no equivalent: there are no communication events",
        ),
        (
            "stderr_syslog=true",
            "no equivalent: output is not sent to syslog",
        ),
        (
            "stopsignal=STOP",
            "no equivalent: services are stopped by one of TERM,",
        ),
        (
            "serverurl=http://x:1",
            "no equivalent: children find the socket",
        ),
        (
            "stdout_logfile=x.log",
            "changed: kept in logs/ under the data folder",
        ),
        ("startretries=0", "changed: one restart instead of none"),
        ("numprocs=0x2", "wrong: `0x2` is no whole number"),
        (
            "autostart=perhaps",
            "wrong: `perhaps` is neither true nor false",
        ),
        ("environment=A", "wrong: expected KEY=\"value\""),
        (
            "directory=%(nothing)s",
            "wrong: `%(nothing)` stands for nothing here",
        ),
        (
            "startsecs=%(ENV_UNSET)s",
            "wrong: environment variable UNSET is not set",
        ),
        (
            "directory=$%(ENV_LIGIER)s",
            "no equivalent: a `$` directly before a variable",
        ),
        (
            "nonsense=1",
            "no equivalent: supervisord has no such option",
        ),
    ] {
        let ran = converted(&format!("[program:x]\ncommand=a\n{option}\n"));
        let start = format!("supervisord.conf:3: [program:x] {}: {message}", key(option));
        assert!(ran.err.starts_with(&start), "{option}: {}", ran.err);
        assert_eq!(
            ran.code,
            if message.starts_with("wrong") { 2 } else { 0 },
            "{option}"
        );
    }
}

fn key(option: &str) -> &str {
    option.split('=').next().unwrap_or(option)
}

#[test]
fn false_switches_without_an_equivalent_are_not_reported() {
    let options = "stdout_events_enabled=false\nstdout_syslog=false\nstdout_capture_maxbytes=0\n\
                   serverurl=AUTO\nstdout_logfile=AUTO";
    let ran = converted(&format!("[program:x]\ncommand=a\n{options}\n"));
    assert_eq!(ran.err, "fathom: 1 services, everything carried over\n");
}

#[test]
fn names_stay_apart() {
    let text = "[group:a]\nprograms=x,y\n[group:b]\nprograms=x\n[program:x]\ncommand=a\n\
                [program:y]\ncommand=a\nnumprocs=2\nprocess_name=%(group_name)s-%(process_num)d\n\
                [program:my prog]\ncommand=a\n[program:fathom]\ncommand=a\n";
    let ran = converted(text);
    let folder = super::folder_with(text);
    let answer = import(folder.path(), &["--json"]).out;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let expected = ["a:x", "b:b_x", "a:a-0", "a:a-1", "my_prog", "fathom_"];
    assert_eq!(answer["services"], serde_json::json!(expected));
    assert!(
        ran.err.contains("called b_x, because there is another x"),
        "{}",
        ran.err
    );
}

#[test]
fn who_has_a_right_to_a_name_keeps_it() {
    let ran = converted(
        "[program:a.b]\ncommand=sleep 1\n[program:a_b]\ncommand=sleep 2\n\
         [program:a:b]\ncommand=sleep 3\n\
         [group:web]\nprograms=pages\n[program:pages]\ncommand=sleep 4\n\
         [program:web]\ncommand=sleep 5\n",
    );
    for (name, command) in [
        ("a_b_2", "sleep 1"),
        ("a_b", "sleep 2"),
        ("a_b_3", "sleep 3"),
        ("web_2", "sleep 5"),
    ] {
        let table = format!("[service.{name}]\ncommand = \"{command}\"\n");
        assert!(ran.out.contains(&table), "{name}: {}", ran.out);
        let renamed = format!("called {name}, because there is another");
        assert_eq!(ran.err.contains(&renamed), name != "a_b", "{}", ran.err);
    }
    assert!(!ran.out.contains("[group.a_b]"), "{}", ran.out);
}

#[test]
fn the_servers_become_the_control_section() {
    for (sections, expected) in [
        (
            "[inet_http_server]\nport=localhost:9001",
            "listen = \"127.0.0.1:9001\"\nrpc_open = true",
        ),
        (
            "[inet_http_server]\nport=*:9001",
            "listen = \"0.0.0.0:9001\"\nallow_remote = true",
        ),
        (
            "[inet_http_server]\nport=9001",
            "listen = \"0.0.0.0:9001\"\nallow_remote = true",
        ),
        (
            "[inet_http_server]\nport=%(ENV_LIGIER)s",
            "listen = \"${LIGIER}\"\nrpc_open = true",
        ),
        (
            "[unix_http_server]\nfile=/x\nchmod=0700",
            "socket_mode = \"0700\"",
        ),
        (
            "[unix_http_server]\nfile=/x\nchown=alice:shift",
            "socket_group = \"shift\"",
        ),
    ] {
        let out = converted(sections).out;
        assert!(out.contains(&format!("[control]\n{expected}\n")), "{out}");
    }
    let ran = converted("[inet_http_server]\nport=shore.example:9001");
    assert!(
        ran.err.contains("write the number of the address"),
        "{}",
        ran.err
    );
    let secret = "[inet_http_server]\nport=127.0.0.1:9001\nusername=u\npassword=deep sea\n";
    let out = converted(secret).out;
    assert!(
        out.contains("user = \"u\"\npassword_hash = \"$argon2id$"),
        "{out}"
    );
    assert!(!out.contains("deep sea"), "{out}");
    let ran =
        converted(&secret.replace("deep sea", "{SHA}82ab876d1387bfafe46cc1c8a2ef074eae50cb1d"));
    assert!(
        ran.err.contains("a SHA-1 hash opens nothing here"),
        "{}",
        ran.err
    );
}
