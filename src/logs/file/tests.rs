use std::io::Read as _;

use super::*;

fn log(folder: &Path, max_bytes: u64, backups: usize) -> Arc<LogFile> {
    let rotation = Rotation {
        max_bytes,
        age: None,
        backups,
        compress: false,
    };
    LogFile::new(folder.join("a.log"), rotation)
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}

#[test]
fn a_file_is_rotated_after_the_line_that_fills_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 11, 2);
    log.write(b"one\ntwo\nthree\nfo");
    log.write(b"ur\nfive\nsix\nseven\n");
    assert_eq!(read(folder.path(), "a.log"), "seven\n");
    assert_eq!(read(folder.path(), "a.log.1"), "four\nfive\nsix\n");
    assert_eq!(read(folder.path(), "a.log.2"), "one\ntwo\nthree\n");
    log.write(b"eight and more\n");
    assert_eq!(read(folder.path(), "a.log.1"), "seven\neight and more\n");
    assert_eq!(read(folder.path(), "a.log.3"), "");
}

#[test]
fn any_cut_of_the_output_gives_the_same_files() {
    let text: Vec<u8> = (0..200)
        .flat_map(|n| format!("line {n}\n").into_bytes())
        .collect();
    for step in [1, 7, 64, 5000] {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), 100, 100);
        text.chunks(step).for_each(|chunk| log.write(chunk));
        let mut all = String::new();
        for n in (1..100).rev() {
            let part = read(folder.path(), &format!("a.log.{n}"));
            assert!(part.is_empty() || part.ends_with('\n'), "{step} {n}");
            all.push_str(&part);
        }
        all.push_str(&read(folder.path(), "a.log"));
        assert_eq!(all.as_bytes(), text, "{step}");
    }
}

#[test]
fn a_line_without_end_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 1000, 3);
    for _ in 0..40 {
        log.write(&[b'x'; 64 << 10]);
    }
    let first = std::fs::metadata(folder.path().join("a.log.1")).unwrap();
    assert_eq!(first.len(), LINE_MAX);
}

#[test]
fn size_zero_never_rotates_but_age_and_orders_do() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 0, 2);
    log.write(&b"line\n".repeat(10_000));
    assert!(!folder.path().join("a.log.1").exists());
    log.rotate_now().unwrap();
    log.rotate_now().unwrap();
    assert_eq!(read(folder.path(), "a.log.1").len(), 50_000);
    log.write(b"two\n");
    log.obey(Rotation {
        max_bytes: 0,
        age: Some(Duration::from_nanos(1)),
        backups: 2,
        compress: false,
    });
    log.write(b"three\nfour\n");
    assert_eq!(read(folder.path(), "a.log.2"), "two\nthree\n");
    assert_eq!(read(folder.path(), "a.log.1"), "four\n");
}

#[test]
fn a_log_whose_file_or_folder_was_removed_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    let log = log(&logs, 11, 2);
    log.write(b"one\n");
    std::fs::remove_dir_all(&logs).unwrap();
    log.write(b"two\n");
    assert_eq!(read(&logs, "a.log"), "two\n");
    std::fs::remove_file(logs.join("a.log")).unwrap();
    log.write(b"three\n");
    assert_eq!(read(&logs, "a.log"), "three\n");
    std::fs::rename(logs.join("a.log"), logs.join("moved")).unwrap();
    log.reopen();
    log.write(b"four\n");
    assert_eq!(read(&logs, "a.log"), "four\n");
}

#[test]
fn a_cleared_log_is_empty_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 11, 2);
    log.clear().unwrap();
    log.write(b"one\ntwo");
    log.clear().unwrap();
    assert_eq!(read(folder.path(), "a.log"), "");
    log.write(b"three\n");
    assert_eq!(read(folder.path(), "a.log"), "three\n");
}

#[test]
fn rotated_files_are_compressed_in_the_background() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 100, 3);
    log.obey(Rotation {
        max_bytes: 100,
        age: None,
        backups: 3,
        compress: true,
    });
    let line = |number: u32| format!("{number:099}\n");
    for number in 0..5 {
        log.write(line(number).as_bytes());
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while log.lock().packing {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    for (name, number) in [("a.log.1.gz", 4), ("a.log.2.gz", 3), ("a.log.3.gz", 2)] {
        let file = File::open(folder.path().join(name)).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, line(number));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn a_rotation_that_fails_is_not_tried_again_for_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 5, 1);
    // A file cannot take the place of a folder.
    std::fs::create_dir(folder.path().join("a.log.1")).unwrap();
    for _ in 0..100 {
        log.write(b"line\n");
    }
    assert_eq!(read(folder.path(), "a.log"), "line\n".repeat(100));
    let stuck = log.lock().stuck;
    assert_eq!(stuck.map(|(_, failed)| failed), Some(1));
}

#[test]
fn output_waits_in_memory_while_it_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("logs");
    std::fs::write(&blocked, "a file where the folder should be").unwrap();
    let log = log(&blocked, 1000, 1);
    log.write(b"first\n");
    log.write(b"second\n");
    std::fs::remove_file(&blocked).unwrap();
    log.write(b"third\n");
    assert_eq!(read(&blocked, "a.log"), "first\nsecond\nthird\n");
}

#[test]
fn a_full_disk_makes_the_writer_wait_once_four_mebibytes_wait_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("logs");
    std::fs::write(&blocked, "a file where the folder should be").unwrap();
    let log = log(&blocked, 0, 1);
    let chunk = vec![b'x'; 1 << 20];
    let (done, is_done) = std::sync::mpsc::channel();
    let writer = {
        let log = log.clone();
        std::thread::spawn(move || {
            for number in 0..6 {
                log.write(&chunk);
                done.send(number).unwrap();
            }
        })
    };
    for _ in 0..4 {
        is_done.recv_timeout(Duration::from_secs(20)).unwrap();
    }
    // The fifth finds no room.
    assert!(is_done.recv_timeout(2 * RETRY_EVERY).is_err());
    assert_eq!(log.lock().pending.len(), PENDING_MAX);
    std::fs::remove_file(&blocked).unwrap();
    writer.join().unwrap();
    assert_eq!(std::fs::metadata(log.path()).unwrap().len(), 6 << 20);
    assert_eq!(log.written_bytes(), 6 << 20);
}
