//! The vault over KMS: what opens where, and what it costs.

use std::sync::Arc;

use domain::{FixedClock, Platform, SeededEntropy};
use vault::{Place, Sealed, Vault, VaultError};

use crate::desk::NOW;
use crate::ground::{self, Fault, Rule, fault};

const KEYS: &[&str] = &["user", "conn"];

fn place(version: u64) -> Place<'static> {
    Place {
        table: "connections",
        keys: KEYS,
        platform: Platform::TikTok,
        field: "tokens",
        version,
    }
}

/// A function's vault with an empty cache.
fn vault(function: &str, environment: &str, clock: Arc<FixedClock>) -> Vault {
    Vault::new(
        ground::kms(function),
        ground::key_id(),
        environment,
        clock,
        Arc::new(SeededEntropy::new(NOW.millis().unsigned_abs())),
    )
}

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at(NOW))
}

async fn a_sealed_text(vault: &Vault) -> Sealed {
    let key = vault.new_key("conn_a").await.unwrap();
    vault.seal(&key, &place(1), b"tokens").unwrap()
}

#[tokio::test]
async fn a_sealed_text_opens_for_its_subject_place_and_deployment_alone() {
    let here = || vault("oauth-start", "here", clock());
    let sealed = a_sealed_text(&here()).await;
    let mut flipped = sealed.as_bytes().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let flipped = Sealed::from_bytes(flipped);
    let there = vault("oauth-start", "there", clock());
    for (name, vault, subject, version, sealed, opens) in [
        ("as it was sealed", &here(), "conn_a", 1, &sealed, true),
        ("another subject", &here(), "conn_b", 1, &sealed, false),
        ("another version", &here(), "conn_a", 2, &sealed, false),
        ("another deployment", &there, "conn_a", 1, &sealed, false),
        ("a flipped bit", &here(), "conn_a", 1, &flipped, false),
    ] {
        match vault.open(subject, &place(version), sealed).await {
            Ok(text) => assert!(opens && text.as_slice() == b"tokens", "{name}"),
            Err(error) => assert!(
                !opens && error == VaultError::DoesNotOpen,
                "{name}: {error}"
            ),
        }
    }
}

#[tokio::test]
async fn a_key_is_asked_for_once_and_drawn_anew_after_thirty_days() {
    let clock = clock();
    let sealed = a_sealed_text(&vault("session", "here", clock.clone())).await;
    let vault = vault("session", "here", clock.clone());
    let calls = || {
        let of = |action: &str| ground::calls("session", action);
        (of("kms:Decrypt"), of("kms:GenerateDataKey"))
    };
    for _ in 0..3 {
        vault.open("conn_a", &place(1), &sealed).await.unwrap();
        let key = vault.key_of("conn_a", &sealed).await.unwrap();
        let next = vault.seal(&key, &place(2), b"next").unwrap();
        assert_eq!(
            Vault::key_age(&next),
            Vault::key_age(&sealed),
            "the same key"
        );
    }
    assert_eq!(calls(), (1, 1), "one to open, and the one that made it");
    clock.advance(30 * 24 * 3_600 + 1);
    let key = vault.key_of("conn_a", &sealed).await.unwrap();
    let next = vault.seal(&key, &place(2), b"next").unwrap();
    assert_ne!(Vault::key_age(&next), Vault::key_age(&sealed));
    assert_eq!(calls(), (1, 2));
}

#[tokio::test]
async fn trouble_of_kms_is_no_broken_text() {
    let sealed = a_sealed_text(&vault("token-refresh", "here", clock())).await;
    let vault = vault("token-refresh", "here", clock());
    let rule = Rule::on("kms:Decrypt").by("token-refresh").times(3);
    let down = fault(rule, Fault::error(500, "KMSInternalException"));
    let opened = vault.open("conn_a", &place(1), &sealed).await;
    let code = "KMSInternalException".to_owned();
    assert_eq!(opened.unwrap_err(), VaultError::KmsUnavailable(code));
    assert_eq!(down.fired(), 3, "the SDK tried again");
    vault.open("conn_a", &place(1), &sealed).await.unwrap();
}
