//! The Display API: figures by scope, the list and its cursor, the query.

use serde_json::{Value, json};

use crate::origin::movie;
use crate::rig::{AUDITED, KEY, Rig, read, text};

const LIST: &str = "/video/list/?fields=id,create_time";
const ALL: &str = "id,create_time,cover_image_url,share_url,video_description,duration,height,\
    width,title,embed_html,embed_link,like_count,comment_count,share_count,view_count";
/// 1 January 2026.
const THEN: i64 = 1_767_225_600;

async fn add(rig: &Rig, video: Value) -> String {
    text(&rig.control("/videos", video).await["id"])
}

/// `count` videos of joris, one a minute; ids with the newest first.
async fn many(rig: &Rig, count: i64) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let time = THEN + number * 60;
        ids.push(add(rig, json!({"user": "joris", "create_time": time})).await);
    }
    ids.reverse();
    ids
}

fn ids(answer: &Value) -> Vec<String> {
    let list = answer["data"]["videos"].as_array().unwrap();
    list.iter().map(|video| text(&video["id"])).collect()
}

#[tokio::test]
async fn figures_need_their_scope() {
    let rig = Rig::start().await;
    let fields = [
        ("open_id", "user.info.basic"),
        ("union_id", "user.info.basic"),
        ("display_name", "user.info.basic"),
        ("avatar_url", "user.info.basic"),
        ("avatar_url_100", "user.info.basic"),
        ("avatar_large_url", "user.info.basic"),
        ("bio_description", "user.info.profile"),
        ("profile_deep_link", "user.info.profile"),
        ("username", "user.info.profile"),
        ("is_verified", "user.info.profile"),
        ("follower_count", "user.info.stats"),
        ("following_count", "user.info.stats"),
        ("likes_count", "user.info.stats"),
        ("video_count", "user.info.stats"),
    ];
    for scope in ["user.info.basic", "user.info.profile", "user.info.stats"] {
        let token = rig.scoped(KEY, "joris", &[scope]).await;
        for (field, needed) in fields {
            let (status, code) = if needed == scope {
                (200, "ok")
            } else {
                (400, "scope_permission_missed")
            };
            let answer = rig.user_info(&token, field, status).await;
            assert_eq!(answer["error"]["code"], code, "{field} with {scope}");
        }
    }
    // The videos' own figures come on top of the account's.
    let change = json!({"follower_count": 1204, "likes_count": 10, "video_count": 2});
    rig.control("/users/joris", change).await;
    add(&rig, json!({"user": "joris", "like_count": 5})).await;
    let hidden = json!({"user": "joris", "like_count": 100, "hidden": true});
    add(&rig, hidden).await;
    let token = rig.access(KEY, "joris").await;
    let answer = rig
        .user_info(&token, "follower_count,likes_count,video_count", 200)
        .await;
    let expect = json!({"follower_count": 1204, "likes_count": 15, "video_count": 3});
    assert_eq!(answer["data"]["user"], expect);
}

