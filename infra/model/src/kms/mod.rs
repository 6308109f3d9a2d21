//! A small stand-in for AWS KMS, as strict about ciphertexts as the real one.
//!
//! A ciphertext opens only under the key, the encryption context and the bytes it was made with.
//! Ours rather than an emulator's: the one behind the other services opens tampered ciphertexts,
//! and the other candidate brings 250 crates.

mod blob;
mod keyring;
mod operations;

use std::{collections::BTreeMap, sync::Mutex};

use keyring::Keyring;
use serde_json::{Value, json};

pub use keyring::Key;
pub use keyring::uuid;

/// What every encryption context boils down to: sorted pairs.
pub type Context = BTreeMap<String, String>;

/// An error answer in KMS's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct KmsError {
    /// The exception's name, such as `InvalidCiphertextException`.
    pub code: &'static str,
    /// The sentence, empty where KMS gives none.
    pub message: String,
}

impl KmsError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// The JSON body of the answer, whose status is always 400.
    pub fn body(&self) -> Value {
        if self.message.is_empty() {
            return json!({"__type": self.code});
        }
        json!({"__type": self.code, "message": self.message})
    }
}

/// All keys of one local cloud. State is in memory and ends with the process.
#[derive(Debug, Default)]
pub struct Kms {
    keyring: Mutex<Keyring>,
}

impl Kms {
    /// Answers one call, `target` being the whole header value (`TrentService.Decrypt`).
    pub fn handle(&self, target: &str, body: &[u8]) -> Result<Value, KmsError> {
        let request: Value = serde_json::from_slice(body)
            .map_err(|_| KmsError::new("SerializationException", "the body is not JSON"))?;
        let action = target.rsplit('.').next().unwrap_or_default();
        let mut keyring = self.lock();
        operations::run(&mut keyring, action, &request)
    }

    /// Makes a symmetric key and gives its id and ARN.
    pub fn create_key(&self, description: &str) -> (String, String) {
        let mut keyring = self.lock();
        let key = keyring.create(description);
        (key.id.clone(), key.arn())
    }

    /// Points `alias/…` at a key.
    pub fn create_alias(&self, alias: &str, key_id: &str) -> Result<(), KmsError> {
        self.lock().alias(alias, key_id)
    }

    /// The ARN of the key that made this blob, if one of ours did; what the IAM check needs.
    pub fn key_of_blob(&self, blob: &[u8]) -> Option<String> {
        let id = blob::key_id(blob)?;
        Some(self.lock().find(&id).ok()?.arn())
    }

    /// The ARN behind an id, ARN or alias.
    pub fn key_arn(&self, name: &str) -> Option<String> {
        Some(self.lock().find(name).ok()?.arn())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Keyring> {
        // A panic while holding the lock is a bug of this crate; the map itself stays whole.
        self.keyring
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
