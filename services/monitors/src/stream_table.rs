//! Tables as the stream data service of the data base answers: lines of text with tabs, the first of
//! which names the columns.

/// Longest text of a server's refusal that a reason repeats.
const SHOWN_MAX: usize = 80;

/// A table whose rows are read one by one.
#[derive(Debug)]
pub(crate) struct StreamTable<'a> {
    names: Vec<&'a str>,
    text: std::str::Lines<'a>,
}

impl<'a> StreamTable<'a> {
    /// Reads the names of the columns; the service refuses with a line that begins with `ERROR`.
    pub(crate) fn read(text: &'a str) -> Result<Self, String> {
        let mut lines = text.lines();
        let head = lines.next().unwrap_or_default();
        refused(head)?;
        Ok(Self {
            names: head.split('\t').map(str::trim).collect(),
            text: lines,
        })
    }

    /// Returns where a column is.
    pub(crate) fn place(&self, column: &str) -> Option<usize> {
        let mut names = self.names.iter();
        names.position(|name| name.eq_ignore_ascii_case(column))
    }

    /// Returns where a column is that there must be; `what` says of which table.
    pub(crate) fn column(&self, column: &str, what: &str) -> Result<usize, String> {
        let place = self.place(column);
        place.ok_or_else(|| format!("no column {column} in the table of {what}"))
    }

    /// Iterates over the rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Vec<&'a str>> {
        let rows = self.text.clone().filter(|line| !line.trim().is_empty());
        rows.map(|line| line.split('\t').map(str::trim).collect())
    }
}

/// Looks whether the first line of an answer is a refusal.
pub(crate) fn refused(head: &str) -> Result<(), String> {
    let is_refusal = |word: &str| word.eq_ignore_ascii_case("error");
    if head.get(..5).is_some_and(is_refusal) {
        let shown: String = head.chars().take(SHOWN_MAX).collect();
        return Err(format!("the data base answers {shown:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_refusals_are_told() {
        let table = StreamTable::read("RUN\tName\r\n7\ta\r\n\n8\n").unwrap();
        assert_eq!(
            (table.place("run"), table.place("NAME")),
            (Some(0), Some(1))
        );
        let rows: Vec<_> = table.rows().collect();
        assert_eq!(rows, [vec!["7", "a"], vec!["8"]]);
        let missing = table.column("DATA_VALUE", "values").unwrap_err();
        assert_eq!(missing, "no column DATA_VALUE in the table of values");
        let refused = StreamTable::read("ERROR: no rights\n").unwrap_err();
        assert_eq!(refused, "the data base answers \"ERROR: no rights\"");
        assert!(StreamTable::read("").unwrap().rows().next().is_none());
    }
}
