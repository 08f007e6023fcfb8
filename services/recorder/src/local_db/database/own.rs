//! Which rows of a table were written here: those alone are taken out again. Another program that sees the
//! same events may write the very same rows into the same file, as km3mon does.

use rusqlite::{Connection, Error, params_from_iter};

use super::super::plan::{Plan, quoted};
use super::Cell;

/// The keys of the rows that were written here, as a table beside the other.
pub(super) struct Own {
    create: String,
    /// Keys are found by it; also in files that have the table from before.
    index: String,
    insert: String,
    delete: String,
}

impl Own {
    /// Those of a table of which rows are taken out.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        plan.gone.as_ref()?;
        let name = quoted(&format!("fathom_{}_rows", plan.table));
        let index = quoted(&format!("fathom_{}_rows_key", plan.table));
        let key: Vec<_> = plan.key.iter().map(|name| quoted(name)).collect();
        let values: Vec<_> = (1..=key.len()).map(|n| format!("?{n}")).collect();
        let same = key
            .iter()
            .zip(&values)
            .map(|(key, value)| format!("{key} IS {value}"));
        let same: Vec<_> = same.collect();
        let (key, values, same) = (key.join(", "), values.join(", "), same.join(" AND "));
        Some(Self {
            create: format!("CREATE TABLE IF NOT EXISTS {name} ({key})"),
            index: format!("CREATE INDEX IF NOT EXISTS {index} ON {name} ({key})"),
            insert: format!("INSERT INTO {name} ({key}) VALUES ({values})"),
            delete: format!("DELETE FROM {name} WHERE {same}"),
        })
    }

    /// Makes the table of keys and its index when they are not there.
    pub(super) fn prepare(&self, connection: &Connection) -> Result<(), Error> {
        connection.execute(&self.create, [])?;
        connection.execute(&self.index, []).map(|_| ())
    }

    /// Remembers the key of a row that was written just now.
    pub(super) fn remember(&self, connection: &Connection, key: &[Cell<'_>]) -> Result<(), Error> {
        self.forget(connection, key)?;
        let mut insert = connection.prepare_cached(&self.insert)?;
        insert.execute(params_from_iter(key)).map(|_| ())
    }

    /// Forgets a key; tells whether the row was written here.
    pub(super) fn forget(&self, connection: &Connection, key: &[Cell<'_>]) -> Result<bool, Error> {
        let mut delete = connection.prepare_cached(&self.delete)?;
        Ok(delete.execute(params_from_iter(key))? > 0)
    }
}
