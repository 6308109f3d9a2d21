//! Nothing goes backward.

use crm::{Difference, Poison, tables};

use crate::ground::{Ground, change, rows_of};

async fn texts(ground: &Ground) -> Vec<String> {
    ground
        .texts("SELECT right(post_id, 1) || text FROM passerelle.posts ORDER BY 1")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_image_never_overwrites_a_newer_one() {
    let ground = Ground::new().await;
    let database = ground.database();
    // As numbers and not as texts: 9 is before 10.
    for (sequence, text) in [(10, "new"), (9, "old"), (10, "twice")] {
        database
            .apply(vec![change(1, sequence, Some(text))])
            .await
            .unwrap();
    }
    assert_eq!(texts(&ground).await, ["1new"]);
    let batch = [(12, "b"), (11, "a"), (13, "c"), (13, "d")];
    let batch = batch.map(|(sequence, text)| change(1, sequence, Some(text)));
    database.apply(batch.into()).await.unwrap();
    assert_eq!(texts(&ground).await, ["1c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_does_not_come_back_by_a_late_image() {
    let ground = Ground::new().await;
    let database = ground.database();
    database
        .apply(vec![change(1, 5, Some("x")), change(2, 6, Some("y"))])
        .await
        .unwrap();
    database.apply(vec![change(1, 7, None)]).await.unwrap();
    database
        .apply(vec![change(1, 5, Some("x")), change(1, 6, Some("z"))])
        .await
        .unwrap();
    assert_eq!(texts(&ground).await, ["2y"]);
    // A removal that is late removes nothing.
    database.apply(vec![change(2, 4, None)]).await.unwrap();
    assert_eq!(texts(&ground).await, ["2y"]);
    // A removal may be all that ever comes, and the item may be made anew.
    database.apply(vec![change(3, 9, None)]).await.unwrap();
    database
        .apply(vec![
            change(3, 8, Some("late")),
            change(1, 10, Some("anew")),
        ])
        .await
        .unwrap();
    assert_eq!(texts(&ground).await, ["1anew", "2y"]);
    // What is remembered of a removal names nobody.
    let kept = ground
        .texts("SELECT r::text FROM passerelle.removed_items r")
        .await;
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|row| !row.contains("post_")), "{kept:?}");
    ground
        .run("UPDATE passerelle.removed_items SET removed_at = now() - interval '4 days'")
        .await;
    assert_eq!(database.forget_old_removals().await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_refused_takes_no_other_with_it() {
    let ground = Ground::new().await;
    let database = ground.database();
    // An index takes no key of this size.
    let mut changes: Vec<_> = (0..9).map(|n| change(n, 1, Some("x"))).collect();
    let crm::Effect::Upsert(rows) = &mut changes[4].effect else {
        panic!("an upsert");
    };
    let mut long = String::new();
    for n in 0..4_000 {
        long.push_str(&format!("{:x}", n * 7_919));
    }
    rows[0].values["user_id"] = long.into();
    let refused = database.apply(changes).await.unwrap();
    let [(change, why)] = &refused[..] else {
        panic!("{refused:?}");
    };
    assert!(matches!(why, Poison::Row(code) if code == "54000"), "{why}");
    assert_eq!(change.sequence.as_str(), "1");
    assert_eq!(database.count(&tables::POSTS).await.unwrap(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_postgresql_has_no_place_for() {
    let ground = Ground::new().await;
    let database = ground.database();
    let odd = "a\0b \u{1F469}\u{200D}\u{1F680} \u{202E} ' \" \\ \u{7f}";
    database.apply(vec![change(1, 1, Some(odd))]).await.unwrap();
    let found = ground.texts("SELECT text FROM passerelle.posts").await;
    assert_eq!(found, [odd.replace('\0', "\u{fffd}")]);
    let rows = rows_of(&[(1, odd.to_owned())]);
    let difference = database.difference(&tables::POSTS, &rows).await.unwrap();
    assert_eq!(difference, Difference::default());
}

/// A check that finds nothing must be able to find something.
#[tokio::test(flavor = "multi_thread")]
async fn differences_are_found_in_both_directions() {
    let ground = Ground::new().await;
    let database = ground.database();
    database
        .apply(vec![change(1, 1, Some("x")), change(2, 1, Some("y"))])
        .await
        .unwrap();
    let rows = rows_of(&[
        (1, "x".to_owned()),
        (2, "z".to_owned()),
        (3, "new".to_owned()),
    ]);
    let found = database.difference(&tables::POSTS, &rows).await.unwrap();
    assert_eq!(
        (found.missing.len(), found.extra.len()),
        (2, 1),
        "{found:?}"
    );
}
