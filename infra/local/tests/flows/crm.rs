//! The PostgreSQL projection through the whole host: tables, their streams, the real functions, a real
//! PostgreSQL.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use crm::{Credentials, Database, Schema, tables};
use data_encoding::{BASE64, HEXLOWER};
use domain::Secret;
use local::aws::Aws;
use local::crm::until_equal;
use local::postgres::{Front, Postgres, Trouble};
use local::{Cloud, Fault, Rule, StackOptions, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::admin::{get, post};
use crate::world::{SOON, USER, World, bytes, cloud, number, text};

async fn server() -> &'static Postgres {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    let start = || async {
        let root = local::cloud::project_root().unwrap();
        Postgres::start(&root.join(".local"), &root)
            .await
            .expect("PostgreSQL starts")
    };
    SERVER.get_or_init(start).await
}

/// A database of its own for one world, and the secret that leads there.
pub(crate) struct Projection {
    name: String,
    pub(crate) front: Front,
    secret: Value,
    pub(crate) arn: String,
    aws: Aws,
}

impl Projection {
    pub(crate) async fn new(cloud: &Cloud) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("flow_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let front = Front::start(server().await.address()).await.unwrap();
        let secret = server().await.database(&name, &front).await.unwrap();
        let aws = Aws::new(cloud.aws_url()).unwrap();
        let request = json!({
            "Name": format!("{name}-{}", std::process::id()), "SecretString": secret.to_string(),
        });
        let made = aws
            .json("secretsmanager", "secretsmanager.CreateSecret", &request)
            .await
            .unwrap();
        Self {
            name,
            front,
            secret,
            arn: made["ARN"].as_str().unwrap().to_owned(),
            aws,
        }
    }

    /// The options of a stack that has this projection, with times that tests can wait for.
    pub(crate) fn of(&self, options: StackOptions) -> StackOptions {
        options
            .parameter("CrmDatabaseSecretArn", &self.arn)
            .parameter("CrmSyncTimeout", "6")
            .parameter("CrmBackfillTimeout", "6")
            .parameter("CrmBackfillVisibility", "2")
            .parameter("CrmSettleSeconds", "1")
    }

    /// Another session, past the front that makes trouble.
    pub(crate) async fn reader(&self) -> (Front, Database) {
        let front = Front::start(server().await.address()).await.unwrap();
        let mut secret = self.secret.clone();
        secret["port"] = json!(front.port());
        secret["ca"] = json!(front.authority());
        let credentials = Credentials::parse(&Secret::new(secret.to_string())).unwrap();
        let schema = Schema::parse("passerelle").unwrap();
        (front, Database::new(Arc::new(credentials), None, schema))
    }

    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        server().await.texts(&self.name, sql).await.unwrap()
    }

    pub(crate) async fn run(&self, sql: &str) {
        server().await.run(&self.name, sql).await.unwrap();
    }

    /// Everything that the database holds of ours, as text.
    pub(crate) async fn dump(&self) -> String {
        let names = "SELECT table_name::text FROM information_schema.tables \
            WHERE table_schema = 'passerelle' AND table_type = 'BASE TABLE'";
        let names = self.texts(names).await;
        assert!(names.len() > tables::ALL.len(), "{names:?}");
        let mut all = String::new();
        for name in names {
            let sql = format!("SELECT t::text FROM passerelle.{name} t");
            all.push_str(&self.texts(&sql).await.join("\n"));
        }
        all
    }
}

async fn projected(change: impl FnOnce(StackOptions) -> StackOptions) -> (World, Projection) {
    let projection = Projection::new(&*cloud().await).await;
    let world = World::with(|options| change(projection.of(options))).await;
    (world, projection)
}

/// Ends a world: what it promises, and that nothing was left in a session or said of its password.
pub(crate) async fn end(world: World, projection: &Projection) {
    assert_eq!(projection.front.sticky(), None);
    assert!(!projection.front.saw_plain());
    let logs = world.stack.all_logs().unwrap();
    let password = projection.secret["password"].as_str().unwrap();
    assert!(!logs.contains(password), "a log line shows the password");
    world.end().await;
}

