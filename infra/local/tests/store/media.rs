//! Files and posts: made once for each idempotency key, used only while they are there.

use domain::{Event, EventKind, MediaId, MediaKind, MediaStatus, PostId, Timestamp};
use store::media::{Created, IdempotencyKey};
use store::{Media, Post, StoreError};

use crate::desk::{Desk, NOW, at};

pub(crate) const DAY: i64 = 24 * 3_600;

pub(crate) fn file(desk: &Desk, status: MediaStatus) -> Media {
    let media_id = MediaId::new(NOW, &desk.entropy);
    Media {
        user_id: desk.user.clone(),
        object_key: format!("media/{media_id}"),
        media_id,
        upload_id: "upload".to_owned(),
        size: 40_000,
        part_size: 8 << 20,
        status,
        kind: None,
        duration_ms: None,
        source_url: None,
        source_version: None,
        fetch_lease: None,
        fetch_tries: 0,
        fault: None,
        posted_in: Default::default(),
        created_at: NOW,
        expires_at: at(2 * DAY),
    }
}

pub(crate) async fn stored(desk: &Desk, status: MediaStatus) -> Media {
    let media = file(desk, status);
    let created = desk.media.create(&media, None, desk.attempt()).await;
    assert_eq!(created.unwrap(), Created::New);
    media
}

pub(crate) fn key(name: &str, request: &str) -> IdempotencyKey {
    IdempotencyKey {
        key_hash: name.to_owned(),
        request_hash: request.to_owned(),
    }
}

pub(crate) fn post(desk: &Desk, made: Timestamp, media: &[Media]) -> Post {
    Post {
        user_id: desk.user.clone(),
        post_id: PostId::new(made, &desk.entropy),
        text: "Soup night".to_owned(),
        media: media.iter().map(|media| media.media_id.clone()).collect(),
        targets: Vec::new(),
        created_at: made,
    }
}

pub(crate) async fn create(
    desk: &Desk,
    post: &Post,
    media: &[Media],
    key: Option<&IdempotencyKey>,
) -> Result<Created, StoreError> {
    let event: Event = desk.event(&desk.user, EventKind::PostQueued);
    let (targets, events) = ((&desk.targets, &[][..]), (&desk.events, &[event][..]));
    desk.posts
        .create(
            post,
            (&desk.media, media),
            targets,
            events,
            key,
            desk.attempt(),
        )
        .await
}

/// What both of two creations with one key made: one is new, the other finds it.
fn one_of(both: [(Result<Created, StoreError>, &str); 2]) -> String {
    let new: Vec<_> = both
        .iter()
        .filter(|(created, _)| matches!(created, Ok(Created::New)))
        .collect();
    assert_eq!(new.len(), 1, "{both:?}");
    let made = new[0].1.to_owned();
    for (created, _) in &both {
        match created {
            Ok(Created::New) => {}
            Ok(Created::Before(before)) => assert_eq!(before.made, made),
            // Two transactions at the same moment: the caller tries again.
            Err(error) => assert_eq!(*error, StoreError::Unavailable("conflict".to_owned())),
        }
    }
    made
}

#[tokio::test]
async fn two_uploads_with_one_key_begin_one_file() {
    let desk = Desk::new("media-race");
    let (one, two) = (
        file(&desk, MediaStatus::Uploading),
        file(&desk, MediaStatus::Uploading),
    );
    let key = key("key", "request");
    let create = |media| desk.media.create(media, Some(&key), desk.attempt());
    let (first, second) = tokio::join!(create(&one), create(&two));
    let (a, b) = (one.media_id.to_string(), two.media_id.to_string());
    let made = one_of([(first, &a), (second, &b)]);
    let other = if made == a { &two } else { &one };
    let gone = desk.media.get(&desk.user, &other.media_id, NOW).await;
    assert_eq!(gone.unwrap(), None, "the loser left nothing");
    for (secs, known) in [(0, true), (DAY - 1, true), (DAY, false)] {
        let before = desk
            .media
            .repeated(&desk.user, &key, at(secs))
            .await
            .unwrap();
        assert_eq!(
            before.map(|before| before.made),
            known.then(|| made.clone()),
            "{secs}"
        );
    }
}

#[tokio::test]
async fn a_key_is_one_users_and_ends_after_a_day() {
    let (desk, other) = (Desk::new("key-a"), Desk::new("key-b"));
    let same = key("key", "request");
    for (desk, created, who) in [
        (&desk, NOW, "the first"),
        (&other, NOW, "another user's"),
        (&desk, at(DAY), "the next day's"),
    ] {
        let media = Media {
            created_at: created,
            ..file(desk, MediaStatus::Uploading)
        };
        let made = desk.media.create(&media, Some(&same), desk.attempt()).await;
        assert_eq!(made.unwrap(), Created::New, "{who}");
        let before = desk
            .media
            .repeated(&desk.user, &same, created)
            .await
            .unwrap();
        assert_eq!(before.unwrap().made, media.media_id.as_str(), "{who}");
    }
    let media = file(&desk, MediaStatus::Uploading);
    let otherwise = key("key", "another request");
    let again = desk
        .media
        .create(&media, Some(&otherwise), desk.attempt())
        .await;
    let Created::Before(before) = again.unwrap() else {
        panic!("made twice");
    };
    assert_eq!(
        before.request_hash, "request",
        "the caller sees that it said something else"
    );
}

