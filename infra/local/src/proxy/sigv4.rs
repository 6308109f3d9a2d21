//! Checks Signature Version 4, in headers and in presigned URLs.
//!
//! The process behind takes every caller at its word; a presigned URL that was changed or has run
//! out must fail here as it does on AWS.

use std::{collections::BTreeMap, fmt::Write as _};

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use http::{HeaderMap, request::Parts};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::identify::decode;

/// What a request says of its signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) access_key: String,
    pub(super) date: String,
    pub(super) region: String,
    pub(super) service: String,
    pub(super) token: Option<String>,
    pub(super) presigned: bool,
    signed_headers: Vec<String>,
    signature: String,
    timestamp: String,
    expires: Option<i64>,
}

/// Why a signature was not accepted: AWS's code and sentence.
pub(super) type Refusal = (&'static str, &'static str);

impl Credential {
    /// Reads the credential of a request, from its query first, else from its header.
    pub(super) fn read(parts: &Parts) -> Option<Self> {
        let query: BTreeMap<String, String> =
            url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        if let Some(credential) = query.get("X-Amz-Credential") {
            let mut read = Self::scope(credential)?;
            read.presigned = true;
            read.signed_headers = split(query.get("X-Amz-SignedHeaders")?);
            read.signature = query.get("X-Amz-Signature")?.clone();
            read.timestamp = query.get("X-Amz-Date")?.clone();
            read.expires = query
                .get("X-Amz-Expires")
                .and_then(|text| text.parse().ok());
            read.token = query.get("X-Amz-Security-Token").cloned();
            return Some(read);
        }
        let header = text(&parts.headers, "authorization")?;
        let fields = header.strip_prefix("AWS4-HMAC-SHA256")?;
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let mut read = Self::scope(field("Credential")?)?;
        read.signed_headers = split(field("SignedHeaders")?);
        read.signature = field("Signature")?.to_owned();
        read.timestamp = text(&parts.headers, "x-amz-date").unwrap_or_default();
        read.token = text(&parts.headers, "x-amz-security-token");
        Some(read)
    }

    fn scope(credential: &str) -> Option<Self> {
        let [access_key, date, region, service, "aws4_request"] =
            credential.split('/').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        Some(Self {
            access_key: access_key.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            token: None,
            presigned: false,
            signed_headers: Vec::new(),
            signature: String::new(),
            timestamp: String::new(),
            expires: None,
        })
    }

    /// Checks signature and age. `body` is absent where it streams by: then the hash that the
    /// header claims is used.
    pub(super) fn check(
        &self,
        parts: &Parts,
        body: Option<&[u8]>,
        secret: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if let Some(seconds) = self.expires
            && self.age(now).is_none_or(|age| age > seconds)
        {
            return Err(("AccessDenied", "Request has expired"));
        }
        let payload = if self.presigned {
            "UNSIGNED-PAYLOAD".to_owned()
        } else {
            text(&parts.headers, "x-amz-content-sha256")
                .unwrap_or_else(|| hex_sha256(body.unwrap_or_default()))
        };
        let hashes = body.filter(|_| payload.len() == 64).map(hex_sha256);
        if hashes.is_some_and(|hash| hash != payload) {
            return Err((
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ));
        }
        let canonical = self.canonical(parts, &payload);
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{}\n{}/{}/{}/aws4_request\n{}",
            self.timestamp,
            self.date,
            self.region,
            self.service,
            hex_sha256(canonical.as_bytes())
        );
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [&self.date, &self.region, &self.service, "aws4_request"] {
            key = sign(&key, part.as_bytes());
        }
        if HEXLOWER.encode(&sign(&key, to_sign.as_bytes())) != self.signature {
            return Err((
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
            ));
        }
        Ok(())
    }

    fn canonical(&self, parts: &Parts, payload: &str) -> String {
        let path = parts.uri.path();
        // Every service but S3 encodes the path's segments once more.
        let path = if self.service == "s3" {
            path.to_owned()
        } else {
            encode(path, true)
        };
        let mut pairs: Vec<(String, String)> = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter(|(name, _)| *name != "X-Amz-Signature")
            .map(|(name, value)| (encode(&decode(name), false), encode(&decode(value), false)))
            .collect();
        pairs.sort();
        let query: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut headers = String::new();
        for name in &self.signed_headers {
            let values: Vec<_> = parts
                .headers
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect();
            headers.push_str(&format!("{name}:{}\n", values.join(",")));
        }
        format!(
            "{}\n{path}\n{}\n{headers}\n{}\n{payload}",
            parts.method,
            query.join("&"),
            self.signed_headers.join(";"),
        )
    }

    fn age(&self, now: Timestamp) -> Option<i64> {
        let at = DateTime::strptime("%Y%m%dT%H%M%SZ", &self.timestamp).ok()?;
        let at = at.to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(now.as_second() - at.as_second())
    }
}

/// The query without what presigning put there, to be sent on under another credential.
pub(super) fn unsigned_query(query: &str) -> String {
    query
        .split('&')
        .filter(|pair| !pair.to_ascii_lowercase().starts_with("x-amz-"))
        .collect::<Vec<_>>()
        .join("&")
}

fn sign(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
        .as_ref()
        .to_vec()
}

fn hex_sha256(data: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, data).as_ref())
}

fn encode(text: &str, keep_slashes: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            b'/' if keep_slashes => encoded.push('/'),
            other => drop(write!(encoded, "%{other:02X}")),
        }
    }
    encoded
}

fn split(text: &str) -> Vec<String> {
    text.split(';').map(str::to_owned).collect()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
