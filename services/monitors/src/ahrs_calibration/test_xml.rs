//! Reads the constants of a compass board from the XML of its test.
//!
//! Each parameter of the test has a `Name` and a `Values` list; the two are matched by their order.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::orientation::Constants;

/// Most parameters of a test, and most values of each.
const PARAMETERS_MAX: usize = 1000;
/// Most bytes of a text.
const TEXT_MAX: usize = 1000;

/// A test of one board.
#[derive(Debug, Clone, PartialEq)]
pub struct BoardTest {
    /// When it ended, as it stands there; of several tests the one with the largest text counts.
    pub end_time: String,
    /// What it found.
    pub constants: Constants,
}

/// Why a test cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TestError {
    /// No XML.
    #[error("no XML: {0}")]
    Xml(String),
    /// More of something than any test has.
    #[error("more than {0} parameters or values")]
    TooMuch(usize),
    /// A parameter is missing.
    #[error("no {0}")]
    Missing(&'static str),
    /// A list has another length, or something else than numbers.
    #[error("{name} has {got} numbers, expected {expected}")]
    Numbers {
        /// Which.
        name: &'static str,
        /// How many numbers could be read.
        got: usize,
        /// How many there should be.
        expected: usize,
    },
    /// An index list points outside a vector.
    #[error("{name} holds {index}, expected 0 to 2")]
    Index {
        /// Which.
        name: &'static str,
        /// The index.
        index: f64,
    },
}

impl BoardTest {
    /// Reads a test.
    pub fn read(xml: &[u8]) -> Result<Self, TestError> {
        let lists = Lists::read(xml)?;
        let column: [usize; 9] = lists.indices("AHRS_Matrix_Column", None)?;
        let row = lists.indices("AHRS_Matrix_Row", Some([2, 2, 2, 1, 1, 1, 0, 0, 0]))?;
        let order: [usize; 3] = lists.indices("AHRS_Vector_Index", Some([2, 1, 0]))?;
        let offset: [f64; 3] = lists.numbers("AHRS_Acceleration_Offset")?;
        let rotation = |name| {
            let matrix: [f64; 9] = lists.numbers(name)?;
            let at = |k: usize| matrix[3 * column[k] + row[k]];
            Ok(std::array::from_fn(|i| {
                std::array::from_fn(|j| at(3 * i + j))
            }))
        };
        let middle = |low, high| {
            let ([low], [high]) = (lists.numbers(low)?, lists.numbers(high)?);
            Ok((low + high) / 2.0)
        };
        let constants = Constants {
            a_offset: order.map(|k| offset[k]),
            a_rotation: rotation("AHRS_Acceleration_Rotation")?,
            h_offset: [
                middle("AHRS_Magnetic_XMin", "AHRS_Magnetic_XMax")?,
                middle("AHRS_Magnetic_YMin", "AHRS_Magnetic_YMax")?,
                middle("AHRS_Magnetic_ZMin", "AHRS_Magnetic_ZMax")?,
            ],
            h_rotation: rotation("AHRS_Magnetic_Rotation")?,
        };
        let end_time = lists.end_time.ok_or(TestError::Missing("EndTime"))?;
        Ok(Self {
            end_time,
            constants,
        })
    }
}

/// The lists of a test by their names.
struct Lists {
    end_time: Option<String>,
    values: HashMap<String, Vec<String>>,
}

