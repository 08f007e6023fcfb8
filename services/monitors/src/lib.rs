//! Monitoring processes, one file each.
