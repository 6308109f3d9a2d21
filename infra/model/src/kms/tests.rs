use data_encoding::BASE64;
use serde_json::{Value, json};

use super::Kms;

struct Bench {
    kms: Kms,
    key: String,
    other: String,
}

fn bench() -> Bench {
    let kms = Kms::default();
    let (key, _) = kms.create_key("one");
    let (other, _) = kms.create_key("two");
    Bench { kms, key, other }
}

impl Bench {
    fn ok(&self, action: &str, request: Value) -> Value {
        self.call(action, &request).unwrap()
    }

    fn code(&self, action: &str, request: Value) -> &'static str {
        self.call(action, &request).unwrap_err().code
    }

    fn call(&self, action: &str, request: &Value) -> Result<Value, super::KmsError> {
        self.kms.handle(
            &format!("TrentService.{action}"),
            request.to_string().as_bytes(),
        )
    }

    fn data_key(&self) -> (String, String) {
        let answer = self.ok(
            "GenerateDataKey",
            json!({"KeyId": self.key, "KeySpec": "AES_256", "EncryptionContext": {"a": "1", "b": "2"}}),
        );
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        (text("Plaintext"), text("CiphertextBlob"))
    }
}

#[test]
fn a_data_key_opens_under_its_context_in_any_order() {
    let bench = bench();
    let (plain, blob) = bench.data_key();
    let opened = bench.ok(
        "Decrypt",
        json!({"CiphertextBlob": blob, "EncryptionContext": {"b": "2", "a": "1"}, "KeyId": bench.key}),
    );
    assert_eq!(opened["Plaintext"], plain);
    assert_eq!(BASE64.decode(plain.as_bytes()).unwrap().len(), 32);
}

#[test]
fn what_kms_refuses_is_refused_in_its_words() {
    let bench = bench();
    let (_, blob) = bench.data_key();
    let context = json!({"a": "1", "b": "2"});
    let mut bytes = BASE64.decode(blob.as_bytes()).unwrap();
    let cases = [
        (
            "wrong context",
            json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "1", "b": "3"}}),
            "InvalidCiphertextException",
        ),
        // Without length prefixes these two contexts would read alike.
        (
            "shifted context",
            json!({"CiphertextBlob": blob, "EncryptionContext": {"a1": "", "b": "2"}}),
            "InvalidCiphertextException",
        ),
        (
            "no context",
            json!({"CiphertextBlob": blob}),
            "InvalidCiphertextException",
        ),
        (
            "other key",
            json!({"CiphertextBlob": blob, "EncryptionContext": context, "KeyId": bench.other}),
            "IncorrectKeyException",
        ),
        (
            "unknown key",
            json!({"CiphertextBlob": blob, "EncryptionContext": context, "KeyId": "nowhere"}),
            "NotFoundException",
        ),
        (
            "not a blob",
            json!({"CiphertextBlob": "AAAA", "EncryptionContext": context}),
            "InvalidCiphertextException",
        ),
        (
            "no blob",
            json!({"EncryptionContext": context}),
            "ValidationException",
        ),
        (
            "not base64",
            json!({"CiphertextBlob": "?", "EncryptionContext": context}),
            "SerializationException",
        ),
    ];
    for (name, request, code) in cases {
        assert_eq!(bench.code("Decrypt", request), code, "{name}");
    }
    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        let request =
            json!({"CiphertextBlob": BASE64.encode(&bytes), "EncryptionContext": context});
        assert_eq!(
            bench.code("Decrypt", request),
            "InvalidCiphertextException",
            "byte {at}"
        );
        bytes[at] ^= 1;
    }
}

