//! Pipes with a name in the runtime folder: their writers outlive the supervisor, and the next one
//! reads on where this one stopped.

use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Makes a pipe under a name.
pub(super) fn make(path: &Path) -> io::Result<(PipeReader, PipeWriter)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let reader = open(path)?;
    // Open for both, so that its holder never writes to a pipe without a reader: while there is no
    // supervisor, it waits when the pipe is full instead of being ended.
    let writer = File::options().read(true).write(true).open(path)?;
    Ok((reader, PipeWriter::from(OwnedFd::from(writer))))
}

/// Opens the reading end of a pipe that exists.
pub(super) fn open(path: &Path) -> io::Result<PipeReader> {
    // Opening must not wait for a writer; reading has to wait for output.
    let reader = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(PipeReader::from(OwnedFd::from(reader)))
}

/// Takes the name away.
pub(super) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(path = %path.display(), %error, "pipe was removed already");
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_is_written_while_nobody_reads_is_read_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/a.out");
        let (first, mut writer) = make(&path).unwrap();
        drop(first);
        writer.write_all(b"kept\n").unwrap();
        let mut second = open(&path).unwrap();
        drop(writer);
        let mut text = String::new();
        second.read_to_string(&mut text).unwrap();
        assert_eq!(text, "kept\n");
        remove(&path);
        assert!(!path.exists());
    }
}
