#![allow(missing_docs, clippy::all)]
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use domain::*;
use futures_util::StreamExt;
use http::{Request, Response};
use lambda::Env;
use ::platforms::{Apps, Call};
use ::posts::*;
use store::targets::{Progress, SealedPart};
use store::{Accounts, Connections, Events, Flows, MediaTable, Platforms, Posts, Revocations, Target, Targets, Transacted, Transaction};
use transport::{BoxFuture, BytesStream, NoAnswer, NoAnswerKind, Wire};
use wiring::Wiring;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Do { Ok, NotSent, LostAfter, LostBefore, Kill, KillAfter, Limited, Rejected, Server, Forbidden }

struct Fake { script: Mutex<VecDeque<(&'static str, Do)>>, st: Mutex<St>, killed: tokio::sync::Notify }
#[derive(Default)]
struct St { inits: u32, got: Vec<u8>, size: u64, log: Vec<String>, published: u32 }
fn resp(status: u16, body: String, cr: Option<String>) -> Response<Bytes> {
    let mut b = Response::builder().status(status);
    if let Some(cr) = cr { b = b.header("content-range", cr); }
    b.body(Bytes::from(body)).unwrap()
}
impl Fake {
    fn what(&self, name: &str) -> Do {
        let mut s = self.script.lock().unwrap();
        if s.front().is_some_and(|f| name.ends_with(f.0)) { s.pop_front().unwrap().1 } else { Do::Ok }
    }
    async fn act(&self, name: &str, d: Do, effect: impl FnOnce(&mut St) -> Response<Bytes>) -> Result<Response<Bytes>, NoAnswer> {
        self.st.lock().unwrap().log.push(format!("{name}:{d:?}"));
        let na = |k| Err(NoAnswer::new(k, &http::Method::POST, "https://x/", "scripted"));
        match d {
            Do::NotSent => na(NoAnswerKind::NotSent),
            Do::LostBefore => na(NoAnswerKind::Lost),
            Do::Kill => { self.killed.notify_one(); std::future::pending().await }
            Do::Limited => Ok(resp(429, r#"{"error":{"code":"rate_limit_exceeded","message":"x"}}"#.into(), None)),
            Do::Rejected => Ok(resp(401, r#"{"error":{"code":"access_token_invalid","message":"x"}}"#.into(), None)),
            Do::Server => Ok(resp(500, "{}".into(), None)),
            Do::Forbidden => Ok(resp(403, "{}".into(), None)),
            Do::Ok => Ok(effect(&mut self.st.lock().unwrap())),
            Do::LostAfter => { effect(&mut self.st.lock().unwrap()); na(NoAnswerKind::Lost) }
            Do::KillAfter => { effect(&mut self.st.lock().unwrap()); self.killed.notify_one(); std::future::pending().await }
        }
    }
}
impl Wire for Fake {
    fn send(&self, call: Call, _t: Duration) -> BoxFuture<'_, Result<Response<Bytes>, NoAnswer>> {
        Box::pin(async move {
            let d = self.what(call.name);
            self.act(call.name, d, |st| {
                if call.name.ends_with("init") {
                    st.inits += 1; st.got.clear();
                    let n = st.inits;
                    resp(200, format!(r#"{{"data":{{"publish_id":"v_pub~{n}","upload_url":"https://open-upload.tiktokapis.com/u?n={n}&t=SECRETURL"}},"error":{{"code":"ok"}}}}"#), None)
                } else if st.got.len() as u64 == st.size {
                    st.published = 1;
                    resp(200, r#"{"data":{"status":"PUBLISH_COMPLETE","publicaly_available_post_id":[7]},"error":{"code":"ok"}}"#.into(), None)
                } else {
                    resp(200, format!(r#"{{"data":{{"status":"PROCESSING_UPLOAD","uploaded_bytes":{}}},"error":{{"code":"ok"}}}}"#, st.got.len()), None)
                }
            }).await
        })
    }
    fn upload<'a>(&'a self, r: Request<Bytes>, hosts: &'a [&'a str], len: u64, mut body: BytesStream, _t: Duration) -> BoxFuture<'a, Result<Response<Bytes>, NoAnswer>> {
        Box::pin(async move {
            assert_eq!(hosts, ["*.tiktokapis.com"]);
            let d = self.what("upload");
            let mut all = Vec::new();
            let mut biggest = 0;
            while let Some(p) = body.next().await { let p = match p { Ok(p) => p, Err(_) => return Err(NoAnswer::new(NoAnswerKind::Lost, &http::Method::PUT, "https://x/", "source")) }; biggest = biggest.max(p.len()); all.extend_from_slice(&p); }
            assert_eq!(all.len() as u64, len);
            let cr = r.headers()["content-range"].to_str().unwrap().to_owned();
            let start: usize = cr.strip_prefix("bytes ").unwrap().split('-').next().unwrap().parse().unwrap();
            self.act(&format!("upload[{start}+{len} max {biggest}]"), d, |st| {
                if start != st.got.len() {
                    return resp(416, "{}".into(), Some(format!("bytes 0-{}/{}", st.got.len().saturating_sub(1), st.size)));
                }
                st.got.extend_from_slice(&all);
                let full = st.got.len() as u64 == st.size;
                resp(if full { 201 } else { 206 }, String::new(), Some(format!("bytes 0-{}/{}", st.got.len() - 1, st.size)))
            }).await
        })
    }
}

struct World { wiring: Wiring, clock: Arc<FixedClock>, uploads: Uploads, composer: Composer, runner: Runner, fake: Arc<Fake>, apps: Apps, user: UserId, conn: ConnectionId, sweep: Sweep, body: Vec<u8> }

async fn world() -> World {
    let url = std::env::var("SCRATCH_AWS").unwrap();
    let key = std::env::var("SCRATCH_KEY").unwrap();
    let queue = std::env::var("SCRATCH_QUEUE").unwrap();
    let env = Env::from_values([("AWS_REGION","eu-west-1"),("AWS_ACCESS_KEY_ID","test"),("AWS_SECRET_ACCESS_KEY","test"),("AWS_ENDPOINT_URL",url.as_str()),("KMS_KEY_ID",key.as_str()),("ENVIRONMENT","test")]);
    let wiring = Wiring::new(&env);
    let clock = Arc::new(FixedClock::at(wiring.clock.now()));
    let dynclock: Arc<dyn Clock> = clock.clone();
    let entropy = wiring.entropy.clone();
    let t = |n: &str| n.to_owned();
    let db = || wiring.dynamodb();
    let vault = vault::Vault::new(aws_kms(&wiring), key, "test", dynclock.clone(), entropy.clone());
    let user: UserId = format!("user-{}", entropy.below(u64::MAX)).parse().unwrap();
    let account = Account { platform: Platform::TikTok, id: "acc".into(), display_name: "A".into(), username: Some("alice".into()), profile_url: None, other_ids: Default::default() };
    let conn = ConnectionId::of(&user, Platform::TikTok, "acc");
    // a connection row, sealed
    let bundle = TokenBundle { access_token: Secret::new("act.1"), refresh_token: Some(Secret::new("rft.1")), expires_at: Some(clock.now().plus_secs(86400*3)), refresh_expires_at: None, scopes: vec!["video.publish".into(),"video.upload".into()], extra: Default::default() };
    let k = vault.new_key(conn.as_str()).await.unwrap();
    let mut row = store::Connection { user_id: user.clone(), connection_id: conn.clone(), platform: Platform::TikTok, account, status: ConnectionStatus::Active, reason: None, sealed: None, token_version: 1, scopes: bundle.scopes.clone(), missing_scopes: vec![], expires_at: bundle.expires_at, refresh_expires_at: None, issued_at: clock.now(), used_at: clock.now(), due_at: None, lease_holder: None, lease_until: None, lease_abandoned_at: None, spent_since: None, failures: 0, last_fault: None, revocation: None, created_at: clock.now(), updated_at: clock.now() };
    let keys = row.keys();
    let sealed = vault.seal(&k, &row.place(&keys, 1), &serde_json::to_vec(&bundle).unwrap()).unwrap();
    row.sealed = Some(sealed);
    put(&wiring, &row).await;
    let tokens = tokens::Tokens::new(tokens::Parts { connections: Connections::new(db(), t("connections")), accounts: Accounts::new(db(), t("accounts")), events: Events::new(db(), t("events")), revocations: Revocations::new(db(), t("revocations")), flows: Flows::new(db(), t("flows")), platforms: Platforms::new(db(), t("platforms")), vault, transport: wiring.transport(&env).unwrap(), sqs: wiring.sqs(), rescue_queue: queue.clone(), clock: dynclock.clone(), entropy: entropy.clone(), timing: tokens::Timing { settle: Duration::ZERO, rescue_delay: Duration::ZERO, lease: Duration::from_secs(30), http_timeout: Duration::from_secs(5) } });
    let media = MediaTable::new(db(), t("media"));
    let targets = Targets::new(db(), t("targets"));
    let files = Files::new(wiring.s3(), "media");
    let pq = PublishQueue::new(wiring.sqs(), queue);
    let uploads = Uploads { media: media.clone(), targets: targets.clone(), files: files.clone(), clock: dynclock.clone(), entropy: entropy.clone() };
    let composer = Composer { posts: Posts::new(db(), t("posts")), targets: targets.clone(), events: Events::new(db(), t("events")), media, connections: Connections::new(db(), t("connections")), queue: pq.clone(), clock: dynclock.clone(), entropy: entropy.clone() };
    let fake = Arc::new(Fake { script: Default::default(), st: Default::default(), killed: Default::default() });
    let runner = Runner { targets: targets.clone(), events: Events::new(db(), t("events")), tokens, wire: fake.clone(), files, queue: pq.clone(), settings: RunnerSettings { lease: Duration::from_secs(150), call_timeout: Duration::from_secs(10) }, clock: dynclock.clone(), entropy: entropy.clone() };
    let sweep = Sweep { targets, queue: pq, late: Duration::from_secs(60), clock: dynclock, entropy };
    let apps = Apps::parse(&Secret::new(r#"{"tiktok":{"client_key":"k","client_secret":"s","chunk_bytes":5242880}}"#)).unwrap();
    let mut body: Vec<u8> = (0..17_000_000u32).map(|n| (n.wrapping_mul(2654435761) >> 13) as u8).collect();
    body[..12].copy_from_slice(b"\0\0\0\x18ftypisom");
    World { wiring, clock, uploads, composer, runner, fake, apps, user, conn, sweep, body }
}
fn aws_kms(w: &Wiring) -> aws_sdk_kms::Client { aws_sdk_kms::Client::new(w.aws.config()) }
async fn put(w: &Wiring, row: &store::Connection) {
    let item: std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue> = serde_dynamo::to_item(row).unwrap();
    w.dynamodb().put_item().table_name("connections").set_item(Some(item)).send().await.unwrap();
}
impl World {
    async fn media(&self) -> MediaId {
        let new = NewMedia { size: self.body.len() as u64, content_type: Some("video/mp4".into()) };
        let (m, p) = self.uploads.begin(&self.user, &new, Some("k1")).await.unwrap();
        let (m2, _) = self.uploads.begin(&self.user, &new, Some("k1")).await.unwrap();
        assert_eq!(m.id, m2.id);
        assert!(matches!(self.uploads.begin(&self.user, &NewMedia { size: 5, content_type: None }, Some("k1")).await, Err(PostsError::KeyReused)));
        if m.status == MediaStatus::Ready { return m.id; }
        assert_eq!(p.parts.len(), 3);
        let http = reqwest::Client::new();
        let mut list = vec![];
        for part in &p.parts {
            let a = (part.part_number as usize - 1) * m.part_size as usize;
            let r = http.put(part.url.as_ref().unwrap()).body(self.body[a..a + part.size as usize].to_vec()).send().await.unwrap();
            assert!(r.status().is_success(), "{}", r.status());
            list.push(SentPart { part_number: part.part_number, etag: r.headers()["etag"].to_str().unwrap().into() });
            if part.part_number == 1 {
                let pv = self.uploads.parts(&self.user, &m.id, 0).await.unwrap();
                println!("resume: {}", serde_json::to_string_pretty(&pv).unwrap());
                assert!(pv.parts[0].uploaded && !pv.parts[1].uploaded);
            }
        }
        let bad = PartList { parts: vec![list[1].clone(), list[0].clone(), list[2].clone()] };
        println!("{:?}", self.uploads.complete(&self.user, &m.id, &bad).await.unwrap_err());
        let bad = PartList { parts: vec![list[0].clone()] };
        if let Err(PostsError::Invalid(v)) = self.uploads.complete(&self.user, &m.id, &bad).await { println!("{v:?}") } else { panic!() }
        let list = PartList { parts: list };
        let ready = self.uploads.complete(&self.user, &m.id, &list).await.unwrap();
        assert_eq!(ready.kind, Some(MediaKind::Mp4));
        let again = self.uploads.complete(&self.user, &m.id, &list).await.unwrap();
        assert_eq!(ready, again);
        println!("{}", serde_json::to_string_pretty(&ready).unwrap());
        m.id
    }
    async fn post(&self, media: &MediaId, key: &str) -> PostView {
        let new: NewPost = serde_json::from_value(serde_json::json!({"text":"hello","media":[media],"targets":[{"connection_id":self.conn,"options":{"privacy":"SELF_ONLY"}}]})).unwrap();
        let p = self.composer.create(&self.user, &new, Some(key)).await.unwrap();
        let q = self.composer.create(&self.user, &new, Some(key)).await.unwrap();
        assert_eq!(p.id, q.id);
        p
    }
    async fn drive(&self, p: &PostView, script: &[(&'static str, Do)]) -> Target {
        *self.fake.script.lock().unwrap() = script.iter().copied().collect();
        { let mut st = self.fake.st.lock().unwrap(); *st = St { size: self.body.len() as u64, ..St::default() }; }
        let (post, tgt) = (p.id.clone(), p.targets[0].id.clone());
        for _ in 0..60 {
            let t = self.runner.targets.get(&post, &tgt).await.unwrap().unwrap();
            if t.status.is_settled() { return t; }
            let due = t.due_at.unwrap();
            let now = self.clock.now();
            if due > now { self.clock.advance(due.since(now).as_millis().div_ceil(1000) as i64); }
            let m = Message { post_id: post.clone(), target_id: tgt.clone(), step: t.step };
            let deadline = self.clock.now().plus_secs(120);
            tokio::select! {
                r = self.runner.run(&self.apps, &m, deadline) => println!("  ran {:?} step {}", r, t.step),
                () = self.fake.killed.notified() => println!("  killed"),
            }
        }
        panic!("never settled");
    }
    fn check(&self, t: &Target, inits: u32) {
        let st = self.fake.st.lock().unwrap();
        println!("{:?} {:?} fault={:?} {:#?}", t.status, t.published, t.fault.as_ref().map(|f| f.to_string()), st.log);
        assert_eq!(t.status, TargetStatus::Published);
        assert_eq!(st.inits, inits);
        assert!(st.got == self.body, "bytes differ");
        assert!(t.sealed.is_none() && t.intent.is_none() && t.holder.is_none() && t.due_at.is_none());
    }
}

#[tokio::test]
async fn flow() {
    if std::env::var("SCRATCH_AWS").is_err() { return; }
    let w = world().await;
    let media = w.media().await;
    use Do::*;
    let p = w.post(&media, "plain").await;
    println!("{}", serde_json::to_string_pretty(&p).unwrap());
    assert!(matches!(w.uploads.delete(&w.user, &media).await, Err(PostsError::Conflict{code:"media_in_use",..})));
    let t = w.drive(&p, &[]).await;
    w.check(&t, 1);
    println!("{}", serde_json::to_string_pretty(&w.composer.get(&w.user, &p.id).await.unwrap()).unwrap());
    // late news
    let told = told(&t, &PublishNews::Public(PublishedPost { ids: vec!["9".into()], url: None }), w.clock.now());
    if let Told::Change(c) = told {
        let tr = w.runner.targets.tell(Transaction::new(AttemptId::new(w.clock.now(), w.composer.entropy.as_ref())), &t, &c.progress, w.clock.now()).unwrap();
        let tr = w.runner.events.tell(tr, c.event.as_ref().unwrap()).unwrap();
        assert_eq!(tr.run(&w.wiring.dynamodb()).await.unwrap(), Transacted::Done);
        let t2 = w.runner.targets.get(&p.id, &t.target_id).await.unwrap().unwrap();
        println!("told {:?}", t2.published);
    } else { panic!("{told:?}") }
    let found = w.runner.targets.of_publish(Platform::TikTok, "v_pub~1").await.unwrap();
    println!("by publish id: {}", found.len());
    for (name, script, inits) in [
        ("kills", vec![("upload", Ok), ("upload", Kill), ("upload", KillAfter), ("upload", Ok)], 1),
        ("init-kill", vec![("init", KillAfter)], 2),
        ("init-notsent", vec![("init", NotSent), ("init", Limited), ("init", Rejected)], 1),
        ("init-server", vec![("init", Server)], 1),
        ("chunk", vec![("upload", NotSent), ("upload", LostAfter), ("upload", LostBefore), ("upload", Server)], 1),
        ("last", vec![("upload", Ok), ("upload", Ok), ("upload", LostAfter)], 1),
        ("forbidden", vec![("upload", Ok), ("upload", Forbidden)], 2),
        ("status", vec![("status", LostBefore), ("status", Limited), ("status", Server), ("status", Kill)], 1),
    ] {
        println!("=== {name}");
        let p = w.post(&media, name).await;
        let t = w.drive(&p, &script).await;
        if name == "init-notsent" && t.status == TargetStatus::Failed { println!("{:?} {:?}", t.fault, w.fake.st.lock().unwrap().log); continue; }
        w.check(&t, inits);
    }
    // sweep
    let p = w.post(&media, "sweep").await;
    w.clock.advance(61);
    let mut total = 0;
    for s in 0..store::due::SHARDS { let r = w.sweep.shard(&store::due::shard_name(s), w.clock.now().plus_secs(50)).await.unwrap(); total += r.woken; }
    println!("swept {total}");
    assert!(total >= 1);
    let t = w.runner.targets.get(&p.id, &p.targets[0].id).await.unwrap().unwrap();
    assert_eq!(t.due_at, Some(w.clock.now().plus_secs(300)));
    // unknown -> resolve
    println!("=== two workers");
    let m = Message::of(&t);
    let d = w.clock.now().plus_secs(120);
    w.fake.st.lock().unwrap().got.clear();
    *w.fake.st.lock().unwrap() = St { size: w.body.len() as u64, ..St::default() };
    let (a, b, c) = tokio::join!(w.runner.run(&w.apps, &m, d), w.runner.run(&w.apps, &m, d), w.runner.run(&w.apps, &m, d));
    println!("{a:?} {b:?} {c:?}");
    let t = w.drive_on(&p).await;
    w.check(&t, 1);
    // deleted after all
    for post in w.composer.list(&w.user, None, 5).await.unwrap().0 { println!("{} {:?}", post.id, post.status); }
    w.uploads.delete(&w.user, &media).await.unwrap();
    assert!(matches!(w.uploads.get(&w.user, &media).await, Err(PostsError::NotFound{..})));
    // rejected by content
    let new = NewMedia { size: 6, content_type: None };
    let (m, pv) = w.uploads.begin(&w.user, &new, None).await.unwrap();
    let r = reqwest::Client::new().put(pv.parts[0].url.as_ref().unwrap()).body("<html>").send().await.unwrap();
    let list = PartList { parts: vec![SentPart { part_number: 1, etag: r.headers()["etag"].to_str().unwrap().into() }] };
    println!("{:?}", w.uploads.complete(&w.user, &m.id, &list).await.unwrap_err());
    assert!(matches!(w.uploads.get(&w.user, &m.id).await, Err(PostsError::NotFound{..})));
    // outcome unknown -> resolve both ways
    let (m, pv) = w.uploads.begin(&w.user, &NewMedia { size: 12, content_type: None }, None).await.unwrap();
    let r = reqwest::Client::new().put(pv.parts[0].url.as_ref().unwrap()).body(b"\0\0\0\x18ftypisom".to_vec()).send().await.unwrap();
    let list = PartList { parts: vec![SentPart { part_number: 1, etag: r.headers()["etag"].to_str().unwrap().into() }] };
    w.uploads.complete(&w.user, &m.id, &list).await.unwrap();
    let p = w.post(&m.id, "unknown").await;
    let t = w.runner.targets.get(&p.id, &p.targets[0].id).await.unwrap().unwrap();
    let prog = Progress { status: TargetStatus::OutcomeUnknown, state: Some("{}".into()), sealed: SealedPart::Keep, due_at: None, tries: 0, fault: Some(Fault::new(FaultKind::PlatformDown)), published: None, publish_key: None, sent_bytes: 0, queued_at: t.queued_at, keep_until: None };
    w.runner.targets.advance(&t, None, &prog, w.clock.now(), None, AttemptId::new(w.clock.now(), w.composer.entropy.as_ref())).await.unwrap().unwrap();
    let v = w.composer.resolve(&w.user, &p.id, &t.target_id, &Resolution::PostAgain {}).await.unwrap();
    println!("{}", serde_json::to_string(&v).unwrap());
    assert!(matches!(w.composer.resolve(&w.user, &p.id, &t.target_id, &Resolution::PostAgain {}).await, Err(PostsError::Conflict{..})));
    let other: UserId = "other".parse().unwrap();
    assert!(matches!(w.composer.get(&other, &p.id).await, Err(PostsError::NotFound{..})));
}
impl World {
    async fn drive_on(&self, p: &PostView) -> Target {
        for _ in 0..30 {
            let t = self.runner.targets.get(&p.id, &p.targets[0].id).await.unwrap().unwrap();
            if t.status.is_settled() { return t; }
            let due = t.due_at.unwrap();
            let now = self.clock.now();
            if due > now { self.clock.advance(due.since(now).as_millis().div_ceil(1000) as i64); }
            println!("  {:?}", self.runner.run(&self.apps, &Message::of(&t), self.clock.now().plus_secs(120)).await);
        }
        panic!()
    }
}
