//! Services in children of our own binary: the same kind, options and context, with the bus, the
//! board and all commands carried over a socket that the child inherits as its standard input.

mod child;
mod images;
mod parent;
mod wire;

pub use child::run;
pub(crate) use parent::{Bridge, attach};
pub(crate) use wire::Hello;
