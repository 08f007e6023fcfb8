//! Where the constants of the boards come from: a file, and the tests of boards one by one; both from
//! files or web addresses, both read again now and then. Unchanged content is not parsed again.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use fathom_formats::detx::Module;
use fathom_kernel::{
    Content, Fetch, FetchError, Fetched, Location, Outputs, Setup, without_passwords,
};

use super::board_file::BoardFile;
use super::orientation::Constants;
use super::test_xml::BoardTest;
use super::{Config, Uncalibrated};
use crate::clock::ms_of;
use crate::rounds::{Round, Rounds};

/// Versions of the test of a board; the newest one does not always exist.
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=4;
/// Tests asked for at a time.
const ASKED_MAX: usize = 8;
/// Most bytes of a constants file.
const FILE_BYTES_MAX: usize = 32 << 20;
/// Most bytes of a test.
const TEST_BYTES_MAX: usize = 1 << 20;
/// What the fetch of the constants file is called.
const FILE: &str = "constants";

/// The constants of all boards, and what is being done to get them.
#[derive(Debug)]
pub(super) struct Supply {
    uncalibrated: Uncalibrated,
    file: Option<Source>,
    tests: Option<Tests>,
    boards: BoardFile,
    /// Product ids of the central logic boards by module, as the detector description has them.
    described: HashMap<u32, String>,
    /// Constants in force by module.
    by_dom: HashMap<u32, Constants>,
    /// Time of the last tick (ms).
    now_ms: i64,
    pub(super) log: Log,
}

/// What happened so far, for people.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    /// Contents that were parsed; unchanged ones are not.
    pub(super) parsed: u64,
    /// Fetches and contents that failed.
    pub(super) failed: u64,
    /// Why the last one failed.
    pub(super) fault: Option<String>,
}

/// One place that is read again and again.
#[derive(Debug, Clone)]
struct Source {
    from: Location,
    every_ms: i64,
    due_ms: i64,
    asked: bool,
    seen: Seen,
}

/// What is known of the content of a place.
#[derive(Debug, Clone, Default)]
struct Seen {
    version: Option<String>,
    hash: Option<u64>,
}

/// The tests of all boards.
#[derive(Debug)]
struct Tests {
    template: String,
    rounds: Rounds<(u32, u8)>,
    waiting: VecDeque<(u32, u8)>,
    asked: usize,
    /// Some were not asked for, as the product id of the board is not known.
    lacks_ids: bool,
    seen: HashMap<(u32, u8), Seen>,
    found: HashMap<(u32, u8), BoardTest>,
}

impl Supply {
    pub(super) fn new(config: &Config, setup: &Setup) -> Self {
        let source = |from: &Location| Source {
            from: from.clone(),
            every_ms: ms_of(config.refresh),
            due_ms: i64::MIN,
            asked: false,
            seen: Seen::default(),
        };
        let tests = |template: &String| Tests {
            template: template.clone(),
            rounds: Rounds::new(ms_of(config.tests_refresh)),
            waiting: VecDeque::new(),
            asked: 0,
            lacks_ids: false,
            seen: HashMap::new(),
            found: HashMap::new(),
        };
        Self {
            uncalibrated: config.uncalibrated,
            file: config.constants.as_ref().map(source),
            tests: config.tests.as_ref().map(tests),
            boards: BoardFile::default(),
            described: described(setup),
            by_dom: HashMap::new(),
            now_ms: 0,
            log: Log::default(),
        }
    }

    /// Returns the constants of a module; `None` when there are none.
    pub(super) fn of(&self, dom_id: u32) -> Option<&Constants> {
        let own = self.by_dom.get(&dom_id);
        own.or(match self.uncalibrated {
            Uncalibrated::Identity => Some(&Constants::IDENTITY),
            Uncalibrated::Skip => None,
        })
    }

    /// Tells whether a module has constants of its own.
    pub(super) fn has(&self, dom_id: u32) -> bool {
        self.by_dom.contains_key(&dom_id)
    }

    /// Tells whether there is any place to read constants from.
    pub(super) fn is_configured(&self) -> bool {
        self.file.is_some() || self.tests.is_some()
    }

