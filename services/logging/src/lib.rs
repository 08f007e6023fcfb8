//! Log services: the message dumper.
