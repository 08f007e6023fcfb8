//! ControlHost broker, mirror and source.
