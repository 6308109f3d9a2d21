//! User info and creator info.

use serde_json::{Value, json};

use crate::rig::{AUDITED, KEY, Rig, read, text};

#[tokio::test]
async fn user_info_needs_fields_and_their_scopes() {
    let rig = Rig::start().await;
    let asked = json!({"client_key": KEY, "user": "joris", "scopes": ["user.info.basic"]});
    let grant = rig.control("/grants", asked).await;
    let basic = text(&grant["access_token"]);
    let all = rig.access(KEY, "joris").await;
    let cases = [
        (&basic, "?fields=open_id,display_name", 200, "ok"),
        (&basic, "", 400, "invalid_params"),
        (&basic, "?fields=", 400, "invalid_params"),
        (&all, "?fields=open_id,shoe_size", 400, "invalid_params"),
        (
            &basic,
            "?fields=open_id,follower_count",
            400,
            "scope_permission_missed",
        ),
        (&basic, "?fields=username", 400, "scope_permission_missed"),
        (&all, "?fields=username,follower_count", 200, "ok"),
        (
            &"act.unknown".to_owned(),
            "?fields=open_id",
            401,
            "access_token_invalid",
        ),
    ];
    for (token, query, status, code) in cases {
        let request = rig
            .http
            .get(rig.url(&format!("/open/v2/user/info/{query}")));
        let request = request.header("Authorization", format!("Bearer {token}"));
        let body = read(request.send().await.unwrap(), status).await;
        assert_eq!(body["error"]["code"], code, "{query}");
        let user: &Value = &body["data"]["user"];
        if query == "?fields=username,follower_count" {
            assert_eq!(*user, json!({"username": "joris", "follower_count": 1203}));
        } else if status == 200 {
            assert_eq!(user["open_id"], grant["open_id"]);
        }
    }
}

#[tokio::test]
async fn creator_info_refuses_with_200() {
    let rig = Rig::start().await;
    let token = rig.access(AUDITED, "mara").await;
    let body = rig
        .post(&token, "/creator_info/query/", &json!({}), 200)
        .await;
    let options = json!(["FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]);
    assert_eq!(body["data"]["privacy_level_options"], options);
    rig.fault(json!({"endpoint": "creator_info", "error": "reached_active_user_cap"}))
        .await;
    let body = rig
        .post(&token, "/creator_info/query/", &json!({}), 200)
        .await;
    assert_eq!(body["error"]["code"], "reached_active_user_cap");
}
