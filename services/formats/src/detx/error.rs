//! Why a detector file cannot be read, and what in it is odd.

use crate::km3net::DomId;

use super::detector::Place;

/// Why a DETX file cannot be read; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetxError {
    /// A line has too many or too few words.
    #[error("line {line}: {got} words, expected {expected}")]
    Words {
        /// The line.
        line: usize,
        /// What the line should hold.
        expected: &'static str,
        /// Words found.
        got: usize,
    },
    /// A word is not what it should be.
    #[error("line {line}: {word:?}, expected {expected}")]
    Word {
        /// The line.
        line: usize,
        /// What the word should be.
        expected: &'static str,
        /// The word, cut to a readable length.
        word: String,
    },
    /// The file ends too early.
    #[error("file ends after line {line}, expected {expected}")]
    End {
        /// The last line.
        line: usize,
        /// What should have followed.
        expected: &'static str,
    },
    /// The file ends, or the next module begins, inside a module.
    #[error("line {line}: module {id} has {got} PMTs, its record announces {announced}")]
    MissingPmts {
        /// The line of the module, or of what stands in place of a PMT.
        line: usize,
        /// The module.
        id: DomId,
        /// PMTs found.
        got: usize,
        /// PMTs announced.
        announced: usize,
    },
    /// Two modules have the same id.
    #[error("line {line}: module {id} is already described on line {first_line}")]
    DuplicateModule {
        /// The line of the second one.
        line: usize,
        /// The id of both.
        id: DomId,
        /// The line of the first one.
        first_line: usize,
    },
}

/// What is odd in a DETX file that can be read all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetxWarning {
    /// The header announces another number of modules.
    #[error("line {line}: header announces {announced} modules, file has {found}")]
    ModuleCount {
        /// Line of the number.
        line: usize,
        /// Modules announced.
        announced: usize,
        /// Modules found.
        found: usize,
    },
    /// Lines behind the last module are no module.
    #[error("line {line}: not a module record, it and what follows is ignored")]
    ExtraLines {
        /// First of these lines.
        line: usize,
    },
    /// Two modules sit at the same place.
    #[error("line {line}: {place} is already taken by module {other}")]
    SamePlace {
        /// Line of the second one.
        line: usize,
        /// The place of both.
        place: Place,
        /// The first one.
        other: DomId,
    },
}
