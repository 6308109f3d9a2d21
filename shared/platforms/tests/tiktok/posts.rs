//! The rules for a post, and the exact requests of a publish.

use domain::{FaultKind, MediaKind, Mode, PostOptions, Timestamp};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use platforms::tiktok::TikTok;
use platforms::{Action, Finish, MediaInfo, PostDraft, Publish, Repeat};
use serde_json::json;

use crate::support::{Post, T0, app_with, bundle, reply};

const SCOPES: &[&str] = &["video.publish", "video.upload"];

fn file(kind: MediaKind, size: u64) -> MediaInfo {
    MediaInfo::uploaded(kind, size)
}

/// `field code` of every violation.
fn broken(text: &str, options: &PostOptions, media: &[MediaInfo], scopes: &[&str]) -> Vec<String> {
    let scopes: Vec<_> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let draft = PostDraft {
        app: &app_with(json!({})),
        text,
        options,
        media,
        scopes: &scopes,
    };
    let found = TikTok.check(&draft);
    assert!(found.iter().all(|one| one.sentence.ends_with('.')));
    found
        .iter()
        .map(|one| format!("{} {}", one.field, one.code))
        .collect()
}

#[test]
fn rules() {
    let none: &[&str] = &[];
    let video = [file(MediaKind::Mp4, 4_000_000)];
    let private = || PostOptions {
        privacy: Some("SELF_ONLY".into()),
        ..PostOptions::default()
    };
    let inbox = || PostOptions {
        mode: Mode::Inbox,
        ..PostOptions::default()
    };
    assert_eq!(broken("Soup", &private(), &video, SCOPES), none);
    assert_eq!(broken("", &inbox(), &video, SCOPES), none);
    for privacy in [
        "PUBLIC_TO_EVERYONE",
        "MUTUAL_FOLLOW_FRIENDS",
        "FOLLOWER_OF_CREATOR",
    ] {
        let options = PostOptions {
            privacy: Some(privacy.into()),
            branded_content: true,
            own_brand: true,
            cover_at_ms: Some(i32::MAX as u32),
            ..PostOptions::default()
        };
        assert_eq!(broken("", &options, &video, SCOPES), none);
    }

    // Scopes.
    assert_eq!(
        broken("", &private(), &video, &["video.upload"]),
        ["options.mode scope_missing"]
    );
    assert_eq!(
        broken("", &inbox(), &video, &["video.publish"]),
        ["options.mode scope_missing"]
    );

    // The file.
    for (media, code) in [
        (&[][..], "media required"),
        (&[video[0].clone(), video[0].clone()], "media too_many"),
        (&[file(MediaKind::Mov, 0)], "media[0] empty"),
        (
            &[file(MediaKind::WebM, 4_000_000_001)],
            "media[0] too_large",
        ),
    ] {
        assert_eq!(broken("", &private(), media, SCOPES), [code]);
    }
    assert_eq!(
        broken(
            "",
            &private(),
            &[file(MediaKind::Mov, 4_000_000_000)],
            SCOPES
        ),
        none
    );

    // The caption counts UTF-16 units: this sign has two.
    assert_eq!(broken(&"𝄞".repeat(1_100), &private(), &video, SCOPES), none);
    assert_eq!(
        broken(&"𝄞".repeat(1_101), &private(), &video, SCOPES),
        ["text too_long"]
    );

    // Privacy has no default.
    assert_eq!(
        broken("", &PostOptions::default(), &video, SCOPES),
        ["options.privacy required"]
    );
    let with = |change: fn(&mut PostOptions)| {
        let mut options = private();
        change(&mut options);
        broken("", &options, &video, SCOPES)
    };
    assert_eq!(
        with(|o| o.privacy = Some("PUBLIC".into())),
        ["options.privacy unknown_value"]
    );
    assert_eq!(
        with(|o| o.branded_content = true),
        ["options.branded_content conflict"]
    );
    assert_eq!(
        with(|o| o.cover_at_ms = Some(u32::MAX)),
        ["options.cover_at_ms too_large"]
    );

    // A draft carries nothing but the file.
    let options = PostOptions {
        mode: Mode::Inbox,
        privacy: Some("SELF_ONLY".into()),
        disable_comment: true,
        disable_duet: true,
        disable_stitch: true,
        cover_at_ms: Some(1),
        branded_content: true,
        own_brand: true,
        ai_generated: true,
        title: Some("Soup".into()),
        transfer: None,
        add_music: true,
        cover_index: Some(0),
    };
    let found = broken("Soup", &options, &video, SCOPES);
    assert_eq!(found.len(), 12);
    assert!(
        found.iter().all(|one| one.ends_with(" not_supported")),
        "{found:?}"
    );
}

