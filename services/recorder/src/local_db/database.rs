//! The SQLite file: opens it, makes tables that are not there, adds rows that are not there.

mod own;
mod stored;

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fathom_kernel::view::Table;
use rusqlite::types::{ToSqlOutput, Value as Stored};
use rusqlite::{Connection, ErrorCode, ToSql, params_from_iter};
use serde_json::Value;
use tracing::info;

use self::own::Own;
use super::identity::{Identities, identity};
use super::plan::{Column, Plan, check_name, quoted};

/// How long SQLite itself waits for another writer.
const BUSY: Duration = Duration::from_secs(1);

/// Why a table could not be written now; later it may be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The folder of the file cannot be made.
    #[error("cannot make the folder of {path}")]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The rows that are in the file cannot be handed back.
    #[error("cannot hand back the rows of {table}")]
    List {
        table: String,
        #[source]
        source: std::io::Error,
    },
    /// SQLite says no.
    #[error("cannot use {path}")]
    Sqlite {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
}

/// What became of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// So many rows were added.
    Rows(u64),
    /// It does not fit the table of the file, and a later try with the same table will not either.
    Refused(String),
}

/// The file, while it is open.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    /// Device and number of the file.
    file: Option<(u64, u64)>,
    connection: Connection,
    /// Tables that are known to be there, with their columns.
    tables: HashMap<String, Vec<String>>,
    known: HashMap<String, Identities>,
    /// Rows that were taken out already, by table.
    taken_out: HashMap<String, Identities>,
    /// What the rows of others in the file were looked at with, see [`Database::others`].
    looked_at: Option<i64>,
}

impl Fault {
    /// Returns the reason it is counted under.
    pub(super) fn reason(&self) -> &'static str {
        let source = match self {
            Self::Folder { .. } => return "database: no folder",
            Self::List { .. } => return "database: rows not handed back",
            Self::Sqlite { source, .. } => source,
        };
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "database: locked",
            Some(ErrorCode::DiskFull) => "database: disk full",
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "database: damaged",
            Some(ErrorCode::CannotOpen) => "database: cannot be opened",
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "database: not writable",
            Some(ErrorCode::SystemIoFailure) => "database: input or output failed",
            _ => "database: other errors",
        }
    }

    /// Tells whether it is about one table, such as one that refuses a value, and not about the
    /// file.
    pub(super) fn is_of_table(source: &rusqlite::Error) -> bool {
        matches!(
            source.sqlite_error_code(),
            Some(
                ErrorCode::Unknown
                    | ErrorCode::ConstraintViolation
                    | ErrorCode::TypeMismatch
                    | ErrorCode::TooBig
                    | ErrorCode::SchemaChanged
            )
        )
    }
}

