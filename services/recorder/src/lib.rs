//! What is kept in databases.
//!
//! Kind `local_db` mirrors tables of the board into tables of an SQLite file, so that what read
//! km3mon's data base goes on working. The history of all outputs (kind `recorder`) will live here
//! later. Computes nothing and serves no queries; the supervisor runs it like any other service.
//! SQLite is built from source with this crate and with no other.

mod local_db;

use fathom_kernel::Kind;

// Exported for tests.
pub use local_db::{Config as LocalDbConfig, LocalDb, Mirrored};

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[Kind::service::<LocalDbConfig, LocalDb>(
    "local_db",
    "tables of the board, such as the event selection, in an SQLite file",
)
.in_section("LocalDBService")
.borrowing("ZTPlot", "event_selection_table")
.reading_board()];
