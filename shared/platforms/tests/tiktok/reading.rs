//! Nothing that TikTok, or somebody in its name, may send makes a reader panic.

use domain::{Mode, PublishNews};
use http::HeaderMap;
use platforms::tiktok::TikTok;
use platforms::{Authorize, Cancel, Choices, CodeGrant, Publish, Refresh, Revoke, State, Webhook};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{Post, T0, app, bundle, reply};

/// Any bytes, any JSON, and JSON that is nearly right.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let names = prop_oneof![
        Just("error"),
        Just("code"),
        Just("data"),
        Just("status"),
        Just("publish_id"),
        Just("upload_url"),
        Just("uploaded_bytes"),
        Just("access_token"),
        Just("scope"),
        Just("expires_in"),
        Just("user"),
        Just("open_id"),
        Just("event"),
        Just("content"),
        Just("create_time"),
        Just("user_openid"),
        Just("fail_reason"),
        Just("publicaly_available_post_id"),
        Just("reason"),
        Just("post_id"),
        Just("privacy_level_options"),
        Just("max_video_post_duration_sec"),
        Just("comment_disabled"),
    ];
    let texts = prop_oneof![
        any::<String>(),
        Just("ok".to_owned()),
        Just("{}".to_owned()),
        Just("FAILED".to_owned()),
        Just("PUBLISH_COMPLETE".to_owned()),
        Just("PROCESSING_UPLOAD".to_owned()),
        Just("SELF_ONLY".to_owned()),
        Just("post.publish.complete".to_owned()),
        Just("authorization.removed".to_owned()),
        Just("https://open-upload.tiktokapis.com/v".to_owned()),
        Just("internal".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts.prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((names.clone(), inner), 0..6).prop_map(|pairs| {
                Value::Object(
                    pairs
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    });
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        tree.prop_map(|value| value.to_string().into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn answers(body in bodies(), status in 200u16..600, range in "[ -~]{0,40}", late in any::<bool>()) {
        let at = if late { T0.plus_secs(7_200) } else { T0 };
        let answer = reply(status, body).at(at).header("content-range", &range);
        let mut connect = TikTok.connect(&app(), CodeGrant {
            code: domain::Secret::new("c"),
            redirect_uri: "https://app.example.com/cb".into(),
            verifier: None,
            scopes: Vec::new(),
        });
        connect.next(None);
        for _ in 0..4 {
            connect.next(Some(answer.answer()));
        }
        let _ = Refresh::read(&TikTok, answer.answer(), &bundle(&[]));
        let _ = Revoke::read(&TikTok, answer.answer());
        let _ = Choices::read(&TikTok, &app(), answer.answer());
        let upload = Post::direct(100_000_000);
        let pull = Post::photos(Mode::Direct);
        let draft = TikTok.told(&upload.processing(), &PublishNews::InInbox, T0);
        let Cancel::Ask(wish) = TikTok.cancel(&pull.fetching(), T0) else { panic!() };
        for (post, state) in [
            (&upload, upload.fresh()), (&upload, upload.start()), (&upload, upload.uploading()),
            (&upload, upload.processing()), (&upload, draft), (&pull, pull.start()),
            (&pull, pull.fetching()), (&pull, wish),
        ] {
            if let Ok(state) = post.answered(&state, &answer) {
                let state = TikTok.aged(&state, at);
                let _ = post.next(&state, at);
                let _ = TikTok.cancel(&state, at);
                let _ = TikTok.lost(&post.job(), &state, at);
                let _ = TikTok.upload(&post.job(), &state);
            }
        }
    }

    #[test]
    fn webhooks(body in bodies(), signature in "[ -~]{0,80}") {
        let mut headers = HeaderMap::new();
        headers.insert("tiktok-signature", signature.parse().unwrap());
        prop_assert!(TikTok.verify(&app(), &headers, &body, T0, None).is_err());
        let _ = Webhook::read(&TikTok, &headers, &body);
    }

    #[test]
    fn callbacks(query in proptest::collection::vec((any::<String>(), any::<String>()), 0..4)) {
        let _ = TikTok.read_callback(&query);
        let _ = TikTok.wants_verifier(&app(), query.first().map_or("", |(_, value)| value));
    }

    #[test]
    fn states(data in bodies(), reason in any::<String>()) {
        let data: Value = serde_json::from_slice(&data).unwrap_or_default();
        let state = State { data, secret: None };
        let post = Post::direct(4_000_000);
        let _ = post.next(&state, T0);
        let _ = TikTok.aged(&state, T0);
        let _ = TikTok.cancel(&state, T0);
        let _ = TikTok.lost(&post.job(), &state, T0);
        let _ = TikTok.told(&state, &PublishNews::Failed { reason: reason.clone() }, T0);
        let _ = TikTok.told(&post.processing(), &PublishNews::Failed { reason }, T0);
    }
}
