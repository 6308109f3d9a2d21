//! What each call does, from its JSON request to its JSON answer.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{
    Context, KmsError, blob,
    keyring::{Key, Keyring, State, now, pending, random},
};
use crate::{ACCOUNT, REGION};

/// KMS's limit on what `Encrypt` takes directly.
const MAX_PLAINTEXT: usize = 4096;
const DAY: f64 = 86_400.0;

pub(super) fn run(keyring: &mut Keyring, action: &str, request: &Value) -> Result<Value, KmsError> {
    let key_id = || text(request, "KeyId");
    match action {
        "CreateKey" => {
            let key = keyring.create(request["Description"].as_str().unwrap_or_default());
            Ok(json!({"KeyMetadata": metadata(key)}))
        }
        "DescribeKey" => Ok(json!({"KeyMetadata": metadata(keyring.find(key_id()?)?)})),
        "GenerateDataKey" => generate(keyring, request, true),
        "GenerateDataKeyWithoutPlaintext" => generate(keyring, request, false),
        "Encrypt" => {
            let plaintext = bytes(request, "Plaintext")?;
            if plaintext.is_empty() || plaintext.len() > MAX_PLAINTEXT {
                return Err(KmsError::invalid("Plaintext must have 1 to 4096 bytes"));
            }
            let key = keyring.find(key_id()?)?.usable()?;
            let sealed = blob::seal(key, &context(request, "EncryptionContext")?, &plaintext)?;
            Ok(
                json!({"CiphertextBlob": BASE64.encode(&sealed), "KeyId": key.arn(),
                "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
            )
        }
        "Decrypt" => {
            let sealed = bytes(request, "CiphertextBlob")?;
            let named = request["KeyId"].as_str();
            let (key, opened) = open(
                keyring,
                named,
                &context(request, "EncryptionContext")?,
                &sealed,
            )?;
            Ok(
                json!({"Plaintext": BASE64.encode(&opened), "KeyId": key.arn(),
                "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
            )
        }
        "ReEncrypt" => re_encrypt(keyring, request),
        "EnableKey" => set_state(keyring, key_id()?, State::Enabled),
        "DisableKey" => set_state(keyring, key_id()?, State::Disabled),
        "ScheduleKeyDeletion" => schedule_deletion(keyring, request),
        "CancelKeyDeletion" => {
            let key = keyring.find_mut(key_id()?)?;
            key.state = State::Disabled;
            key.deletion = None;
            Ok(json!({"KeyId": key.arn()}))
        }
        "RotateKeyOnDemand" => {
            let key = keyring.find_mut(key_id()?)?;
            key.usable()?;
            key.material.push(random());
            Ok(json!({"KeyId": key.arn()}))
        }
        "EnableKeyRotation" => {
            let days = request["RotationPeriodInDays"].as_u64().unwrap_or(365);
            keyring.find_mut(key_id()?)?.rotates_every = Some(days);
            Ok(json!({}))
        }
        "GetKeyRotationStatus" => {
            let key = keyring.find(key_id()?)?;
            Ok(
                json!({"KeyId": key.arn(), "KeyRotationEnabled": key.rotates_every.is_some(),
                "RotationPeriodInDays": key.rotates_every}),
            )
        }
        "CreateAlias" => {
            keyring.alias(text(request, "AliasName")?, text(request, "TargetKeyId")?)?;
            Ok(json!({}))
        }
        "ListAliases" => Ok(json!({"Truncated": false, "Aliases": keyring.aliases.iter()
            .map(|(alias, id)| json!({"AliasName": alias, "TargetKeyId": id,
                "AliasArn": format!("arn:aws:kms:{REGION}:{ACCOUNT}:{alias}")}))
            .collect::<Vec<_>>()})),
        other => Err(KmsError::new(
            "UnknownOperationException",
            format!("{other} is not known to the local KMS"),
        )),
    }
}

fn generate(keyring: &Keyring, request: &Value, with_plaintext: bool) -> Result<Value, KmsError> {
    let length = match (
        request["KeySpec"].as_str(),
        request["NumberOfBytes"].as_u64(),
    ) {
        (Some("AES_256"), None) => 32,
        (Some("AES_128"), None) => 16,
        (None, Some(count @ 1..=1024)) => count as usize,
        _ => {
            return Err(KmsError::invalid(
                "Please specify either number of bytes or key spec.",
            ));
        }
    };
    let key = keyring.find(text(request, "KeyId")?)?.usable()?;
    let plaintext = &random::<1024>()[..length];
    let sealed = blob::seal(key, &context(request, "EncryptionContext")?, plaintext)?;
    let mut answer = json!({"CiphertextBlob": BASE64.encode(&sealed), "KeyId": key.arn()});
    if with_plaintext {
        answer["Plaintext"] = BASE64.encode(plaintext).into();
    }
    Ok(answer)
}

/// Opens a blob with the key that made it; a key named beside it must be that key.
fn open<'a>(
    keyring: &'a Keyring,
    named: Option<&str>,
    context: &Context,
    sealed: &[u8],
) -> Result<(&'a Key, Vec<u8>), KmsError> {
    let refused = || KmsError::new("InvalidCiphertextException", "");
    let made_by = keyring
        .find(&blob::key_id(sealed).ok_or_else(refused)?)
        .map_err(|_| refused())?;
    if let Some(name) = named
        && keyring.find(name)?.id != made_by.id
    {
        return Err(KmsError::new(
            "IncorrectKeyException",
            "The key ID in the request does not identify a CMK that can perform this operation.",
        ));
    }
    let opened = blob::open(made_by.usable()?, context, sealed)?;
    Ok((made_by, opened))
}

fn re_encrypt(keyring: &Keyring, request: &Value) -> Result<Value, KmsError> {
    let sealed = bytes(request, "CiphertextBlob")?;
    let (source, opened) = open(
        keyring,
        request["SourceKeyId"].as_str(),
        &context(request, "SourceEncryptionContext")?,
        &sealed,
    )?;
    let target = keyring.find(text(request, "DestinationKeyId")?)?.usable()?;
    let sealed = blob::seal(
        target,
        &context(request, "DestinationEncryptionContext")?,
        &opened,
    )?;
    Ok(
        json!({"CiphertextBlob": BASE64.encode(&sealed), "SourceKeyId": source.arn(),
        "KeyId": target.arn(), "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
    )
}

fn set_state(keyring: &mut Keyring, name: &str, state: State) -> Result<Value, KmsError> {
    let key = keyring.find_mut(name)?;
    if key.state == State::PendingDeletion {
        return Err(pending(&key.arn()));
    }
    key.state = state;
    Ok(json!({}))
}

fn schedule_deletion(keyring: &mut Keyring, request: &Value) -> Result<Value, KmsError> {
    let days = request["PendingWindowInDays"].as_u64().unwrap_or(30);
    if !(7..=30).contains(&days) {
        return Err(KmsError::invalid(
            "PendingWindowInDays must be between 7 and 30",
        ));
    }
    let key = keyring.find_mut(text(request, "KeyId")?)?;
    if key.state == State::PendingDeletion {
        return Err(pending(&key.arn()));
    }
    key.state = State::PendingDeletion;
    key.deletion = Some(now() + days as f64 * DAY);
    Ok(
        json!({"KeyId": key.arn(), "DeletionDate": key.deletion, "KeyState": key.state.name(),
        "PendingWindowInDays": days}),
    )
}

fn metadata(key: &Key) -> Value {
    let mut metadata = json!({
        "AWSAccountId": ACCOUNT, "KeyId": key.id, "Arn": key.arn(), "CreationDate": key.created,
        "Enabled": key.state == State::Enabled, "KeyState": key.state.name(),
        "Description": key.description, "KeyUsage": "ENCRYPT_DECRYPT", "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER", "KeySpec": "SYMMETRIC_DEFAULT", "MultiRegion": false,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
    });
    if let Some(date) = key.deletion {
        metadata["DeletionDate"] = date.into();
    }
    metadata
}

fn text<'a>(request: &'a Value, name: &str) -> Result<&'a str, KmsError> {
    request[name]
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| {
            KmsError::invalid(format!(
                "Value null at '{name}' failed to satisfy constraint: Member must not be null"
            ))
        })
}

fn bytes(request: &Value, name: &str) -> Result<Vec<u8>, KmsError> {
    BASE64
        .decode(text(request, name)?.as_bytes())
        .map_err(|_| KmsError::new("SerializationException", format!("{name} is not base64")))
}

fn context(request: &Value, name: &str) -> Result<Context, KmsError> {
    match &request[name] {
        Value::Null => Ok(Context::new()),
        other => serde_json::from_value(other.clone())
            .map_err(|_| KmsError::invalid(format!("{name} is not a map of strings"))),
    }
}
