//! `PULL_FROM_URL` of videos: form, ownership, the fetch itself.

use serde_json::{Value, json};

use crate::origin::{Origin, jpeg, movie};
use crate::rig::{AUDITED, KEY, Rig, sha256, text};

const DIRECT: &str = "/video/init/";
const INBOX: &str = "/inbox/video/init/";

fn direct(url: &str) -> Value {
    json!({"post_info": {"privacy_level": "SELF_ONLY", "brand_content_toggle": false},
        "source_info": {"source": "PULL_FROM_URL", "video_url": url}})
}

/// Starts a draft; its publish id.
async fn draft(rig: &Rig, token: &str, url: &str) -> String {
    let body = json!({"source_info": {"source": "PULL_FROM_URL", "video_url": url}});
    text(&rig.post(token, INBOX, &body, 200).await["data"]["publish_id"])
}

fn ended(one: &Value) -> bool {
    one["status"] != "PROCESSING_DOWNLOAD"
}

#[tokio::test]
async fn urls_are_https_named_and_the_apps_own() {
    let rig = Rig::start().await;
    rig.settings(json!({"rate_limits": false, "posting_caps": false}))
        .await;
    let token = rig.access(AUDITED, "joris").await;
    let (bad, not_own) = ((400, "invalid_param"), (403, "url_ownership_unverified"));
    let ok = (200, "ok");
    // One verified prefix, https://media.example.com/a/, and one verified domain, example.org.
    let cases = [
        ("https://media.example.com/a/1.mp4", ok),
        ("https://media.example.com/a/", ok),
        ("https://media.example.com/a/1.mp4?x-sign=1%2F2", ok),
        ("https://media.example.com/a", not_own),
        ("https://media.example.com/b/1.mp4", not_own),
        ("https://media.example.com/A/1.mp4", not_own),
        ("https://media.example.com/a/../b/1.mp4", not_own),
        ("https://MEDIA.example.com/a/1.mp4", not_own),
        ("https://media.example.com:444/a/1.mp4", not_own),
        ("https://example.org/1.mp4", ok),
        ("https://deep.media.example.org/1.mp4", ok),
        ("https://MEDIA.example.org/1.mp4", ok),
        ("https://notexample.org/1.mp4", not_own),
        ("https://example.org.evil.example/1.mp4", not_own),
        ("http://media.example.com/a/1.mp4", bad),
        ("https://192.0.2.1/1.mp4", bad),
        ("https://[2001:db8::1]/1.mp4", bad),
        ("https://0x7f.1/1.mp4", bad),
        (" https://media.example.com/a/1.mp4", bad),
        ("/a/1.mp4", bad),
        ("", bad),
    ];
    for (url, (status, code)) in cases {
        for path in [DIRECT, INBOX] {
            let answer = rig.post(&token, path, &direct(url), status).await;
            assert_eq!(answer["error"]["code"], code, "{url}");
            if status == 200 {
                let id = text(&answer["data"]["publish_id"]);
                let prefix = if path == DIRECT {
                    "v_pub_url~v2-1."
                } else {
                    "v_inbox_url~v2."
                };
                assert!(id.starts_with(prefix) && id.len() <= 64, "{id}");
                assert!(answer["data"].get("upload_url").is_none());
            }
        }
    }
    let missing = json!({"source_info": {"source": "PULL_FROM_URL"}});
    rig.post(&token, INBOX, &missing, 400).await;
}

#[tokio::test]
async fn the_bytes_are_fetched_hashed_and_posted() {
    let rig = Rig::start().await;
    rig.settings(json!({"keep_bytes_max": 1_000_000})).await;
    let origin = Origin::start(&rig).await;
    let clip = movie(b"isom", 12, 720, 1280);
    let url = origin.serve("/v/soup%20night.mp4?X-Amz-Signature=a%2Fb", clip.clone());
    let token = rig.access(KEY, "mara").await;
    let answer = rig.post(&token, DIRECT, &direct(&url), 200).await;
    let id = text(&answer["data"]["publish_id"]);
    let seen = rig.publish(&id, ended).await;
    assert_eq!(seen["status"], "PUBLISH_COMPLETE");
    let file = &seen["pulled"][0];
    assert_eq!(file["sha256"], sha256(&clip));
    assert_eq!(
        (&file["received"], &file["expected"]),
        (&json!(clip.len()), &json!(clip.len()))
    );
    assert_eq!(
        file["media"],
        json!({"kind": "mp4", "seconds": 12.0, "width": 720, "height": 1280})
    );
    assert_eq!(
        rig.status(&token, &id).await,
        json!({"status": "PUBLISH_COMPLETE", "downloaded_bytes": clip.len()})
    );
    // Path and query go through as they are, below the origin's own base.
    let asked = origin.asked.lock().unwrap().clone();
    assert_eq!(asked, ["/bucket/v/soup%20night.mp4?X-Amz-Signature=a%2Fb"]);
    let kept = format!("{}/publishes/{id}/bytes", rig.sandbox.admin_url());
    let kept = rig.http.get(kept).send().await.unwrap().bytes().await;
    assert_eq!(kept.unwrap(), clip);
}

