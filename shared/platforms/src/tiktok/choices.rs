//! What the form must show before a post (tiktok.md §4.1, §4.10).

use domain::{Fault, TokenBundle};

use super::creator::{self, LONGEST};
use super::settings::{self, EVERYONE};
use super::{TikTok, errors};
use crate::{Answer, App, Call, Choices, Creator, Interactions, Notice, PostingChoices};

impl Choices for TikTok {
    fn request(&self, _app: &App, bundle: &TokenBundle) -> Result<Call, Fault> {
        creator::request(bundle)
    }

    fn read(&self, app: &App, answer: Answer<'_>) -> Result<PostingChoices, Fault> {
        let info = creator::read(answer)?;
        let public = info.privacy.iter().any(|option| option == EVERYONE);
        Ok(PostingChoices {
            creator: Creator {
                username: info.username,
                display_name: info.nickname,
                avatar_url: info.avatar_url,
            },
            privacy: info.privacy,
            interactions: Interactions {
                comment: !info.comment_off,
                duet: !info.duet_off,
                stitch: !info.stitch_off,
            },
            max_video_seconds: Some(info.max_seconds.unwrap_or(LONGEST).min(LONGEST)),
            notices: notices(app, public),
        })
    }
}

/// `public`: whether the account is a public one.
fn notices(app: &App, public: bool) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut add = |code, sentence: &str| {
        notices.push(Notice {
            code,
            sentence: sentence.to_owned(),
        });
    };
    if settings::audited(app) == Some(false) {
        add("unaudited", UNAUDITED);
        if public {
            add("public_account", errors::PUBLIC_ACCOUNT);
        }
    }
    if settings::sandbox(app) {
        add("sandbox", SANDBOX);
    }
    add("music_usage", MUSIC);
    add("branded_content", BRANDED);
    notices
}

const UNAUDITED: &str = "TikTok has not audited this app: it posts as SELF_ONLY to private accounts alone, for at most 5 accounts in 24 hours. Such a post becomes visible to others only after the creator has opened the account and changed that post by hand.";
const SANDBOX: &str = "The account is connected through a sandbox of TikTok: only the sandbox's target users (10 at most) can connect, and nothing is posted in public. A developer has reported that refreshing tokens of sandbox apps always failed: if the connection ends, connect the account again.";
const MUSIC: &str = "Near the button that posts, say that by posting the creator agrees to TikTok's Music Usage Confirmation, and send nothing before the creator has agreed.";
const BRANDED: &str = "Leave the switch for commercial content off until the creator turns it on; the creator then chooses their own business (`own_brand`), a third party (`branded_content`) or both. Branded content may not be SELF_ONLY.";
