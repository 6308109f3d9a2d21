//! The rules for photos and for files that TikTok fetches, and the exact starts of both.

use std::slice::from_ref;

use domain::{MediaKind, Mode, PostOptions, Transfer};
use platforms::tiktok::TikTok;
use platforms::{App, MediaInfo, PostDraft, Publish, Repeat};
use serde_json::json;

use crate::support::{Post, app, app_with, bundle, fetched};

fn broken_by(app: &App, text: &str, options: &PostOptions, media: &[MediaInfo]) -> Vec<String> {
    let scopes = ["video.publish".to_owned(), "video.upload".to_owned()];
    let found = TikTok.check(&PostDraft {
        app,
        text,
        options,
        media,
        scopes: &scopes,
    });
    assert!(found.iter().all(|one| one.sentence.ends_with('.')));
    found
        .iter()
        .map(|one| format!("{} {}", one.field, one.code))
        .collect()
}

fn broken(text: &str, options: &PostOptions, media: &[MediaInfo]) -> Vec<String> {
    broken_by(&app(), text, options, media)
}

const NONE: &[&str] = &[];

fn private() -> PostOptions {
    PostOptions {
        privacy: Some("SELF_ONLY".into()),
        ..PostOptions::default()
    }
}

fn inbox() -> PostOptions {
    PostOptions {
        mode: Mode::Inbox,
        ..PostOptions::default()
    }
}

fn photo(kind: MediaKind, size: u64) -> MediaInfo {
    fetched(kind, size, "a/1")
}

fn jpeg() -> MediaInfo {
    photo(MediaKind::Jpeg, 20_000_000)
}

#[test]
fn photos_have_their_rules() {
    for options in [private(), inbox()] {
        assert_eq!(broken("", &options, &[jpeg()]), NONE);
        assert_eq!(broken("", &options, &vec![jpeg(); 35]), NONE);
        for (media, expected) in [
            (vec![jpeg(); 36], "media too_many"),
            (vec![photo(MediaKind::Png, 1)], "media[0] unsupported_type"),
            (
                vec![jpeg(), photo(MediaKind::WebP, 20_000_001)],
                "media[1] too_large",
            ),
            (vec![photo(MediaKind::WebP, 0)], "media[0] empty"),
            (vec![jpeg(), photo(MediaKind::Mp4, 1)], "media mixed"),
            (vec![photo(MediaKind::Mp4, 1); 2], "media too_many"),
            (vec![], "media required"),
            (
                vec![jpeg(), MediaInfo::uploaded(MediaKind::Jpeg, 1)],
                "media[1] no_media_address",
            ),
        ] {
            assert_eq!(broken("", &options, &media), [expected]);
        }
    }
}

#[test]
fn photos_have_their_texts() {
    let media = [jpeg(), jpeg()];
    let with = |base: PostOptions, change: fn(&mut PostOptions)| {
        let mut options = base;
        change(&mut options);
        broken("", &options, &media)
    };
    for base in [private(), inbox()] {
        // Both count UTF-16 units: this sign has two.
        assert_eq!(broken(&"𝄞".repeat(2_000), &base, &media), NONE);
        assert_eq!(broken(&"𝄞".repeat(2_001), &base, &media), ["text too_long"]);
        assert_eq!(with(base.clone(), |o| o.title = Some("𝄞".repeat(45))), NONE);
        assert_eq!(
            with(base.clone(), |o| o.title = Some("𝄞".repeat(46))),
            ["options.title too_long"]
        );
        assert_eq!(with(base.clone(), |o| o.cover_index = Some(1)), NONE);
        assert_eq!(
            with(base.clone(), |o| o.cover_index = Some(2)),
            ["options.cover_index out_of_range"]
        );
        let flags = |o: &mut PostOptions| o.own_brand = true;
        assert_eq!(with(base.clone(), flags), NONE);
        assert_eq!(
            with(base.clone(), |o| {
                o.ai_generated = true;
                o.disable_duet = true;
                o.disable_stitch = true;
                o.cover_at_ms = Some(1);
            }),
            [
                "options.disable_duet not_supported",
                "options.disable_stitch not_supported",
                "options.cover_at_ms not_supported",
                "options.ai_generated not_supported",
            ]
        );
        assert_eq!(
            with(base, |o| o.transfer = Some(Transfer::Upload)),
            ["options.transfer not_supported"]
        );
    }
    assert_eq!(with(private(), |o| o.add_music = true), NONE);
    assert_eq!(with(private(), |o| o.disable_comment = true), NONE);
    assert_eq!(
        with(private(), |o| o.branded_content = true),
        ["options.branded_content conflict"]
    );
    assert_eq!(
        with(private(), |o| o.privacy = None),
        ["options.privacy required"]
    );
    assert_eq!(
        with(inbox(), |o| {
            o.privacy = Some("SELF_ONLY".into());
            o.disable_comment = true;
            o.add_music = true;
        }),
        [
            "options.privacy not_supported",
            "options.disable_comment not_supported",
            "options.add_music not_supported",
        ]
    );
}

