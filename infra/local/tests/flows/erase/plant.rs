//! Puts a user's words wherever there is room for them.

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use local::eventually;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::statistics::now_millis;
use crate::world::{CLIENT_KEY, Item, SOON, World, text};

/// Somebody's words.
pub(crate) struct Plant<'a> {
    pub(crate) text: &'a str,
    pub(crate) user: &'a str,
    pub(crate) connection: &'a str,
    pub(crate) account: &'a str,
}

fn words(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn count(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::String(text) => words(text),
        Value::Object(map) => {
            let one = |(name, value): (&String, &Value)| (name.clone(), attribute(value));
            AttributeValue::M(map.iter().map(one).collect())
        }
        other => AttributeValue::N(other.to_string()),
    }
}

/// Lets the time of every revocation come.
pub(super) async fn revocations_due(world: &World) {
    let client = world.stack.clients().dynamodb;
    for row in world.items("revocations").await {
        let past = client
            .update_item()
            .table_name(world.stack.table("revocations").unwrap())
            .key("revocation_id", row["revocation_id"].clone())
            .update_expression("SET due_at = :past")
            .condition_expression("attribute_exists(revocation_id)")
            .expression_attribute_values(":past", count(1));
        drop(past.send().await);
    }
}

/// Lets a job's beginning lie more than a day back.
pub(super) async fn begun_long_ago(world: &World, id: &str) {
    let client = world.stack.clients().dynamodb;
    client
        .update_item()
        .table_name(world.stack.table("jobs").unwrap())
        .key("job", words(&format!("erasure#{id}")))
        .update_expression("SET started_at = :past")
        .expression_attribute_values(":past", count(now_millis() - 26 * 3_600_000))
        .send()
        .await
        .unwrap();
}

