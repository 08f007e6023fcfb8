//! The option `to`.

/// Where a source sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To the bus of the stack.
    Bus,
    /// To a ligier at `HOST:PORT`.
    Address(String),
    /// To a ligier of the stack, by its full name.
    Service(String),
}

impl Target {
    /// Reads `bus`, `HOST:PORT` or `service:NAME`; the error says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "bus" {
            return Ok(Self::Bus);
        }
        if let Some(name) = text
            .strip_prefix("service:")
            .filter(|name| !name.is_empty())
        {
            return Ok(Self::Service(name.to_owned()));
        }
        let is_address = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if is_address {
            return Ok(Self::Address(text.to_owned()));
        }
        Err(format!(
            "to is {text:?}, expected `bus`, `HOST:PORT` or `service:NAME`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_told_apart() {
        assert_eq!(Target::parse("bus"), Ok(Target::Bus));
        assert_eq!(
            Target::parse("service:ligiers:ligier"),
            Ok(Target::Service("ligiers:ligier".to_owned()))
        );
        assert_eq!(
            Target::parse("localhost:5553"),
            Ok(Target::Address("localhost:5553".to_owned()))
        );
        assert!(
            Target::parse("localhost")
                .unwrap_err()
                .contains("HOST:PORT")
        );
        assert!(Target::parse(":5553").is_err());
    }
}
