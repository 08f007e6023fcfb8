//! Detector simulator, recorder and replay.
