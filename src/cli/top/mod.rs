//! `fathom top`: the tree of services live in a terminal, with the log of one and orders by key.
//!
//! [`state`] is all that is shown and what keys do to it, without I/O; [`draw`] makes a picture of it;
//! [`fetch`] brings news from the supervisor; [`screen`] owns the terminal and turns the loop.

mod draw;
mod fetch;
mod figures;
mod keys;
mod log;
mod orders;
mod panes;
mod rows;
mod screen;
mod state;

#[cfg(test)]
mod tests;

pub(super) use screen::Top;