#[tokio::test]
async fn a_file_is_ready_deleted_or_past_its_time() {
    let desk = Desk::new("media-states");
    let media = stored(&desk, MediaStatus::Uploading).await;
    let get = async |secs| {
        let found = desk.media.get(&desk.user, &media.media_id, at(secs)).await;
        found.unwrap().map(|media| media.status)
    };
    assert_eq!(get(2 * DAY - 1).await, Some(MediaStatus::Uploading));
    assert_eq!(get(2 * DAY).await, None);
    let ready = async || {
        let attempt = desk.attempt();
        let found = Media {
            kind: Some(MediaKind::Mp4),
            ..media.clone()
        };
        let ready = desk.media.ready(&found, at(9 * DAY), &attempt);
        ready.await.unwrap().map(|media| media.kind)
    };
    for _ in 0..2 {
        assert_eq!(ready().await, Some(Some(MediaKind::Mp4)));
        assert_eq!(get(9 * DAY - 1).await, Some(MediaStatus::Ready));
        assert_eq!(get(9 * DAY).await, None);
    }
    assert!(desk.media.deleted(&media, &desk.attempt()).await.unwrap());
    assert_eq!(get(0).await, None);
    assert_eq!(ready().await, None, "it does not come back");
    let never = file(&desk, MediaStatus::Uploading);
    assert!(!desk.media.deleted(&never, &desk.attempt()).await.unwrap());
}

#[tokio::test]
async fn a_post_is_made_of_files_that_are_ready_and_holds_them() {
    let desk = Desk::new("post-media");
    let ready = stored(&desk, MediaStatus::Ready).await;
    let uploading = stored(&desk, MediaStatus::Uploading).await;
    for (name, files, made) in [
        ("one is not ready", vec![ready.clone(), uploading], NOW),
        ("its time is over", vec![ready.clone()], at(2 * DAY)),
    ] {
        let post = post(&desk, made, &files);
        let created = create(&desk, &post, &files, None).await;
        assert!(
            matches!(created, Err(StoreError::Unavailable(_))),
            "{name}: {created:?}"
        );
        let found = desk.posts.get(&desk.user, &post.post_id).await.unwrap();
        assert_eq!(found, None, "{name}");
        assert_eq!(
            desk.told(&desk.user, EventKind::PostQueued).await,
            0,
            "{name}"
        );
    }
    let files = [ready.clone()];
    let first = post(&desk, NOW, &files);
    assert_eq!(
        create(&desk, &first, &files, None).await.unwrap(),
        Created::New
    );
    let found = desk.posts.get(&desk.user, &first.post_id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&first));
    assert_eq!(desk.told(&desk.user, EventKind::PostQueued).await, 1);
    // Deleted only by who has seen the post.
    let deleted = desk.media.deleted(&ready, &desk.attempt()).await;
    assert!(!deleted.unwrap(), "read before the post was made");
    let seen = desk.media.get(&desk.user, &ready.media_id, NOW).await;
    let seen = seen.unwrap().unwrap();
    assert!(seen.posted_in.contains(&first.post_id));
    let second = post(&desk, NOW, &files);
    create(&desk, &second, &files, None).await.unwrap();
    assert!(!desk.media.deleted(&seen, &desk.attempt()).await.unwrap());
    let seen = desk.media.get(&desk.user, &ready.media_id, NOW).await;
    let seen = seen.unwrap().unwrap();
    assert!(desk.media.deleted(&seen, &desk.attempt()).await.unwrap());
    let late = create(&desk, &post(&desk, NOW, &files), &files, None).await;
    assert!(late.is_err(), "a deleted file is no file");
}

#[tokio::test]
async fn two_requests_with_one_key_make_one_post() {
    let desk = Desk::new("post-race");
    let key = key("key", "request");
    let (one, two) = (post(&desk, NOW, &[]), post(&desk, NOW, &[]));
    let (first, second) = tokio::join!(
        create(&desk, &one, &[], Some(&key)),
        create(&desk, &two, &[], Some(&key)),
    );
    let (a, b) = (one.post_id.to_string(), two.post_id.to_string());
    let made = one_of([(first, &a), (second, &b)]);
    let (posts, next) = desk.posts.list(&desk.user, None, 10).await.unwrap();
    let ids: Vec<_> = posts.iter().map(|post| post.post_id.as_str()).collect();
    assert_eq!(
        (ids, next),
        (vec![made.as_str()], None),
        "and no row of the key is a post"
    );
    assert_eq!(desk.told(&desk.user, EventKind::PostQueued).await, 1);
    let before = desk.posts.repeated(&desk.user, &key, NOW).await.unwrap();
    assert_eq!(before.unwrap().made, made);
}

#[tokio::test]
async fn posts_come_newest_first_page_by_page() {
    let desk = Desk::new("post-pages");
    let mut ids = Vec::new();
    for n in 0..5 {
        let post = post(&desk, at(n), &[]);
        let key = key(&n.to_string(), "request");
        create(&desk, &post, &[], Some(&key)).await.unwrap();
        ids.insert(0, post.post_id);
    }
    for limit in [1, 2, 5, 100] {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = desk.posts.list(&desk.user, before.as_deref(), limit).await;
            let (posts, next) = page.unwrap();
            found.extend(posts.into_iter().map(|post| post.post_id));
            before = next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, ids, "pages of {limit}");
    }
}
