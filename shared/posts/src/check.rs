//! Whether a post may be accepted: rules of our own first, then the platforms'.

use domain::{ConnectionId, ConnectionStatus, MediaStatus};
use platforms::{Apps, MediaInfo, PostDraft, Violation};
use store::{Connection, Media};

use crate::create::{MAX_MEDIA, MAX_TARGETS, MAX_TEXT_BYTES, NewPost};

/// What is wrong with the request as it is, before anything is looked up.
pub(crate) fn shape(post: &NewPost) -> Vec<Violation> {
    let mut found = Vec::new();
    if post.targets.is_empty() {
        let sentence = "Name at least one connection to publish on.".to_owned();
        found.push(violation("targets", "required", sentence));
    }
    if post.targets.len() > MAX_TARGETS {
        let sentence = format!("A post has at most {MAX_TARGETS} targets.");
        found.push(violation("targets", "too_many", sentence));
    }
    if post.media.len() > MAX_MEDIA {
        let sentence = format!("A post has at most {MAX_MEDIA} files.");
        found.push(violation("media", "too_many", sentence));
    }
    let texts = post
        .targets
        .iter()
        .enumerate()
        .filter_map(|(index, target)| {
            let text = target.text.as_deref()?;
            Some((format!("targets[{index}].text"), text))
        });
    for (field, text) in std::iter::once(("text".to_owned(), post.text.as_str())).chain(texts) {
        if text.len() > MAX_TEXT_BYTES {
            let sentence = format!("A caption has at most {MAX_TEXT_BYTES} bytes.");
            found.push(violation(&field, "too_long", sentence));
        }
    }
    for (index, media) in post.media.iter().enumerate() {
        if post.media[..index].contains(media) {
            let sentence = "This file is already part of the post.".to_owned();
            found.push(violation(&format!("media[{index}]"), "duplicate", sentence));
        }
    }
    for (index, target) in post.targets.iter().enumerate() {
        let same = |other: &ConnectionId| *other == target.connection_id;
        if post.targets[..index]
            .iter()
            .any(|other| same(&other.connection_id))
        {
            let field = format!("targets[{index}].connection_id");
            let sentence = "This connection is already a target of the post.".to_owned();
            found.push(violation(&field, "duplicate", sentence));
        }
    }
    found
}

/// What is wrong with it as things stand: `media` and `connections` are those that it names, in its
/// order.
///
/// `infos` are the files that are ready, in the same order.
pub(crate) fn fits(
    apps: &Apps,
    post: &NewPost,
    media: &[Media],
    infos: &[MediaInfo],
    connections: &[Connection],
) -> Vec<Violation> {
    let mut found = Vec::new();
    for (index, media) in media.iter().enumerate() {
        let sentence = match media.status {
            MediaStatus::Ready => continue,
            MediaStatus::Fetching => "The file is still being fetched from its address.",
            MediaStatus::Failed => "The file could not be fetched from its address.",
            MediaStatus::Uploading | MediaStatus::Deleted => "The file's upload is not complete.",
        };
        let field = format!("media[{index}]");
        found.push(violation(&field, "not_ready", sentence.to_owned()));
    }
    for (index, (target, connection)) in post.targets.iter().zip(connections).enumerate() {
        let field = format!("targets[{index}].connection_id");
        if let Some((code, sentence)) = unusable(connection) {
            found.push(violation(&field, code, sentence.to_owned()));
            continue;
        }
        let Some(platform) = platforms::publish(connection.platform) else {
            let sentence = format!("Nothing can be posted on {}.", connection.platform.title());
            found.push(violation(&field, "cannot_publish", sentence));
            continue;
        };
        let app = apps.of(connection.platform, connection.client_id.as_deref());
        let Some(app) = app else {
            let sentence = format!(
                "The app for {} that this account was connected with is not set up in this deployment. The operator must set it up.",
                connection.platform.title()
            );
            found.push(violation(&field, "not_configured", sentence));
            continue;
        };
        if infos.len() < media.len() {
            // The platform's word on the files would be about others than those that were named.
            continue;
        }
        let draft = PostDraft {
            app,
            text: target.text.as_deref().unwrap_or(&post.text),
            options: &target.options,
            media: infos,
            scopes: &connection.scopes,
        };
        for mut broken in platform.check(&draft) {
            broken.field = placed(&broken.field, index, target.text.is_some());
            // Two targets may say the same of one file.
            if !found.contains(&broken) {
                found.push(broken);
            }
        }
    }
    found
}

fn unusable(connection: &Connection) -> Option<(&'static str, &'static str)> {
    match connection.status {
        ConnectionStatus::Active => None,
        ConnectionStatus::NeedsReauth => Some((
            "needs_reauth",
            "The connection has ended on the platform's side. The creator needs to connect the account again.",
        )),
        ConnectionStatus::Disconnected => Some((
            "disconnected",
            "The account was disconnected. The creator needs to connect it again.",
        )),
    }
}

/// A platform's field, as a place in the request.
fn placed(field: &str, index: usize, own_text: bool) -> String {
    let shared = field == "media" || field.starts_with("media[") || (field == "text" && !own_text);
    if shared {
        field.to_owned()
    } else {
        format!("targets[{index}].{field}")
    }
}

