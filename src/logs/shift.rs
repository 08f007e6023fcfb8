//! The rotated files of a log: `NAME.1`, or `NAME.1.gz`, is the newest.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Ending of compressed files.
const PACKED: &str = ".gz";

/// Returns the name of a rotated file.
pub(super) fn backup(path: &Path, number: usize) -> PathBuf {
    with_ending(path, &format!(".{number}"))
}

/// Returns the name of a rotated file that is compressed.
pub(super) fn packed(path: &Path, number: usize) -> PathBuf {
    with_ending(path, &format!(".{number}{PACKED}"))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

/// Moves NAME to NAME.1, NAME.1 to NAME.2 and so on; what would get a number above `backups` is
/// removed. NAME not being there is an error of its own kind, which leaves the others moved.
pub(super) fn shift(path: &Path, backups: usize) -> io::Result<()> {
    if backups == 0 {
        return fs::remove_file(path);
    }
    // More than the oldest, should fewer be kept than before.
    for number in (backups..).map_while(|n| exists(path, n).then_some(n)) {
        remove_if_there(&backup(path, number))?;
        remove_if_there(&packed(path, number))?;
    }
    for number in (1..backups).rev() {
        move_if_there(&backup(path, number), &backup(path, number + 1))?;
        move_if_there(&packed(path, number), &packed(path, number + 1))?;
    }
    fs::rename(path, backup(path, 1))
}

fn exists(path: &Path, number: usize) -> bool {
    backup(path, number).exists() || packed(path, number).exists()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    there(fs::remove_file(path))
}

fn move_if_there(from: &Path, to: &Path) -> io::Result<()> {
    there(fs::rename(from, to))
}

fn there(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Returns the number of the rotated file with this inode.
pub(super) fn number_of(path: &Path, inode: u64, backups: usize) -> Option<usize> {
    let mut there = (1..=backups).take_while(|&number| exists(path, number));
    there.find(|&number| inode_of(&backup(path, number)) == Some(inode))
}

pub(super) fn inode_of(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|file| file.ino())
}

/// A rotated file while it is compressed: rotations go on meanwhile and give it other numbers.
pub(super) struct Packing {
    inode: u64,
    new: PathBuf,
}

/// Compresses the newest rotated file that is not yet; `None` when all are.
pub(super) fn pack_one(path: &Path, backups: usize) -> io::Result<Option<Packing>> {
    let found = (1..=backups).find_map(|number| File::open(backup(path, number)).ok());
    let Some(mut file) = found else {
        return Ok(None);
    };
    let inode = file.metadata()?.ino();
    let new = with_ending(path, ".gz.new");
    let mut packed = GzEncoder::new(File::create(&new)?, Compression::default());
    io::copy(&mut file, &mut packed)?;
    packed.finish()?.sync_all()?;
    Ok(Some(Packing { inode, new }))
}

impl Packing {
    /// Puts the compressed file in the place of the other. Must not run beside a rotation.
    pub(super) fn finish(self, path: &Path, backups: usize) -> io::Result<()> {
        match number_of(path, self.inode, backups) {
            Some(number) => {
                fs::rename(&self.new, packed(path, number))?;
                fs::remove_file(backup(path, number))
            }
            // Too old meanwhile.
            None => fs::remove_file(&self.new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_backups_than_before_take_the_surplus_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        for round in 0..6 {
            fs::write(&path, round.to_string()).unwrap();
            shift(&path, 5).unwrap();
        }
        assert_eq!(fs::read_to_string(backup(&path, 5)).unwrap(), "1");
        fs::write(&path, "6").unwrap();
        shift(&path, 2).unwrap();
        assert_eq!(fs::read_to_string(backup(&path, 2)).unwrap(), "5");
        assert!(!backup(&path, 3).exists() && !backup(&path, 5).exists());
    }

    #[test]
    fn a_file_that_moves_while_it_is_compressed_keeps_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        fs::write(&path, "one").unwrap();
        shift(&path, 3).unwrap();
        let packing = pack_one(&path, 3).unwrap().unwrap();
        fs::write(&path, "two").unwrap();
        shift(&path, 3).unwrap();
        packing.finish(&path, 3).unwrap();
        assert_eq!(fs::read_to_string(backup(&path, 1)).unwrap(), "two");
        assert!(packed(&path, 2).exists() && !backup(&path, 2).exists());
        // The next rotation takes it along.
        fs::write(&path, "three").unwrap();
        shift(&path, 3).unwrap();
        assert!(packed(&path, 3).exists() && backup(&path, 2).exists());
    }

    #[test]
    fn a_file_too_old_when_its_compression_is_done_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        fs::write(&path, "one").unwrap();
        shift(&path, 1).unwrap();
        let packing = pack_one(&path, 1).unwrap().unwrap();
        fs::write(&path, "two").unwrap();
        shift(&path, 1).unwrap();
        packing.finish(&path, 1).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
