//! The live web page and its data API.