fn violation(field: &str, code: &'static str, sentence: String) -> Violation {
    Violation {
        field: field.to_owned(),
        code,
        sentence,
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        Account, MediaId, MediaKind, Platform, PostOptions, Secret, SeededEntropy, Timestamp,
    };

    use super::*;
    use crate::create::NewTarget;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn media(status: MediaStatus, kind: MediaKind) -> Media {
        Media {
            user_id: "u".parse().unwrap(),
            media_id: MediaId::new(NOW, &SeededEntropy::new(1)),
            object_key: String::new(),
            upload_id: String::new(),
            size: 10,
            part_size: 10,
            status,
            kind: Some(kind),
            duration_ms: None,
            source_url: None,
            source_version: None,
            fetch_lease: None,
            fetch_tries: 0,
            fault: None,
            posted_in: Default::default(),
            created_at: NOW,
            expires_at: NOW,
        }
    }

    fn connection(status: ConnectionStatus, scopes: &[&str]) -> Connection {
        let user = "u".parse().unwrap();
        let text = serde_json::json!({
            "user_id": user,
            "connection_id": id(&user, "a"),
            "platform": "tiktok",
            "account": Account {
                environment: domain::Environment::Production,
                platform: Platform::TikTok,
                id: "a".into(),
                display_name: String::new(),
                username: None,
                profile_url: None,
                other_ids: Default::default(),
            },
            "status": status,
            "token_version": 1,
            "scopes": scopes,
            "created_at": NOW,
            "updated_at": NOW,
        });
        serde_json::from_value(text).unwrap()
    }

    fn id(user: &domain::UserId, account: &str) -> ConnectionId {
        ConnectionId::of(user, Platform::TikTok, account)
    }

    fn target(account: &str, privacy: &str) -> NewTarget {
        NewTarget {
            connection_id: id(&"u".parse().unwrap(), account),
            text: None,
            options: PostOptions {
                privacy: Some(privacy.to_owned()),
                ..PostOptions::default()
            },
        }
    }

    fn fields(found: &[Violation]) -> Vec<(&str, &str)> {
        found
            .iter()
            .map(|found| (found.field.as_str(), found.code))
            .collect()
    }

    #[test]
    fn shapes_are_told_field_by_field() {
        let file = |seed| MediaId::new(NOW, &SeededEntropy::new(seed));
        let good = NewPost {
            text: "hello".into(),
            media: vec![file(1)],
            targets: vec![target("a", "SELF_ONLY")],
        };
        assert_eq!(shape(&good), []);
        let bad = NewPost {
            text: "x".repeat(MAX_TEXT_BYTES + 1),
            media: vec![file(1), file(1)],
            targets: vec![target("a", "SELF_ONLY"), target("a", "SELF_ONLY")],
        };
        assert_eq!(
            fields(&shape(&bad)),
            [
                ("text", "too_long"),
                ("media[1]", "duplicate"),
                ("targets[1].connection_id", "duplicate"),
            ]
        );
        let none = NewPost {
            targets: Vec::new(),
            ..good.clone()
        };
        assert_eq!(fields(&shape(&none)), [("targets", "required")]);
        let many = NewPost {
            media: (0..36).map(file).collect(),
            targets: (0..11)
                .map(|n| target(&n.to_string(), "SELF_ONLY"))
                .collect(),
            ..good
        };
        let many = shape(&many);
        assert_eq!(
            fields(&many),
            [("targets", "too_many"), ("media", "too_many")]
        );
    }

    #[test]
    fn platforms_rules_are_placed_in_the_request() {
        let all = &["video.publish", "video.upload"][..];
        let active = || connection(ConnectionStatus::Active, all);
        let ready = media(MediaStatus::Ready, MediaKind::Mp4);
        let image = media(MediaStatus::Ready, MediaKind::Png);
        let uploading = media(MediaStatus::Uploading, MediaKind::Mp4);
        type Row<'a> = (
            &'a Media,
            Vec<Connection>,
            Vec<NewTarget>,
            &'a [(&'a str, &'a str)],
        );
        let own_text = NewTarget {
            text: Some("x".repeat(3_000)),
            ..target("a", "SELF_ONLY")
        };
        let table: Vec<Row<'_>> = vec![
            (&ready, vec![active()], vec![target("a", "SELF_ONLY")], &[]),
            (
                &ready,
                vec![active(), active()],
                vec![target("a", "SELF_ONLY"), target("b", "ANYONE")],
                &[("targets[1].options.privacy", "unknown_value")],
            ),
            (
                &ready,
                vec![active()],
                vec![own_text],
                &[("targets[0].text", "too_long")],
            ),
            (
                &image,
                vec![active(), active()],
                vec![target("a", "SELF_ONLY"), target("b", "SELF_ONLY")],
                &[
                    ("media[0]", "unsupported_type"),
                    ("media[0]", "no_media_address"),
                ],
            ),
            (
                &uploading,
                vec![active()],
                vec![target("a", "ANYONE")],
                &[("media[0]", "not_ready")],
            ),
            (
                &ready,
                vec![
                    connection(ConnectionStatus::NeedsReauth, all),
                    connection(ConnectionStatus::Disconnected, all),
                    connection(ConnectionStatus::Active, &[]),
                ],
                vec![
                    target("a", "SELF_ONLY"),
                    target("b", "SELF_ONLY"),
                    target("c", "SELF_ONLY"),
                ],
                &[
                    ("targets[0].connection_id", "needs_reauth"),
                    ("targets[1].connection_id", "disconnected"),
                    ("targets[2].options.mode", "scope_missing"),
                ],
            ),
        ];
        let apps = Secret::new(r#"{"tiktok":{"client_key":"aw1","client_secret":"s"}}"#);
        let apps = Apps::parse(&apps).unwrap();
        for (media, connections, targets, complaints) in table {
            let post = NewPost {
                text: "hello".into(),
                media: vec![media.media_id.clone()],
                targets,
            };
            let infos: Vec<_> = (media.status == MediaStatus::Ready)
                .then(|| MediaInfo::uploaded(media.kind.unwrap(), media.size))
                .into_iter()
                .collect();
            let media = std::slice::from_ref(media);
            let found = fits(&apps, &post, media, &infos, &connections);
            assert_eq!(fields(&found), complaints, "{post:?}");
        }
    }
}
