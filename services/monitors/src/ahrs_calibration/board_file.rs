//! Reads the file with the constants of compass boards, TOML or JSON.
//!
//! ```toml
//! [upi]                       # product id of the board in a module, for tests by product id
//! 808972698 = "3.4.3.2/AHRS/1.161"
//!
//! [[board]]                   # by `dom_id` or by `upi`
//! dom_id = 808972698
//! end_time = "2019-01-02"     # of several entries for a board the largest text counts
//! Aoff = [0.0, 0.0, 0.0]
//! Arot = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
//! Hoff = [0.0, 0.0, 0.0]
//! Hrot = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
//! ```

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::orientation::Constants;
use super::test_xml::BoardTest;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BoardFile {
    /// Product ids by module.
    pub upis: HashMap<u32, String>,
    /// The newest test by module.
    pub tests: HashMap<u32, BoardTest>,
    /// Entries of boards whose module is not known.
    pub homeless: usize,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoardFileError {
    /// Not readable as what it seems to be.
    #[error("{0}")]
    Text(String),
    /// A key of `[upi]` is no DOM id.
    #[error("[upi] has the key {0:?}, expected a DOM id")]
    DomId(String),
    /// An entry is for nobody.
    #[error("entry {0} has neither dom_id nor upi")]
    Nobody(usize),
    /// An entry has infinite numbers.
    #[error("entry {0} has numbers that are not finite")]
    NotFinite(usize),
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    upi: BTreeMap<String, String>,
    #[serde(default)]
    board: Vec<Board>,
}

#[derive(Deserialize)]
struct Board {
    dom_id: Option<u32>,
    upi: Option<String>,
    #[serde(default)]
    end_time: String,
    #[serde(rename = "Aoff")]
    a_offset: [f64; 3],
    #[serde(rename = "Arot")]
    a_rotation: [[f64; 3]; 3],
    #[serde(rename = "Hoff")]
    h_offset: [f64; 3],
    #[serde(rename = "Hrot")]
    h_rotation: [[f64; 3]; 3],
}

impl BoardFile {
    /// Reads a file; what begins with a brace is JSON, anything else TOML.
    pub fn read(bytes: &[u8]) -> Result<Self, BoardFileError> {
        let no_text = |error: &dyn std::fmt::Display| BoardFileError::Text(error.to_string());
        let text = std::str::from_utf8(bytes).map_err(|error| no_text(&error))?;
        let document: Document = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).map_err(|error| no_text(&error))?,
            false => toml::from_str(text).map_err(|error| no_text(&error))?,
        };
        let mut file = Self::default();
        let mut homes = HashMap::new();
        for (dom_id, upi) in document.upi {
            let Ok(id) = dom_id.parse::<u32>() else {
                return Err(BoardFileError::DomId(dom_id));
            };
            homes.insert(upi.clone(), id);
            file.upis.insert(id, upi);
        }
        for (number, board) in (1..).zip(document.board) {
            file.add(number, board, &homes)?;
        }
        Ok(file)
    }

    fn add(
        &mut self,
        number: usize,
        board: Board,
        homes: &HashMap<String, u32>,
    ) -> Result<(), BoardFileError> {
        let home = match (board.dom_id, &board.upi) {
            (Some(id), _) => Some(id),
            (None, Some(upi)) => homes.get(upi).copied(),
            (None, None) => return Err(BoardFileError::Nobody(number)),
        };
        let test = BoardTest {
            end_time: board.end_time,
            constants: Constants {
                a_offset: board.a_offset,
                a_rotation: board.a_rotation,
                h_offset: board.h_offset,
                h_rotation: board.h_rotation,
            },
        };
        if !test.constants.is_finite() {
            return Err(BoardFileError::NotFinite(number));
        }
        let Some(id) = home else {
            self.homeless += 1;
            return Ok(());
        };
        if let Some(upi) = board.upi {
            self.upis.entry(id).or_insert(upi);
        }
        let known = self.tests.get(&id);
        if known.is_none_or(|known| known.end_time <= test.end_time) {
            self.tests.insert(id, test);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITY: &str = "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]";

    fn board(head: &str, a_offset: f64) -> String {
        format!(
            "[[board]]\n{head}\nAoff = [{a_offset}, 0, 0]\nArot = {UNITY}\nHoff = [0, 0, 0]\n\
             Hrot = {UNITY}\n"
        )
    }

    #[test]
    fn boards_are_found_by_module_and_by_product_and_the_newest_counts() {
        let text = [
            "[upi]\n7 = \"3.4/AHRS/1\"\n".to_owned(),
            board("upi = \"3.4/AHRS/1\"\nend_time = \"2019-01-02\"", 0.25),
            board("dom_id = 7\nend_time = \"2019-01-01\"", 0.5),
            board("dom_id = 8", 0.75),
            board("upi = \"3.4/AHRS/9\"", 1.0),
        ];
        let file = BoardFile::read(text.concat().as_bytes()).unwrap();
        assert_eq!(file.tests[&7].constants.a_offset[0], 0.25);
        assert_eq!(file.tests[&8].constants.a_offset[0], 0.75);
        assert_eq!((file.tests.len(), file.homeless), (2, 1));
        let json = format!(
            "{{\"board\": [{{\"dom_id\": 7, \"Aoff\": [0.5, 0, 0], \"Arot\": {UNITY}, \
             \"Hoff\": [0, 0, 0], \"Hrot\": {UNITY}}}]}}"
        );
        let file = BoardFile::read(json.as_bytes()).unwrap();
        assert_eq!(file.tests[&7].constants.a_offset[0], 0.5);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text: &str| BoardFile::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error("[upi]\nx = \"1\"").contains("expected a DOM id"));
        assert!(error(&board("", 0.0)).contains("neither dom_id nor upi"));
        assert!(error(&board("dom_id = 7", f64::NAN).replace("NaN", "nan")).contains("not finite"));
        assert!(error("[[board]]\ndom_id = 7").contains("Aoff"));
        assert!(error("{").contains("EOF"));
        let no_utf8 = BoardFile::read(&[0xff, 0xfe]).unwrap_err();
        assert!(matches!(no_utf8, BoardFileError::Text(_)));
    }
}
