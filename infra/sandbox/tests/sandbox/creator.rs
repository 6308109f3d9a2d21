//! creator_info: what it says and refuses, and that direct inits refuse the same.

use serde_json::{Value, json};

use crate::rig::{AUDITED, KEY, Rig, text};

const INFO: &str = "/creator_info/query/";

fn video(privacy: &str) -> Value {
    json!({"post_info": {"privacy_level": privacy, "brand_content_toggle": false},
        "source_info": {"source": "FILE_UPLOAD", "video_size": 9, "chunk_size": 9,
            "total_chunk_count": 1}})
}

fn photo(privacy: &str) -> Value {
    json!({"media_type": "PHOTO", "post_mode": "DIRECT_POST",
        "post_info": {"privacy_level": privacy, "brand_content_toggle": false,
            "brand_organic_toggle": false},
        "source_info": {"source": "PULL_FROM_URL", "photo_cover_index": 0,
            "photo_images": ["https://media.example.org/1.webp"]}})
}

#[tokio::test]
async fn it_says_what_the_account_allows() {
    let rig = Rig::start().await;
    let token = rig.access(AUDITED, "joris").await;
    let answer = rig.post(&token, INFO, &json!({}), 200).await;
    let mut data = answer["data"].clone();
    let avatar = text(&data["creator_avatar_url"]);
    data.as_object_mut().unwrap().remove("creator_avatar_url");
    let expect = json!({
        "creator_username": "joris", "creator_nickname": "joris",
        "privacy_level_options": ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
        "comment_disabled": false, "duet_disabled": false, "stitch_disabled": false,
        "max_video_post_duration_sec": 600,
    });
    assert_eq!(data, expect);
    // The picture's address is good for two hours.
    let now = rig.control("/clock", Value::Null).await["now_ms"]
        .as_i64()
        .unwrap();
    let expires = avatar.split("x-expires=").nth(1).unwrap().split('&').next();
    let left = expires.unwrap().parse::<i64>().unwrap() - now / 1000;
    assert!((7190..=7200).contains(&left), "{left}");
    let change = json!({"private": true, "display_name": "Joris", "comment_disabled": true,
        "duet_disabled": true, "stitch_disabled": true, "max_video_post_duration_sec": 60,
        "avatar_url": "https://pictures.example/j.webp"});
    rig.control("/users/joris", change).await;
    let answer = rig.post(&token, INFO, &json!({}), 200).await;
    let expect = json!({
        "creator_avatar_url": "https://pictures.example/j.webp",
        "creator_username": "joris", "creator_nickname": "Joris",
        "privacy_level_options": ["FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
        "comment_disabled": true, "duet_disabled": true, "stitch_disabled": true,
        "max_video_post_duration_sec": 60,
    });
    assert_eq!(answer["data"], expect);
    assert_eq!(
        rig.control_status("/users/joris", &json!({"privat": true}))
            .await,
        400
    );
    assert_eq!(rig.control_status("/users/nobody", &json!({})).await, 400);
}

#[tokio::test]
async fn every_other_privacy_level_is_a_mismatch() {
    let rig = Rig::start().await;
    rig.settings(json!({"rate_limits": false, "posting_caps": false, "pulling": "held"}))
        .await;
    let levels = [
        // public account, private account
        ("PUBLIC_TO_EVERYONE", true, false),
        ("FOLLOWER_OF_CREATOR", false, true),
        ("MUTUAL_FOLLOW_FRIENDS", true, true),
        ("SELF_ONLY", true, true),
        ("self_only", false, false),
        ("", false, false),
    ];
    for (at, user) in ["joris", "mara"].into_iter().enumerate() {
        let token = rig.access(AUDITED, user).await;
        for (level, public, private) in levels {
            let taken = [public, private][at];
            let (status, code) = if taken {
                (200, "ok")
            } else {
                (403, "privacy_level_option_mismatch")
            };
            for (path, body) in [
                ("/video/init/", video(level)),
                ("/content/init/", photo(level)),
            ] {
                let answer = rig.post(&token, path, &body, status).await;
                assert_eq!(answer["error"]["code"], code, "{user} {level} {path}");
            }
        }
    }
}

#[tokio::test]
async fn what_keeps_from_posting_is_told_with_200_and_refused_with_403() {
    let rig = Rig::start().await;
    rig.settings(json!({"rate_limits": false, "pulling": "held"}))
        .await;
    let draft = json!({"source_info": video("SELF_ONLY")["source_info"]});
    let check = async |token: &str, code: &str| {
        let answer = rig.post(token, INFO, &json!({}), 200).await;
        assert_eq!(answer["error"]["code"], code);
        assert_eq!(answer["data"] == json!({}), code != "ok");
        let status = if code == "ok" { 200 } else { 403 };
        for (path, body) in [
            ("/video/init/", video("SELF_ONLY")),
            ("/content/init/", photo("SELF_ONLY")),
        ] {
            let answer = rig.post(token, path, &body, status).await;
            assert_eq!(answer["error"]["code"], code, "{path}");
        }
    };
    let joris = rig.access(AUDITED, "joris").await;
    check(&joris, "ok").await;
    rig.settings(json!({"direct_posts_per_day": 2})).await;
    check(&joris, "spam_risk_too_many_posts").await;
    rig.post(&joris, "/inbox/video/init/", &draft, 200).await;
    // A ban comes first, and meets drafts too.
    rig.control("/users/joris", json!({"banned_from_posting": true}))
        .await;
    check(&joris, "spam_risk_user_banned_from_posting").await;
    let answer = rig.post(&joris, "/inbox/video/init/", &draft, 403).await;
    assert_eq!(
        answer["error"]["code"],
        "spam_risk_user_banned_from_posting"
    );
    // An unaudited app has five users a day, an audited one as many as it was given.
    rig.settings(json!({"direct_posts_per_day": 15})).await;
    let user = |name: &str| json!({"username": name, "private": true});
    for name in ["a", "b", "c", "d", "e", "f"] {
        rig.control("/users", user(name)).await;
        let code = if name == "f" {
            "reached_active_user_cap"
        } else {
            "ok"
        };
        check(&rig.access(KEY, name).await, code).await;
    }
    check(&rig.access(KEY, "a").await, "ok").await;
    check(&rig.access(AUDITED, "f").await, "ok").await;
    let cap = json!({"active_users_per_day": 2});
    rig.control(&format!("/apps/{AUDITED}"), cap).await;
    check(&rig.access(AUDITED, "a").await, "reached_active_user_cap").await;
    rig.advance(24 * 3600).await;
    check(&rig.access(KEY, "f").await, "ok").await;
    rig.settings(json!({"posting_caps": false, "direct_posts_per_day": 0}))
        .await;
    check(&rig.access(AUDITED, "a").await, "ok").await;
}

#[tokio::test]
async fn it_needs_its_scope_and_has_twenty_calls_a_minute() {
    let rig = Rig::start().await;
    let upload = rig.scoped(AUDITED, "joris", &["video.upload"]).await;
    let answer = rig.post(&upload, INFO, &json!({}), 401).await;
    assert_eq!(answer["error"]["code"], "scope_not_authorized");
    let token = rig.access(AUDITED, "joris").await;
    for _ in 0..20 {
        rig.post(&token, INFO, &json!({}), 200).await;
    }
    let answer = rig.post(&token, INFO, &json!({}), 429).await;
    assert_eq!(answer["error"]["code"], "rate_limit_exceeded");
}

#[tokio::test]
async fn branded_content_for_the_account_alone_may_be_refused() {
    let rig = Rig::start().await;
    let token = rig.access(AUDITED, "joris").await;
    let mut body = video("SELF_ONLY");
    body["post_info"]["brand_content_toggle"] = json!(true);
    rig.post(&token, "/video/init/", &body, 200).await;
    rig.settings(json!({"refuse_branded_private": true})).await;
    let answer = rig.post(&token, "/video/init/", &body, 403).await;
    assert_eq!(answer["error"]["code"], "privacy_level_option_mismatch");
    body["post_info"]["privacy_level"] = json!("PUBLIC_TO_EVERYONE");
    rig.post(&token, "/video/init/", &body, 200).await;
}
