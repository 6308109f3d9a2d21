//! One server for all tests of this binary; a database, a front and a projection of its own for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crm::{Change, Credentials, Database, Record, Row, Schema, rows};
use domain::Secret;
use local::cloud::project_root;
use local::postgres::{Front, Postgres};
use serde_json::{Value, json};
use store::stream::{Image, Source};
use tokio::sync::OnceCell;

pub(crate) async fn server() -> &'static Postgres {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    let start = || async {
        let root = project_root().unwrap();
        Postgres::start(&root.join(".local"), &root)
            .await
            .expect("PostgreSQL starts")
    };
    SERVER.get_or_init(start).await
}

/// A database of one test.
pub(crate) struct Ground {
    pub(crate) name: String,
    pub(crate) front: Front,
    pub(crate) secret: Value,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("crm_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let server = server().await;
        let front = Front::start(server.address()).await.unwrap();
        let secret = server.database(&name, &front).await.unwrap();
        Self {
            name,
            front,
            secret,
        }
    }

    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        credentials(&self.secret)
    }

    /// A projection with a session of its own, as one process of the function has it.
    pub(crate) fn database(&self) -> Database {
        Database::new(self.credentials(), None, schema())
    }

    /// The first column of a query's rows.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        server().await.texts(&self.name, sql).await.unwrap()
    }

    pub(crate) async fn run(&self, sql: &str) {
        server().await.run(&self.name, sql).await.unwrap();
    }
}

pub(crate) fn schema() -> Schema {
    Schema::parse("passerelle").unwrap()
}

pub(crate) fn credentials(secret: &Value) -> Arc<Credentials> {
    Arc::new(Credentials::parse(&Secret::new(secret.to_string())).unwrap())
}

/// A post of user `u` as DynamoDB's streams show it.
pub(crate) fn post(number: u32, text: &str) -> Value {
    json!({
        "user_id": {"S": "u"}, "post_id": {"S": format!("post_{number:026}")},
        "text": {"S": text}, "media": {"L": []}, "targets": {"L": []},
        "created_at": {"N": "1767225600123"},
    })
}

/// A change of that post.
pub(crate) fn change(number: u32, sequence: u64, text: Option<&str>) -> Change {
    let image = post(number, text.unwrap_or_default());
    let keys = json!({"user_id": image["user_id"], "post_id": image["post_id"]});
    let mut happened = json!({"SequenceNumber": sequence.to_string(), "Keys": keys});
    let mut name = "REMOVE";
    if text.is_some() {
        happened["NewImage"] = image;
        name = "MODIFY";
    }
    let record =
        json!({"eventID": "e", "eventName": name, "eventSourceARN": "", "dynamodb": happened});
    let record: Record = serde_json::from_value(record).unwrap();
    record.change(Source::Posts).unwrap().unwrap()
}

/// The rows of these posts.
pub(crate) fn rows_of(posts: &[(u32, String)]) -> Vec<Row> {
    let row = |(number, text): &(u32, String)| {
        let image = Image::of_stream(&post(*number, text)).unwrap();
        rows::rows_of(&image.read(Source::Posts).unwrap())
    };
    posts.iter().flat_map(row).collect()
}