    /// Returns the number of modules with constants.
    pub(super) fn len(&self) -> usize {
        self.by_dom.len()
    }

    /// Names the places for people.
    pub(super) fn places(&self) -> Vec<String> {
        let file = self.file.iter().map(|source| source.from.to_string());
        let tests = self.tests.iter();
        let tests = tests.map(|tests| without_passwords(&tests.template).into_owned());
        file.chain(tests).collect()
    }

    /// Asks for everything again at the next tick.
    pub(super) fn hurry(&mut self) {
        if let Some(source) = &mut self.file {
            source.due_ms = i64::MIN;
        }
        if let Some(tests) = &mut self.tests {
            tests.rounds.hurry();
        }
    }

    /// Asks for what is due; `modules` are those whose tests are wanted.
    pub(super) fn tick(
        &mut self,
        now_ms: i64,
        modules: impl Iterator<Item = u32>,
        out: &mut Outputs,
    ) {
        self.now_ms = now_ms;
        if let Some(source) = &mut self.file
            && !source.asked
            && source.due_ms <= now_ms
        {
            source.asked = true;
            let mut fetch = Fetch::new(FILE, source.from.clone());
            fetch.bytes_max = FILE_BYTES_MAX;
            out.fetch(fetch.unless(source.seen.version.clone()));
        }
        // Product ids come with the file: the tests wait for its first answer.
        let ready = self.file.as_ref().is_none_or(|s| s.due_ms > i64::MIN);
        let Some(tests) = self.tests.as_mut().filter(|_| ready) else {
            return;
        };
        let round = tests.is_idle().then(|| tests.rounds.begin(now_ms));
        match round.flatten() {
            Some(Round::All) => {
                tests.lacks_ids = false;
                let all = |id| VERSIONS.rev().map(move |version| (id, version));
                tests.waiting = modules.flat_map(all).collect();
            }
            Some(Round::Failed(failed)) => tests.waiting = failed.into(),
            None => return,
        }
        tests.ask((&self.boards, &self.described), out);
    }

    /// Takes an answer.
    pub(super) fn fetched(&mut self, fetched: Fetched, out: &mut Outputs) {
        let Fetched { name, content } = fetched;
        if name == FILE {
            if let Err(reason) = self.file_fetched(content) {
                self.failed(reason, out);
            }
            return;
        }
        let Some(key) = key_of(&name) else { return };
        let fault = self.test_fetched(key, content).err();
        if let Some(tests) = &mut self.tests {
            tests.asked = tests.asked.saturating_sub(1);
            if fault.is_some() {
                tests.rounds.failed(key);
            }
            tests.ask((&self.boards, &self.described), out);
            if tests.is_idle() {
                tests.rounds.end(self.now_ms);
            }
        }
        if let Some(reason) = fault {
            self.failed(reason, out);
        }
    }

    fn failed(&mut self, reason: String, out: &mut Outputs) {
        out.bad("constants not read");
        self.log.failed += 1;
        self.log.fault = Some(reason);
    }

    /// What was known stays in force when the answer is of no use.
    fn file_fetched(&mut self, content: Result<Content, FetchError>) -> Result<(), String> {
        let Some(source) = &mut self.file else {
            return Ok(());
        };
        source.asked = false;
        source.due_ms = self.now_ms.saturating_add(source.every_ms);
        let content = content.map_err(|error| error.to_string())?;
        let Some(bytes) = source.seen.new_content(content) else {
            return Ok(());
        };
        self.log.parsed += 1;
        let from = &source.from;
        self.boards = BoardFile::read(&bytes).map_err(|error| format!("{from}: {error}"))?;
        if let Some(tests) = self.tests.as_mut().filter(|tests| tests.lacks_ids) {
            tests.rounds.hurry();
        }
        self.merge();
        Ok(())
    }

