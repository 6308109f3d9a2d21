//! The opt-out link of a mail: whose, of what, signed. It needs no session and no table, and works as
//! long as the key is known; what it does can be undone by the product.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use domain::{Secret, UserId};
use serde::Deserialize;

/// Kinds of mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// The weekly report.
    Report,
    /// A notice of connections that only their creator can save.
    Notice,
}

impl MailKind {
    /// The name in links and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Notice => "notice",
        }
    }

    const fn mark(self) -> &'static str {
        match self {
            Self::Report => "r",
            Self::Notice => "n",
        }
    }
}

/// The keys of links: the one that signs, and former ones whose links still work.
pub struct LinkKeys(Vec<hmac::Key>);

/// A secret that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON with a key of 32 characters or more")]
pub struct InvalidKeys;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    key: String,
    #[serde(default)]
    former: Vec<String>,
}

impl LinkKeys {
    /// Reads `{"key": "…", "former": ["…"]}`; `former` may be absent.
    pub fn parse(secret: &Secret) -> Result<Self, InvalidKeys> {
        let keys: Keys = serde_json::from_str(secret.expose()).map_err(|_| InvalidKeys)?;
        let all: Vec<String> = std::iter::once(keys.key).chain(keys.former).collect();
        if all.iter().any(|key| key.len() < 32) {
            return Err(InvalidKeys);
        }
        let key = |text: &String| hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
        Ok(Self(all.iter().map(key).collect()))
    }

    /// The token of a link.
    pub fn sign(&self, user: &UserId, kind: MailKind) -> String {
        let named = BASE64URL_NOPAD.encode(user.as_str().as_bytes());
        let said = said(&named, kind);
        let mac = self.0.first().map(|key| hmac::sign(key, said.as_bytes()));
        let mac = mac.map_or(String::new(), |mac| BASE64URL_NOPAD.encode(mac.as_ref()));
        format!("{named}.{}.{mac}", kind.mark())
    }

    /// Whose link it is, and of what; `None` where none of the keys signed it.
    pub fn open(&self, token: &str) -> Option<(UserId, MailKind)> {
        let mut parts = token.splitn(3, '.');
        let (named, mark, mac) = (parts.next()?, parts.next()?, parts.next()?);
        let kind = [MailKind::Report, MailKind::Notice]
            .into_iter()
            .find(|kind| kind.mark() == mark)?;
        let mac = BASE64URL_NOPAD.decode(mac.as_bytes()).ok()?;
        let said = said(named, kind);
        let good = |key: &hmac::Key| hmac::verify(key, said.as_bytes(), &mac).is_ok();
        if !self.0.iter().any(good) {
            return None;
        }
        let user = BASE64URL_NOPAD.decode(named.as_bytes()).ok()?;
        Some((String::from_utf8(user).ok()?.parse().ok()?, kind))
    }
}

/// What is signed: base64url holds no newline, so no two pairs sign the same.
fn said(named: &str, kind: MailKind) -> String {
    format!("passerelle opt-out 1\n{}\n{named}", kind.mark())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> LinkKeys {
        LinkKeys::parse(&Secret::new(text)).unwrap()
    }

    const OLD: &str = "an-old-key-an-old-key-an-old-key-";
    const NEW: &str = "a-new-key-a-new-key-a-new-key-a-n";

    #[test]
    fn a_link_is_its_users_and_its_kinds_alone() {
        let keys = keys(&format!(r#"{{"key":"{NEW}"}}"#));
        let user: UserId = "u-1001/ä".replace('ä', "a").parse().unwrap();
        let token = keys.sign(&user, MailKind::Report);
        assert!(
            token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        );
        assert_eq!(keys.open(&token), Some((user.clone(), MailKind::Report)));
        let other = keys.sign(&"u-1002".parse().unwrap(), MailKind::Report);
        let (named, mac) = (
            token.split('.').next().unwrap(),
            other.rsplit('.').next().unwrap(),
        );
        for forged in [
            token.replace(".r.", ".n."),
            format!("{named}.r.{mac}"),
            format!("{named}.r."),
            format!("{named}.r"),
            token.chars().rev().collect(),
            String::new(),
        ] {
            assert_eq!(keys.open(&forged), None, "{forged}");
        }
    }

    #[test]
    fn links_outlive_a_change_of_keys_while_the_former_is_known() {
        let user: UserId = "u".parse().unwrap();
        let token = keys(&format!(r#"{{"key":"{OLD}"}}"#)).sign(&user, MailKind::Notice);
        let both = keys(&format!(r#"{{"key":"{NEW}","former":["{OLD}"]}}"#));
        assert!(both.open(&token).is_some());
        assert!(
            keys(&format!(r#"{{"key":"{NEW}"}}"#))
                .open(&token)
                .is_none()
        );
    }

    #[test]
    fn a_secret_without_a_good_key_is_refused() {
        for text in ["{}", "", r#"{"key":"short"}"#, r#"{"key":"","former":[]}"#] {
            assert_eq!(
                LinkKeys::parse(&Secret::new(text)).err(),
                Some(InvalidKeys),
                "{text}"
            );
        }
    }
}
