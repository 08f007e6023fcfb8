//! Finds the file that a command runs, as the service itself would: on its own PATH.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::config::plan::{Body, CommandBody, ServicePlan};

/// Where programs are looked for when nothing says so.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Why a command cannot be run; in the words that supervisord's users know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrunnable {
    /// There is no such file.
    #[error("can't find command '{0}'")]
    NoFile(String),
    /// There is one, but it may not be executed.
    #[error("command at '{0}' is not executable")]
    NotExecutable(String),
    /// The folder to run it in does not exist.
    #[error("no such folder: {0}")]
    NoFolder(String),
}

impl Unrunnable {
    /// Returns the error that the kernel would give.
    pub fn errno(&self) -> Errno {
        match self {
            Self::NoFile(_) | Self::NoFolder(_) => Errno::ENOENT,
            Self::NotExecutable(_) => Errno::EACCES,
        }
    }
}

/// Tells whether the program of a service can be run, without running it. Kinds always can.
pub fn check(plan: &ServicePlan, config_dir: &Path) -> Result<(), Unrunnable> {
    match &plan.body {
        Body::Command(body) => {
            let folder = folder(body, config_dir)?;
            find(body, folder.as_deref()).map(drop)
        }
        Body::Kind(_) => Ok(()),
    }
}

/// Returns the folder to run in; `None` is the supervisor's.
pub(super) fn folder(body: &CommandBody, config_dir: &Path) -> Result<Option<PathBuf>, Unrunnable> {
    let folder = body.cwd.as_deref().unwrap_or(config_dir);
    match folder.as_os_str().is_empty() {
        true => Ok(None),
        false if folder.is_dir() => Ok(Some(folder.to_owned())),
        false => Err(Unrunnable::NoFolder(folder.display().to_string())),
    }
}

/// Finds the file that a command runs; relative ones are meant from the folder it runs in.
pub(super) fn find(body: &CommandBody, folder: Option<&Path>) -> Result<PathBuf, Unrunnable> {
    let program = body.argv.first().map_or("", String::as_str);
    let from = |path: &Path| folder.map_or_else(|| path.to_owned(), |folder| folder.join(path));
    if program.contains('/') {
        let path = from(Path::new(program));
        return match is_executable(&path) {
            Some(true) => Ok(path),
            Some(false) => Err(Unrunnable::NotExecutable(program.to_owned())),
            None => Err(Unrunnable::NoFile(program.to_owned())),
        };
    }
    let mut refused = Unrunnable::NoFile(program.to_owned());
    for place in std::env::split_paths(&search_path(body)) {
        let path = from(&place.join(program));
        match is_executable(&path) {
            Some(true) => return Ok(path),
            Some(false) => refused = Unrunnable::NotExecutable(path.display().to_string()),
            None => {}
        }
    }
    Err(refused)
}

fn search_path(body: &CommandBody) -> OsString {
    match body.env.get("PATH") {
        Some(path) => path.into(),
        None => std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into()),
    }
}

/// Tells whether somebody may execute a file; `None` when there is none. Whether the service's user
/// may is for the kernel to say.
fn is_executable(path: &Path) -> Option<bool> {
    let about = std::fs::metadata(path)
        .ok()
        .filter(|about| !about.is_dir())?;
    Some(about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_service_decides() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, mode| {
            let path = folder.path().join(name);
            std::fs::write(&path, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let (good, plain) = (file("good", 0o755), file("plain", 0o644));
        let body = |program: &str, path: &str| CommandBody {
            argv: vec![program.to_owned()],
            env: [("PATH".to_owned(), path.to_owned())].into(),
            cwd: None,
            user: None,
        };
        let here = folder.path().to_str().unwrap();
        let find = |program: &str, path: &str| find(&body(program, path), Some(folder.path()));
        assert_eq!(find("good", here), Ok(good.clone()));
        assert_eq!(find("./good", "/nowhere"), Ok(folder.path().join("./good")));
        assert_eq!(find("good", "."), Ok(folder.path().join("./good")));
        let missing = Unrunnable::NoFile("good".to_owned());
        assert_eq!(find("good", "/nowhere"), Err(missing));
        let refused = Unrunnable::NotExecutable(plain.display().to_string());
        assert_eq!(find("plain", here), Err(refused));
        assert_eq!(find("sh", &format!("{here}:/bin")), Ok("/bin/sh".into()));
        let text = find("/no/such", here).unwrap_err().to_string();
        assert_eq!(text, "can't find command '/no/such'");
    }
}
