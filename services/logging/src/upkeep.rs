//! Compresses and deletes files of past days.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use crate::archive::{ArchiveError, Names, day_of};

/// After how many days what happens; `None` is never.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ages {
    pub(crate) gzip_days: Option<i64>,
    pub(crate) delete_days: Option<i64>,
}

/// Goes through the past days. The first error ends it; the next round tries again.
pub(crate) fn tidy(names: &Names, now: Timestamp, ages: Ages) -> Result<(), ArchiveError> {
    let today = day_of(now);
    let days = names.days();
    for day in days.map_err(ArchiveError::of("list folder", &names.folder))? {
        let age_days = i64::from((today - day).get_days());
        if ages.delete_days.is_some_and(|limit| age_days > limit) {
            let _free = names.free();
            for ending in ["log", "log.gz", "idx"] {
                let path = names.of_day(day, ending);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    removed => removed.map_err(ArchiveError::of("delete", &path))?,
                }
            }
        } else if ages.gzip_days.is_some_and(|limit| age_days > limit) {
            compress(names, day)?;
        }
    }
    Ok(())
}

/// Compresses the file of a day, through a temporary file. What is compressed already stays in
/// front: gzip files may be put one behind the other.
fn compress(names: &Names, day: jiff::civil::Date) -> Result<(), ArchiveError> {
    let plain = names.of_day(day, "log");
    if !plain.exists() {
        return Ok(());
    }
    let packed = names.of_day(day, "log.gz");
    let temporary = names.of_day(day, "log.gz.part");
    let work = || -> io::Result<()> {
        let mut target = File::create(&temporary)?;
        if packed.exists() {
            io::copy(&mut File::open(&packed)?, &mut target)?;
        }
        let mut encoder = GzEncoder::new(target, Compression::default());
        io::copy(&mut File::open(&plain)?, &mut encoder)?;
        encoder.finish()?.sync_all()?;
        let _free = names.free();
        fs::rename(&temporary, &packed)?;
        fs::remove_file(&plain)
    };
    work().map_err(ArchiveError::of("compress", Path::new(&plain)))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;

    use super::*;

    #[test]
    fn old_days_are_compressed_and_very_old_ones_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::new(folder.path().to_owned(), "MSG".into());
        for day in ["2026-01-01", "2026-01-20", "2026-01-29"] {
            fs::write(folder.path().join(format!("MSG_{day}.log")), day).unwrap();
            fs::write(folder.path().join(format!("MSG_{day}.idx")), "").unwrap();
        }
        fs::write(folder.path().join("MSG_of_others.log"), "").unwrap();
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        let ages = Ages {
            gzip_days: Some(7),
            delete_days: Some(20),
        };
        tidy(&names, now, ages).unwrap();
        tidy(&names, now, ages).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "MSG_2026-01-20.idx",
                "MSG_2026-01-20.log.gz",
                "MSG_2026-01-29.idx",
                "MSG_2026-01-29.log",
                "MSG_of_others.log"
            ]
        );
        let packed = File::open(folder.path().join("MSG_2026-01-20.log.gz")).unwrap();
        let mut text = String::new();
        MultiGzDecoder::new(packed)
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "2026-01-20");
    }
}
