use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use super::*;

struct Log {
    _folder: tempfile::TempDir,
    path: PathBuf,
    marks: Marks,
    written: u64,
}

impl Log {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        fs::write(&path, text).unwrap();
        Self {
            _folder: folder,
            path,
            marks: Marks::default(),
            written: 0,
        }
    }

    fn ask(&self, format: LineFormat, since: Option<i64>, lines: usize) -> (Vec<String>, bool) {
        let since = since.map(at);
        let now = (self.marks.clone(), self.written);
        let owner = Owner {
            service: "a",
            stream: LogStream::Stdout,
            format,
        };
        let moment = Moment::of(&self.path, now, since).unwrap();
        let past = moment.look(&owner, Question { since, lines }).unwrap();
        let second = |line: &LogLine| format!("{} {}", line.at.as_second(), line.line);
        (past.lines.iter().map(second).collect(), past.cut)
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn stamped(seconds: std::ops::Range<i64>) -> String {
    let line = |second| format!("{:.3} line {second}\n", at(second));
    seconds.map(line).collect()
}

#[test]
fn lines_with_times_are_found_across_rotated_and_compressed_files() {
    let log = Log::new(&stamped(20..30));
    fs::write(shift::backup(&log.path, 1), stamped(10..20)).unwrap();
    let packed = fs::File::create(shift::packed(&log.path, 2)).unwrap();
    let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    packed.write_all(stamped(0..10).as_bytes()).unwrap();
    packed.finish().unwrap();
    let (lines, cut) = log.ask(LineFormat::Ts, Some(7), 1000);
    assert_eq!((lines.len(), cut), (23, false));
    assert_eq!((&*lines[0], &*lines[22]), ("7 line 7", "29 line 29"));
    let (lines, cut) = log.ask(LineFormat::Ts, None, 15);
    assert_eq!((lines.len(), &*lines[0], cut), (15, "15 line 15", false));
    let (lines, cut) = log.ask(LineFormat::Ts, Some(7), 2);
    assert_eq!(
        (lines, cut),
        (vec!["28 line 28".into(), "29 line 29".into()], true)
    );
}

#[test]
fn a_raw_log_has_the_times_at_which_it_was_written() {
    let mut log = Log::new("of before\none\ntwo\nthree\nno end");
    // The supervisor began at 100 s, behind the first line.
    log.written = 20;
    log.marks.note(at(100), 0);
    log.marks.note(at(102), 8);
    let ask = |since| log.ask(LineFormat::Raw, since, 1000);
    let late = vec!["102 three".to_owned(), "102 no end".to_owned()];
    assert_eq!(ask(Some(102)), (late.clone(), false));
    assert_eq!(ask(Some(300)), (late, false));
    let from_start = ["100 one", "100 two", "102 three", "102 no end"];
    assert_eq!(ask(Some(101)).0, from_start);
    let (all, cut) = ask(Some(0));
    assert_eq!((&*all[0], all.len(), cut), ("100 of before", 5, false));
}

#[test]
fn a_record_of_several_lines_stays_together() {
    let log = Log::new(&format!("{}  at home\n{}", stamped(5..6), stamped(6..7)));
    let (lines, _) = log.ask(LineFormat::Raw, Some(6), 10);
    assert_eq!(lines, ["6 line 6"]);
    let (lines, _) = log.ask(LineFormat::Raw, Some(5), 10);
    assert_eq!(lines.len(), 3);
    assert!(lines[1].ends_with("   at home"), "{lines:?}");
}

#[test]
fn a_json_log_gives_back_what_it_was_given() {
    let line = LogLine {
        service: "a".to_owned(),
        incarnation: 4,
        stream: LogStream::Stderr,
        line: "words".to_owned(),
        at: at(9),
    };
    let log = Log::new(&format!("{}\n", serde_json::to_string(&line).unwrap()));
    let owner = Owner {
        service: "a",
        stream: LogStream::Stdout,
        format: LineFormat::Json,
    };
    let moment = Moment::of(&log.path, (Marks::default(), 0), None).unwrap();
    let question = Question {
        since: Some(at(9)),
        lines: 5,
    };
    let found = moment.look(&owner, question).unwrap().lines;
    assert_eq!(
        (found[0].incarnation, found[0].stream),
        (4, LogStream::Stderr)
    );
}

#[test]
fn what_is_too_much_is_left_out_and_said() {
    let line = format!("{}\n", "x".repeat(1023));
    let log = Log::new(&line.repeat(READ_MAX / 1024 + 10));
    let (lines, cut) = log.ask(LineFormat::Raw, Some(0), usize::MAX);
    assert_eq!((lines.len(), cut), (READ_MAX / 1024, true));
    // The end of it is found without reading it all.
    assert_eq!(log.ask(LineFormat::Raw, None, 3).0.len(), 3);
    let none = Log::new("");
    assert_eq!(none.ask(LineFormat::Raw, None, 3), (Vec::new(), false));
}