#[tokio::test]
async fn the_list_goes_from_new_to_old_by_its_cursor() {
    let rig = Rig::start().await;
    let token = rig.access(KEY, "joris").await;
    let empty = rig.api(&token, LIST, &json!({}), 200).await;
    assert_eq!(
        empty["data"],
        json!({"videos": [], "cursor": 0, "has_more": false})
    );
    let all = many(&rig, 25).await;
    add(&rig, json!({"user": "mara"})).await;
    add(&rig, json!({"user": "joris", "hidden": true})).await;
    let first = rig.api(&token, LIST, &json!({}), 200).await;
    assert_eq!(ids(&first), all[..10]);
    assert_eq!(first["data"]["videos"][0]["create_time"], THEN + 24 * 60);
    assert_eq!(first["data"]["cursor"], (THEN + 15 * 60) * 1000);
    assert_eq!(first["data"]["has_more"], true);
    let mut seen = Vec::new();
    let mut body = json!({"max_count": 12});
    loop {
        let page = rig.api(&token, LIST, &body, 200).await;
        seen.extend(ids(&page));
        body["cursor"] = page["data"]["cursor"].clone();
        if page["data"]["has_more"] == false {
            break;
        }
    }
    assert_eq!(seen, all);
    // Any instant will do, and the one asked for is not in it.
    let at = (THEN + 3 * 60) * 1000;
    for (cursor, expect) in [(at, &all[22..]), (at + 1, &all[21..]), (1, &all[25..])] {
        let page = rig
            .api(
                &token,
                LIST,
                &json!({"cursor": cursor, "max_count": 20}),
                200,
            )
            .await;
        assert_eq!(ids(&page), expect, "{cursor}");
        assert_eq!(page["data"]["has_more"], false);
    }
    let page = rig.api(&token, LIST, &json!({"max_count": 20}), 200).await;
    assert_eq!(
        (ids(&page).len(), &page["data"]["has_more"]),
        (20, &json!(true))
    );
    let exact = json!({"max_count": 5, "cursor": (THEN + 5 * 60) * 1000});
    let page = rig.api(&token, LIST, &exact, 200).await;
    assert_eq!(
        (ids(&page).len(), &page["data"]["has_more"]),
        (5, &json!(false))
    );
}

