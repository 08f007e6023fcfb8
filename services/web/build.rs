//! Builds the front end in `ui/` with npm and Vite, for `src/assets.rs` to embed.
//!
//! The work happens in a copy under `OUT_DIR`, so that builds with several profiles do not disturb
//! each other and the source tree stays as it is. A machine without npm, or without the network when
//! the packages are not cached, gets a warning and a server with its plain pages only.
//! `FATHOM_WEB_UI=skip` leaves the front end out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// Parts of `ui/` that the built page does not depend on.
const NOT_SOURCES: [&str; 6] = [
    "node_modules",
    "dist",
    "e2e",
    "README.md",
    "test-results",
    "coverage",
];
const SWITCH: &str = "FATHOM_WEB_UI";

fn main() {
    println!("cargo::rerun-if-env-changed={SWITCH}");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let sources = Path::new("ui");
    let built = out.join("ui");
    if let Err(error) = empty(&built) {
        panic!("cannot make {}: {error}", built.display());
    }
    if env::var_os(SWITCH).is_some_and(|value| value == "skip") {
        return;
    }
    if !sources.join("package.json").exists() {
        // Watch for its arrival; naming what does not exist would run this at every build.
        println!("cargo::rerun-if-changed=.");
        return;
    }
    watch(sources);
    if let Err(why) = build(sources, &out.join("ui-work"), &built) {
        println!("cargo::warning=the front end is not built, only plain pages are served: {why}");
        if let Err(error) = empty(&built) {
            println!("cargo::warning=cannot empty {}: {error}", built.display());
        }
    }
}

/// Makes cargo run this again only when a source changes. A folder is named for files that come and
/// go, but not `ui/` itself, which also holds results.
fn watch(sources: &Path) {
    for path in entries(sources) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).into_iter().flatten().flatten();
    listed
        .filter(|entry| {
            let name = entry.file_name();
            !NOT_SOURCES.iter().any(|result| name == *result)
                && !name.to_string_lossy().starts_with('.')
        })
        .map(|entry| entry.path())
        .collect()
}

fn build(sources: &Path, work: &Path, built: &Path) -> Result<(), String> {
    let lock = "package-lock.json";
    let installed = fs::read(work.join("installed")).ok();
    let wanted = fs::read(sources.join(lock)).map_err(|e| format!("{lock}: {e}"))?;
    let reuse = installed.as_ref() == Some(&wanted);
    refresh(sources, work, reuse).map_err(|e| format!("cannot copy ui/: {e}"))?;
    if !reuse {
        let quiet = ["ci", "--no-audit", "--no-fund", "--prefer-offline"];
        run("npm", &quiet, work)?;
        fs::write(work.join("installed"), wanted).map_err(|e| e.to_string())?;
    }
    run("npm", &["run", "build"], work)?;
    copy(&work.join("dist"), built).map_err(|e| format!("cannot take over ui/dist: {e}"))
}

/// Copies the sources anew; installed packages stay when they are still the right ones.
fn refresh(sources: &Path, work: &Path, keep_packages: bool) -> io::Result<()> {
    if keep_packages {
        for path in fs::read_dir(work)?.flatten().map(|entry| entry.path()) {
            if path.ends_with("node_modules") || path.ends_with("installed") {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
    } else {
        empty(work)?;
    }
    for path in entries(sources) {
        let Some(name) = path.file_name() else {
            continue;
        };
        copy(&path, &work.join(name))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_file() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn empty(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let end: Vec<&str> = text
        .lines()
        .rev()
        .filter(|line| !line.trim().is_empty())
        .take(6)
        .collect();
    let end: Vec<&str> = end.into_iter().rev().collect();
    Err(format!(
        "`{program} {}`: {}",
        arguments.join(" "),
        end.join(" | ")
    ))
}