#[tokio::test]
async fn only_a_plain_200_is_a_video() {
    let rig = Rig::start().await;
    let origin = Origin::start(&rig).await;
    rig.settings(json!({"rate_limits": false, "posting_caps": false, "processing_ms": 0}))
        .await;
    let token = rig.access(AUDITED, "joris").await;
    let clip = || movie(b"isom", 12, 720, 1280);
    let good = origin.serve("/good.mp4", clip());
    let pages: Vec<(String, Option<&str>)> = vec![
        (good.clone(), None),
        (
            origin.serve("/old.mov", movie(b"qt  ", 12, 720, 1280)),
            None,
        ),
        (
            origin.serve(
                "/web.webm",
                b"\x1A\x45\xDF\xA3\x42\x82\x84webm....".to_vec(),
            ),
            None,
        ),
        (
            origin.serve("/kv.mkv", b"\x1A\x45\xDF\xA3\x42\x82\x88matroska".to_vec()),
            Some("file_format_check_failed"),
        ),
        (
            origin.serve("/photo.jpg", jpeg(720, 1280, 10)),
            Some("file_format_check_failed"),
        ),
        (
            origin.serve("/empty.mp4", Vec::new()),
            Some("file_format_check_failed"),
        ),
        (
            origin.serve("/page.mp4", b"<!doctype html><p>Sign in".to_vec()),
            Some("file_format_check_failed"),
        ),
        (
            origin.serve("/long.mp4", movie(b"isom", 601, 720, 1280)),
            Some("duration_check_failed"),
        ),
        (
            origin.serve("/small.mp4", movie(b"isom", 12, 320, 640)),
            Some("picture_size_check_failed"),
        ),
        (
            origin.serve("/wide.mp4", movie(b"isom", 12, 4098, 2160)),
            Some("picture_size_check_failed"),
        ),
        (
            origin.page("/moved.mp4", (301, "/bucket/good.mp4", Vec::new())),
            Some("video_pull_failed"),
        ),
        (
            origin.page(
                "/other.mp4",
                (302, "https://media.example.org/good.mp4", Vec::new()),
            ),
            Some("video_pull_failed"),
        ),
        (
            origin.page("/kept.mp4", (304, "", Vec::new())),
            Some("video_pull_failed"),
        ),
        (
            origin.page("/part.mp4", (206, "", clip())),
            Some("video_pull_failed"),
        ),
        (
            origin.page("/away.mp4", (503, "", clip())),
            Some("video_pull_failed"),
        ),
        (
            "https://media.example.org/nowhere.mp4".into(),
            Some("video_pull_failed"),
        ),
        // The machine is never left: an origin that is not served here cannot be reached.
        (
            "https://media.example.com/a/1.mp4".into(),
            Some("video_pull_failed"),
        ),
    ];
    for (url, reason) in pages {
        let id = draft(&rig, &token, &url).await;
        let seen = rig.publish(&id, ended).await;
        assert_eq!(seen["fail_reason"], json!(reason), "{url}: {seen:#}");
    }
    let asked = origin.asked.lock().unwrap().clone();
    let good = asked.iter().filter(|path| *path == "/bucket/good.mp4");
    assert_eq!(good.count(), 1, "a redirect was followed");
    // The creator's own longest duration counts too; unseen when media is not looked at.
    rig.control("/users/joris", json!({"max_video_post_duration_sec": 11}))
        .await;
    for (check, status) in [(true, "FAILED"), (false, "SEND_TO_USER_INBOX")] {
        rig.settings(json!({"check_media": check})).await;
        let id = draft(&rig, &token, "https://media.example.org/good.mp4").await;
        let seen = rig.publish(&id, ended).await;
        assert_eq!(seen["status"], status, "{seen:#}");
    }
}