#[test]
fn a_key_that_is_off_neither_seals_nor_opens() {
    let bench = bench();
    let (_, blob) = bench.data_key();
    let decrypt = json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "1", "b": "2"}});
    let generate = json!({"KeyId": bench.key, "KeySpec": "AES_256"});
    bench.ok("DisableKey", json!({"KeyId": bench.key}));
    assert_eq!(bench.code("Decrypt", decrypt.clone()), "DisabledException");
    assert_eq!(
        bench.code("GenerateDataKey", generate.clone()),
        "DisabledException"
    );
    bench.ok("EnableKey", json!({"KeyId": bench.key}));
    bench.ok("Decrypt", decrypt.clone());
    bench.ok(
        "ScheduleKeyDeletion",
        json!({"KeyId": bench.key, "PendingWindowInDays": 7}),
    );
    assert_eq!(
        bench.code("Decrypt", decrypt.clone()),
        "KMSInvalidStateException"
    );
    assert_eq!(
        bench.code("EnableKey", json!({"KeyId": bench.key})),
        "KMSInvalidStateException"
    );
    bench.ok("CancelKeyDeletion", json!({"KeyId": bench.key}));
    assert_eq!(bench.code("Decrypt", decrypt), "DisabledException");
    let state = &bench.ok("DescribeKey", json!({"KeyId": bench.key}))["KeyMetadata"]["KeyState"];
    assert_eq!(state, "Disabled");
    let request = json!({"KeyId": bench.other, "PendingWindowInDays": 3});
    assert_eq!(
        bench.code("ScheduleKeyDeletion", request),
        "ValidationException"
    );
}

#[test]
fn re_encrypt_moves_a_blob_to_another_key_and_context() {
    let bench = bench();
    let (plain, blob) = bench.data_key();
    let mut request = json!({
        "CiphertextBlob": blob, "SourceEncryptionContext": {"a": "1", "b": "2"},
        "DestinationKeyId": bench.other, "DestinationEncryptionContext": {"c": "3"},
    });
    let moved = bench.ok("ReEncrypt", request.clone());
    let opened = bench.ok(
        "Decrypt",
        json!({"CiphertextBlob": moved["CiphertextBlob"], "EncryptionContext": {"c": "3"}, "KeyId": bench.other}),
    );
    assert_eq!(opened["Plaintext"], plain);
    request["SourceKeyId"] = bench.other.clone().into();
    assert_eq!(
        bench.code("ReEncrypt", request.clone()),
        "IncorrectKeyException"
    );
    request["SourceKeyId"] = bench.key.clone().into();
    request["SourceEncryptionContext"] = json!({});
    assert_eq!(
        bench.code("ReEncrypt", request),
        "InvalidCiphertextException"
    );
}

#[test]
fn rotation_keeps_what_was_sealed_before() {
    let bench = bench();
    let (plain, blob) = bench.data_key();
    bench.ok("RotateKeyOnDemand", json!({"KeyId": bench.key}));
    let decrypt = json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "1", "b": "2"}});
    assert_eq!(bench.ok("Decrypt", decrypt)["Plaintext"], plain);
}

#[test]
fn keys_answer_to_id_arn_and_alias() {
    let bench = bench();
    bench.ok(
        "CreateAlias",
        json!({"AliasName": "alias/tokens", "TargetKeyId": bench.key}),
    );
    let arn = bench.kms.key_arn(&bench.key).unwrap();
    let alias_arn = arn.replace(&format!("key/{}", bench.key), "alias/tokens");
    for name in [bench.key.as_str(), &arn, "alias/tokens", &alias_arn] {
        let found = bench.ok("DescribeKey", json!({"KeyId": name}));
        assert_eq!(found["KeyMetadata"]["Arn"], arn, "{name}");
    }
    assert_eq!(
        bench.code("DescribeKey", json!({"KeyId": "alias/none"})),
        "NotFoundException"
    );
    let again = json!({"AliasName": "alias/tokens", "TargetKeyId": bench.key});
    assert_eq!(bench.code("CreateAlias", again), "AlreadyExistsException");
}

#[test]
fn data_key_sizes_are_checked() {
    let bench = bench();
    for (request, fine) in [
        (json!({"KeySpec": "AES_256"}), true),
        (json!({"NumberOfBytes": 64}), true),
        (json!({}), false),
        (json!({"KeySpec": "AES_256", "NumberOfBytes": 64}), false),
        (json!({"NumberOfBytes": 1025}), false),
    ] {
        let mut request = request;
        request["KeyId"] = bench.key.clone().into();
        assert_eq!(
            bench.call("GenerateDataKey", &request).is_ok(),
            fine,
            "{request}"
        );
    }
    let bare = bench.ok(
        "GenerateDataKeyWithoutPlaintext",
        json!({"KeyId": bench.key, "KeySpec": "AES_256"}),
    );
    assert!(bare.get("Plaintext").is_none());
}
