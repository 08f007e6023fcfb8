//! The thread that writes: SQLite blocks, and one writer at a time is all it can do. It also reads
//! back what others have written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use fathom_kernel::view::View;
use fathom_kernel::{FileEdit, Output, ServiceError};
use tokio::sync::mpsc;

use super::database::{Database, Fault, Written};
use super::plan::Plan;

/// Folder of the rows that are handed back, below `data_dir/files`.
const FOLDER: &str = "local_db";

/// Tables to write, by output; `None` only makes sure that the table is there.
pub(super) type Work = BTreeMap<String, Option<Arc<Output>>>;

/// What became of some work.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Rows added, by output.
    pub(super) written: Vec<(String, u64)>,
    /// Rows taken out, by output.
    pub(super) taken_out: Vec<(String, u64)>,
    /// Tables that do not fit, and why.
    pub(super) refused: Vec<(String, String)>,
    /// Rows handed back, by output.
    pub(super) handed_back: Vec<(String, usize)>,
    /// Tables of which rows are not handed back, and why.
    pub(super) kept_back: Vec<(String, String)>,
    /// Why the rest could not be written, or rows not handed back.
    pub(super) fault: Option<Fault>,
    /// The rest.
    pub(super) left: Work,
}

/// The outside of the thread: at most one piece of work is with it.
pub(super) struct Writer {
    work: mpsc::Sender<Work>,
    done: mpsc::Receiver<Done>,
    is_busy: bool,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread; the file is opened with the first work. Rows are handed back below a folder
    /// of files.
    pub(super) fn start(
        path: PathBuf,
        files: PathBuf,
        plans: BTreeMap<String, Plan>,
    ) -> std::io::Result<Self> {
        let (work, works) = mpsc::channel(1);
        let (dones, done) = mpsc::channel(1);
        let inside = Inside {
            path,
            files,
            plans,
            gone: BTreeMap::new(),
            newest: BTreeMap::new(),
            due: BTreeSet::new(),
            database: None,
        };
        let thread = std::thread::Builder::new()
            .name("local_db".into())
            .spawn(move || inside.run(works, dones))?;
        Ok(Self {
            work,
            done,
            is_busy: false,
            thread,
        })
    }

    /// Tells whether some work is with the thread.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Hands work over, which may be nothing but a look at what others have written. Only when it is
    /// not busy.
    pub(super) fn write(&mut self, work: Work) {
        // A thread that has ended is found out by `done`.
        self.is_busy = true;
        if self.work.try_send(work).is_err() {
            self.done.close();
        }
    }

    /// Waits until the work is done; for ever when there is none. Cancel-safe.
    pub(super) async fn done(&mut self) -> Result<Done, ServiceError> {
        if !self.is_busy {
            std::future::pending::<()>().await;
        }
        let done = self.done.recv().await;
        self.is_busy = false;
        done.ok_or_else(|| ServiceError::new("the thread that writes has ended"))
    }

    /// Lets the thread end, and closes the file.
    pub(super) async fn end(self) -> Result<(), ServiceError> {
        drop((self.work, self.done));
        let joined = tokio::task::spawn_blocking(move || self.thread.join().is_ok());
        match joined.await {
            Ok(true) => Ok(()),
            _ => Err(ServiceError::new("the thread that writes has panicked")),
        }
    }
}

/// The inside of the thread.
struct Inside {
    path: PathBuf,
    files: PathBuf,
    plans: BTreeMap<String, Plan>,
    /// Rows to be taken out, by the output that has let them go.
    gone: BTreeMap<String, Arc<Output>>,
    /// The newest tables of which rows are taken out, by output: what they have stays in the file, which
    /// is to be known again after it was closed.
    newest: BTreeMap<String, Arc<Output>>,
    /// Outputs of which rows are still to be taken out.
    due: BTreeSet<String>,
    /// Closed after a failure: what was known of the file may not hold any more.
    database: Option<Database>,
}

impl Inside {
    fn run(mut self, mut works: mpsc::Receiver<Work>, dones: mpsc::Sender<Done>) {
        while let Some(work) = works.blocking_recv() {
            if dones.blocking_send(self.work(work)).is_err() {
                return;
            }
        }
    }

