//! The contract between the supervisor and its services.
