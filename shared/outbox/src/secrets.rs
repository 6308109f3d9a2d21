//! An endpoint's secrets: the one that signs, and for a day after a rotation the one before it.

use data_encoding::BASE64;
use domain::{Entropy, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use store::Endpoint;
use vault::{Sealed, SealingKey, Vault};
use zeroize::Zeroizing;

use crate::OutboxError;
use crate::sign::SECRET_PREFIX;

/// How long both secrets sign after a rotation.
pub const ROTATION_SECONDS: i64 = 24 * 3_600;
/// How many random bytes a new secret has.
pub const NEW_SECRET_BYTES: usize = 32;

/// What is sealed in an endpoint's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    current: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<(Secret, Timestamp)>,
}

impl Secrets {
    /// A first secret.
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self {
            current: fresh(entropy),
            previous: None,
        }
    }

    /// A new secret beside the present one, which signs for another day. The one before that signs no
    /// more.
    #[must_use]
    pub fn rotated(&self, entropy: &dyn Entropy, now: Timestamp) -> Self {
        let until = now.plus_secs(ROTATION_SECONDS);
        Self {
            current: fresh(entropy),
            previous: Some((self.current.clone(), until)),
        }
    }

    /// The secret that signs from now on: shown once, when it is made.
    pub fn current(&self) -> &Secret {
        &self.current
    }

    /// All that sign at `now`, the newest first.
    pub fn signing(&self, now: Timestamp) -> Vec<&Secret> {
        let previous = self.previous.as_ref().filter(|(_, until)| now < *until);
        std::iter::once(&self.current)
            .chain(previous.map(|(secret, _)| secret))
            .collect()
    }

    /// Opens those of an endpoint. The vault keeps the data key for minutes, so this seldom costs a
    /// call.
    pub(crate) async fn open(vault: &Vault, endpoint: &Endpoint) -> Result<Self, OutboxError> {
        let id = endpoint.endpoint_id.as_str();
        let keys = [id];
        let place = Endpoint::place(&keys, endpoint.secret_version);
        let text = vault.open(id, &place, &endpoint.sealed).await?;
        // serde's error may quote what it could not read.
        serde_json::from_slice(&text).map_err(|_| OutboxError::NotSecrets)
    }

    /// Seals them for an endpoint's row at `version`.
    pub(crate) fn seal(
        &self,
        vault: &Vault,
        key: &SealingKey,
        id: &str,
        version: u64,
    ) -> Result<Sealed, OutboxError> {
        let text = serde_json::to_vec(self).map_err(|_| OutboxError::NotSecrets)?;
        let (text, keys) = (Zeroizing::new(text), [id]);
        Ok(vault.seal(key, &Endpoint::place(&keys, version), &text)?)
    }
}

fn fresh(entropy: &dyn Entropy) -> Secret {
    let mut bytes = Zeroizing::new([0u8; NEW_SECRET_BYTES]);
    entropy.fill(&mut *bytes);
    let text = Zeroizing::new(BASE64.encode(&*bytes));
    Secret::new(format!("{SECRET_PREFIX}{}", *text))
}

#[cfg(test)]
mod tests {
    use domain::SeededEntropy;

    use super::*;
    use crate::sign::signing_key;

    #[test]
    fn two_secrets_sign_for_a_day_after_a_rotation() {
        let entropy = SeededEntropy::new(1);
        let first = Secrets::new(&entropy);
        assert!(signing_key(first.current()).is_some_and(|key| key.len() == NEW_SECRET_BYTES));
        let now = Timestamp::from_secs(1_000);
        let second = first.rotated(&entropy, now);
        assert_ne!(first.current(), second.current());
        let day = now.plus_secs(ROTATION_SECONDS);
        assert_eq!(second.signing(now), [second.current(), first.current()]);
        assert_eq!(second.signing(day), [second.current()]);
        let third = second.rotated(&entropy, now);
        assert_eq!(third.signing(now), [third.current(), second.current()]);
    }

    #[test]
    fn what_is_sealed_reads_back() {
        let secrets = Secrets::new(&SeededEntropy::new(2));
        let secrets = secrets.rotated(&SeededEntropy::new(3), Timestamp::from_secs(5));
        let text = serde_json::to_string(&secrets).unwrap();
        assert_eq!(serde_json::from_str::<Secrets>(&text).unwrap(), secrets);
        assert!(!format!("{secrets:?}").contains("whsec"));
    }
}
