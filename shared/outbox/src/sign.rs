//! Signatures by the Standard Webhooks specification 1.0.0: HMAC-SHA256 over
//! `<webhook-id>.<webhook-timestamp>.<body>`.

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use domain::{Secret, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

/// What every symmetric secret begins with.
pub(crate) const SECRET_PREFIX: &str = "whsec_";
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The key inside a secret; `None` where the text is no secret of 24 to 64 bytes.
pub fn signing_key(secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let text = secret.expose().strip_prefix(SECRET_PREFIX)?;
    let key = Zeroizing::new(BASE64.decode(text.as_bytes()).ok()?);
    (24..=64).contains(&key.len()).then_some(key)
}

/// The signature of one message: `v1,<base64>`.
pub fn signature(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    format!("v1,{}", BASE64.encode(context.sign().as_ref()))
}

/// The headers of one try: one signature for each secret, so that either verifies while they rotate.
pub(crate) fn headers(
    secrets: &[&Secret],
    id: &str,
    now: Timestamp,
    body: &[u8],
) -> Option<HeaderMap> {
    let signed = secrets.iter().map(|secret| {
        let key = signing_key(secret)?;
        Some(signature(&key, id, now.secs(), body))
    });
    let signed: Option<Vec<String>> = signed.collect();
    let json = HeaderValue::from_static("application/json");
    Some(HeaderMap::from_iter([
        (http::header::CONTENT_TYPE, json),
        (ID, HeaderValue::from_str(id).ok()?),
        (TIMESTAMP, HeaderValue::from(now.secs())),
        (SIGNATURE, HeaderValue::from_str(&signed?.join(" ")).ok()?),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own libraries.
    #[test]
    fn the_specifications_vector_is_signed_as_there() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let key = signing_key(&secret).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_checked() {
        for (text, good) in [
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false),
            ("whsec_c2hvcnQ=", false),
            ("whsec_not base64", false),
        ] {
            assert_eq!(signing_key(&Secret::new(text)).is_some(), good, "{text}");
        }
        let long = format!("whsec_{}", BASE64.encode(&[1; 65]));
        assert!(signing_key(&Secret::new(long)).is_none());
    }

    #[test]
    fn there_is_a_signature_for_each_secret() {
        let one = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let two = Secret::new(format!("whsec_{}", BASE64.encode(&[2; 32])));
        let now = Timestamp::from_millis(1_614_265_330_999);
        let headers = headers(&[&two, &one], "evt_1", now, b"{}").unwrap();
        assert_eq!(headers["webhook-id"], "evt_1");
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        let all = headers["webhook-signature"].to_str().unwrap();
        let all: Vec<&str> = all.split(' ').collect();
        let key = signing_key(&one).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[1], signature(&key, "evt_1", 1_614_265_330, b"{}"));
        assert!(super::headers(&[&Secret::new("x")], "evt_1", now, b"").is_none());
    }
}