#[test]
fn videos_may_be_fetched() {
    let pull = |base: PostOptions| PostOptions {
        transfer: Some(Transfer::Pull),
        ..base
    };
    let upload = |base: PostOptions| PostOptions {
        transfer: Some(Transfer::Upload),
        ..base
    };
    let video = photo(MediaKind::Mp4, 4_000_000);
    let ours = MediaInfo::uploaded(MediaKind::Mp4, 4_000_000);
    let theirs = MediaInfo {
        stored: false,
        ..video.clone()
    };
    let nowhere = MediaInfo {
        stored: false,
        ..ours.clone()
    };
    for base in [private(), inbox()] {
        assert_eq!(broken("", &pull(base.clone()), from_ref(&video)), NONE);
        assert_eq!(broken("", &upload(base.clone()), from_ref(&ours)), NONE);
        assert_eq!(broken("", &base, from_ref(&theirs)), NONE);
        assert_eq!(
            broken("", &pull(base.clone()), from_ref(&ours)),
            ["media[0] no_media_address"]
        );
        assert_eq!(
            broken("", &base, from_ref(&nowhere)),
            ["media[0] no_media_address"]
        );
        assert_eq!(
            broken("", &upload(base.clone()), from_ref(&theirs)),
            ["media[0] not_stored"]
        );
    }
    for address in [
        "http://media.example.com/a/1.mp4",
        "https://192.0.2.7/a/1.mp4",
        "https://[2001:db8::7]/a/1.mp4",
        "nonsense",
    ] {
        let odd = MediaInfo {
            address: Some(domain::Secret::new(address)),
            ..video.clone()
        };
        let found = broken("", &pull(private()), &[odd]);
        assert_eq!(found, ["media[0] media_address_unusable"], "{address}");
    }
    // Ten minutes, where the length is known.
    let lasting = |millis| MediaInfo {
        duration_ms: Some(millis),
        ..ours.clone()
    };
    assert_eq!(broken("", &private(), &[lasting(600_000)]), NONE);
    assert_eq!(
        broken("", &private(), &[lasting(600_001)]),
        ["media[0] too_long"]
    );
    // What only photos have.
    let mut options = private();
    options.title = Some("Soup".into());
    options.add_music = true;
    options.cover_index = Some(0);
    assert_eq!(
        broken("", &options, &[ours]),
        [
            "options.title not_supported",
            "options.add_music not_supported",
            "options.cover_index not_supported",
        ]
    );
}

