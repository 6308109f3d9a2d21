//! TLS, logins, and databases that are away.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crm::{Credentials, CrmError, Database, KeepsCredentials, tables};
use local::postgres::{Front, Trouble};
use serde_json::json;

use crate::ground::{Ground, change, credentials, schema, server};

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_and_the_name_in_it_are_checked() {
    let ground = Ground::new().await;
    let other = Front::start(server().await.address()).await.unwrap();
    let with = |name: &str, value: serde_json::Value| {
        let mut secret = ground.secret.clone();
        secret[name] = value;
        Database::new(credentials(&secret), None, schema())
    };
    for (name, value) in [
        // Of another authority, under another name, and none that the system knows.
        ("ca", json!(other.authority())),
        ("host", json!("127.0.0.1")),
        ("ca", json!("")),
    ] {
        let tried = with(name, value).migrate().await;
        assert!(
            matches!(tried, Err(CrmError::Unreachable(_))),
            "{name}: {tried:?}"
        );
    }
    let garbage = with("ca", json!("no certificate")).migrate().await;
    assert!(matches!(garbage, Err(CrmError::Tls(_))), "{garbage:?}");
    assert_eq!(ground.front.requests(), 0);
    // The authority may come from beside the secret.
    let mut secret = ground.secret.clone();
    secret["ca"] = json!(null);
    let authority = Some(ground.front.authority().to_owned());
    let beside = Database::new(credentials(&secret), authority, schema());
    beside.migrate().await.unwrap();
    assert!(!ground.front.saw_plain() && !other.saw_plain());
}

/// PostgreSQL itself, which speaks no TLS here.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_on_without_tls() {
    let ground = Ground::new().await;
    let mut secret = ground.secret.clone();
    secret["port"] = json!(server().await.address().port());
    let plain = Database::new(credentials(&secret), None, schema());
    let tried = plain.migrate().await;
    assert!(matches!(tried, Err(CrmError::Unreachable(_))), "{tried:?}");
}

/// A secret that is rotated: the first reading is of the old one.
struct Rotated {
    old: Arc<Credentials>,
    new: Arc<Credentials>,
    again: Arc<AtomicUsize>,
}

impl KeepsCredentials for Rotated {
    fn credentials(
        &self,
        again: bool,
    ) -> Pin<Box<dyn Future<Output = Arc<Credentials>> + Send + '_>> {
        let given = if again { &self.new } else { &self.old };
        self.again.fetch_add(usize::from(again), Ordering::SeqCst);
        Box::pin(std::future::ready(given.clone()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_is_read_again() {
    let ground = Ground::new().await;
    let again = Arc::new(AtomicUsize::new(0));
    let mut secret = ground.secret.clone();
    secret["password"] = json!("the next one");
    let keeper = Rotated {
        old: ground.credentials(),
        new: credentials(&secret),
        again: again.clone(),
    };
    let database = Database::new(keeper, None, schema());
    database.apply(vec![change(1, 1, Some("x"))]).await.unwrap();
    assert_eq!(again.load(Ordering::SeqCst), 0);
    let rotate = format!("ALTER ROLE {} PASSWORD 'the next one'", ground.name);
    ground.run(&rotate).await;
    // An open session goes on; a new one needs the new password.
    database.apply(vec![change(2, 1, Some("x"))]).await.unwrap();
    ground.front.set_down(true);
    assert!(database.apply(vec![change(3, 1, Some("x"))]).await.is_err());
    ground.front.set_down(false);
    database.apply(vec![change(3, 1, Some("x"))]).await.unwrap();
    assert!(again.load(Ordering::SeqCst) > 0);
    assert_eq!(database.count(&tables::POSTS).await.unwrap(), 3);
    let wrong = Database::new(credentials(&ground.secret), None, schema());
    let tried = wrong.migrate().await;
    assert!(matches!(tried, Err(CrmError::Credentials(_))), "{tried:?}");
}

/// What dies in a transaction holds nobody up, and leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_in_a_transaction_leaves_nothing() {
    let ground = Ground::new().await;
    ground.database().migrate().await.unwrap();
    let before = ground.front.requests();
    let dying = ground.database();
    // Its login, the schema's version (two questions), the beginning; then the rows.
    ground.front.script(4, Trouble::Hold);
    let work = dying.apply(vec![change(1, 1, Some("never"))]);
    let held = async {
        while ground.front.held() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = work => panic!("it ended: {ended:?}"),
        () = held => {}
    }
    assert_eq!(ground.front.requests(), before + 4);
    drop(dying);
    let living = ground.database();
    living
        .apply(vec![change(1, 2, Some("x")), change(2, 1, Some("y"))])
        .await
        .unwrap();
    let found = ground
        .texts("SELECT text FROM passerelle.posts ORDER BY post_id")
        .await;
    assert_eq!(found, ["x", "y"]);
}
