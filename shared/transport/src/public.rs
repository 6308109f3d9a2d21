//! Files at addresses that a caller named: public hosts alone, resolved and checked here, and nothing
//! but what was checked is connected to (oauth-hardening.md §7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use futures_util::StreamExt;
use http::header::{ACCEPT_ENCODING, CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{Method, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::{
    BoxFuture, BytesStream, HostOverrides, NoAnswer, NoAnswerKind, SourceError, Transport,
};

/// The longest address that is taken from a caller.
const LONGEST_URL: usize = 2_048;

/// A file at a caller's address, from some byte on.
pub struct Fetched {
    /// Where in the file its bytes begin: 0 where the host does not give ranges.
    pub from: u64,
    /// How many bytes the whole file has, where the host says so.
    pub total: Option<u64>,
    /// What the host calls this version of the file, where it has a name for it.
    pub version: Option<String>,
    /// The bytes, as they come.
    pub bytes: BytesStream,
}

/// Why there is no file. Callers are shown none of it: they could map a network by the differences.
#[derive(Debug, thiserror::Error)]
pub enum NotFetched {
    /// The address is not one that may be called.
    #[error("the address may not be called: {0}")]
    Refused(&'static str),
    /// The host did not give it, and asking again will not help: its status.
    #[error("the host answered {0}")]
    Answered(StatusCode),
    /// The version that was asked for is no longer there.
    #[error("the file has changed")]
    Changed,
    /// No answer, or one that time may mend.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The host is in trouble, by its own word: its status.
    #[error("the host answered {0}")]
    Busy(StatusCode),
}

/// What fetches files: [`Transport`], or a test's own. Hold it as `Arc<dyn Fetch>`.
pub trait Fetch: Send + Sync {
    /// The file at `url`, from byte `from` on. `version` is what an earlier answer called it: another
    /// one is [`NotFetched::Changed`]. `timeout` bounds everything, the reading of the bytes included.
    /// No redirect is followed, nothing of ours is sent along.
    fn fetch<'a>(
        &'a self,
        url: &'a str,
        from: u64,
        version: Option<&'a str>,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Fetched, NotFetched>>;
}

/// Whether a caller's address may be called at all, by what it says: https on its usual port, a name
/// and no address, no user part. Where the name leads is checked when it is called.
pub fn public_url(text: &str) -> Result<Url, NotFetched> {
    let refuse = |why| Err(NotFetched::Refused(why));
    if text.len() > LONGEST_URL {
        return refuse("it is longer than 2,048 bytes");
    }
    let Ok(mut url) = Url::parse(text) else {
        return refuse("it cannot be read");
    };
    if url.scheme() != "https" {
        return refuse("it is not https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it carries a user part");
    }
    if url.port().is_some() {
        return refuse("it names a port");
    }
    match url.host() {
        Some(Host::Domain(name)) if name.contains('.') && !name.ends_with('.') => {}
        _ => return refuse("its host is no public name"),
    }
    url.set_fragment(None);
    Ok(url)
}

impl Fetch for Transport {
    fn fetch<'a>(
        &'a self,
        url: &'a str,
        from: u64,
        version: Option<&'a str>,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Fetched, NotFetched>> {
        Box::pin(async move {
            let real = public_url(url)?;
            let on_wire = self.overrides().to_wire(&real).map_err(|refused| {
                let kind = NoAnswerKind::Refused;
                NoAnswer::new(kind, &Method::GET, url, refused.to_string())
            })?;
            let overridden = *self.overrides() != HostOverrides::default();
            let request = self
                .public_client(overridden)
                .get(on_wire)
                .timeout(timeout)
                // A range of compressed bytes would be no range of the file.
                .header(ACCEPT_ENCODING, "identity")
                .header(RANGE, format!("bytes={from}-"));
            let request = match version {
                Some(version) => request.header(IF_RANGE, version),
                None => request,
            };
            let answer = request.send().await;
            let answer =
                answer.map_err(|error| NoAnswer::from_reqwest(&Method::GET, url, error))?;
            read(answer, from, version)
        })
    }
}

fn read(
    answer: reqwest::Response,
    from: u64,
    version: Option<&str>,
) -> Result<Fetched, NotFetched> {
    let status = answer.status();
    let headers = answer.headers();
    let named = [ETAG, LAST_MODIFIED]
        .iter()
        .find_map(|name| headers.get(name)?.to_str().ok())
        // A weak tag does not promise the same bytes, and `If-Range` does not take it.
        .filter(|name| !name.starts_with("W/"))
        .map(str::to_owned);
    let (begins, total) = match status {
        StatusCode::PARTIAL_CONTENT => {
            let range = headers
                .get(CONTENT_RANGE)
                .and_then(|value| value.to_str().ok())
                .and_then(content_range);
            let Some((range, total)) = range else {
                return Err(NotFetched::Answered(status));
            };
            (range.start, total)
        }
        StatusCode::OK => (0, answer.content_length()),
        StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
            let whole = headers
                .get(CONTENT_RANGE)
                .and_then(|value| value.to_str().ok())
                .and_then(|text| text.strip_prefix("bytes */")?.parse::<u64>().ok());
            // Nothing is left of it. A host need not name the version in a refusal.
            let same = named.is_none() || version.is_none() || named.as_deref() == version;
            if whole != Some(from) || !same {
                return Err(NotFetched::Changed);
            }
            return Ok(Fetched {
                from,
                total: whole,
                version: version.map(str::to_owned),
                bytes: Box::pin(futures_util::stream::empty()),
            });
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            return Err(NotFetched::Busy(status));
        }
        status if status.is_server_error() => return Err(NotFetched::Busy(status)),
        status => return Err(NotFetched::Answered(status)),
    };
    if version.is_some() && version != named.as_deref() {
        return Err(NotFetched::Changed);
    }
    if begins > from {
        return Err(NotFetched::Answered(status));
    }
    let bytes = answer
        .bytes_stream()
        .map(|piece| piece.map_err(|error| SourceError::from(error.without_url())));
    Ok(Fetched {
        from: begins,
        total,
        version: named,
        bytes: Box::pin(bytes),
    })
}

/// `bytes 5-9/10`: the range, end exclusive, and the whole, where it is told.
fn content_range(text: &str) -> Option<(Range<u64>, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    let end = last.checked_add(1)?;
    (first < end && total.is_none_or(|total| end <= total)).then_some((first..end, total))
}

/// Resolves names and gives public addresses alone, so that what is checked is what is connected to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PublicOnly;

/// A name that leads to an address which is nobody's public one.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the host has no public address")]
struct NotPublic;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            // One private address among public ones is an attempt, not an accident.
            if found.is_empty() || !found.iter().all(|address| is_public(address.ip())) {
                return Err(Box::new(NotPublic).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public internet's.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    const NOT: [([u8; 4], u32); 15] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 4),
        ([240, 0, 0, 0], 4),
    ];
    let bits = address.to_bits();
    !NOT.iter().any(|(net, length)| {
        let net = u32::from_be_bytes(*net);
        (bits ^ net) >> (32 - length) == 0
    })
}

/// Global unicast is `2000::/3`; what is carved out of it is listed.
fn is_public_v6(address: Ipv6Addr) -> bool {
    const NOT: [(u128, u32); 4] = [
        // Documentation, twice; 6to4, which wraps IPv4 addresses; Teredo and other protocols' own.
        (0x2001_0db8 << 96, 32),
        (0x3fff << 112, 20),
        (0x2002 << 112, 16),
        (0x2001 << 112, 23),
    ];
    let bits = address.to_bits();
    let global = bits >> 125 == 1;
    let within = |(net, length): &(u128, u32)| (bits ^ net) >> (128 - length) == 0;
    global && !NOT.iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_names_over_https_are_called() {
        for good in [
            "https://files.example.com/a.mp4",
            "https://files.example.com:443/a?b=c",
            "https://bücher.example/x",
        ] {
            assert!(public_url(good).is_ok(), "{good}");
        }
        let long = format!("https://files.example.com/{}", "a".repeat(2_048));
        for bad in [
            "http://files.example.com/a",
            "https://files.example.com:8443/a",
            "https://user@files.example.com/a",
            "https://127.0.0.1/a",
            "https://2130706433/a",
            "https://0x7f.1/a",
            "https://[::1]/a",
            "https://localhost/a",
            "https://metadata./a",
            "ftp://files.example.com/a",
            "file:///etc/passwd",
            "nonsense",
            &long,
        ] {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_of_no_public_host_are_known() {
        for (address, public) in [
            ("8.8.8.8", true),
            ("192.0.1.1", true),
            ("172.32.0.1", true),
            ("100.128.0.1", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("127.0.0.2", false),
            ("169.254.169.254", false),
            ("172.31.255.255", false),
            ("192.168.1.1", false),
            ("198.19.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::1111", true),
            ("::", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::a00:1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("ff02::1", false),
            ("2001:db8::1", false),
            ("2002:a00:1::", false),
            ("2001::1", false),
        ] {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(is_public(parsed), public, "{address}");
        }
    }

    #[test]
    fn content_ranges_are_read_or_refused() {
        for (text, expected) in [
            ("bytes 5-9/10", Some((5..10, Some(10)))),
            ("bytes 0-0/*", Some((0..1, None))),
            ("bytes 5-9/9", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("5-9/10", None),
            ("bytes 0-18446744073709551615/*", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }
}