#[test]
fn unaudited_and_sandbox_apps_have_their_rules() {
    let unaudited = app_with(json!({"audited": false}));
    let sandbox = app_with(json!({"sandbox": true}));
    for media in [jpeg(), photo(MediaKind::Mp4, 1)] {
        let media = [media];
        for (privacy, strict, boxed) in [
            ("SELF_ONLY", false, false),
            ("MUTUAL_FOLLOW_FRIENDS", true, false),
            ("FOLLOWER_OF_CREATOR", true, false),
            ("PUBLIC_TO_EVERYONE", true, true),
        ] {
            let mut options = private();
            options.privacy = Some(privacy.into());
            let found = broken_by(&unaudited, "", &options, &media);
            let expected = ["options.privacy app_not_audited"];
            assert_eq!(found, if strict { &expected[..] } else { NONE });
            let found = broken_by(&sandbox, "", &options, &media);
            let expected = ["options.privacy sandbox"];
            assert_eq!(found, if boxed { &expected[..] } else { NONE });
            let audited = app_with(json!({"audited": true, "sandbox": false}));
            assert_eq!(broken_by(&audited, "", &options, &media), NONE);
        }
        assert_eq!(broken_by(&unaudited, "", &inbox(), &media), NONE);
        assert_eq!(broken_by(&sandbox, "", &inbox(), &media), NONE);
        let mut options = private();
        options.branded_content = true;
        assert_eq!(
            broken_by(&unaudited, "", &options, &media),
            ["options.branded_content conflict"]
        );
    }
}

fn body(post: &Post) -> (String, String) {
    let call = TikTok
        .call(&post.job(), &post.start(), &bundle(&[]))
        .unwrap();
    assert_eq!(call.repeat, Repeat::Once);
    assert_eq!(call.request.method(), "POST");
    let path = call.request.uri().to_string();
    let path = path.strip_prefix("https://open.tiktokapis.com").unwrap();
    let body = String::from_utf8(call.request.body().to_vec()).unwrap();
    (path.to_owned(), body)
}

#[test]
fn photo_starts_are_exact() {
    let path = "/v2/post/publish/content/init/";
    let mut post = Post::photos(Mode::Direct);
    post.options.add_music = true;
    post.options.cover_index = Some(1);
    assert_eq!(
        body(&post),
        (
            path.to_owned(),
            r#"{"media_type":"PHOTO","post_mode":"DIRECT_POST","post_info":{"title":"Three soups","description":"Thick and thin","privacy_level":"SELF_ONLY","disable_comment":false,"auto_add_music":true,"brand_content_toggle":false,"brand_organic_toggle":false},"source_info":{"source":"PULL_FROM_URL","photo_images":["https://media.example.com/a/1.webp","https://media.example.com/a/2.jpg"],"photo_cover_index":1}}"#.to_owned()
        )
    );
    let mut post = Post::photos(Mode::Inbox);
    post.options.title = None;
    post.text.clear();
    post.options.own_brand = true;
    assert_eq!(
        body(&post),
        (
            path.to_owned(),
            r#"{"media_type":"PHOTO","post_mode":"MEDIA_UPLOAD","post_info":{"brand_content_toggle":false,"brand_organic_toggle":true},"source_info":{"source":"PULL_FROM_URL","photo_images":["https://media.example.com/a/1.webp","https://media.example.com/a/2.jpg"],"photo_cover_index":0}}"#.to_owned()
        )
    );
}

#[test]
fn starts_of_fetched_videos_are_exact() {
    let source = r#""source_info":{"source":"PULL_FROM_URL","video_url":"https://media.example.com/a/1.mp4"}}"#;
    assert_eq!(
        body(&Post::pull(Mode::Direct)),
        (
            "/v2/post/publish/video/init/".to_owned(),
            format!(
                r#"{{"post_info":{{"title":"Soup night #soup","privacy_level":"SELF_ONLY","disable_duet":false,"disable_comment":false,"disable_stitch":false,"brand_content_toggle":false,"brand_organic_toggle":false,"is_aigc":false}},{source}"#
            )
        )
    );
    assert_eq!(
        body(&Post::pull(Mode::Inbox)),
        (
            "/v2/post/publish/inbox/video/init/".to_owned(),
            format!("{{{source}")
        )
    );
    // What we do not hold is fetched, whatever was chosen.
    let mut post = Post::pull(Mode::Inbox);
    post.options.transfer = None;
    post.media[0].stored = false;
    assert!(body(&post).1.contains("PULL_FROM_URL"));
    // Without an address there is nothing to send.
    post.media[0].address = None;
    let fault = TikTok
        .call(&post.job(), &post.start(), &bundle(&[]))
        .unwrap_err();
    assert!(fault.explain().contains("MediaBaseUrl"));
}
