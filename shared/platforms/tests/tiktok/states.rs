//! States as they are written down, by this version and earlier ones: a deployment must not lose a post
//! that is under way. A row is never changed, only added.

use domain::{Mode, Secret};
use platforms::tiktok::TikTok;
use platforms::{Action, Finish, Publish, State};
use serde::Deserialize;
use serde_json::Value;

use crate::support::{Post, T0};

#[derive(Deserialize)]
struct Row {
    why: String,
    wants: String,
    data: Value,
}

#[test]
fn states_that_were_written_down_go_on() {
    let rows: Vec<Row> =
        serde_json::from_str(include_str!("../fixtures/tiktok/states.json")).unwrap();
    for row in rows {
        let post = match row.data["plan"]["size"].as_u64() {
            Some(size) => Post::direct(size),
            None => Post::pull(Mode::Direct),
        };
        let url = Secret::new("https://open-upload.tiktokapis.com/video/?upload_id=1");
        let state = State {
            data: row.data,
            secret: Some(url),
        };
        assert_eq!(TikTok.aged(&state, T0), state, "{}", row.why);
        let wants = match post.next(&state, T0) {
            Action::Call(_) => "call",
            Action::Upload { .. } => "upload",
            Action::Wait(_) => "wait",
            Action::Follow(Finish::Inbox, _) => "follow",
            Action::Finish(Finish::Cancelled) => "cancelled",
            Action::Finish(Finish::Published(_)) => "published",
            Action::Finish(Finish::Inbox) => "inbox",
            Action::Finish(Finish::Failed(_)) => "failed",
            Action::Finish(Finish::Unknown(_)) => "unknown",
            other => panic!("{}: {other:?}", row.why),
        };
        assert_eq!(wants, row.wants, "{}", row.why);
        // An intent left open by the earlier version is taken for what it was: a lost start or chunk.
        let lost = TikTok.lost(&post.job(), &state, T0);
        assert!(!matches!(
            post.next(&lost, T0),
            Action::Finish(Finish::Unknown(fault)) if fault.kind == domain::FaultKind::OurBug
        ));
    }
}
