//! Small text helpers: random strings, percent-encoding, HTML escaping, hashes.

use aws_lc_rs::{digest, hmac, rand};
use data_encoding::HEXLOWER;

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// `len` random letters and digits.
pub(crate) fn random(len: usize) -> String {
    pick(LETTERS, len)
}

/// `len` random decimal digits.
pub(crate) fn digits(len: usize) -> String {
    pick(b"0123456789", len)
}

fn pick(alphabet: &[u8], len: usize) -> String {
    let mut bytes = vec![0; len];
    // AWS-LC's generator fails only where no system entropy exists; every id also bears a counter.
    let _ = rand::fill(&mut bytes);
    bytes
        .iter()
        .map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()]))
        .collect()
}

/// Percent-encodes everything but unreserved characters, so `*` and `!` too (tiktok.md §1.1).
pub(crate) fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// Text made safe inside HTML text and double-quoted attributes.
pub(crate) fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// A made-up address of a picture, signed and good for `seconds` from now.
pub(crate) fn signed_image(name: &str, now_ms: i64, seconds: i64) -> String {
    let expires = now_ms / 1000 + seconds;
    format!(
        "https://p16-sign.tiktokcdn.example/{name}.webp?x-expires={expires}&x-signature=invented"
    )
}

/// Lowercase hexadecimal SHA-256: also TikTok's PKCE challenge (tiktok.md §1.2).
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// `hex(HMAC-SHA256(secret, "{t}." + raw))` (tiktok.md §5.3).
#[must_use]
pub fn sign(secret: &str, t: i64, raw: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{t}.").as_bytes());
    context.update(raw);
    HEXLOWER.encode(context.sign().as_ref())
}
