//! Rows that are in the file already, such as those that km3mon has left there, as a table.

use fathom_kernel::view::Table;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};

use super::{Database, Fault, Plan};

/// Newest rows read of a table.
pub(super) const NEWEST: usize = 50_000;
/// Rows read beside them that have the largest numbers of a column, so that of a larger table the best of
/// all time are not lost: three times as many as anybody keeps, since rows may double.
pub(super) const LARGEST: usize = 300;
/// Longest text taken of a cell.
const TEXT_BYTES_MAX: usize = 200;

impl Database {
    /// Returns a number that is another one whenever somebody else has written into the file, unless
    /// the file was looked at with this number.
    pub(in super::super) fn others(&self) -> Result<Option<i64>, Fault> {
        let version = self
            .connection
            .query_row("PRAGMA data_version", [], |row| row.get(0));
        let version = version.map_err(|source| self.fault(source))?;
        Ok(Some(version).filter(|_| self.looked_at != Some(version)))
    }

    /// Remembers that the file was looked at.
    pub(in super::super) fn looked_at(&mut self, version: i64) {
        self.looked_at = Some(version);
    }

    /// Reads the rows of a table, the oldest first. The inner error says why this table cannot be read, and a later try
    /// cannot read it either before somebody changes the file.
    pub(in super::super) fn stored(&self, plan: &Plan) -> Result<Result<Table, String>, Fault> {
        match self.read(plan) {
            Err(source) if Fault::is_of_table(&source) => Ok(Err(source.to_string())),
            read => read.map_err(|source| self.fault(source)),
        }
    }

    fn read(&self, plan: &Plan) -> Result<Result<Table, String>, rusqlite::Error> {
        let there = self.columns_there(&plan.table)?;
        let mut key = plan.key.iter();
        if let Some(absent) = key.find(|name| !there.is_empty() && !there.contains(name)) {
            let text = format!("table {} of the file has no column {absent}", plan.table);
            return Ok(Err(text));
        }
        let columns = plan.read_from(there);
        if columns.is_empty() {
            return Ok(Ok(Table::default()));
        }
        let sql = plan.select(&columns, NEWEST, LARGEST);
        let mut statement = self.connection.prepare(&sql)?;
        let cells = |row: &rusqlite::Row<'_>| {
            let cell = |at| row.get_ref(at).map(cell);
            (0..columns.len()).map(cell).collect()
        };
        let rows = statement.query_map([], cells)?;
        let rows = rows.collect::<Result<_, _>>()?;
        Ok(Ok(Table { columns, rows }))
    }
}

fn cell(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => json!(integer),
        ValueRef::Real(real) => json!(real),
        ValueRef::Text(text) => {
            let text = text.get(..TEXT_BYTES_MAX).unwrap_or(text);
            json!(String::from_utf8_lossy(text))
        }
        ValueRef::Blob(bytes) => json!(format!("blob of {} bytes", bytes.len())),
    }
}