    fn test_fetched(
        &mut self,
        key: (u32, u8),
        content: Result<Content, FetchError>,
    ) -> Result<(), String> {
        let Some(tests) = &mut self.tests else {
            return Ok(());
        };
        let content = match content {
            // Most boards do not have all versions of the test.
            Err(FetchError::Status { status: 404, .. } | FetchError::Absent { .. }) => {
                tests.seen.remove(&key);
                if tests.found.remove(&key).is_some() {
                    self.decide(key.0);
                }
                return Ok(());
            }
            other => other.map_err(|error| error.to_string())?,
        };
        let Some(bytes) = tests.seen.entry(key).or_default().new_content(content) else {
            return Ok(());
        };
        self.log.parsed += 1;
        let (id, version) = key;
        let of = |error| format!("test {version} of DOM {id}: {error}");
        let test = BoardTest::read(&bytes).map_err(|error| {
            // The same again is a failure again.
            tests.seen.remove(&key);
            of(error)
        })?;
        tests.found.insert(key, test);
        self.decide(id);
        Ok(())
    }

    /// Decides anew for all modules.
    fn merge(&mut self) {
        let found = self.tests.iter().flat_map(|tests| tests.found.keys());
        let mut ids: Vec<u32> = self.by_dom.keys().copied().collect();
        ids.extend(self.boards.tests.keys());
        ids.extend(found.map(|(id, _)| *id));
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().for_each(|id| self.decide(id));
    }

    /// Of all tests of a module the one with the largest end time is in force.
    fn decide(&mut self, id: u32) {
        let of_file = self.boards.tests.get(&id);
        let tests = self.tests.as_ref();
        let found = VERSIONS.filter_map(|version| tests?.found.get(&(id, version)));
        let newest = of_file
            .into_iter()
            .chain(found)
            .max_by(|a, b| a.end_time.cmp(&b.end_time));
        match newest {
            Some(test) => self.by_dom.insert(id, test.constants.clone()),
            None => self.by_dom.remove(&id),
        };
    }
}

impl Tests {
    fn is_idle(&self) -> bool {
        self.asked == 0 && self.waiting.is_empty()
    }

    /// Asks for the next tests, a few at a time.
    fn ask(&mut self, (boards, described): (&BoardFile, &HashMap<u32, String>), out: &mut Outputs) {
        while self.asked < ASKED_MAX {
            let Some((id, version)) = self.waiting.pop_front() else {
                return;
            };
            // The compass is a board of its own beside the central logic board.
            let (upi, clb_upi) = (boards.upis.get(&id), described.get(&id));
            let lacks =
                |what: &str, upi: Option<&String>| upi.is_none() && self.template.contains(what);
            if lacks("{upi}", upi) || lacks("{clb_upi}", clb_upi) {
                self.lacks_ids = true;
                continue;
            }
            let place = self.template.replace("{dom_id}", &id.to_string());
            let place = place.replace("{version}", &version.to_string());
            let place = place.replace("{upi}", upi.map_or("", String::as_str));
            let place = place.replace("{clb_upi}", clb_upi.map_or("", String::as_str));
            let mut fetch = Fetch::new(format!("test:{id}:{version}"), place.into());
            fetch.bytes_max = TEST_BYTES_MAX;
            let known = self.seen.get(&(id, version));
            out.fetch(fetch.unless(known.and_then(|seen| seen.version.clone())));
            self.asked += 1;
        }
    }
}

impl Seen {
    /// Returns content that differs from what was seen before.
    fn new_content(&mut self, content: Content) -> Option<bytes::Bytes> {
        let Content::Bytes(bytes, version) = content else {
            return None;
        };
        self.version = version;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let hash = Some(hasher.finish());
        let is_new = std::mem::replace(&mut self.hash, hash) != hash;
        is_new.then_some(bytes)
    }
}

/// Returns the product ids that the detector description has.
fn described(setup: &Setup) -> HashMap<u32, String> {
    let Some(detector) = &setup.detector else {
        return HashMap::new();
    };
    let upi = |module: &Module| Some((module.id.0, detector.upi(module.id)?.to_owned()));
    detector.modules().iter().filter_map(upi).collect()
}

fn key_of(name: &str) -> Option<(u32, u8)> {
    let (id, version) = name.strip_prefix("test:")?.split_once(':')?;
    Some((id.parse().ok()?, version.parse().ok()?))
}
