//! The other end of a link: an address, a service of this stack, or the bus.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use fathom_kernel::Addresses;
use tokio::net::lookup_host;

/// Where messages come from or go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `HOST:PORT`.
    Address(String),
    /// `service:NAME`: where a service of this stack listens.
    Service(String),
    /// `bus`: the bus of this process.
    Bus,
}

/// Why a text is no endpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    /// No port.
    #[error("expected HOST:PORT, service:NAME or bus")]
    NoPort,
    /// The port is not a number from 1 to 65535.
    #[error("expected a port from 1 to 65535, found `{0}`")]
    BadPort(String),
}

/// Why an endpoint has no address now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAddress {
    /// The name is not known.
    #[error("cannot look up {host}")]
    Lookup {
        /// The name.
        host: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The service does not listen.
    #[error("service {0} does not listen")]
    NotListening(String),
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text == "bus" {
            return Ok(Self::Bus);
        }
        if let Some(name) = text.strip_prefix("service:") {
            return Ok(Self::Service(name.to_owned()));
        }
        let (host, port) = text.rsplit_once(':').ok_or(EndpointError::NoPort)?;
        match port.parse::<u16>() {
            Ok(port) if port > 0 && !host.is_empty() => Ok(Self::Address(text.to_owned())),
            _ => Err(EndpointError::BadPort(port.to_owned())),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => f.pad(address),
            Self::Service(name) => write!(f, "service:{name}"),
            Self::Bus => f.pad("bus"),
        }
    }
}

impl Endpoint {
    /// Returns the addresses that the endpoint has now.
    pub(crate) async fn resolve(
        &self,
        addresses: &Addresses,
    ) -> Result<Vec<SocketAddr>, NoAddress> {
        match self {
            Self::Address(host) => match lookup_host(host).await {
                Ok(found) => Ok(found.collect()),
                Err(cause) => Err(NoAddress::Lookup {
                    host: host.clone(),
                    cause,
                }),
            },
            Self::Service(name) => match addresses.of(name) {
                Some(address) => Ok(vec![reachable(address)]),
                None => Err(NoAddress::NotListening(name.clone())),
            },
            Self::Bus => Ok(Vec::new()),
        }
    }
}

/// Returns the address under which a listener on this machine is reached from here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback = match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(loopback);
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_shown() {
        for text in ["host:5553", "[::1]:5553", "service:ligiers:ligier", "bus"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        for text in ["host", "host:", "host:0", "host:70000", ":5553", ""] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