impl Database {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        Self::open_waiting(path, BUSY)
    }

    fn open_waiting(path: &Path, busy: Duration) -> Result<Self, Fault> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| Fault::Folder {
                path: path.to_owned(),
                source,
            })?;
        }
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(busy)?;
            // Readers and the writer do not wait for each other. A file system that cannot do it
            // answers with another mode, which is as good.
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            Ok(connection)
        };
        let connection = open().map_err(|source| Fault::Sqlite {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file: file_of(path),
            connection,
            tables: HashMap::new(),
            known: HashMap::new(),
            taken_out: HashMap::new(),
            looked_at: None,
        })
    }

    /// Tells whether the file that was opened is still the one of its name; what is written into a
    /// file that was taken away is lost.
    pub(super) fn is_there(&self) -> bool {
        self.file.is_some() && self.file == file_of(&self.path)
    }

    /// Makes a table with its declared columns, if it has any and is not there.
    pub(super) fn prepare(&mut self, plan: &Plan) -> Result<Written, Fault> {
        let table = Table::default();
        let columns = self.columns(plan, &table);
        self.judged(columns.map(|_| Written::Rows(0)))
    }

    /// Adds the rows of a table that the file does not have, all of them or none.
    pub(super) fn write(&mut self, plan: &Plan, table: &Table) -> Result<Written, Fault> {
        if let Err(reason) = fits(plan, table) {
            return Ok(Written::Refused(reason));
        }
        let written = self.add(plan, table);
        self.judged(written)
    }

    /// Tells whether the table was written since the file was opened.
    pub(super) fn knows(&self, plan: &Plan) -> bool {
        self.known.contains_key(&plan.table)
    }

    /// Takes the rows of a table out of the file that were written here, but for those that the table
    /// written last has; none before one was written.
    pub(super) fn take_out(&mut self, plan: &Plan, gone: &Table) -> Result<Written, Fault> {
        if let Err(reason) = fits(plan, gone) {
            return Ok(Written::Refused(reason));
        }
        let taken_out = self.delete(plan, gone);
        self.judged(taken_out.map(Written::Rows))
    }

    fn delete(&mut self, plan: &Plan, gone: &Table) -> Result<u64, rusqlite::Error> {
        let there = self.tables.get(&plan.table);
        let known = self.known.get(&plan.table);
        let (Some(there), Some(known), Some(own)) = (there, known, Own::of(plan)) else {
            return Ok(0);
        };
        let key = key_places(plan, gone);
        let before = self.taken_out.entry(plan.table.clone()).or_default();
        let is_due = |row: &&Vec<Value>| {
            let identity = identity(row, &key);
            !known.contains(identity) && !before.contains(identity)
        };
        let rows: Vec<&Vec<Value>> = gone.rows.iter().filter(is_due).collect();
        let mut taken_out = 0;
        if !rows.is_empty() {
            let (places, names) = common(gone, there);
            let transaction = self.connection.transaction()?;
            {
                let mut delete = transaction.prepare_cached(&plan.delete(&names))?;
                for row in rows {
                    if own.forget(&transaction, &key_cells(plan, row, &key))? {
                        let cells = cells(plan, row, &places, &names);
                        taken_out += delete.execute(params_from_iter(cells))?;
                    }
                }
            }
            transaction.commit()?;
        }
        let done = gone.rows.iter().map(|row| identity(row, &key));
        before.replace(done.filter(|identity| !known.contains(*identity)));
        if taken_out > 0 {
            // What was handed back has them still.
            self.looked_at = None;
        }
        Ok(taken_out as u64)
    }

    fn judged(&self, written: Result<Written, rusqlite::Error>) -> Result<Written, Fault> {
        written.or_else(|source| match Fault::is_of_table(&source) {
            true => Ok(Written::Refused(source.to_string())),
            false => Err(self.fault(source)),
        })
    }

    fn fault(&self, source: rusqlite::Error) -> Fault {
        Fault::Sqlite {
            path: self.path.clone(),
            source,
        }
    }

    fn add(&mut self, plan: &Plan, table: &Table) -> Result<Written, rusqlite::Error> {
        let there = self.columns(plan, table)?;
        if there.is_empty() {
            return Ok(Written::Rows(0));
        }
        if let Some(absent) = plan.key.iter().find(|name| !there.contains(name)) {
            let text = format!("table {} of the file has no column {absent}", plan.table);
            return Ok(Written::Refused(text));
        }
        let (places, names) = common(table, &there);
        let key = key_places(plan, table);
        let known = self.known.entry(plan.table.clone()).or_default();
        let own = Own::of(plan);

        let mut added = 0;
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(&plan.insert(&names))?;
            for row in &table.rows {
                if known.contains(identity(row, &key)) {
                    continue;
                }
                let cells = cells(plan, row, &places, &names);
                let new = insert.execute(params_from_iter(cells))?;
                added += new;
                if let Some(own) = own.as_ref().filter(|_| new > 0) {
                    own.remember(&transaction, &key_cells(plan, row, &key))?;
                }
            }
        }
        transaction.commit()?;
        known.replace(table.rows.iter().map(|row| identity(row, &key)));
        Ok(Written::Rows(added as u64))
    }

    /// Returns the columns that the table has in the file, once it is there.
    fn columns(&mut self, plan: &Plan, table: &Table) -> Result<Vec<String>, rusqlite::Error> {
        if let Some(columns) = self.tables.get(&plan.table) {
            return Ok(columns.clone());
        }
        let wanted = match (plan.columns.is_empty(), table.rows.first()) {
            (false, _) => plan.columns.clone(),
            (true, Some(first)) => inferred(table, first),
            // Without rows nobody knows the types yet.
            (true, None) => return Ok(Vec::new()),
        };
        self.connection.execute(&plan.create(&wanted), [])?;
        let columns = self.columns_there(&plan.table)?;
        if plan.key.iter().all(|name| columns.contains(name)) {
            self.index(plan)?;
        }
        if let Some(own) = Own::of(plan) {
            own.prepare(&self.connection)?;
        }
        self.tables.insert(plan.table.clone(), columns.clone());
        Ok(columns)
    }

    /// Makes the key unique where the rows that are there allow it.
    fn index(&self, plan: &Plan) -> Result<(), rusqlite::Error> {
        let unique = self.connection.execute(&plan.index(true), []);
        match unique {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                info!(table = plan.table, "rows of one key are there already");
                self.connection.execute(&plan.index(false), []).map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }

    fn columns_there(&self, table: &str) -> Result<Vec<String>, rusqlite::Error> {
        let sql = format!("PRAGMA table_info({})", quoted(table));
        let mut statement = self.connection.prepare(&sql)?;
        let names = statement.query_map([], |row| row.get("name"))?;
        names.collect()
    }
}

