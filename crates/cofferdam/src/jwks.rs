//! Fetches the keys of tenants' token issuers.
//!
//! The address is a tenant's choice, so the request must not become a way into the deployment's own network: no
//! redirect is followed, an answer is bounded, and addresses that are not public are refused after they are resolved.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use compartment::credential::{FetchError, FetchJwks, MAX_JWKS_BYTES};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

const TIMEOUT: Duration = Duration::from_secs(5);

/// How keys are fetched. `internal` lets issuers inside private networks be asked too.
pub fn fetcher(internal: bool) -> FetchJwks {
    let config = Config::builder()
        .https_only(true)
        .max_redirects(0)
        .timeout_global(Some(TIMEOUT))
        .max_idle_connections(4)
        .build();
    let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), Public { internal });
    Arc::new(move |url| {
        let agent = agent.clone();
        Box::pin(async move {
            let fetched = tokio::task::spawn_blocking(move || {
                let mut answer = agent
                    .get(url.as_str())
                    .call()
                    .map_err(|_| FetchError::Unreachable)?;
                let body = answer
                    .body_mut()
                    .with_config()
                    .limit(MAX_JWKS_BYTES as u64)
                    .read_to_vec();
                body.map(bytes::Bytes::from)
                    .map_err(|_| FetchError::Unreachable)
            });
            fetched.await.unwrap_or(Err(FetchError::Unreachable))
        })
    })
}

/// Resolves names, and leaves out what is not a public address.
#[derive(Debug)]
struct Public {
    internal: bool,
}

impl Resolver for Public {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let all = DefaultResolver::default().resolve(uri, config, timeout)?;
        let mut public = self.empty();
        for address in all.iter().filter(|a| self.internal || is_public(a.ip())) {
            public.push(*address);
        }
        if public.is_empty() {
            Err(ureq::Error::HostNotFound)
        } else {
            Ok(public)
        }
    }
}

/// Whether an address can be one of the public internet: not loopback, private, link-local, shared, documentation,
/// multicast or reserved (RFC 6890, RFC 4193, RFC 6598).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public(IpAddr::V4(v4)),
            // 2000::/3 is all that was ever given out; 2002::/16 and 2001::/32 carry IPv4 addresses inside
            None => {
                let [first, second, ..] = v6.segments();
                first & 0xe000 == 0x2000
                    && first != 0x2002
                    && !(first == 0x2001 && second < 0x0200)
                    && first != 0x3fff
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_never_asked_inside_the_deployments_own_network() {
        for (address, public) in [
            ("8.8.8.8", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("198.18.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("fd00::1", false),
            ("fe80::1", false),
            ("2002:7f00:1::", false),
            ("64:ff9b::7f00:1", false),
            ("2606:4700::1111", true),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }
}
