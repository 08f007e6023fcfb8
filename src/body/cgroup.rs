//! Control groups (version 2) of services that ask for limits by them, where the system lets us have
//! some; elsewhere they are left out, which is said once.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use tracing::{debug, warn};

use super::autopsy::Autopsy;
use crate::config::plan::Limits;
use crate::files;

/// Controllers that limits need.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

/// Length of a period over which computing time is shared out [us].
const PERIOD_US: f64 = 100_000.0;

/// The control groups of a stack. Clones mean the same.
#[derive(Debug, Clone)]
pub struct Cgroups(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    boot_id: Arc<str>,
    /// Folder of our own group; made when first needed.
    top: OnceLock<Option<PathBuf>>,
    complained: AtomicBool,
}

impl Cgroups {
    /// Makes none yet.
    pub fn new(boot_id: Arc<str>) -> Self {
        Self(Arc::new(Inner {
            boot_id,
            top: OnceLock::new(),
            complained: AtomicBool::new(false),
        }))
    }

    /// Makes the group of an incarnation that needs one, and opens the file by which its process
    /// joins; `None` where there can be none.
    pub(super) fn make(
        &self,
        service: &str,
        incarnation: u64,
        limits: &Limits,
    ) -> Option<(Cgroup, File)> {
        if !limits.need_cgroup() {
            return None;
        }
        let top = self.0.top.get_or_init(|| match own_top(&self.0.boot_id) {
            Ok(top) => Some(top),
            Err(error) => {
                warn!(%error, "no control groups here, limits by them are left out");
                None
            }
        });
        let name = format!("{}.{incarnation}", files::name_of(service));
        let folder = top.as_deref()?.join(name);
        let complain = |error: &io::Error| self.complain(service, &folder, error);
        fs::create_dir(&folder).inspect_err(complain).ok()?;
        let cgroup = Cgroup(folder.clone());
        let door = cgroup.door().inspect_err(complain).ok()?;
        // Those limits that could be set hold all the same.
        cgroup
            .limit(limits)
            .unwrap_or_else(|error| complain(&error));
        Some((cgroup, door))
    }

    /// Says that a limit does not hold: loudly once, since it will be the same for all.
    fn complain(&self, service: &str, path: &Path, error: &io::Error) {
        let path = path.display();
        if self.0.complained.swap(true, Relaxed) {
            debug!(service, %path, %error, "a limit by control group is left out");
        } else {
            warn!(service, %path, %error, "a limit by control group is left out");
        }
    }

    /// Removes what was made, once no service is left.
    pub(crate) fn remove(&self) {
        if let Some(Some(top)) = self.0.top.get()
            && let Err(error) = fs::remove_dir(top)
        {
            debug!(%error, "the control group of the stack stays");
        }
    }
}

/// The control group of one incarnation; removed when dropped.
#[derive(Debug)]
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    /// Opens the file by which a process joins.
    fn door(&self) -> io::Result<File> {
        File::options()
            .write(true)
            .open(self.0.join("cgroup.procs"))
    }

    /// Kills all its processes.
    pub(super) fn kill(&self) {
        if let Err(error) = put(&self.0, "cgroup.kill", "1") {
            debug!(%error, "a control group cannot be killed as one");
        }
    }

    /// Tells whether a process is in it.
    pub(super) fn is_populated(&self) -> bool {
        number(&self.0.join("cgroup.events"), "populated").is_some_and(|n| n > 0)
    }

    /// Adds what it tells of the end.
    pub(super) fn look_at(&self, autopsy: &mut Autopsy) {
        let killed = number(&self.0.join("memory.events"), "oom_kill");
        autopsy.oom = killed.is_some_and(|n| n > 0);
        let peak = fs::read_to_string(self.0.join("memory.peak"));
        let peak = peak.ok().and_then(|text| text.trim().parse().ok());
        if let Some(spent) = &mut autopsy.spent {
            spent.memory_peak_bytes = peak;
        }
    }

    fn limit(&self, limits: &Limits) -> io::Result<()> {
        if let Some(bytes) = limits.cgroup_memory {
            put(&self.0, "memory.max", &bytes.bytes().to_string())?;
            // The whole service goes when memory is short, not some process of it.
            put(&self.0, "memory.oom.group", "1")?;
        }
        if let Some(processors) = limits.cgroup_cpu {
            let quota = processors * PERIOD_US;
            put(&self.0, "cpu.max", &format!("{quota:.0} {PERIOD_US:.0}"))?;
        }
        if let Some(count) = limits.cgroup_pids {
            put(&self.0, "pids.max", &count.to_string())?;
        }
        Ok(())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            debug!(path = %self.0.display(), %error, "a control group stays");
        }
    }
}

/// Makes our own group below the one we are in.
fn own_top(boot_id: &str) -> io::Result<PathBuf> {
    let here = own_folder().ok_or_else(|| io::Error::other("no hierarchy of version 2"))?;
    make_top(&here, boot_id)
}