#[test]
fn direct_init_is_exact() {
    let mut post = Post::direct(50_000_123);
    post.app = app_with(json!({"chunk_bytes": 10_000_000}));
    post.options.cover_at_ms = Some(1_000);
    let state = post.start();
    assert_eq!(post.next(&state, T0), Action::Call(Repeat::Once));
    let call = TikTok.call(&post.job(), &state, &bundle(&[])).unwrap();
    assert_eq!(
        (call.name, call.repeat),
        ("tiktok.publish.init", Repeat::Once)
    );
    assert_eq!(call.request.method(), "POST");
    assert_eq!(
        call.request.uri(),
        "https://open.tiktokapis.com/v2/post/publish/video/init/"
    );
    assert_eq!(call.request.headers()[AUTHORIZATION], "Bearer act.old");
    assert_eq!(
        call.request.headers()[CONTENT_TYPE],
        "application/json; charset=UTF-8"
    );
    assert_eq!(
        call.request.body(),
        r#"{"post_info":{"title":"Soup night #soup","privacy_level":"SELF_ONLY","disable_duet":false,"disable_comment":false,"disable_stitch":false,"video_cover_timestamp_ms":1000,"brand_content_toggle":false,"brand_organic_toggle":false,"is_aigc":false},"source_info":{"source":"FILE_UPLOAD","video_size":50000123,"chunk_size":10000000,"total_chunk_count":5}}"#
    );

    // Never a privacy of our own choice.
    post.options.privacy = None;
    let fault = TikTok.call(&post.job(), &state, &bundle(&[])).unwrap_err();
    assert_eq!(fault.kind, FaultKind::InvalidRequest);
}

#[test]
fn inbox_init_is_exact() {
    let post = Post::inbox(4_000_000);
    let call = TikTok
        .call(&post.job(), &post.start(), &bundle(&[]))
        .unwrap();
    assert_eq!(
        call.request.uri(),
        "https://open.tiktokapis.com/v2/post/publish/inbox/video/init/"
    );
    assert_eq!(
        call.request.body(),
        r#"{"source_info":{"source":"FILE_UPLOAD","video_size":4000000,"chunk_size":4000000,"total_chunk_count":1}}"#
    );
}

#[test]
fn chunks_are_exact() {
    let mut post = Post::direct(50_000_123);
    post.app = app_with(json!({"chunk_bytes": 10_000_000}));
    post.media[0].kind = MediaKind::Mov;
    let mut state = post.uploading();
    for (range, length, header) in [
        (0..10_000_000, "10000000", "bytes 0-9999999/50000123"),
        (
            10_000_000..20_000_000,
            "10000000",
            "bytes 10000000-19999999/50000123",
        ),
        (
            20_000_000..30_000_000,
            "10000000",
            "bytes 20000000-29999999/50000123",
        ),
        (
            30_000_000..40_000_000,
            "10000000",
            "bytes 30000000-39999999/50000123",
        ),
        (
            40_000_000..50_000_123,
            "10000123",
            "bytes 40000000-50000122/50000123",
        ),
    ] {
        assert_eq!(post.next(&state, T0), Action::Upload { media: 0, range });
        let upload = TikTok.upload(&post.job(), &state).unwrap();
        assert_eq!(upload.allowed_hosts, ["*.tiktokapis.com"]);
        let request = upload.request;
        assert_eq!(request.method(), "PUT");
        assert_eq!(
            request.uri(),
            "https://open-upload.tiktokapis.com/video/?upload_id=1&upload_token=t"
        );
        assert_eq!(request.headers()[CONTENT_TYPE], "video/quicktime");
        assert_eq!(request.headers()[CONTENT_LENGTH], length);
        assert_eq!(request.headers()[CONTENT_RANGE], header);
        assert_eq!(request.headers().len(), 3);
        // The address is a secret and no part of what is seen.
        assert!(!state.data.to_string().contains("upload_token"));
        state = post.answered(&state, &reply(206, "")).unwrap();
    }
    assert_eq!(post.next(&state, T0), Action::Wait(T0.plus_secs(5)));
}

#[test]
fn status_is_exact() {
    let post = Post::direct(4_000_000);
    let state = post.processing();
    assert_eq!(
        TikTok.publish_id(&state).as_deref(),
        Some("v_pub_file~v2-1.7000000000000000001")
    );
    let later = T0.plus_secs(5);
    assert_eq!(post.next(&state, later), Action::Call(Repeat::Repeatable));
    let call = TikTok.call(&post.job(), &state, &bundle(&[])).unwrap();
    assert_eq!(call.request.method(), "POST");
    assert_eq!(
        call.request.uri(),
        "https://open.tiktokapis.com/v2/post/publish/status/fetch/"
    );
    assert_eq!(call.request.headers()[AUTHORIZATION], "Bearer act.old");
    assert_eq!(
        call.request.body(),
        r#"{"publish_id":"v_pub_file~v2-1.7000000000000000001"}"#
    );
}

#[test]
fn a_state_that_cannot_be_read_is_no_proof_of_anything() {
    let post = Post::direct(4_000_000);
    let state = platforms::State {
        data: json!({"phase": "of another version"}),
        secret: None,
    };
    assert!(matches!(
        post.next(&state, Timestamp::default()),
        Action::Finish(Finish::Unknown(_))
    ));
    assert!(TikTok.call(&post.job(), &state, &bundle(&[])).is_err());
    assert!(TikTok.upload(&post.job(), &state).is_err());
    assert_eq!(TikTok.publish_id(&state), None);
    assert_eq!(TikTok.lost(&post.job(), &state, T0), state);
}
