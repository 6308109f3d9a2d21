//! The keys, their states and their names.

use std::collections::BTreeMap;

use aws_lc_rs::rand;

use super::KmsError;
use crate::{ACCOUNT, REGION};

/// One symmetric key with every generation of its material.
#[derive(Debug, Clone)]
pub struct Key {
    pub(super) id: String,
    pub(super) description: String,
    pub(super) created: f64,
    pub(super) state: State,
    pub(super) deletion: Option<f64>,
    pub(super) rotates_every: Option<u64>,
    /// Old generations stay, so that what they sealed still opens after a rotation.
    pub(super) material: Vec<[u8; 32]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Enabled,
    Disabled,
    PendingDeletion,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
        }
    }
}

impl Key {
    /// The key's ARN.
    pub fn arn(&self) -> String {
        format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{}", self.id)
    }

    /// Refuses a key that may not seal or open now, in KMS's words.
    pub(super) fn usable(&self) -> Result<&Self, KmsError> {
        match self.state {
            State::Enabled => Ok(self),
            State::Disabled => Err(KmsError::new(
                "DisabledException",
                format!("{} is disabled.", self.arn()),
            )),
            State::PendingDeletion => Err(pending(&self.arn())),
        }
    }
}

pub(super) fn pending(arn: &str) -> KmsError {
    KmsError::new(
        "KMSInvalidStateException",
        format!("{arn} is pending deletion."),
    )
}

/// Keys by id, and aliases.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    keys: BTreeMap<String, Key>,
    pub(super) aliases: BTreeMap<String, String>,
}

impl Keyring {
    pub(super) fn create(&mut self, description: &str) -> &Key {
        let id = uuid();
        let key = Key {
            id: id.clone(),
            description: description.to_owned(),
            created: now(),
            state: State::Enabled,
            deletion: None,
            rotates_every: None,
            material: vec![random()],
        };
        self.keys.entry(id).or_insert(key)
    }

    /// The key behind an id, a key ARN, an alias or an alias ARN.
    pub(super) fn find(&self, name: &str) -> Result<&Key, KmsError> {
        let id = self.resolve(name)?;
        self.keys.get(&id).ok_or_else(|| not_found(&id))
    }

    pub(super) fn find_mut(&mut self, name: &str) -> Result<&mut Key, KmsError> {
        let id = self.resolve(name)?;
        self.keys.get_mut(&id).ok_or_else(|| not_found(&id))
    }

    pub(super) fn alias(&mut self, alias: &str, target: &str) -> Result<(), KmsError> {
        if !alias.starts_with("alias/") || alias.starts_with("alias/aws/") {
            return Err(KmsError::invalid(format!("Invalid alias name {alias}")));
        }
        if self.aliases.contains_key(alias) {
            return Err(KmsError::new(
                "AlreadyExistsException",
                format!("An alias with the name {alias} already exists"),
            ));
        }
        let id = self.find(target)?.id.clone();
        self.aliases.insert(alias.to_owned(), id);
        Ok(())
    }

    fn resolve(&self, name: &str) -> Result<String, KmsError> {
        let local = match name.strip_prefix("arn:") {
            // arn:aws:kms:region:account:key/… or …:alias/…; of another account or region, it is none
            // of ours.
            Some(arn) => arn
                .strip_prefix(&format!("aws:kms:{REGION}:{ACCOUNT}:"))
                .ok_or_else(|| KmsError::new("NotFoundException", "Invalid keyId"))?,
            None => name,
        };
        if local.starts_with("alias/") {
            return self.aliases.get(local).cloned().ok_or_else(|| {
                KmsError::new("NotFoundException", format!("Alias {name} is not found."))
            });
        }
        Ok(local.strip_prefix("key/").unwrap_or(local).to_owned())
    }
}

fn not_found(id: &str) -> KmsError {
    KmsError::new(
        "NotFoundException",
        format!("Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}' does not exist"),
    )
}

/// Fresh random bytes. The system's generator failing is nothing a local tool can answer for.
#[expect(
    clippy::expect_used,
    reason = "no entropy means no key; there is nothing to fall back to"
)]
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// A random UUID, version 4.
pub fn uuid() -> String {
    let hex = data_encoding::HEXLOWER.encode(&random::<16>());
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

/// Seconds since the epoch, as the JSON protocol writes dates.
pub(super) fn now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |elapsed| elapsed.as_secs_f64())
}