#[tokio::test]
async fn knobs_befall_pulls_in_order() {
    let rig = Rig::start().await;
    let origin = Origin::start(&rig).await;
    let url = origin.serve("/good.mp4", movie(b"isom", 12, 720, 1280));
    rig.settings(json!({"rate_limits": false,
        "pull_next": ["not_found", "redirect", "server_error", "cut", "none", "hang"]}))
        .await;
    let token = rig.access(AUDITED, "joris").await;
    let failed = ("FAILED", json!("video_pull_failed"));
    let cases = [
        (json!(404), failed.clone()),
        (json!(302), failed.clone()),
        (json!(500), failed.clone()),
        (json!(200), failed.clone()),
        (json!(200), ("SEND_TO_USER_INBOX", Value::Null)),
    ];
    for (answered, (status, reason)) in cases {
        let id = draft(&rig, &token, &url).await;
        let seen = rig.publish(&id, ended).await;
        let got = (
            &seen["pulled"][0]["status"],
            &seen["status"],
            &seen["fail_reason"],
        );
        assert_eq!(got, (&answered, &json!(status), &reason));
    }
    // A source that never answers has an hour.
    let id = draft(&rig, &token, &url).await;
    rig.advance(3599).await;
    assert_eq!(
        rig.status(&token, &id).await["status"],
        "PROCESSING_DOWNLOAD"
    );
    rig.advance(2).await;
    let seen = rig.publish(&id, ended).await;
    assert_eq!(seen["fail_reason"], "video_pull_failed");
}

#[tokio::test]
async fn slow_and_held_pulls_show_their_progress() {
    let rig = Rig::start().await;
    let origin = Origin::start(&rig).await;
    let clip = movie(b"isom", 12, 720, 1280);
    let url = origin.serve("/good.mp4", clip.clone());
    // At this speed each piece is followed by a wait of hours on the stand-in's clock.
    rig.settings(json!({"pulling": "held", "pull_bytes_per_second": 1,
        "pull_timeout_seconds": 10_000_000, "access_token_seconds": 10_000_000}))
        .await;
    let token = rig.access(KEY, "mara").await;
    let id = draft(&rig, &token, &url).await;
    let none = json!({"status": "PROCESSING_DOWNLOAD", "downloaded_bytes": 0});
    assert_eq!(rig.status(&token, &id).await, none);
    assert!(origin.asked.lock().unwrap().is_empty());
    rig.control(&format!("/publishes/{id}/pull"), json!({}))
        .await;
    let some = |one: &Value| one["answer"]["downloaded_bytes"].as_u64() > Some(0);
    let seen = rig.publish(&id, some).await;
    assert_eq!(seen["status"], "PROCESSING_DOWNLOAD");
    assert_eq!(seen["pulled"][0]["sha256"], Value::Null);
    let clock = async {
        loop {
            rig.advance(10_000).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        seen = rig.publish(&id, ended) => {
            assert_eq!(seen["pulled"][0]["sha256"], sha256(&clip));
        }
        () = clock => {}
    }
}

#[tokio::test]
async fn origins_are_served_on_loopback_only() {
    let rig = Rig::start().await;
    let cases = [
        (
            json!({"https://media.example.org": "http://127.0.0.1:9/bucket"}),
            200,
        ),
        (
            json!({"https://media.example.org:8443": "http://[::1]:9"}),
            200,
        ),
        (
            json!({"https://media.example.org": "http://192.0.2.1/"}),
            400,
        ),
        (
            json!({"https://media.example.org": "https://media.example.com"}),
            400,
        ),
        (
            json!({"https://media.example.org/": "http://127.0.0.1:9"}),
            400,
        ),
        (
            json!({"http://media.example.org": "http://127.0.0.1:9"}),
            400,
        ),
        (
            json!({"https://media.example.org": "http://127.0.0.1:9/?x="}),
            400,
        ),
        (json!(["https://media.example.org"]), 400),
    ];
    for (origins, status) in cases {
        let url = format!("{}/settings", rig.sandbox.admin_url());
        let body = json!({ "pull_origins": origins }).to_string();
        let answer = rig.http.post(url).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{origins}");
    }
}
