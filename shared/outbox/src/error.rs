//! What goes wrong on our own side.

use crate::queue::QueueError;

/// Our own trouble; trying later may help.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// A table.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] vault::VaultError),
    /// The queue of lanes.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// What is sealed in an endpoint's row are no secrets.
    #[error("an endpoint's secrets cannot be read")]
    NotSecrets,
}