    fn work(&mut self, mut work: Work) -> Done {
        let mut done = Done::default();
        while let Some((name, output)) = work.pop_first() {
            if let Some(of) = self.let_go_by(&name) {
                self.gone.extend(output.map(|output| (of.clone(), output)));
                self.due.insert(of);
                continue;
            }
            self.note(&name, output.as_ref());
            match self.write(&name, output.as_deref()) {
                Ok(Written::Rows(rows)) => done.written.push((name, rows)),
                Ok(Written::Refused(reason)) => done.refused.push((name, reason)),
                Err(fault) => {
                    self.database = None;
                    work.insert(name, output);
                    done.fault = Some(fault);
                    break;
                }
            }
        }
        done.left = work;
        // Behind the newest tables, whichever came first: what is there again stays.
        while done.fault.is_none()
            && let Some(name) = self.due.first().cloned()
        {
            if let Err(fault) = self.take_out(&name, &mut done) {
                self.database = None;
                // They wait as tables do, so that the end tries once more as well.
                let gone = self.gone.get(&name);
                (done.left).extend(gone.map(|gone| (gone.name.clone(), Some(gone.clone()))));
                done.fault = Some(fault);
                break;
            }
            self.due.remove(&name);
        }
        if done.fault.is_none()
            && let Err(fault) = self.hand_back(&mut done)
        {
            self.database = None;
            done.fault = Some(fault);
        }
        done
    }

    /// Returns the output whose rows another one tells to take out.
    fn let_go_by(&self, gone: &str) -> Option<String> {
        let mut plans = self.plans.iter();
        let (name, _) = plans.find(|(_, plan)| plan.gone.as_deref() == Some(gone))?;
        Some(name.clone())
    }

    /// Notes a new version of a table of which rows are taken out.
    fn note(&mut self, name: &str, output: Option<&Arc<Output>>) {
        let plan = self.plans.get(name);
        if plan.is_some_and(|plan| plan.gone.is_some()) {
            self.due.insert(name.to_owned());
            let output = output.cloned();
            (self.newest).extend(output.map(|output| (name.to_owned(), output)));
        }
    }

    fn take_out(&mut self, name: &str, done: &mut Done) -> Result<(), Fault> {
        let (Some(plan), Some(gone)) = (self.plans.get(name), self.gone.get(name)) else {
            return Ok(());
        };
        let View::Table(table) = &gone.view else {
            (done.refused).push((name.to_owned(), "what is gone is no table".into()));
            return Ok(());
        };
        let database = open(&mut self.database, &self.path)?;
        let newest = self.newest.get(name).map(|output| &output.view);
        if let (false, Some(View::Table(newest))) = (database.knows(plan), newest)
            && let Written::Rows(rows @ 1..) = database.write(plan, newest)?
        {
            done.written.push((name.to_owned(), rows));
        }
        match database.take_out(plan, table)? {
            Written::Rows(0) => {}
            Written::Rows(rows) => done.taken_out.push((name.to_owned(), rows)),
            Written::Refused(reason) => done.refused.push((name.to_owned(), reason)),
        }
        Ok(())
    }

    /// Writes the rows that are in the file into a file for each output, where who makes the output
    /// finds them, when anybody else has written since the last time.
    fn hand_back(&mut self, done: &mut Done) -> Result<(), Fault> {
        let database = open(&mut self.database, &self.path)?;
        let Some(version) = database.others()? else {
            return Ok(());
        };
        for (name, plan) in self.plans.iter().filter(|(_, plan)| plan.read_back) {
            let table = match database.stored(plan)? {
                Ok(table) => table,
                Err(reason) => {
                    done.kept_back.push((name.clone(), reason));
                    continue;
                }
            };
            let list = FileEdit::Write {
                path: Path::new(FOLDER).join(format!("{name}.json")),
                bytes: serde_json::to_vec(&table).expect("a table becomes JSON"),
            };
            list.apply(&self.files).map_err(|source| Fault::List {
                table: plan.table.clone(),
                source,
            })?;
            done.handed_back.push((name.clone(), table.rows.len()));
        }
        database.looked_at(version);
        Ok(())
    }

    fn write(&mut self, name: &str, output: Option<&Output>) -> Result<Written, Fault> {
        let Some(plan) = self.plans.get(name) else {
            return Ok(Written::Refused("it is not mirrored".into()));
        };
        let database = open(&mut self.database, &self.path)?;
        match output.map(|output| &output.view) {
            None => database.prepare(plan),
            Some(View::Table(table)) => database.write(plan, table),
            Some(_) => Ok(Written::Refused("it is no table".into())),
        }
    }
}

fn open<'a>(database: &'a mut Option<Database>, path: &Path) -> Result<&'a mut Database, Fault> {
    // Closed before it is opened anew: SQLite clears up by name at the end.
    database.take_if(|database| !database.is_there());
    match database {
        Some(database) => Ok(database),
        none => Ok(none.insert(Database::open(path)?)),
    }
}