#[tokio::test]
async fn videos_of_one_second_are_parted_by_the_cursor() {
    let rig = Rig::start().await;
    let token = rig.access(KEY, "joris").await;
    for _ in 0..3 {
        add(&rig, json!({"user": "joris", "create_time": THEN})).await;
    }
    let mut body = json!({"max_count": 1});
    let mut seen = Vec::new();
    for _ in 0..3 {
        let page = rig.api(&token, LIST, &body, 200).await;
        seen.extend(ids(&page));
        body["cursor"] = page["data"]["cursor"].clone();
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn lists_and_queries_are_strict() {
    let rig = Rig::start().await;
    let token = rig.access(KEY, "joris").await;
    let other = rig
        .scoped(KEY, "joris", &["user.info.basic", "video.publish"])
        .await;
    let (list, query) = ("/video/list/", "/video/query/");
    let asked = |count: usize| {
        let ids: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        json!({"filters": {"video_ids": ids}})
    };
    let bad = (400, "invalid_params");
    let ok = (200, "ok");
    let cases = [
        (&token, list, "?fields=id", json!({"max_count": 20}), ok),
        (&token, list, "?fields=id", json!({"max_count": 21}), bad),
        (&token, list, "?fields=id", json!({"max_count": 0}), bad),
        (&token, list, "?fields=id", json!({"max_count": -1}), bad),
        (&token, list, "?fields=id", json!({"max_count": "10"}), bad),
        (&token, list, "?fields=id", json!({"max_count": 1.5}), bad),
        (&token, list, "?fields=id", json!({"cursor": 0}), ok),
        (&token, list, "?fields=id", json!({"cursor": -1}), bad),
        (
            &token,
            list,
            "?fields=id",
            json!({"cursor": "1767225600000"}),
            bad,
        ),
        (&token, list, "", json!({}), bad),
        (&token, list, "?fields=", json!({}), bad),
        (&token, list, "?fields=id,", json!({}), bad),
        (&token, list, "?fields=id,saves", json!({}), bad),
        (&token, list, "?fields=id", json!([]), bad),
        (&token, list, "", json!({"fields": "id"}), bad),
        (&token, query, "?fields=id", asked(1), ok),
        (&token, query, "?fields=id", asked(20), ok),
        (&token, query, "?fields=id", asked(21), bad),
        (&token, query, "?fields=id", asked(0), bad),
        (
            &token,
            query,
            "?fields=id",
            json!({"filters": {"video_ids": [1]}}),
            bad,
        ),
        (
            &token,
            query,
            "?fields=id",
            json!({"filters": {"video_ids": "1"}}),
            bad,
        ),
        (
            &token,
            query,
            "?fields=id",
            json!({"video_ids": ["1"]}),
            bad,
        ),
        (&token, query, "?fields=id", json!({}), bad),
        (&token, query, "", asked(1), bad),
        (&token, query, "?fields=name", asked(1), bad),
        (
            &other,
            list,
            "?fields=id",
            json!({}),
            (401, "scope_not_authorized"),
        ),
        (
            &other,
            query,
            "?fields=id",
            asked(1),
            (401, "scope_not_authorized"),
        ),
    ];
    for (token, path, fields, body, (status, code)) in cases {
        let answer = rig
            .api(token, &format!("{path}{fields}"), &body, status)
            .await;
        assert_eq!(answer["error"]["code"], code, "{path}{fields} {body}");
    }
    rig.api("act.unknown", LIST, &json!({}), 401).await;
    // Every key of a list is optional, so an empty body will do; a form will not.
    for (kind, body, status) in [("", "", 200), ("text/plain", "{}", 400)] {
        let mut post = rig.http.post(rig.url(&format!("/open/v2{LIST}")));
        post = post
            .header("Authorization", format!("Bearer {token}"))
            .body(body);
        if !kind.is_empty() {
            post = post.header("Content-Type", kind);
        }
        read(post.send().await.unwrap(), status).await;
    }
}

#[tokio::test]
async fn a_video_shows_the_fields_asked_for() {
    let rig = Rig::start().await;
    let token = rig.access(KEY, "joris").await;
    let long = "é".repeat(200);
    let video = json!({"id": "7600000000000000001", "user": "joris", "create_time": THEN,
        "title": long, "video_description": "Soup", "duration": 12, "height": 1280, "width": 720,
        "like_count": 5, "comment_count": 4, "share_count": 3, "view_count": 5_000_000_000_i64});
    let id = add(&rig, video.clone()).await;
    assert_eq!(
        rig.control_status("/videos", &video).await,
        400,
        "the id is taken"
    );
    let list = format!("/video/list/?fields={ALL}");
    let query = format!("/video/query/?fields={ALL}");
    let by_list = rig.api(&token, &list, &json!({}), 200).await["data"]["videos"][0].clone();
    let asked = json!({"filters": {"video_ids": [id]}});
    let answer = rig.api(&token, &query, &asked, 200).await;
    assert_eq!(answer["data"].as_object().unwrap().len(), 1);
    let by_query = answer["data"]["videos"][0].clone();
    assert_eq!(by_list.as_object().unwrap().len(), 15);
    for (key, value) in [
        ("id", json!("7600000000000000001")),
        ("create_time", json!(THEN)),
        ("title", json!("é".repeat(150))),
        ("video_description", json!("Soup")),
        ("duration", json!(12)),
        ("height", json!(1280)),
        ("width", json!(720)),
        ("like_count", json!(5)),
        ("comment_count", json!(4)),
        ("share_count", json!(3)),
        ("view_count", json!(5_000_000_000_i64)),
    ] {
        assert_eq!((&by_list[key], &by_query[key]), (&value, &value), "{key}");
    }
    for key in ["share_url", "embed_html", "embed_link"] {
        assert!(text(&by_list[key]).contains(&id), "{key}");
    }
    assert!(text(&by_list["cover_image_url"]).contains("x-expires="));
    // Figures move by control calls; nothing else does.
    let path = format!("/videos/{id}");
    rig.control(
        &path,
        json!({"view_count": 7, "share_url": "https://t.example/"}),
    )
    .await;
    let seen = rig.api(&token, &list, &json!({}), 200).await["data"]["videos"][0].clone();
    assert_eq!(
        (&seen["view_count"], &seen["like_count"]),
        (&json!(7), &json!(5))
    );
    assert_eq!(seen["share_url"], "https://t.example/");
    for wrong in [
        json!({"views": 8}),
        json!({"id": "1"}),
        json!({"user": "mara"}),
    ] {
        assert_eq!(rig.control_status(&path, &wrong).await, 400);
    }
    rig.control(&path, json!({"hidden": true})).await;
    assert!(ids(&rig.api(&token, &list, &json!({}), 200).await).is_empty());
    assert!(ids(&rig.api(&token, &query, &asked, 200).await).is_empty());
}

#[tokio::test]
async fn a_query_finds_the_own_public_videos_alone() {
    let rig = Rig::start().await;
    let token = rig.access(KEY, "joris").await;
    let mine = many(&rig, 3).await;
    let theirs = add(&rig, json!({"user": "mara"})).await;
    let hidden = add(&rig, json!({"user": "joris", "hidden": true})).await;
    let gone = add(&rig, json!({"user": "joris"})).await;
    let url = format!("{}/videos/{gone}", rig.sandbox.admin_url());
    read(rig.http.delete(url).send().await.unwrap(), 200).await;
    let asked = json!({"filters": {"video_ids":
        [mine[2], theirs, hidden, gone, mine[0], mine[0], "soup"]}});
    let answer = rig
        .api(&token, "/video/query/?fields=id", &asked, 200)
        .await;
    assert_eq!(ids(&answer), [mine[0].clone(), mine[2].clone()]);
    let all = rig.control("/videos?user=joris", Value::Null).await;
    assert_eq!(all["videos"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn what_is_posted_is_listed_while_it_is_public() {
    let rig = Rig::start().await;
    rig.settings(json!({"processing_ms": 0, "moderation": "held"}))
        .await;
    let token = rig.access(AUDITED, "joris").await;
    let file = movie(b"isom", 12, 720, 1280);
    let size = file.len();
    let mut published = Vec::new();
    for privacy in ["PUBLIC_TO_EVERYONE", "SELF_ONLY"] {
        let body = json!({"post_info": {"privacy_level": privacy, "brand_content_toggle": false,
                "title": "Soup night"},
            "source_info": {"source": "FILE_UPLOAD", "video_size": size, "chunk_size": size,
                "total_chunk_count": 1}});
        let data = rig.post(&token, "/video/init/", &body, 200).await["data"].clone();
        let range = format!("bytes 0-{}/{size}", size - 1);
        rig.put(&text(&data["upload_url"]), &range, file.clone())
            .await;
        let id = text(&data["publish_id"]);
        rig.publish(&id, |one| one["status"] == "PUBLISH_COMPLETE")
            .await;
        published.push(id);
    }
    let list = "/video/list/?fields=id,title,duration,width,view_count";
    assert!(ids(&rig.api(&token, list, &json!({}), 200).await).is_empty());
    let step = |step: &str| format!("/publishes/{}/{step}", published[0]);
    let post_id = text(&rig.control(&step("moderate"), json!({})).await["post_id"]);
    let seen = rig.api(&token, list, &json!({}), 200).await;
    let expect = json!([{"id": post_id, "title": "Soup night", "duration": 12, "width": 720,
        "view_count": 0}]);
    assert_eq!(seen["data"]["videos"], expect);
    let count = rig.user_info(&token, "video_count", 200).await;
    assert_eq!(count["data"]["user"]["video_count"], 1);
    rig.control(&step("withdraw"), json!({})).await;
    assert!(ids(&rig.api(&token, list, &json!({}), 200).await).is_empty());
}

#[tokio::test]
async fn photo_posts_are_listed_when_asked_for() {
    let rig = Rig::start().await;
    let token = rig.access(KEY, "joris").await;
    add(&rig, json!({"user": "joris", "photo": true})).await;
    for (setting, count) in [(false, 0), (true, 1)] {
        rig.settings(json!({"photos_in_video_list": setting})).await;
        assert_eq!(
            ids(&rig.api(&token, LIST, &json!({}), 200).await).len(),
            count
        );
    }
}
