//! What a form is told.

use domain::Platform;
use platforms::tiktok::TikTok;
use platforms::{App, Choices, Creator, Interactions, PostingChoices, Repeat};
use serde_json::{Value, json};

use crate::support::{app, app_with, bundle, creator, refusal};

fn read(app: &App, changes: &Value) -> PostingChoices {
    Choices::read(&TikTok, app, creator(changes).answer()).unwrap()
}

#[test]
fn choices_are_as_told_just_now() {
    let choices = platforms::choices(Platform::TikTok).unwrap();
    let call = choices.request(&app(), &bundle(&[])).unwrap();
    assert_eq!(
        (call.name, call.repeat),
        ("tiktok.publish.creator", Repeat::Repeatable)
    );
    let told = read(
        &app(),
        &json!({"stitch_disabled": true, "max_video_post_duration_sec": 300}),
    );
    assert_eq!(
        told.creator,
        Creator {
            username: Some("mara.cooks".into()),
            display_name: Some("Mara".into()),
            avatar_url: Some("https://media.example.com/avatar.webp".into()),
        }
    );
    assert_eq!(
        told.privacy,
        ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]
    );
    assert_eq!(
        told.interactions,
        Interactions {
            comment: true,
            duet: true,
            stitch: false,
        }
    );
    assert_eq!(told.max_video_seconds, Some(300));
    // Apps may post ten minutes at most, whatever the creator may.
    let longer = read(&app(), &json!({"max_video_post_duration_sec": 3_600}));
    assert_eq!(longer.max_video_seconds, Some(600));
    // An address that a page must not load is left out.
    let odd = read(
        &app(),
        &json!({"creator_avatar_url": "javascript:alert(1)"}),
    );
    assert_eq!(odd.creator.avatar_url, None);
}

#[test]
fn notices_follow_the_settings() {
    let codes = |settings: Value, changes: Value| -> Vec<_> {
        let told = read(&app_with(settings), &changes);
        assert!(told.notices.iter().all(|one| one.sentence.ends_with('.')));
        told.notices.iter().map(|notice| notice.code).collect()
    };
    let private = json!({"privacy_level_options": ["FOLLOWER_OF_CREATOR", "SELF_ONLY"]});
    let always = ["music_usage", "branded_content"];
    assert_eq!(codes(json!({}), json!({})), always);
    assert_eq!(
        codes(json!({"audited": true, "sandbox": false}), json!({})),
        always
    );
    assert_eq!(
        codes(json!({"audited": false}), private.clone()),
        ["unaudited", "music_usage", "branded_content"]
    );
    assert_eq!(
        codes(json!({"audited": false}), json!({})),
        [
            "unaudited",
            "public_account",
            "music_usage",
            "branded_content"
        ]
    );
    assert_eq!(
        codes(json!({"sandbox": true}), private),
        ["sandbox", "music_usage", "branded_content"]
    );
    let sandbox = read(&app_with(json!({"sandbox": true})), &json!({}));
    assert!(sandbox.notices[0].sentence.contains("refreshing"));
}

#[test]
fn who_may_not_post_is_a_fault() {
    let answer = refusal(200, "spam_risk_user_banned_from_posting");
    let fault = Choices::read(&TikTok, &app(), answer.answer()).unwrap_err();
    assert_eq!(fault.kind.code(), "account_restricted");
}
