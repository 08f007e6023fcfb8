//! Where a table goes: names and columns, checked, and the statements made of them.

use super::Mirrored;

/// Most columns of a table.
const COLUMNS_MAX: usize = 200;
/// Longest name.
const NAME_BYTES_MAX: usize = 100;
/// The types that a column may be declared with.
const TYPES: [&str; 6] = ["INT", "INTEGER", "REAL", "TEXT", "BLOB", "NUMERIC"];

/// A table of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) table: String,
    pub(super) key: Vec<String>,
    /// Declared columns; those of the first rows when empty.
    pub(super) columns: Vec<Column>,
    /// Rows that are in the file are handed back.
    pub(super) read_back: bool,
    /// Output with rows to be taken out.
    pub(super) gone: Option<String>,
}

/// A column with its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: &'static str,
}

impl Plan {
    pub(super) fn new(mirrored: &Mirrored) -> Result<Self, String> {
        check_name(&mirrored.table)?;
        if mirrored.table.to_ascii_lowercase().starts_with("sqlite_") {
            return Err(format!("{:?} is a name of SQLite's own", mirrored.table));
        }
        if mirrored.key.is_empty() {
            return Err("key is empty, expected the columns that tell rows apart".into());
        }
        let columns = mirrored.columns.iter().map(|text| column(text));
        let columns: Vec<Column> = columns.collect::<Result<_, _>>()?;
        if columns.len() > COLUMNS_MAX {
            return Err(format!("expected at most {COLUMNS_MAX} columns"));
        }
        for name in &mirrored.key {
            check_name(name)?;
            if !columns.is_empty() && !columns.iter().any(|column| column.name == *name) {
                return Err(format!("key has {name:?}, which is none of the columns"));
            }
        }
        Ok(Self {
            table: mirrored.table.clone(),
            key: mirrored.key.clone(),
            columns,
            read_back: mirrored.read_back,
            gone: mirrored.gone.clone(),
        })
    }

    /// Returns the columns to read, of those that the table of the file has.
    pub(super) fn read_from(&self, there: Vec<String>) -> Vec<String> {
        if self.columns.is_empty() {
            return there;
        }
        let declared = self.columns.iter().map(|column| &column.name);
        declared
            .filter(|name| there.contains(name))
            .cloned()
            .collect()
    }

    /// Returns the statement that reads the newest rows, and those with the largest numbers in the
    /// columns of integers that are not of the key, in the order in which they came.
    pub(super) fn select(&self, columns: &[String], newest: usize, largest: usize) -> String {
        let names: Vec<_> = columns.iter().map(|name| quoted(name)).collect();
        let (table, names) = (quoted(&self.table), names.join(", "));
        let first = |order: &str, rows: usize| {
            format!("rowid IN (SELECT rowid FROM {table} ORDER BY {order} DESC LIMIT {rows})")
        };
        let ranked = columns
            .iter()
            .filter(|name| self.is_integer(name) && !self.key.contains(name))
            // Numbers may be stored as texts.
            .map(|name| first(&format!("CAST({} AS INTEGER)", quoted(name)), largest));
        let wanted: Vec<_> = std::iter::once(first("rowid", newest))
            .chain(ranked)
            .collect();
        let wanted = wanted.join(" OR ");
        format!("SELECT {names} FROM {table} WHERE {wanted} ORDER BY rowid")
    }