impl Lists {
    fn read(xml: &[u8]) -> Result<Self, TestError> {
        // Numbers and names are ASCII in whatever encoding the rest is.
        let text = String::from_utf8_lossy(xml);
        let mut reader = Reader::from_str(&text);
        let mut open = Open::default();
        loop {
            match reader.read_event() {
                Ok(Event::Start(tag)) => open.begin(tag.local_name().as_ref())?,
                Ok(Event::Empty(tag)) => {
                    open.begin(tag.local_name().as_ref())?;
                    open.end()?;
                }
                Ok(Event::End(_)) => open.end()?,
                Ok(Event::Text(text)) => open.text(&text)?,
                Ok(Event::CData(text)) => open.text(&text)?,
                Ok(Event::Eof) if open.path.is_empty() => break,
                Ok(Event::Eof) => return Err(TestError::Xml("ends too early".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(TestError::Xml(error.to_string())),
            }
        }
        Ok(Self {
            end_time: open.end_time,
            values: open.names.into_iter().zip(open.lists).collect(),
        })
    }

    fn numbers<const N: usize>(&self, name: &'static str) -> Result<[f64; N], TestError> {
        let list = self.values.get(name).ok_or(TestError::Missing(name))?;
        let numbers = list.iter().map_while(|text| text.parse::<f64>().ok());
        let numbers: Vec<f64> = numbers.take_while(|n| n.is_finite()).collect();
        let got = numbers.len();
        numbers.try_into().map_err(|_| TestError::Numbers {
            name,
            got,
            expected: N,
        })
    }

    /// Returns a list of places in a vector of three.
    fn indices<const N: usize>(
        &self,
        name: &'static str,
        missing: Option<[usize; N]>,
    ) -> Result<[usize; N], TestError> {
        if let (false, Some(default)) = (self.values.contains_key(name), missing) {
            return Ok(default);
        }
        let numbers: [f64; N] = self.numbers(name)?;
        let place = |n: f64| [0.0, 1.0, 2.0].iter().position(|place| *place == n);
        if let Some(&index) = numbers.iter().find(|n| place(**n).is_none()) {
            return Err(TestError::Index { name, index });
        }
        Ok(numbers.map(|n| place(n).unwrap_or(0)))
    }
}

/// Where the reader is.
#[derive(Default)]
struct Open {
    /// Open elements, of which only these matter.
    path: Vec<Element>,
    text: String,
    end_time: Option<String>,
    names: Vec<String>,
    lists: Vec<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    EndTime,
    Name,
    Values,
    Other,
}

impl Open {
    fn begin(&mut self, name: &str) -> Result<(), TestError> {
        let element = match name {
            "EndTime" => Element::EndTime,
            "Name" => Element::Name,
            "Values" => Element::Values,
            _ => Element::Other,
        };
        if element == Element::Values {
            self.lists.push(Vec::new());
        }
        self.path.push(element);
        self.text.clear();
        match self.path.len().max(self.lists.len()) > PARAMETERS_MAX {
            true => Err(TestError::TooMuch(PARAMETERS_MAX)),
            false => Ok(()),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), TestError> {
        self.text.push_str(text);
        match self.text.len() > TEXT_MAX {
            true => Err(TestError::TooMuch(TEXT_MAX)),
            false => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), TestError> {
        let text = std::mem::take(&mut self.text).trim().to_owned();
        let ended = self.path.pop();
        match ended {
            Some(Element::EndTime) => {
                self.end_time.get_or_insert(text);
            }
            Some(Element::Name) => self.names.push(text),
            // The elements inside a list are its values, whatever they are called.
            Some(Element::Other) if self.path.last() == Some(&Element::Values) => {
                if let Some(list) = self.lists.last_mut() {
                    list.push(text);
                }
            }
            _ => {}
        }
        let longest = self.lists.last().map_or(0, Vec::len).max(self.names.len());
        match longest > PARAMETERS_MAX {
            true => Err(TestError::TooMuch(PARAMETERS_MAX)),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_test_is_refused_with_a_reason() {
        for (xml, part) in [
            ("", "no AHRS_Matrix_Column"),
            ("<a><b></a>", "no XML"),
            ("<Test><Name>x</Name>", "ends too early"),
            (
                "<T><P><Name>AHRS_Matrix_Column</Name><Values><V>0</V></Values></P></T>",
                "1 numbers, expected 9",
            ),
            (
                "<T><Name>AHRS_Matrix_Column</Name><Values><V>3</V><V>0</V><V>0</V><V>0</V>\
                 <V>0</V><V>0</V><V>0</V><V>0</V><V>0</V></Values></T>",
                "holds 3, expected 0 to 2",
            ),
        ] {
            let error = BoardTest::read(xml.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{xml}: {error}");
        }
        let deep = "<a>".repeat(5000);
        let many = format!("<t>{}</t>", "<Name>x</Name>".repeat(5000));
        let long = format!("<t>{}</t>", "x".repeat(5000));
        for xml in [deep, many, long] {
            let error = BoardTest::read(xml.as_bytes()).unwrap_err();
            assert!(matches!(error, TestError::TooMuch(_)), "{error}");
        }
    }
}