fn make_top(here: &Path, boot_id: &str) -> io::Result<PathBuf> {
    let top = here.join(format!("fathom-{boot_id}"));
    fs::create_dir(&top)?;
    if enable(here).is_err() {
        // A group with processes cannot share out what it has: the supervisor steps aside.
        let aside = top.join("supervisor");
        fs::create_dir(&aside)?;
        put(&aside, "cgroup.procs", &std::process::id().to_string())?;
        enable(here)?;
    }
    enable(&top)?;
    Ok(top)
}

/// Lets the groups below have those controllers that there are.
fn enable(group: &Path) -> io::Result<()> {
    let there = fs::read_to_string(group.join("cgroup.controllers"))?;
    let there: Vec<&str> = there.split_ascii_whitespace().collect();
    for name in CONTROLLERS.iter().filter(|name| there.contains(name)) {
        put(group, "cgroup.subtree_control", &format!("+{name}"))?;
    }
    Ok(())
}

/// Finds the folder of the group that this process is in.
fn own_folder() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let place = mounts.lines().find_map(mounted_at)?;
    Some(place.join(own.trim_start_matches('/')))
}

/// Returns the place of a mount if it is the hierarchy: fields before ` - ` are those of the mount,
/// the first behind it is its type.
fn mounted_at(line: &str) -> Option<PathBuf> {
    let (mount, kind) = line.split_once(" - ")?;
    if !kind.starts_with("cgroup2 ") {
        return None;
    }
    Some(mount.split(' ').nth(4)?.into())
}

/// Reads a number from lines of `name number`.
fn number(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// Writes to a file of a group; it must be there already.
fn put(group: &Path, file: &str, text: &str) -> io::Result<()> {
    let path = group.join(file);
    let mut file = File::options().write(true).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use fathom_kernel::Size;

    use super::super::autopsy::Spent;
    use super::*;

    #[test]
    fn the_hierarchy_is_found_among_the_mounts() {
        let line = "37 30 0:31 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(mounted_at(line), Some("/sys/fs/cgroup/unified".into()));
        let other = "36 30 0:30 / /sys/fs/cgroup/cpu rw shared:8 - cgroup cgroup rw,cpu";
        assert_eq!(mounted_at(other), None);
    }

    /// A folder in place of the kernel's, with files that take what is written.
    fn pretended(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn limits_are_written_as_the_kernel_wants_them() {
        let names = ["memory.max", "memory.oom.group", "cpu.max", "pids.max"];
        let folder = pretended(&names.map(|name| (name, "")));
        let cgroup = Cgroup(folder.path().to_owned());
        let limits = Limits {
            cgroup_memory: Some(Size::from_mib(1)),
            cgroup_cpu: Some(1.5),
            cgroup_pids: Some(9),
            ..Limits::default()
        };
        cgroup.limit(&limits).unwrap();
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(names.map(read), ["1048576", "1", "150000 100000", "9"]);
        fs::remove_file(folder.path().join("pids.max")).unwrap();
        assert!(cgroup.limit(&limits).is_err());
    }

    #[test]
    fn a_group_that_cannot_be_made_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits {
            cgroup_pids: Some(9),
            ..Limits::default()
        };
        let below = |top: PathBuf| {
            let cgroups = Cgroups::new("test".into());
            cgroups.0.top.set(Some(top)).unwrap();
            cgroups.make("a", 1, &limits)
        };
        // Neither where no folder can be made nor where the kernel puts nothing into it.
        assert!(below(folder.path().join("missing")).is_none());
        assert!(below(folder.path().to_owned()).is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_kill_for_memory_is_recognised() {
        let folder = pretended(&[
            ("memory.events", "low 0\noom 3\noom_kill 1\n"),
            ("memory.peak", "4096\n"),
            ("cgroup.events", "populated 1\nfrozen 0\n"),
        ]);
        let cgroup = Cgroup(folder.path().to_owned());
        let mut autopsy = Autopsy {
            spent: Some(Spent::default()),
            ..Autopsy::default()
        };
        cgroup.look_at(&mut autopsy);
        assert!(autopsy.oom && cgroup.is_populated());
        assert_eq!(autopsy.spent.unwrap().memory_peak_bytes, Some(4096));
    }

    #[test]
    fn a_real_group_is_joined_and_killed_where_there_can_be_one() {
        let Some(here) = own_folder() else {
            return;
        };
        let Ok(top) = make_top(&here, &format!("test-{}", std::process::id())) else {
            return;
        };
        let cgroup = Cgroup(top.join("a"));
        fs::create_dir(&cgroup.0).unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        put(&cgroup.0, "cgroup.procs", &child.id().to_string()).unwrap();
        assert!(cgroup.is_populated());
        cgroup.kill();
        assert!(!child.wait().unwrap().success());
        assert!(!cgroup.is_populated());
        drop(cgroup);
        fs::remove_dir(top).unwrap();
    }
}