pub(crate) fn words(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Puts a post into its table, as `upload` would.
async fn put(world: &World, n: u32, caption: &str) {
    let client = world.stack.clients().dynamodb;
    let list = AttributeValue::L(Vec::new());
    client
        .put_item()
        .table_name(world.stack.table("posts").unwrap())
        .item("user_id", words("user_planted"))
        .item("post_id", words(&format!("post_{n:026}")))
        .item("text", words(caption))
        .item("media", list.clone())
        .item("targets", list)
        .item("created_at", AttributeValue::N("1767225600123".into()))
        .send()
        .await
        .unwrap();
}

async fn delete(world: &World, n: u32) {
    let client = world.stack.clients().dynamodb;
    client
        .delete_item()
        .table_name(world.stack.table("posts").unwrap())
        .key("user_id", words("user_planted"))
        .key("post_id", words(&format!("post_{n:026}")))
        .send()
        .await
        .unwrap();
}

pub(crate) async fn letters(world: &World) -> u64 {
    let (visible, flying, delayed) = world.stack.queue_depth("CrmSyncDeadLetters").await.unwrap();
    visible + flying + delayed
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_becomes_rows_and_no_token_is_among_them() {
    let (world, projection) = projected(|options| options.parameter("StatisticsOff", "")).await;
    let (_front, reader) = projection.reader().await;
    let id = world.connect(USER).await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let posted = world
        .post(&id, &media, json!({ "privacy": "SELF_ONLY" }))
        .await;
    world
        .until_target(posted["id"].as_str().unwrap(), "published")
        .await;
    eventually("statistics", SOON, || async {
        Ok((number(&world.connection_item(USER).await, "stats_ended_at") > 0).then_some(()))
    })
    .await
    .unwrap();
    until_equal(&world.stack, &reader, SOON).await.unwrap();
    let counts = [
        &tables::PLATFORM_CONNECTIONS,
        &tables::POSTS,
        &tables::POST_TARGETS,
        &tables::SOCIAL_STATS,
        &tables::SYNC_LOGS,
    ];
    for table in counts {
        assert!(reader.count(table).await.unwrap() > 0, "{}", table.name);
    }
    let sql = "SELECT connection_id || ' ' || status || ' ' || (followers IS NOT NULL) \
        FROM passerelle.latest_social_stats";
    assert_eq!(projection.texts(sql).await, [format!("{id} active true")]);

    // No token, in whatever form.
    let item = world.connection_item(USER).await;
    let sealed = bytes(&item, "sealed").unwrap();
    let dump = projection.dump().await;
    let state = world.control(Method::GET, "/secrets", json!({})).await;
    let mut planted: BTreeSet<String> = state["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one.as_str().or(one["value"].as_str()))
        .map(str::to_owned)
        .collect();
    planted.insert(BASE64.encode(&sealed)[4..44].to_owned());
    planted.insert(HEXLOWER.encode(&sealed[..20]));
    assert!(dump.contains(&id) && planted.len() > 3, "{}", planted.len());
    for secret in planted {
        assert!(
            !dump.contains(&secret),
            "a secret of {} characters",
            secret.len()
        );
    }

    // What goes, goes: by hand here, by TTL later.
    let client = world.stack.clients().dynamodb;
    client
        .delete_item()
        .table_name(world.stack.table("connections").unwrap())
        .key("user_id", item["user_id"].clone())
        .key("connection_id", item["connection_id"].clone())
        .send()
        .await
        .unwrap();
    eventually("the row gone", SOON, || async {
        let left = reader.count(&tables::PLATFORM_CONNECTIONS).await.unwrap();
        Ok((left == 0).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(letters(&world).await, 0);
    end(world, &projection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_or_cut_off_anywhere_loses_and_doubles_nothing() {
    let (world, projection) = projected(|options| options).await;
    let (_front, reader) = projection.reader().await;
    put(&world, 0, "first").await;
    until_equal(&world.stack, &reader, SOON).await.unwrap();
    let mut round = 0;
    for trouble in [Trouble::Hold, Trouble::CutBefore, Trouble::CutAfter] {
        // The first requests of a batch; a new process asks for the schema's version before.
        for request in 1..=6 {
            round += 1;
            let held = projection.front.held();
            projection.front.script(request, trouble);
            put(&world, round, &format!("new in round {round}")).await;
            put(&world, round - 1, &format!("changed in round {round}")).await;
            delete(&world, round.saturating_sub(3)).await;
            let more = AtomicU32::new(0);
            if trouble == Trouble::Hold {
                eventually(
                    &format!("held request {request} of round {round}"),
                    SOON,
                    || async {
                        if projection.front.pending() > 0 {
                            // One batch took all: more must come, and something new each time, for
                            // a stream tells of changes alone.
                            let more = more.fetch_add(1, Ordering::SeqCst);
                            put(&world, 900 + round, &format!("more, {more}")).await;
                        }
                        Ok((projection.front.held() > held).then_some(()))
                    },
                )
                .await
                .unwrap();
                world.stack.kill("crm-sync").await.unwrap();
                projection.front.release();
            }
            until_equal(&world.stack, &reader, SOON).await.unwrap();
        }
    }
    assert_eq!(letters(&world).await, 0);
    end(world, &projection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_for_a_while_is_no_poison() {
    let (world, projection) = projected(|options| options).await;
    let (_front, reader) = projection.reader().await;
    put(&world, 1, "before").await;
    until_equal(&world.stack, &reader, SOON).await.unwrap();
    projection.front.set_down(true);
    for n in 2..40 {
        put(&world, n, "while it is away").await;
    }
    delete(&world, 1).await;
    eventually("batches put off", SOON, || async {
        let log = world.stack.host().log_text("crm-sync")?;
        Ok((log.matches("\"CrmPutOff\":1").count() >= 2).then_some(()))
    })
    .await
    .unwrap();
    projection.front.set_down(false);
    until_equal(&world.stack, &reader, SOON).await.unwrap();
    assert_eq!(letters(&world).await, 0);

    // The password is changed, in the database and in the secret; the session ends.
    projection
        .run(&format!(
            "ALTER ROLE {} PASSWORD 'another one'",
            projection.name
        ))
        .await;
    let mut secret = projection.secret.clone();
    secret["password"] = json!("another one");
    let request = json!({ "SecretId": projection.arn, "SecretString": secret.to_string() });
    let target = "secretsmanager.PutSecretValue";
    projection
        .aws
        .json("secretsmanager", target, &request)
        .await
        .unwrap();
    projection.front.set_down(true);
    projection.front.set_down(false);
    put(&world, 2, "after the change").await;
    eventually("the new text", SOON, || async {
        let sql = "SELECT count(*)::text FROM passerelle.posts WHERE text = 'after the change'";
        Ok((projection.texts(sql).await == ["1"]).then_some(()))
    })
    .await
    .unwrap();
    assert!(!world.stack.all_logs().unwrap().contains("another one"));
    end(world, &projection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_become_a_row_ends_with_the_dead_letters() {
    let (world, projection) = projected(|options| options).await;
    let (_front, reader) = projection.reader().await;
    world.stack.pollers().set_enabled(false).await;
    put(&world, 1, "before it").await;
    let client = world.stack.clients().dynamodb;
    let odd = "post_00000000000000000000odd000";
    client
        .put_item()
        .table_name(world.stack.table("posts").unwrap())
        .item("user_id", words("user_planted"))
        .item("post_id", words(odd))
        .item("text", AttributeValue::N("7".into()))
        .item("private", words("not for a letter"))
        .send()
        .await
        .unwrap();
    put(&world, 2, "after it").await;
    world.stack.pollers().set_enabled(true).await;
    eventually("both good rows, and a letter", SOON, || async {
        // Before the first batch there is no table.
        let sql = "SELECT text FROM passerelle.posts ORDER BY 1";
        let rows = server().await.texts(&projection.name, sql).await;
        Ok(
            (rows.unwrap_or_default() == ["after it", "before it"] && letters(&world).await == 1)
                .then_some(()),
        )
    })
    .await
    .unwrap();
    let listed = get(&world, "queues/crm_sync/dead-letters").await;
    let about = &listed["dead_letters"][0]["about"];
    assert_eq!(
        (&about["table"], &about["reason"]),
        (&json!("posts"), &json!("item"))
    );
    assert!(!listed.to_string().contains("odd000"), "{listed}");
    let logs = world.stack.all_logs().unwrap();
    assert!(!logs.contains("not for a letter"));
    // It came from no queue; it is dropped once its cause is mended.
    let all = json!({ "all": true });
    post(
        &world,
        "queues/crm_sync/dead-letters/replay",
        all.clone(),
        409,
    )
    .await;
    post(&world, "queues/crm_sync/dead-letters/drop", all, 200).await;
    client
        .delete_item()
        .table_name(world.stack.table("posts").unwrap())
        .key("user_id", words("user_planted"))
        .key("post_id", words(odd))
        .send()
        .await
        .unwrap();
    until_equal(&world.stack, &reader, SOON).await.unwrap();
    end(world, &projection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_over_live_traffic_converges_though_it_is_killed() {
    let (world, projection) = projected(|options| options).await;
    let (_front, reader) = projection.reader().await;
    world.connect(USER).await;
    for n in 0..300 {
        put(&world, n, "as it was").await;
    }
    until_equal(&world.stack, &reader, SOON).await.unwrap();
    // The projection is damaged: rows lost, rows wrong, rows of nothing.
    projection
        .run(
            "DELETE FROM passerelle.posts WHERE right(post_id, 1) IN ('1', '2'); \
             UPDATE passerelle.posts SET text = 'wrong' WHERE right(post_id, 1) = '3'; \
             UPDATE passerelle.platform_connections SET status = 'wrong'; \
             INSERT INTO passerelle.posts (post_id, user_id, text, created_at, sequence, synced_at) \
             SELECT 'post_phantom' || n, 'nobody', 'phantom', now(), 1, now() - interval '1 hour' \
             FROM generate_series(1, 250) n",
        )
        .await;
    let before = world.connection_item(USER).await;
    let events = world.items("events").await.len();
    let touches = Rule::on("dynamodb:UpdateItem").by("crm-backfill");
    let first = world
        .stack
        .fault(touches.clone().touching("Posts").nth(120), Fault::KillAfter);
    let reads = Rule::on("dynamodb:GetItem").by("crm-backfill").nth(60);
    let second = world.stack.fault(reads, Fault::KillAfter);
    let job = post(&world, "crm-backfill", json!({}), 202).await;
    assert_eq!(job["state"], "open");
    // Traffic goes on meanwhile.
    let live = async {
        for n in 0..60 {
            put(&world, n * 5, &format!("changed while it ran {n}")).await;
            delete(&world, n * 5 + 3).await;
            put(&world, 400 + n, "made while it ran").await;
        }
    };
    let over = eventually("the end of the backfill", SOON * 2, || async {
        let job = get(&world, "crm-backfill").await;
        Ok((job["state"] != "open").then_some(job))
    });
    let ((), over) = tokio::join!(live, over);
    let over = over.unwrap();
    assert_eq!(over["state"], "done", "{over}");
    assert_eq!(over["id"], job["id"]);
    assert_eq!((first.fired(), second.fired()), (1, 1), "{over}");
    assert!(over["counts"]["removed"].as_u64().unwrap() >= 250, "{over}");
    until_equal(&world.stack, &reader, SOON).await.unwrap();
    // A touch is a touch: nothing else of an item changed, and nobody was told of anything.
    let mut after = world.connection_item(USER).await;
    assert_eq!(text(&after, "touched"), over["id"].as_str().unwrap());
    after.remove("touched");
    assert_eq!(after, before);
    assert_eq!(world.items("events").await.len(), events);
    // One that is over can be begun again.
    let again = post(&world, "crm-backfill", json!({}), 202).await;
    assert_ne!(again["id"], over["id"]);
    eventually("the end of the second", SOON * 2, || async {
        let job = get(&world, "crm-backfill").await;
        Ok((job["state"] == "done").then_some(()))
    })
    .await
    .unwrap();
    until_equal(&world.stack, &reader, SOON).await.unwrap();
    end(world, &projection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_without_a_database_has_no_projection() {
    let world = World::new().await;
    assert!(!world.stack.plan().functions.contains_key("crm-sync"));
    let operator = crate::admin::operator(&world);
    for (method, path) in [
        (Method::POST, "/v1/admin/crm-backfill"),
        (Method::GET, "/v1/admin/crm-backfill"),
        (Method::GET, "/v1/admin/queues/crm_sync/dead-letters"),
    ] {
        let body = (method == Method::POST).then(|| json!({}));
        operator
            .call(method, path, body, reqwest::StatusCode::NOT_FOUND)
            .await
            .unwrap();
    }
    get(&world, "health").await;
    let migrated = world.stack.plan().sources.iter();
    assert!(migrated.clone().count() > 0);
    world.end().await;
}
