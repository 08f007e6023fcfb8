//! Detector description files.

/// A detector: its modules and where they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    /// Detector id; negative for simulations.
    pub id: i32,
}
