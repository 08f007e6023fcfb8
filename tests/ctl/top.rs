//! `fathom top` in a terminal of its own, made by `script`.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fathom_kernel::Command as Order;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fake::{Fake, example};

/// What ends the use of the whole screen.
const LEAVES: &str = "\u{1b}[?1049l";

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Commands that the supervisor heard.
type Heard = Arc<Mutex<Vec<(Order, String)>>>;

/// A running `top` with its terminal.
struct Top {
    script: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Top {
    /// Starts it; `None` where there is no `script`.
    fn start(fake: &Fake) -> Option<Self> {
        let program = env!("CARGO_BIN_EXE_fathom");
        let socket = fake.socket.display();
        // A terminal without a window has no size of its own.
        let line = format!("echo pid $$; stty rows 24 cols 80; exec {program} top -s {socket}");
        let script = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut script = script.ok()?;
        let keys = script.stdin.take().unwrap();
        let mut stdout = script.stdout.take().unwrap();
        let (to, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = stdout.read(&mut bytes) {
                if to.send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self {
            script,
            keys,
            output,
            seen: String::new(),
        })
    }

    /// Waits until a text was written. Later pictures write only what differs from the one before,
    /// so only words of the first one can be waited for.
    fn until(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.output.recv_timeout(left);
            let bytes = bytes.unwrap_or_else(|_| panic!("no `{text}` in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn pid(&self) -> Pid {
        let pid = self.seen.split("pid ").nth(1).unwrap();
        Pid::from_raw(pid.split_whitespace().next().unwrap().parse().unwrap())
    }

    /// Waits for its end; the terminal must be as before.
    fn ends(mut self) {
        self.until(LEAVES);
        assert_eq!(self.script.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        // After a failure; else it has ended.
        self.script.kill().ok();
        self.script.wait().ok();
    }
}

async fn in_terminal(test: impl FnOnce(Top, Heard) + Send + 'static) {
    let fake = Fake::start(example()).await;
    let Some(top) = Top::start(&fake) else {
        return eprintln!("skipped: no program `script`");
    };
    let heard = fake.heard.clone();
    let test = tokio::task::spawn_blocking(|| test(top, heard));
    test.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_carried_out_after_a_yes_and_q_quits() {
    in_terminal(|mut top, heard| {
        top.until("triggermap");
        // The last line is the web server. The first question is not answered with yes.
        top.press("Gtns");
        top.press("y");
        let is_start = |order: &Order| match order {
            Order::Start { targets, .. } => *targets == ["webserver"],
            Order::Stop { .. } => panic!("it was not confirmed"),
            _ => false,
        };
        let deadline = Instant::now() + PATIENCE;
        while !heard
            .lock()
            .unwrap()
            .iter()
            .any(|(order, _)| is_start(order))
        {
            assert!(Instant::now() < deadline, "no start in {:?}", heard.lock());
            std::thread::sleep(Duration::from_millis(10));
        }
        top.press("q");
        top.ends();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_to_end_gives_the_terminal_back() {
    in_terminal(|mut top, _| {
        top.until("triggermap");
        kill(top.pid(), Signal::SIGTERM).unwrap();
        top.ends();
    })
    .await;
}
