//! Token bundles in and out of the vault.

use domain::TokenBundle;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::Connection;
use vault::{Place, Sealed, SealingKey};

use crate::{Tokens, TokensError};

impl Tokens {
    /// Opens the bundle that a connection holds.
    pub(crate) async fn open_bundle(&self, at: &Connection) -> Result<TokenBundle, TokensError> {
        let sealed = at.sealed.as_ref().ok_or(TokensError::NotABundle)?;
        let keys = at.keys();
        let place = at.place(&keys, at.token_version);
        self.open_as(at.connection_id.as_str(), &place, sealed)
            .await
    }

    /// Seals a bundle for the version after the present one. No await.
    pub(crate) fn seal_next(
        &self,
        at: &Connection,
        key: &SealingKey,
        bundle: &TokenBundle,
    ) -> Result<Sealed, TokensError> {
        let keys = at.keys();
        self.seal_as(key, &at.place(&keys, at.token_version + 1), bundle)
    }

    pub(crate) async fn open_as<T: DeserializeOwned>(
        &self,
        subject: &str,
        place: &Place<'_>,
        sealed: &Sealed,
    ) -> Result<T, TokensError> {
        let text = self.parts().vault.open(subject, place, sealed).await?;
        // serde's error may quote what it could not read.
        serde_json::from_slice(&text).map_err(|_| TokensError::NotABundle)
    }

    pub(crate) fn seal_as<T: Serialize>(
        &self,
        key: &SealingKey,
        place: &Place<'_>,
        value: &T,
    ) -> Result<Sealed, TokensError> {
        let text = serde_json::to_vec(value).map_err(|_| TokensError::NotABundle)?;
        Ok(self.parts().vault.seal(key, place, &text)?)
    }
}
