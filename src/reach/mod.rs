//! What of the world beyond the stack can be read: files and web addresses, within limits.

mod fetcher;
mod files;
mod tls;
mod web;

#[cfg(test)]
mod tests;

pub use fetcher::Reach;
pub use tls::install as install_tls;
pub(crate) use tls::{config as tls_config, nobody as no_tls_config};
