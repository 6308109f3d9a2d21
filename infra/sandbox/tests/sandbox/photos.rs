//! Photos: form, modes, scopes, the images themselves.

use serde_json::{Value, json};

use crate::origin::{Origin, jpeg, movie, webp};
use crate::rig::{AUDITED, KEY, Rig, sha256, text};

const INIT: &str = "/content/init/";

fn photos(mode: &str, urls: &[String], cover: u64) -> Value {
    json!({"media_type": "PHOTO", "post_mode": mode,
        "post_info": {"title": "Three soups", "description": "All of them", "privacy_level":
            "SELF_ONLY", "disable_comment": false, "auto_add_music": true,
            "brand_content_toggle": false, "brand_organic_toggle": false},
        "source_info": {"source": "PULL_FROM_URL", "photo_images": urls,
            "photo_cover_index": cover}})
}

fn urls(count: usize) -> Vec<String> {
    let url = |number| format!("https://media.example.org/{number}.webp");
    (0..count).map(url).collect()
}

async fn open(rig: &Rig) {
    rig.settings(json!({"rate_limits": false, "posting_caps": false, "pulling": "held"}))
        .await;
}

#[tokio::test]
async fn the_form_is_checked() {
    let rig = Rig::start().await;
    open(&rig).await;
    let token = rig.access(AUDITED, "joris").await;
    let bad = (400, "invalid_param");
    let mismatch = (403, "privacy_level_option_mismatch");
    let ok = (200, "ok");
    // The place of the change, the value there (null leaves it out), direct and draft answers.
    let cases = [
        ("/media_type", json!("PHOTO"), ok, ok),
        ("/media_type", json!("VIDEO"), bad, bad),
        ("/media_type", Value::Null, bad, bad),
        ("/post_mode", json!("DIRECT POST"), bad, bad),
        ("/post_mode", Value::Null, bad, bad),
        ("/post_info", Value::Null, bad, ok),
        ("/post_info", json!("none"), bad, bad),
        ("/post_info/title", json!("é".repeat(90)), ok, ok),
        ("/post_info/title", json!("é".repeat(91)), bad, bad),
        // Two UTF-16 units each.
        ("/post_info/title", json!("🍲".repeat(45)), ok, ok),
        ("/post_info/title", json!("🍲".repeat(46)), bad, bad),
        ("/post_info/description", json!("x".repeat(4000)), ok, ok),
        ("/post_info/description", json!("x".repeat(4001)), bad, bad),
        ("/post_info/description", json!(["x"]), bad, bad),
        ("/post_info/disable_comment", json!(1), bad, bad),
        ("/post_info/auto_add_music", json!("yes"), bad, bad),
        ("/post_info/brand_content_toggle", Value::Null, bad, ok),
        ("/post_info/brand_organic_toggle", Value::Null, bad, ok),
        ("/post_info/privacy_level", Value::Null, mismatch, ok),
        (
            "/post_info/privacy_level",
            json!("FOLLOWER_OF_CREATOR"),
            mismatch,
            ok,
        ),
        ("/post_info/privacy_level", json!(3), bad, bad),
        ("/source_info", Value::Null, bad, bad),
        ("/source_info/source", json!("FILE_UPLOAD"), bad, bad),
        ("/source_info/source", Value::Null, bad, bad),
        ("/source_info/photo_images", json!([]), bad, bad),
        (
            "/source_info/photo_images",
            json!("https://media.example.org/1.webp"),
            bad,
            bad,
        ),
        ("/source_info/photo_images", json!(urls(35)), ok, ok),
        ("/source_info/photo_images", json!(urls(36)), bad, bad),
        (
            "/source_info/photo_images",
            json!([urls(1)[0], 7]),
            bad,
            bad,
        ),
        (
            "/source_info/photo_images",
            json!(["http://media.example.org/1.webp"]),
            bad,
            bad,
        ),
        (
            "/source_info/photo_images",
            json!([urls(1)[0], "https://192.0.2.1/1.webp"]),
            bad,
            bad,
        ),
        ("/source_info/photo_cover_index", json!(2), ok, ok),
        ("/source_info/photo_cover_index", json!(3), bad, bad),
        ("/source_info/photo_cover_index", json!(-1), bad, bad),
        ("/source_info/photo_cover_index", json!("0"), bad, bad),
        ("/source_info/photo_cover_index", Value::Null, bad, bad),
    ];
    for (place, value, direct, draft) in cases {
        for (mode, (status, code)) in [("DIRECT_POST", direct), ("MEDIA_UPLOAD", draft)] {
            let count = value.as_array().map_or(3, |_| 1);
            let mut body = photos(mode, &urls(3), if count == 1 { 0 } else { 1 });
            *body.pointer_mut(place).unwrap() = value.clone();
            let answer = rig.post(&token, INIT, &body, status).await;
            assert_eq!(answer["error"]["code"], code, "{mode} {place} {value}");
            if status == 200 {
                let id = text(&answer["data"]["publish_id"]);
                assert!(id.starts_with("p_pub_url~v2.") && id.len() <= 64, "{id}");
            }
        }
    }
    rig.settings(json!({"brand_toggles": "optional"})).await;
    let mut body = photos("DIRECT_POST", &urls(1), 0);
    body["post_info"] = json!({"privacy_level": "SELF_ONLY"});
    rig.post(&token, INIT, &body, 200).await;
    // One URL of another's is enough.
    let mut mixed = urls(2);
    mixed[1] = "https://media.example.net/2.webp".into();
    let answer = rig
        .post(&token, INIT, &photos("MEDIA_UPLOAD", &mixed, 0), 403)
        .await;
    assert_eq!(answer["error"]["code"], "url_ownership_unverified");
}

