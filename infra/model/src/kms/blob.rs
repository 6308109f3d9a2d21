//! The ciphertext: version, key id, generation, nonce, sealed bytes.
//!
//! The associated data is the key id and the encryption context, sorted and length-prefixed, so
//! that no two contexts read alike.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{Context, Key, KmsError, keyring::random};

const VERSION: u8 = 1;

/// Seals under the key's newest generation.
pub(super) fn seal(key: &Key, context: &Context, plaintext: &[u8]) -> Result<Vec<u8>, KmsError> {
    let generation = key.material.len() - 1;
    let nonce: [u8; NONCE_LEN] = random();
    let mut sealed = plaintext.to_vec();
    cipher(&key.material[generation])?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated(&key.id, context)),
            &mut sealed,
        )
        .map_err(|_| internal())?;
    let mut blob = vec![VERSION, key.id.len() as u8];
    blob.extend_from_slice(key.id.as_bytes());
    blob.extend_from_slice(&(generation as u32).to_be_bytes());
    blob.extend_from_slice(&nonce);
    blob.append(&mut sealed);
    Ok(blob)
}

/// Opens with the generation that the blob names.
pub(super) fn open(key: &Key, context: &Context, blob: &[u8]) -> Result<Vec<u8>, KmsError> {
    let refused = || KmsError::new("InvalidCiphertextException", "");
    let (_, rest) = split(blob).ok_or_else(refused)?;
    let (generation, rest) = rest.split_first_chunk::<4>().ok_or_else(refused)?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(refused)?;
    let generation = u32::from_be_bytes(*generation) as usize;
    let material = key.material.get(generation).ok_or_else(refused)?;
    let mut opened = sealed.to_vec();
    let length = cipher(material)?
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(associated(&key.id, context)),
            &mut opened,
        )
        .map_err(|_| refused())?
        .len();
    opened.truncate(length);
    Ok(opened)
}

/// The id of the key that a blob says it was made with.
pub(super) fn key_id(blob: &[u8]) -> Option<String> {
    split(blob).map(|(id, _)| id)
}

fn split(blob: &[u8]) -> Option<(String, &[u8])> {
    let (&version, rest) = blob.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if version != VERSION || rest.len() < length as usize {
        return None;
    }
    let (id, rest) = rest.split_at(length as usize);
    Some((String::from_utf8(id.to_vec()).ok()?, rest))
}

fn associated(key_id: &str, context: &Context) -> Vec<u8> {
    let mut data = Vec::new();
    let mut put = |text: &str| {
        data.extend_from_slice(&(text.len() as u32).to_be_bytes());
        data.extend_from_slice(text.as_bytes());
    };
    put(key_id);
    for (name, value) in context {
        put(name);
        put(value);
    }
    data
}

fn cipher(material: &[u8; 32]) -> Result<LessSafeKey, KmsError> {
    Ok(LessSafeKey::new(
        UnboundKey::new(&AES_256_GCM, material).map_err(|_| internal())?,
    ))
}

fn internal() -> KmsError {
    KmsError::new("KMSInternalException", "the cipher failed")
}
