//! Which addresses may be called: https to a listed host, or http to a listed loopback address.

use url::{Host, Url};

use crate::error::GraphError;

/// Hosts that may be called, each as `name`, or `name:port` where the port is not 443.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    pub(crate) fn new(hosts: &[String]) -> Self {
        Self(hosts.iter().map(|host| host.trim().to_ascii_lowercase()).collect())
    }

    /// Returns the address if it may be called.
    pub(crate) fn check(&self, address: &str) -> Result<Url, GraphError> {
        let refused = |host: &str| GraphError::RefusedHost { host: host.chars().take(80).collect() };
        let url = Url::parse(address).map_err(|_| refused("no address"))?;
        let Some(host) = url.host_str() else { return Err(refused("an address without a host")) };
        // A name and password before the host could make a listed name look like the host.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("an address with a user name"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            _ => return Err(refused("an address without https")),
        }
        let named = match (url.scheme(), url.port()) {
            ("https", None) => host.to_owned(),
            (_, port) => format!("{host}:{}", port.unwrap_or(80)),
        };
        if self.0.contains(&named) { Ok(url) } else { Err(refused(&named)) }
    }
}

/// Tells whether an address is one of this machine, where there is nothing to encrypt for.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_hosts_over_https_are_called() {
        let hosts = ["lookaside.fbsbx.com", "127.0.0.1:8080", "[::1]:9", "media.example:8443"];
        let hosts = Hosts::new(&hosts.map(str::to_owned));
        for good in [
            "https://lookaside.fbsbx.com/whatsapp?mid=1",
            "https://LOOKASIDE.fbsbx.com:443/",
            "http://127.0.0.1:8080/x",
            "http://[::1]:9/x",
            "https://media.example:8443/",
        ] {
            assert!(hosts.check(good).is_ok(), "{good}");
        }
        for bad in [
            "http://lookaside.fbsbx.com/",
            "https://lookaside.fbsbx.com:8443/",
            "https://lookaside.fbsbx.com.evil.example/",
            "https://evil.example/lookaside.fbsbx.com",
            "https://lookaside.fbsbx.com@evil.example/",
            "https://user@lookaside.fbsbx.com/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::ffff:169.254.169.254]/",
            "http://127.0.0.1/",
            "http://127.0.0.1:8081/",
            "http://0x7f000001:8081/",
            "https://xn--lookaside.fbsbx.com/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "lookaside.fbsbx.com",
            "",
        ] {
            let found = hosts.check(bad);
            assert!(matches!(found, Err(GraphError::RefusedHost { .. })), "{bad}: {found:?}");
        }
    }
}