#[tokio::test]
async fn the_mode_decides_the_scope() {
    let rig = Rig::start().await;
    open(&rig).await;
    let (direct, draft) = ("DIRECT_POST", "MEDIA_UPLOAD");
    let refused = (401, "scope_not_authorized");
    let cases = [
        (vec!["video.publish"], direct, (200, "ok")),
        (vec!["video.publish"], draft, refused),
        (vec!["video.upload"], direct, refused),
        (vec!["video.upload"], draft, (200, "ok")),
        (vec!["video.list"], direct, refused),
        // Neither scope: said before the form is looked at.
        (vec!["video.list"], "", refused),
        (vec!["video.upload"], "", (400, "invalid_param")),
    ];
    for (scopes, mode, (status, code)) in cases {
        let asked = json!({"client_key": AUDITED, "user": "joris", "scopes": scopes});
        let token = text(&rig.control("/grants", asked).await["access_token"]);
        let answer = rig
            .post(&token, INIT, &photos(mode, &urls(1), 0), status)
            .await;
        assert_eq!(answer["error"]["code"], code, "{scopes:?} {mode}");
    }
}

#[tokio::test]
async fn an_old_app_takes_no_photo_drafts() {
    let rig = Rig::start().await;
    open(&rig).await;
    rig.control("/users/joris", json!({"old_app": true})).await;
    let token = rig.access(AUDITED, "joris").await;
    for (mode, status, code) in [
        ("MEDIA_UPLOAD", 400, "app_version_check_failed"),
        ("DIRECT_POST", 200, "ok"),
    ] {
        let answer = rig
            .post(&token, INIT, &photos(mode, &urls(1), 0), status)
            .await;
        assert_eq!(answer["error"]["code"], code);
    }
}

#[tokio::test]
async fn unaudited_apps_post_photos_to_private_accounts_alone() {
    let rig = Rig::start().await;
    open(&rig).await;
    let code = "unaudited_client_can_only_post_to_private_accounts";
    for (user, mode, status, code) in [
        ("mara", "DIRECT_POST", 200, "ok"),
        ("joris", "DIRECT_POST", 403, code),
        ("joris", "MEDIA_UPLOAD", 200, "ok"),
    ] {
        let token = rig.access(KEY, user).await;
        let answer = rig
            .post(&token, INIT, &photos(mode, &urls(1), 0), status)
            .await;
        assert_eq!(answer["error"]["code"], code, "{user} {mode}");
    }
}

#[tokio::test]
async fn images_are_jpeg_or_webp_of_1080p() {
    let rig = Rig::start().await;
    let origin = Origin::start(&rig).await;
    rig.settings(json!({"rate_limits": false, "posting_caps": false, "processing_ms": 0}))
        .await;
    let token = rig.access(AUDITED, "joris").await;
    let large = |len: usize| {
        let mut image = jpeg(1080, 1920, 100);
        image.resize(len, 0);
        image
    };
    let format = Some("file_format_check_failed");
    let size = Some("picture_size_check_failed");
    let cases = [
        (jpeg(1080, 1920, 60_000), None),
        (jpeg(1920, 1080, 10), None),
        (webp(1080, 1080), None),
        (jpeg(1081, 1921, 10), size),
        (webp(1920, 1920), size),
        (large(20 << 20), None),
        (large((20 << 20) + 1), size),
        (b"\x89PNG\r\n\x1A\n0000".to_vec(), format),
        (b"GIF89a......".to_vec(), format),
        (movie(b"isom", 3, 720, 1280), format),
    ];
    for (number, (image, reason)) in cases.into_iter().enumerate() {
        let length = image.len();
        let good = origin.serve("/good.webp", webp(720, 1280));
        let url = origin.serve(&format!("/{number}"), image);
        let body = photos("MEDIA_UPLOAD", &[good, url], 1);
        let answer = rig.post(&token, INIT, &body, 200).await;
        let id = text(&answer["data"]["publish_id"]);
        let seen = rig
            .publish(&id, |one| one["status"] != "PROCESSING_DOWNLOAD")
            .await;
        assert_eq!(
            seen["fail_reason"],
            json!(reason),
            "{number}, {length} bytes"
        );
    }
}

#[tokio::test]
async fn photos_are_pulled_in_order_and_one_missing_fails_all() {
    let rig = Rig::start().await;
    let origin = Origin::start(&rig).await;
    let images = [jpeg(720, 1280, 10), webp(720, 1280), jpeg(640, 640, 3)];
    let mut list: Vec<String> = images
        .iter()
        .enumerate()
        .map(|(at, image)| origin.serve(&format!("/{at}"), image.clone()))
        .collect();
    let token = rig.access(AUDITED, "joris").await;
    let answer = rig
        .post(&token, INIT, &photos("DIRECT_POST", &list, 2), 200)
        .await;
    let id = text(&answer["data"]["publish_id"]);
    let seen = rig
        .publish(&id, |one| one["status"] == "PUBLISH_COMPLETE")
        .await;
    for (at, image) in images.iter().enumerate() {
        assert_eq!(seen["pulled"][at]["sha256"], sha256(image));
    }
    let sum: usize = images.iter().map(Vec::len).sum();
    assert_eq!(rig.status(&token, &id).await["downloaded_bytes"], sum);
    list.insert(1, "https://media.example.org/missing".into());
    let answer = rig
        .post(&token, INIT, &photos("DIRECT_POST", &list, 2), 200)
        .await;
    let id = text(&answer["data"]["publish_id"]);
    let seen = rig.publish(&id, |one| one["status"] == "FAILED").await;
    assert_eq!(seen["fail_reason"], "photo_pull_failed");
    assert_eq!(
        seen["pulled"][2]["status"],
        Value::Null,
        "nothing after the missing one"
    );
}
