//! The rest of posting: what may be chosen, photos that the platform fetches, files at the product's own
//! address, limits, taking a post back, drafts.

use local::{Fault, Rule, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::files::FileHost;
use crate::world::{Item, SOON, USER, World, number, text};

fn direct() -> Value {
    json!({ "mode": "direct", "privacy": "SELF_ONLY" })
}

async fn ask(world: &World, method: Method, path: &str, body: Option<Value>, status: u16) -> Value {
    let status = StatusCode::from_u16(status).unwrap();
    world.user.call(method, path, body, status).await.unwrap()
}

/// A JPEG as far as headers go: 640 × 480.
fn jpeg(tail: u8) -> Vec<u8> {
    let mut bytes = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
    bytes.extend(b"\xFF\xC0\0\x11\x08\x01\xE0\x02\x80\x03\x01\x22\0\x02\x11\x01\x03\x11\x01");
    bytes.extend([tail; 64]);
    bytes.extend(b"\xFF\xD9");
    bytes
}

async fn photo(world: &World, tail: u8) -> String {
    let path = std::env::temp_dir().join(format!("passerelle-{}-{tail}.jpg", std::process::id()));
    std::fs::write(&path, jpeg(tail)).unwrap();
    world.user.upload(&path).await.unwrap()
}

async fn rows_of(world: &World, noun: &str, name: &str, value: &str) -> Vec<Item> {
    let mut rows = world.items(noun).await;
    rows.retain(|row| text(row, name) == value);
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_chosen_is_the_platforms_word_of_this_moment() {
    let world = World::new().await;
    let connection = world.connect(USER).await;
    let path = format!("/v1/connections/{connection}/posting-choices");
    let choices = ask(&world, Method::GET, &path, None, 200).await;
    let options = choices["privacy"].as_array().unwrap();
    assert!(options.contains(&json!("SELF_ONLY")), "{choices}");
    assert!(choices["max_video_seconds"].as_u64().is_some(), "{choices}");
    assert!(choices["creator"]["username"].is_string(), "{choices}");
    // The twenty of a minute are ours to keep: the platform never has to refuse.
    for _ in 1..20 {
        ask(&world, Method::GET, &path, None, 200).await;
    }
    let refused = ask(&world, Method::GET, &path, None, 429).await;
    assert_eq!(refused["code"], "rate_limited");
    assert!(refused["until"].is_string(), "{refused}");
    assert_eq!(world.calls("creator_info").await, 20);
    // Another user's connection does not exist here.
    let other = world.backend.clone().on_behalf_of("somebody_else");
    let absent = other.call(Method::GET, &path, None, StatusCode::NOT_FOUND);
    absent.await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_are_fetched_by_the_platform_from_our_bucket() {
    let world = World::new().await;
    let connection = world.connect(USER).await;
    let (one, two) = (photo(&world, 1).await, photo(&world, 2).await);
    let mut options = direct();
    options["title"] = json!("Two soups");
    options["cover_index"] = json!(1);
    let body = json!({
        "text": "A description", "media": [one, two],
        "targets": [{ "connection_id": connection, "options": options }],
    });
    let post = ask(&world, Method::POST, "/v1/posts", Some(body), 201).await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    let publish = world.publishes().await.remove(0);
    let pulled = publish["pulled"].as_array().unwrap();
    let hashes: Vec<_> = pulled.iter().map(|file| file["sha256"].clone()).collect();
    let expected: Vec<_> = [1, 2]
        .map(|tail| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &jpeg(tail)))
        .iter()
        .map(|hash| json!(data_encoding::HEXLOWER.encode(hash.as_ref())))
        .collect();
    assert_eq!(hashes, expected, "{publish}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_at_the_products_address_is_fetched_slice_by_slice_and_posted() {
    let host = FileHost::start().await;
    let world = World::beside(&[("files.product.example", host.url())], |options| options).await;
    let connection = world.connect(USER).await;
    let size = 22_000_000;
    let whole = std::fs::read(world.file(size)).unwrap();
    host.serve("/a.mp4", &whole);
    // The worker dies over the second part, and again before the parts are put together; what is
    // stored stays.
    let dies = |call: &str, nth| {
        let rule = Rule::on(call).by("publish-worker").nth(nth);
        world.stack.fault(rule, Fault::KillAfter)
    };
    let killed = dies("s3:UploadPart", 2);
    let killed_last = dies("s3:UploadPart", 3);
    let url = json!({ "url": "https://files.product.example/a.mp4" });
    let media = ask(&world, Method::POST, "/v1/media", Some(url), 201).await;
    assert_eq!(media["status"], "fetching");
    let path = format!("/v1/media/{}", media["id"].as_str().unwrap());
    let ready = eventually("the file", SOON, || async {
        let media = world
            .user
            .call(Method::GET, &path, None, StatusCode::OK)
            .await?;
        anyhow::ensure!(media["status"] != "failed", "{media}");
        Ok((media["status"] == "ready").then_some(media))
    });
    let ready = ready.await.unwrap();
    assert!(
        killed.fired() > 0 && killed_last.fired() > 0,
        "nothing was killed"
    );
    assert_eq!(ready["size"], size);
    assert!(ready["duration_ms"].as_u64().is_some(), "{ready}");
    let first = host.ranges();
    // 22,000,000 bytes are two parts of 8 MiB and a rest.
    assert_eq!(
        first,
        [0, 16_777_216, 22_000_000],
        "it went on where it was"
    );
    let id = ready["id"].as_str().unwrap();
    let post = world.post(&connection, id, direct()).await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    let publish = world.publishes().await.remove(0);
    let hash = local::demo::media::sha256(&world.file(size)).unwrap();
    assert_eq!(publish["upload"]["sha256"], hash.as_str());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_to_be_had_says_so_and_is_never_posted() {
    let host = FileHost::start().await;
    let world = World::beside(&[("files.product.example", host.url())], |options| options).await;
    host.redirect("/moved.mp4", "https://files.product.example/a.mp4");
    host.serve("/page.mp4", b"<html>nothing</html>");
    for name in ["moved.mp4", "page.mp4", "absent.mp4"] {
        let url = json!({ "url": format!("https://files.product.example/{name}") });
        let media = ask(&world, Method::POST, "/v1/media", Some(url), 201).await;
        let path = format!("/v1/media/{}", media["id"].as_str().unwrap());
        let failed = eventually("the end of the file", SOON, || async {
            let media = world
                .user
                .call(Method::GET, &path, None, StatusCode::OK)
                .await?;
            Ok((media["status"] == "failed").then_some(media))
        });
        let failed = failed.await.unwrap();
        assert!(failed["fault"]["sentence"].is_string(), "{failed}");
    }
    for (url, code) in [
        ("http://files.product.example/a.mp4", "not_public"),
        ("https://127.0.0.1/a.mp4", "not_public"),
        ("https://169.254.169.254/latest", "not_public"),
        ("https://user:pass@files.product.example/a", "not_public"),
    ] {
        let refused = ask(
            &world,
            Method::POST,
            "/v1/media",
            Some(json!({ "url": url })),
            422,
        )
        .await;
        assert_eq!(refused["errors"][0]["code"], code, "{url}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_address_is_handed_to_the_platform_itself() {
    let host = FileHost::start().await;
    let prefix = "https://files.product.example/verified/";
    let hosts = [("files.product.example", host.url())];
    let world = World::beside(&hosts, |options| {
        options.parameter("VerifiedMediaPrefixes", prefix)
    })
    .await;
    let verified = json!({ "verified_url_prefixes": [prefix] });
    let app = format!("/apps/{}", crate::world::CLIENT_KEY);
    world.control(Method::POST, &app, verified).await;
    let origins = json!({ "pull_origins": { "https://files.product.example": host.url() } });
    world.settings(origins).await;
    let connection = world.connect(USER).await;
    let file = std::fs::read(world.file(40_000)).unwrap();
    host.serve("/verified/a.mp4", &file);
    let url = json!({ "url": format!("{prefix}a.mp4") });
    let media = ask(&world, Method::POST, "/v1/media", Some(url), 201).await;
    assert_eq!(media["status"], "ready");
    let mut options = direct();
    options["transfer"] = json!("pull");
    let id = media["id"].as_str().unwrap();
    let post = world.post(&connection, id, options).await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    let publish = world.publishes().await.remove(0);
    assert_eq!(publish["pulled"][0]["received"], file.len());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seventh_start_of_a_minute_waits_and_says_until_when() {
    let world = World::new().await;
    let connection = world.connect(USER).await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let mut posts = Vec::new();
    for _ in 0..7 {
        let post = world.post(&connection, &media, direct()).await;
        posts.push(post["id"].as_str().unwrap().to_owned());
    }
    let waits = eventually("six published and one that waits", SOON, || async {
        let mut published = 0;
        let mut waits = None;
        for post in &posts {
            let target = world.target(post).await;
            match target["status"].as_str() {
                Some("published") => published += 1,
                _ if target["fault"]["code"] == "rate_limited" => waits = Some(target),
                _ => {}
            }
        }
        Ok(waits.filter(|_| published == 6))
    });
    let target = waits.await.unwrap();
    assert!(target["fault"]["until"].is_string(), "{target}");
    assert!(target["next_at"].is_string(), "{target}");
    assert_eq!(
        world.calls("init").await,
        6,
        "the platform never had to refuse"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixth_draft_waits_until_the_creator_has_posted_one() {
    let world = World::new().await;
    let connection = world.connect(USER).await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let mut posts = Vec::new();
    for _ in 0..5 {
        let post = world
            .post(&connection, &media, json!({ "mode": "inbox" }))
            .await;
        let id = post["id"].as_str().unwrap().to_owned();
        world.until_target(&id, "inbox").await;
        posts.push(id);
    }
    let sixth = world
        .post(&connection, &media, json!({ "mode": "inbox" }))
        .await;
    let sixth = sixth["id"].as_str().unwrap();
    eventually("the sixth's wait", SOON, || async {
        let target = world.target(sixth).await;
        Ok((target["fault"]["code"] == "quota_used").then_some(()))
    })
    .await
    .unwrap();
    let publish = world.publishes().await.remove(0);
    let path = format!(
        "/publishes/{}/post",
        publish["publish_id"].as_str().unwrap()
    );
    world.control(Method::POST, &path, json!({})).await;
    eventually("the draft's publication", SOON, || async {
        let first = world.target(&posts[0]).await;
        Ok((first["status"] == "published").then_some(()))
    })
    .await
    .unwrap();
    // Its time comes before the day is over: the place was given back by the webhook.
    let row = rows_of(&world, "targets", "post_id", sixth).await.remove(0);
    assert!(number(&row, "due_at") > 0);
    world.target_due(&row).await;
    world.until_target(sixth, "inbox").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_taken_back_while_nothing_of_it_can_be_published() {
    let world = World::new().await;
    world.configure(json!({ "chunk_bytes": 5_242_880 })).await;
    let connection = world.connect(USER).await;
    let media = world.user.upload(&world.file(22_000_000)).await.unwrap();
    world
        .fault(json!({ "endpoint": "upload", "skip": 1, "hold": "before" }))
        .await;
    let post = world.post(&connection, &media, direct()).await;
    let id = post["id"].as_str().unwrap();
    world.held("upload").await;
    let path = format!("/v1/posts/{id}/cancel");
    let asked = ask(&world, Method::POST, &path, None, 202).await;
    assert_eq!(asked["targets"][0]["cancel_requested"], true, "{asked}");
    world.release().await;
    world.until_target(id, "cancelled").await;
    assert_eq!(world.published().await, 0);
    let again = ask(&world, Method::POST, &path, None, 202).await;
    assert_eq!(again["status"], "cancelled");
    let told = world.events(USER).await;
    assert_eq!(told.last().map(String::as_str), Some("post.cancelled"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_the_platform_still_fetches_is_cancelled_there() {
    let world = World::new().await;
    world.settings(json!({ "pulling": "held" })).await;
    let connection = world.connect(USER).await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let mut options = direct();
    options["transfer"] = json!("pull");
    let post = world.post(&connection, &media, options).await;
    let id = post["id"].as_str().unwrap();
    eventually("the start", SOON, || async {
        Ok((world.target(id).await["status"] == "publishing").then_some(()))
    })
    .await
    .unwrap();
    let target = world.target(id).await;
    let path = format!(
        "/v1/posts/{id}/targets/{}/cancel",
        target["id"].as_str().unwrap()
    );
    ask(&world, Method::POST, &path, None, 202).await;
    world.until_target(id, "cancelled").await;
    assert_eq!(
        (world.calls("cancel").await, world.published().await),
        (1, 0)
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_is_out_is_not_taken_back() {
    let world = World::new().await;
    let connection = world.connect(USER).await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let post = world.post(&connection, &media, direct()).await;
    let id = post["id"].as_str().unwrap();
    world.until_target(id, "published").await;
    let path = format!("/v1/posts/{id}/cancel");
    let refused = ask(&world, Method::POST, &path, None, 409).await;
    assert_eq!(refused["errors"][0]["code"], "nothing_to_cancel");
    world.end().await;
}
