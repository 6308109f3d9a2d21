//! Tokens at rest.

use std::sync::Arc;

use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use domain::{Entropy, Platform, SeededEntropy, Timestamp};
use vault::{Place, Sealed, Vault, VaultError};

use crate::world::{USER, World, bytes, number, text};

struct Now;

impl domain::Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_767_225_600)
    }
}

pub(crate) fn vault(world: &World, environment: &str) -> Vault {
    let key = world.stack.reference("TokenKey").unwrap();
    vault_under(world, environment, key)
}

/// The same under another KMS key.
pub(crate) fn vault_under(world: &World, environment: &str, key: &str) -> Vault {
    // As one of the functions: the key answers callers that it knows.
    let key_id = local::proxy::Callers::access_key("oauth-callback");
    let token = Some("a test".to_owned());
    let credentials = Credentials::new(key_id, local::proxy::SECRET_KEY, token, None, "test");
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .endpoint_url(world.stack.aws_endpoint())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
    Vault::new(
        aws_sdk_kms::Client::from_conf(config),
        key,
        environment,
        Arc::new(Now),
        entropy,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_open_at_their_own_place_alone() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    let item = world.connection_item(USER).await;
    let secrets = world
        .control(reqwest::Method::GET, "/secrets", serde_json::json!({}))
        .await;
    let shown = format!("{item:?}");
    for secret in secrets["secrets"].as_array().unwrap() {
        let secret = secret
            .as_str()
            .or_else(|| secret["value"].as_str())
            .unwrap();
        assert!(!shown.contains(secret), "the item shows a token");
    }
    let sealed = Sealed::from_bytes(bytes(&item, "sealed").unwrap());
    let version = u64::try_from(number(&item, "token_version")).unwrap();
    let keys = [USER, id.as_str()];
    let place = Place {
        table: "connections",
        keys: &keys,
        platform: Platform::TikTok,
        field: "tokens",
        version,
    };
    let environment = text_of_stack(&world);
    // A vault of its own for each try: none may live on another's cached key.
    let open = async |subject: &str, place: &Place<'_>, sealed: &Sealed, environment: &str| {
        vault(&world, environment)
            .open(subject, place, sealed)
            .await
    };
    let tokens = open(&id, &place, &sealed, &environment).await.unwrap();
    assert!(
        std::str::from_utf8(&tokens)
            .unwrap()
            .contains("\"access_token\"")
    );

    let elsewhere = [
        (
            "another user",
            Place {
                keys: &["user_b", id.as_str()],
                ..place
            },
        ),
        (
            "another connection",
            Place {
                keys: &[USER, "conn_b"],
                ..place
            },
        ),
        (
            "another version",
            Place {
                version: version + 1,
                ..place
            },
        ),
        (
            "an older version",
            Place {
                version: version - 1,
                ..place
            },
        ),
        (
            "another table",
            Place {
                table: "flows",
                ..place
            },
        ),
    ];
    for (what, place) in &elsewhere {
        let refused = open(&id, place, &sealed, &environment).await;
        assert_eq!(refused.unwrap_err(), VaultError::DoesNotOpen, "{what}");
    }
    for at in [0, 5, 13, 40, bytes(&item, "sealed").unwrap().len() - 1] {
        let mut flipped = bytes(&item, "sealed").unwrap();
        flipped[at] ^= 1;
        let refused = open(&id, &place, &Sealed::from_bytes(flipped), &environment).await;
        assert!(refused.is_err(), "byte {at}");
    }
    let refused = open("conn_b", &place, &sealed, &environment).await;
    assert_eq!(
        refused.unwrap_err(),
        VaultError::DoesNotOpen,
        "another subject of the key"
    );
    let refused = open(&id, &place, &sealed, "other-stack").await;
    assert_eq!(
        refused.unwrap_err(),
        VaultError::DoesNotOpen,
        "another environment"
    );
    assert_eq!(text(&item, "status"), "active");
    // The tries above are nobody's calls.
    world.stack.record().clear();
    world.end().await;
}

/// The stack's own name: the environment of its encryption contexts.
pub(crate) fn text_of_stack(world: &World) -> String {
    let calls = world.stack.record().calls();
    let call = calls
        .iter()
        .find(|call| call.encryption_context.contains_key("environment"));
    call.unwrap().encryption_context["environment"].clone()
}
