//! Configuration: text to a checked [`plan::Plan`], or all problems found.

mod control;
mod detector;
mod document;
mod expand;
mod files;
mod gather;
mod load;
mod log;
mod options;
mod order;
mod overlay;
mod pipeline;
pub mod plan;
mod policy;
mod problem;
mod process;
mod ready;
mod report;
mod resolve;
mod schema;
mod shape;
mod source;
mod text;
mod tree;

pub use expand::Environment;
pub use load::{Loaded, Origin, factory, load};
pub use options::{KindOption, kind_options};
pub use policy::{Backoff, Budget, OnFatal, Restart};
pub use problem::{Gravity, nearest};
pub use ready::{Ready, ReadyError};
pub use report::{Finding, Report, Spot};
pub use schema::json_schema;
