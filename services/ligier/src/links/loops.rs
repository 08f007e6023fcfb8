//! Refuses a mirror whose source is one of its targets.

use std::net::SocketAddr;

use fathom_kernel::Addresses;

use super::endpoint::Endpoint;

/// Returns the target that an address belongs to, if any.
pub(crate) async fn target_at(
    source: SocketAddr,
    targets: &[Endpoint],
    addresses: &Addresses,
) -> Option<Endpoint> {
    for target in targets {
        // A target that cannot be looked up now is looked at again with the next connection.
        let found = target.resolve(addresses).await.unwrap_or_default();
        if found.iter().any(|address| is_same(source, *address)) {
            return Some(target.clone());
        }
    }
    None
}

/// Tells whether two addresses lead to the same listener, as far as can be told without asking it.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    let local = |address: SocketAddr| {
        let ip = address.ip().to_canonical();
        ip.is_loopback() || ip.is_unspecified()
    };
    a.port() == b.port() && (a.ip().to_canonical() == b.ip().to_canonical() || local(a) && local(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_same_machine_are_the_same() {
        let same = |a: &str, b: &str| is_same(a.parse().unwrap(), b.parse().unwrap());
        assert!(same("127.0.0.1:5553", "[::1]:5553"));
        assert!(same("127.0.0.1:5553", "[::ffff:127.0.0.1]:5553"));
        assert!(!same("127.0.0.1:5553", "127.0.0.1:5554"));
        assert!(!same("192.0.2.1:5553", "127.0.0.1:5553"));
    }
}