    /// Tells whether a column is declared to hold integers.
    pub(super) fn is_integer(&self, name: &str) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|column| column.name == name && ["INT", "INTEGER"].contains(&column.kind))
    }

    /// Returns the statement that makes the table when it is not there.
    pub(super) fn create(&self, columns: &[Column]) -> String {
        let columns = columns
            .iter()
            .map(|column| format!("{} {}", quoted(&column.name), column.kind));
        let columns: Vec<_> = columns.collect();
        let table = quoted(&self.table);
        format!(
            "CREATE TABLE IF NOT EXISTS {table} ({})",
            columns.join(", ")
        )
    }

    /// Returns the statement that makes the index over the key.
    pub(super) fn index(&self, is_unique: bool) -> String {
        let (unique, ending) = if is_unique {
            ("UNIQUE ", "key")
        } else {
            ("", "search")
        };
        let name = quoted(&format!("fathom_{}_{ending}", self.table));
        let key: Vec<_> = self.key.iter().map(|name| quoted(name)).collect();
        let (table, key) = (quoted(&self.table), key.join(", "));
        format!("CREATE {unique}INDEX IF NOT EXISTS {name} ON {table} ({key})")
    }

    /// Returns the statement that takes out the row that agrees in these columns, of several the first:
    /// a row is only written here when there is none of its key. Parameter *n* is the value of column *n*.
    pub(super) fn delete(&self, columns: &[&str]) -> String {
        let same: Vec<_> = (columns.iter().zip(1..))
            .map(|(name, n)| format!("{} IS ?{n}", quoted(name)))
            .collect();
        let (table, same) = (quoted(&self.table), same.join(" AND "));
        format!("DELETE FROM {table} WHERE rowid = (SELECT min(rowid) FROM {table} WHERE {same})")
    }

    /// Returns the statement that adds a row of these columns unless its key is there. Parameter
    /// *n* is the value of column *n*.
    pub(super) fn insert(&self, columns: &[&str]) -> String {
        let names: Vec<_> = columns.iter().map(|name| quoted(name)).collect();
        let values: Vec<_> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
        let places = columns.iter().zip(1..);
        let same = places.filter(|(name, _)| self.key.iter().any(|key| key == *name));
        let same: Vec<_> = same
            .map(|(name, n)| format!("{} IS ?{n}", quoted(name)))
            .collect();
        let (table, same) = (quoted(&self.table), same.join(" AND "));
        format!(
            "INSERT INTO {table} ({}) SELECT {} WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE {same})",
            names.join(", "),
            values.join(", ")
        )
    }
}

fn column(text: &str) -> Result<Column, String> {
    let expected = || {
        format!(
            "column {text:?}, expected a name and one of {}",
            TYPES.join(", ")
        )
    };
    let (name, kind) = text.trim().rsplit_once(' ').ok_or_else(expected)?;
    let kind = TYPES.iter().find(|known| known.eq_ignore_ascii_case(kind));
    let name = name.trim().to_owned();
    check_name(&name)?;
    Ok(Column {
        name,
        kind: kind.ok_or_else(expected)?,
    })
}

/// Any name will do, because names are quoted, but not one that cannot be.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
        return Err(format!(
            "{name:?} is no name, expected 1 to {NAME_BYTES_MAX} bytes"
        ));
    }
    Ok(())
}

/// Puts a name in quotes, so that it is a name whatever it is made of.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrored(table: &str, key: &[&str], columns: &[&str]) -> Mirrored {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Mirrored {
            table: table.into(),
            key: texts(key),
            columns: texts(columns),
            read_back: true,
            gone: None,
        }
    }

    #[test]
    fn statements_hold_names_in_quotes_and_no_values() {
        let plan = Plan::new(&mirrored("t\"; DROP", &["a b"], &["a b INT", "c text"])).unwrap();
        assert_eq!(
            plan.create(&plan.columns),
            r#"CREATE TABLE IF NOT EXISTS "t""; DROP" ("a b" INT, "c" TEXT)"#
        );
        assert_eq!(
            plan.insert(&["a b", "c"]),
            r#"INSERT INTO "t""; DROP" ("a b", "c") SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM "t""; DROP" WHERE "a b" IS ?1)"#
        );
        assert_eq!(
            plan.index(true),
            r#"CREATE UNIQUE INDEX IF NOT EXISTS "fathom_t""; DROP_key" ON "t""; DROP" ("a b")"#
        );
    }

    #[test]
    fn plans_that_make_no_sense_are_refused() {
        let refused = |mirrored: Mirrored| Plan::new(&mirrored).unwrap_err();
        assert!(refused(mirrored("", &["a"], &[])).contains("is no name"));
        assert!(refused(mirrored("t", &[], &[])).contains("key is empty"));
        assert!(refused(mirrored("t", &["a"], &["b INT"])).contains("none of the columns"));
        assert!(refused(mirrored("t", &["a"], &["a INT); --"])).contains("expected a name and"));
        assert!(refused(mirrored("t", &["a"], &["a"])).contains("expected a name and"));
        assert!(refused(mirrored("sqlite_master", &["a"], &[])).contains("SQLite's own"));
    }
}
