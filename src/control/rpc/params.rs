//! Reads the parameters of a call.

use dxr::Value;

use super::fault::{Code, Fault};

/// The parameters that were not read yet.
pub(super) struct Params(std::vec::IntoIter<Value>);

impl Params {
    /// Takes the parameters of a call.
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// Reads a text; `base64` counts as one, as it does with supervisord.
    pub(super) fn text(&mut self) -> Result<String, Fault> {
        match self.0.next() {
            Some(Value::String(text)) => Ok(text),
            Some(Value::Base64(bytes)) => String::from_utf8(bytes).map_err(|_| wrong("text")),
            _ => Err(wrong("text")),
        }
    }

    /// Reads a number; some clients write it as text.
    pub(super) fn number(&mut self) -> Result<i64, Fault> {
        match self.0.next() {
            Some(Value::Integer(number)) => Ok(number.into()),
            Some(Value::Long(number)) => Ok(number),
            Some(Value::Boolean(value)) => Ok(value.into()),
            Some(Value::String(text)) => text.trim().parse().map_err(|_| wrong("number")),
            _ => Err(wrong("number")),
        }
    }

    /// Reads yes or no, which some clients write as a number; `default` when it is left out.
    pub(super) fn flag(&mut self, default: bool) -> Result<bool, Fault> {
        match self.0.next() {
            None => Ok(default),
            Some(Value::Boolean(value)) => Ok(value),
            Some(Value::Integer(number)) => Ok(number != 0),
            Some(Value::Long(number)) => Ok(number != 0),
            Some(_) => Err(wrong("boolean")),
        }
    }

    /// Reads a list.
    pub(super) fn list(&mut self) -> Result<Vec<Value>, Fault> {
        match self.0.next() {
            Some(Value::Array(list)) => Ok(list),
            _ => Err(wrong("array")),
        }
    }
}

fn wrong(expected: &str) -> Fault {
    Code::IncorrectParameters.about(format!("expected {expected}"))
}
