//! Turns a configuration of supervisord into one of fathom, and reports what has no equivalent.
//!
//! Sections are read with their comments (`reader`), included files merged (`files`), and each
//! program becomes one service per process (`program`). Priorities become conditions (`order`).
//! Nothing here starts, writes or changes anything: the command does.

mod context;
mod convert;
mod daemon;
mod expand;
mod files;
mod groups;
mod layout;
mod note;
mod options;
mod order;
mod outcome;
mod program;
mod reader;
mod remarks;
mod servers;
mod value;
mod writer;

pub use convert::{Imported, Source, import};
pub use files::ImportError;
pub use note::{Gravity, Note};