impl Plant<'_> {
    async fn put(&self, world: &World, noun: &str, item: Item) {
        let client = world.stack.clients().dynamodb;
        let table = world.stack.table(noun).unwrap();
        let put = client.put_item().table_name(table).set_item(Some(item));
        put.send().await.unwrap();
    }

    async fn set_user(&self, world: &World, name: &str, value: AttributeValue) {
        let client = world.stack.clients().dynamodb;
        client
            .update_item()
            .table_name(world.stack.table("users").unwrap())
            .key("user_id", words(self.user))
            .update_expression("SET #name = :value, updated_at = if_not_exists(updated_at, :now)")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value)
            .expression_attribute_values(":now", count(1))
            .send()
            .await
            .unwrap();
    }

    pub(crate) async fn consent(&self, world: &World) {
        self.set_user(world, "listed_at", count(1)).await;
    }

    pub(crate) async fn user_row(&self, world: &World) {
        self.set_user(world, "label", words(self.text)).await;
        let email = format!("{}@mail.example", self.text);
        self.set_user(world, "email", words(&email)).await;
    }

    fn record(&self, kind: &str, id: &str, at: i64, fields: Value) -> Item {
        Item::from([
            (
                "account".to_owned(),
                words(&format!("tiktok#{}", self.account)),
            ),
            ("record_id".to_owned(), words(id)),
            ("kind".to_owned(), words(kind)),
            ("platform".to_owned(), words("tiktok")),
            ("account_id".to_owned(), words(self.account)),
            ("listed".to_owned(), words(&format!("{at:013}#{id}"))),
            ("at".to_owned(), count(at)),
            ("state".to_owned(), words("visible")),
            ("fields".to_owned(), attribute(&fields)),
            ("stamps".to_owned(), attribute(&json!({ "text": at }))),
            ("seen_at".to_owned(), count(at)),
            ("revision".to_owned(), count(1)),
            ("written_at".to_owned(), count(at)),
        ])
    }

    /// One record of each noun.
    pub(crate) async fn records(&self, world: &World) {
        for (noun, kind) in [
            ("mediaItems", "media_item"),
            ("comments", "comment"),
            ("fans", "fan"),
            ("messages", "message"),
            ("analyticsEvents", "analytics_event"),
        ] {
            let fields = json!({ "text": self.text, "caption": self.text, "handle": self.text });
            let item = self.record(kind, &format!("planted-{}", self.text), 1_000, fields);
            self.put(world, noun, item).await;
        }
    }

    /// What waits for endpoints of the product, and a mail that was sent.
    pub(crate) async fn told(&self, world: &World) {
        let lane = format!("ep_{:026}#{}", 0, self.connection);
        let row = |more: &[(&str, &str)]| -> Item {
            let own = [("user_id", self.user), ("lane", lane.as_str())];
            let all = own.iter().chain(more);
            all.map(|(name, value)| ((*name).to_owned(), words(value)))
                .collect()
        };
        self.put(world, "eventLanes", row(&[])).await;
        let message = row(&[("message", "0000000000001#evt"), ("body", self.text)]);
        self.put(world, "eventMessages", message).await;
        self.put(world, "mails", row(&[("mail_key", "planted")]))
            .await;
        let letter = json!({ "lane": lane });
        let send = async |body: Value| {
            world
                .stack
                .send("EventsDeadLetters", &body.to_string())
                .await
                .unwrap();
        };
        send(letter).await;
        send(json!({ "lane": "ep_other#user#somebody-else" })).await;
    }

    /// A media item of an hour ago.
    pub(crate) async fn fresh_item(&self, world: &World, views: u64, likes: u64) {
        let figures = json!({ "figures": { "views": views, "likes": likes } });
        let item = self.record("media_item", "fresh", now_millis() - 3_600_000, figures);
        self.put(world, "mediaItems", item).await;
    }

    /// Comments of a kilobyte each.
    pub(crate) async fn many_comments(&self, world: &World, many: usize) {
        let client = world.stack.clients().dynamodb;
        let table = world.stack.table("comments").unwrap();
        let long = "\"soup\" ".repeat(128);
        let puts: Vec<WriteRequest> = (0..many)
            .map(|number| {
                let fields = json!({ "text": format!("{} {long}", self.text) });
                let item = self.record("comment", &format!("many-{number}"), 2_000, fields);
                let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
                WriteRequest::builder().put_request(put).build()
            })
            .collect();
        for batch in puts.chunks(25) {
            let write = client
                .batch_write_item()
                .request_items(table, batch.to_vec());
            write.send().await.unwrap();
        }
    }

    fn webhook(&self, padding: usize, number: i64) -> String {
        let content = json!({ "share_id": format!("{}{}", self.text, "x".repeat(padding)) });
        json!({
            "client_key": CLIENT_KEY, "event": "video.publish.completed",
            "create_time": 1_767_225_600 + number, "user_openid": self.account,
            "content": content.to_string(),
        })
        .to_string()
    }

    /// Webhooks about the account: in a row, and in the bucket.
    pub(crate) async fn deliveries(&self, world: &World) {
        for (number, padding) in [(0, 1), (1, 300 * 1_024), (2, 800 * 1_024)] {
            let raw = json!({ "client_key": CLIENT_KEY, "body": self.webhook(padding, number) });
            let answer = world.control(Method::POST, "/webhooks/raw", raw).await;
            assert_eq!(answer["status"], 200);
        }
        let key = format!("tiktok#{}", self.account);
        eventually("the bodies", SOON, || async {
            let mut rows = world.items("deliveries").await;
            rows.retain(|row| text(row, "raw_of") == key);
            Ok((rows.len() >= 3).then_some(()))
        })
        .await
        .unwrap();
    }

    /// A post with a whole file, beside a file that is never whole.
    pub(super) async fn post(&self, world: &World) -> Value {
        let api = world.backend.clone().on_behalf_of(self.user);
        let path = std::env::temp_dir().join(format!("{}-{}.mp4", self.text, std::process::id()));
        local::demo::media::write_mp4(&path, 40_000).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        // In the film's own data.
        let end = bytes.len() - self.text.len();
        bytes[end..].copy_from_slice(self.text.as_bytes());
        std::fs::write(&path, bytes).unwrap();
        let media = api.upload(&path).await.unwrap();
        let size = json!({ "size": 40_000 });
        api.call(Method::POST, "/v1/media", Some(size), StatusCode::CREATED)
            .await
            .unwrap();
        let post = json!({
            "text": self.text, "media": [media],
            "targets": [{
                "connection_id": self.connection,
                "options": { "mode": "direct", "privacy": "SELF_ONLY" },
            }],
        });
        api.call(Method::POST, "/v1/posts", Some(post), StatusCode::CREATED)
            .await
            .unwrap()
    }

    /// A dead letter in every queue that may name somebody; and one that names another.
    pub(crate) async fn letters(&self, world: &World, post: &str, whole: &Value) {
        let target = whole["targets"][0]["id"].as_str().unwrap();
        let send = async |queue: &str, body: Value| {
            world.stack.send(queue, &body.to_string()).await.unwrap();
        };
        let of = |more: Value| {
            let mut body = json!({ "user_id": self.user, "connection_id": self.connection });
            for (name, value) in more.as_object().unwrap() {
                body[name] = value.clone();
            }
            body
        };
        send("RefreshDeadLetters", of(json!({}))).await;
        let rescue = json!({ "sealed": "AA==", "seen": 1, "scopes": [self.text], "issued_at": 0 });
        send("RescueDeadLetters", of(rescue)).await;
        let sync = json!({ "sync_id": format!("sync_{:026}", 0), "sync_kind": "manual" });
        send("InsightsDeadLetters", of(sync)).await;
        let step = json!({ "post_id": post, "target_id": target, "step": 1 });
        send("PublishDeadLetters", step).await;
        let body = data_encoding::BASE64.encode(self.webhook(1, 9).as_bytes());
        let webhook = json!({
            "kind": "received", "platform": "tiktok", "received_at": 1_767_225_600_000_i64,
            "body": body,
        });
        send("WebhookDeadLetters", webhook).await;
        let bucket = world.stack.bucket("deliveries").unwrap();
        let s3 = world.stack.clients().s3;
        let stored = self.webhook(10, 10).into_bytes();
        let key = format!("tiktok/letter-{}", self.text);
        let put = s3.put_object().bucket(bucket).key(&key);
        put.body(stored.into()).send().await.unwrap();
        let large = json!({
            "kind": "received", "platform": "tiktok", "received_at": 1_767_225_600_000_i64,
            "object_key": key,
        });
        send("WebhookDeadLetters", large).await;
        let own = self.delivery(world).await;
        let replay = json!({ "kind": "replay", "delivery_id": own });
        send("WebhookDeadLetters", replay).await;
        // One of somebody else in each.
        let other = json!({ "user_id": "somebody-else", "connection_id": "none" });
        for queue in ["Refresh", "Rescue", "Insights", "Publish"] {
            send(&format!("{queue}DeadLetters"), other.clone()).await;
        }
        let body = json!({
            "client_key": CLIENT_KEY, "event": "video.publish.completed",
            "create_time": 1_767_225_600, "user_openid": "-000Nobody", "content": "{}",
        });
        let body = data_encoding::BASE64.encode(body.to_string().as_bytes());
        let webhook = json!({
            "kind": "received", "platform": "tiktok", "received_at": 1_767_225_600_000_i64,
            "body": body,
        });
        send("WebhookDeadLetters", webhook).await;
    }

    /// The id of a delivery about the account.
    async fn delivery(&self, world: &World) -> String {
        let key = format!("tiktok#{}", self.account);
        let rows = world.items("deliveries").await;
        let own = rows.iter().find(|row| text(row, "account_key") == key);
        text(own.unwrap(), "delivery_id")
    }

    /// The account in the books of the app, as where a platform counts accounts.
    pub(crate) async fn limits(&self, world: &World) {
        let book = json!({ "planted": { "m": [[self.account, now_millis()]] } });
        let client = world.stack.clients().dynamodb;
        client
            .update_item()
            .table_name(world.stack.table("limits").unwrap())
            .key("limit_key", words("tiktok#app"))
            .update_expression("SET book = :book ADD version :one")
            .expression_attribute_values(":book", words(&book.to_string()))
            .expression_attribute_values(":one", count(1))
            .send()
            .await
            .unwrap();
    }

    /// What an operator did to the connection.
    pub(crate) async fn operators_act(&self, world: &World) {
        let who = json!({ "role": "operator", "subject": "an-operator" });
        let item = Item::from([
            ("day".to_owned(), words("2026-01-01#s0")),
            (
                "listed".to_owned(),
                words(&format!("0000000000001#{}", self.text.len())),
            ),
            ("id".to_owned(), words("aud_1")),
            ("at".to_owned(), count(1)),
            ("who".to_owned(), attribute(&who)),
            ("act".to_owned(), words("admin.refresh_forced")),
            ("user_id".to_owned(), words(self.user)),
            ("object".to_owned(), words(self.connection)),
            ("outcome".to_owned(), words("done")),
        ]);
        self.put(world, "audit", item).await;
    }
}