fn file_of(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Says what of a table cannot go into any file.
fn fits(plan: &Plan, table: &Table) -> Result<(), String> {
    for name in &plan.key {
        if !table.columns.contains(name) {
            return Err(format!("it has no column {name}"));
        }
    }
    table.columns.iter().try_for_each(|name| check_name(name))
}

/// Returns the columns that a table and the file have, with their places. Those that an older file does
/// not have are left out.
fn common<'a>(table: &'a Table, there: &[String]) -> (Vec<usize>, Vec<&'a str>) {
    let columns = table.columns.iter().enumerate();
    let common = columns.filter(|(_, name)| there.contains(name));
    common.map(|(at, name)| (at, name.as_str())).unzip()
}

fn cells<'a>(
    plan: &Plan,
    row: &'a [Value],
    places: &[usize],
    names: &[&str],
) -> impl Iterator<Item = Cell<'a>> {
    places.iter().zip(names).map(|(&at, name)| Cell {
        value: row.get(at).unwrap_or(&Value::Null),
        is_integer: plan.is_integer(name),
    })
}

fn key_places(plan: &Plan, table: &Table) -> Vec<usize> {
    let place = |name: &String| table.columns.iter().position(|column| column == name);
    plan.key.iter().filter_map(place).collect()
}

fn key_cells<'a>(plan: &Plan, row: &'a [Value], key: &[usize]) -> Vec<Cell<'a>> {
    let names: Vec<&str> = plan.key.iter().map(String::as_str).collect();
    cells(plan, row, key, &names).collect()
}

/// Takes the types from the cells of a row.
fn inferred(table: &Table, first: &[Value]) -> Vec<Column> {
    let kind = |value: &Value| match value {
        Value::Bool(_) => "INT",
        Value::Number(number) if number.is_f64() => "REAL",
        Value::Number(_) => "INT",
        _ => "TEXT",
    };
    let cells = table.columns.iter().zip(first);
    let column = |(name, value): (&String, &Value)| Column {
        name: name.clone(),
        kind: kind(value),
    };
    cells.map(column).collect()
}

/// A cell as SQLite takes it: lists and objects as JSON; numbers from 2^63 on, which SQLite has no
/// integers for, as the negative number of the same bits. Whole numbers may be texts, since those of
/// 64 bits are no numbers in the JSON of a browser.
struct Cell<'a> {
    value: &'a Value,
    /// Its column is declared to hold integers.
    is_integer: bool,
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self.value {
            Value::Null => Stored::Null,
            Value::Bool(flag) => Stored::Integer(i64::from(*flag)),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(integer), _) => Stored::Integer(integer),
                (None, Some(large)) => Stored::Integer(large.cast_signed()),
                (None, None) => number.as_f64().map_or(Stored::Null, Stored::Real),
            },
            Value::String(text) => match text.parse::<u64>() {
                Ok(number) if self.is_integer => Stored::Integer(number.cast_signed()),
                _ => return Ok(text.as_str().into()),
            },
            Value::Array(_) | Value::Object(_) => Stored::Text(self.value.to_string()),
        };
        Ok(ToSqlOutput::Owned(value))
    }
}

#[cfg(test)]
mod tests;
