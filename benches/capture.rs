//! How fast output of children becomes log files: one noisy child, twenty, and one that writes line
//! by line; beside the child writing its file itself, `cat` in between, and supervisord.
//!
//!     cargo bench --bench capture                  # FATHOM_BENCH_DIR: where the files go
//!     SUPERVISORD=venv/bin/supervisord cargo bench --bench capture
#![allow(clippy::unwrap_used, reason = "a benchmark may end with a panic")]

#[path = "../tests/rig/mod.rs"]
mod rig;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fathom_kernel::State;

/// What the children write.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    children: usize,
    /// Of each child.
    bytes: usize,
    line_bytes: usize,
    /// Written at once.
    write_bytes: usize,
}

const LOADS: [Load; 3] = [
    Load {
        name: "one noisy child",
        children: 1,
        bytes: 2_000_000_000,
        line_bytes: 100,
        write_bytes: 65_500,
    },
    Load {
        name: "twenty noisy children",
        children: 20,
        bytes: 100_000_000,
        line_bytes: 100,
        write_bytes: 65_500,
    },
    Load {
        name: "one write per line",
        children: 1,
        bytes: 200_000_000,
        line_bytes: 40,
        write_bytes: 40,
    },
];

/// The files of one run are as large as all that is written.
const BACKUPS: usize = 1000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, verb, numbers @ ..] = args.as_slice()
        && verb == "write"
    {
        let numbers: Vec<usize> = numbers.iter().map(|n| n.parse().unwrap()).collect();
        let &[bytes, line_bytes, write_bytes] = numbers.as_slice() else {
            panic!("write BYTES LINE WRITE");
        };
        return write(bytes, line_bytes, write_bytes).unwrap();
    }
    let place = std::env::var_os("FATHOM_BENCH_DIR");
    let place = place.map_or_else(std::env::temp_dir, PathBuf::from);
    let supervisord = std::env::var_os("SUPERVISORD").map(PathBuf::from);
    println!(
        "{:22} {:14} {:>8} {:>14} complete",
        "", "", "MB/s", "M lines/s"
    );
    for load in LOADS {
        run(&place, load, "file itself", |folder| {
            direct(folder, load, false)
        });
        run(&place, load, "cat > file", |folder| {
            direct(folder, load, true)
        });
        run(&place, load, "fathom", |folder| fathom(folder, load));
        if let Some(program) = &supervisord {
            run(&place, load, "supervisord", |folder| {
                supervised(folder, load, program)
            });
        }
    }
}

/// Measures one way of doing it, and whether all of the output is there.
fn run(place: &Path, load: Load, who: &str, work: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir_in(place).unwrap();
    let begin = Instant::now();
    work(folder.path());
    let seconds = begin.elapsed().as_secs_f64();
    let bytes = bytes_below(folder.path());
    let rate = bytes as f64 / seconds / 1e6;
    let lines = rate / load.line_bytes as f64;
    let complete = bytes == (load.children * load.bytes) as u64;
    println!(
        "{:22} {who:14} {rate:8.0} {lines:14.2} {complete}",
        load.name
    );
}

/// The child: whole lines, over and over.
fn write(bytes: usize, line_bytes: usize, write_bytes: usize) -> io::Result<()> {
    let line = [&vec![b'x'; line_bytes - 1][..], b"\n"].concat();
    let chunk = line.repeat(write_bytes / line_bytes);
    // Standard output has a buffer of its own, which would join small writes.
    let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut left = bytes;
    while left > 0 {
        let (part, _) = chunk.split_at(left.min(chunk.len()));
        out.write_all(part)?;
        left -= part.len();
    }
    Ok(())
}

fn words(load: Load) -> Vec<String> {
    let program = std::env::current_exe().unwrap().display().to_string();
    let numbers = [load.bytes, load.line_bytes, load.write_bytes].map(|n| n.to_string());
    [program, "write".to_owned()]
        .into_iter()
        .chain(numbers)
        .collect()
}

fn direct(folder: &Path, load: Load, with_cat: bool) {
    let argv = words(load);
    let mut children: Vec<Child> = Vec::new();
    for number in 0..load.children {
        let file = File::create(folder.join(format!("{number}.log"))).unwrap();
        let mut child = Command::new(&argv[0]);
        child.args(&argv[1..]);
        if with_cat {
            let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
            let pipe = child.stdout.take().unwrap();
            let cat = Command::new("cat").stdin(pipe).stdout(file).spawn();
            children.extend([child, cat.unwrap()]);
        } else {
            children.push(child.stdout(file).spawn().unwrap());
        }
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

fn fathom(folder: &Path, load: Load) {
    let argv = words(load);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let services = (0..load.children).map(|number| {
        let mut service = rig::command(&format!("noisy{number}"), &argv);
        service.restart = fathom::config::plan::Restart::Never;
        service.log.backups = BACKUPS;
        service
    });
    let mut stack = rig::start(folder, services.collect());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for number in 0..load.children {
            rig::until_state(&stack, &format!("noisy{number}"), State::Exited).await;
        }
        stack.shutdown().await;
    });
}

fn supervised(folder: &Path, load: Load, program: &Path) {
    let mut text =
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n".to_owned();
    writeln!(text, "pidfile={}", folder.join("pid").display()).unwrap();
    let command = words(load).join(" ");
    for number in 0..load.children {
        let end = folder.join(format!("{number}.end"));
        let log = folder.join(format!("{number}.log"));
        write!(
            text,
            "[program:noisy{number}]\ncommand=sh -c '{command}; : > {}'\nautorestart=false\n\
             startsecs=0\nstdout_logfile={}\nstdout_logfile_backups={BACKUPS}\n",
            end.display(),
            log.display(),
        )
        .unwrap();
    }
    let config = folder.join("supervisord.conf");
    fs::write(&config, text).unwrap();
    let mut daemon = Command::new(program)
        .arg("-c")
        .arg(&config)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let all_bytes = (load.children * load.bytes) as u64;
    let patience = Instant::now() + Duration::from_secs(120);
    while bytes_below(folder) < all_bytes && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(2));
    }
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(daemon.id()).unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    daemon.wait().unwrap();
}

/// Returns the size of all logs below a folder.
fn bytes_below(folder: &Path) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            bytes += bytes_below(&path);
        } else if name.contains(".log") && !name.starts_with("fathom") {
            bytes += fs::metadata(&path).map_or(0, |file| file.len());
        }
    }
    bytes
}
