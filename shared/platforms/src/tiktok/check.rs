//! TikTok's rules for a post, checked before anything is sent (tiktok.md §4.2, §4.6, §4.10).

use domain::{Mode, PostOptions};

use super::scope;
use crate::{PostDraft, Violation};

/// In UTF-16 code units.
const TITLE: usize = 2_200;
/// The smaller reading of 4 GB.
const FILE: u64 = 4_000_000_000;
const PRIVACY: &[&str] = &[
    "PUBLIC_TO_EVERYONE",
    "MUTUAL_FOLLOW_FRIENDS",
    "FOLLOWER_OF_CREATOR",
    "SELF_ONLY",
];

/// Every rule that the post breaks.
pub(super) fn check(draft: &PostDraft<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    media(draft, &mut found);
    let needed = match draft.options.mode {
        Mode::Direct => scope::PUBLISH,
        Mode::Inbox => scope::UPLOAD,
    };
    if !draft.scopes.iter().any(|granted| granted == needed) {
        found.push(violation(
            "options.mode",
            "scope_missing",
            format!(
                "The creator did not grant `{needed}`. Connect the account again and allow it."
            ),
        ));
    }
    match draft.options.mode {
        Mode::Direct => direct(draft, &mut found),
        Mode::Inbox => inbox(draft, &mut found),
    }
    found
}

fn media(draft: &PostDraft<'_>, found: &mut Vec<Violation>) {
    let [file] = draft.media else {
        let code = if draft.media.is_empty() {
            "required"
        } else {
            "too_many"
        };
        found.push(violation(
            "media",
            code,
            "A TikTok post has exactly one video.",
        ));
        return;
    };
    if !file.kind.is_video() {
        found.push(violation(
            "media[0]",
            "unsupported_type",
            "The file must be an MP4, MOV or WebM video.",
        ));
    }
    if file.size == 0 {
        found.push(violation("media[0]", "empty", "The file is empty."));
    }
    if file.size > FILE {
        found.push(violation(
            "media[0]",
            "too_large",
            "A TikTok video may have at most 4 GB.",
        ));
    }
}

fn direct(draft: &PostDraft<'_>, found: &mut Vec<Violation>) {
    let units = draft.text.encode_utf16().count();
    if units > TITLE {
        found.push(violation(
            "text",
            "too_long",
            format!("The caption has {units} UTF-16 code units; TikTok takes {TITLE}."),
        ));
    }
    // There is no default: TikTok's audit asks that the creator chooses (§4.10).
    match draft.options.privacy.as_deref() {
        None => found.push(violation(
            "options.privacy",
            "required",
            format!("Let the creator choose one of {}.", PRIVACY.join(", ")),
        )),
        Some(chosen) if !PRIVACY.contains(&chosen) => found.push(violation(
            "options.privacy",
            "unknown_value",
            format!("Choose one of {}.", PRIVACY.join(", ")),
        )),
        Some("SELF_ONLY") if draft.options.branded_content => found.push(violation(
            "options.branded_content",
            "conflict",
            "Branded content may not be SELF_ONLY. Choose another privacy.",
        )),
        Some(_) => {}
    }
    if draft
        .options
        .cover_at_ms
        .is_some_and(|at| i32::try_from(at).is_err())
    {
        found.push(violation(
            "options.cover_at_ms",
            "too_large",
            "TikTok takes at most 2147483647 milliseconds.",
        ));
    }
}

/// A draft carries the file alone (§4.3): what else is said would be lost without a word.
fn inbox(draft: &PostDraft<'_>, found: &mut Vec<Violation>) {
    let PostOptions {
        mode: _,
        privacy,
        disable_comment,
        disable_duet,
        disable_stitch,
        cover_at_ms,
        branded_content,
        own_brand,
        ai_generated,
        title,
        transfer: _,
        add_music,
        cover_index,
    } = draft.options;
    for (given, field) in [
        (!draft.text.is_empty(), "text"),
        (privacy.is_some(), "options.privacy"),
        (*disable_comment, "options.disable_comment"),
        (*disable_duet, "options.disable_duet"),
        (*disable_stitch, "options.disable_stitch"),
        (cover_at_ms.is_some(), "options.cover_at_ms"),
        (*branded_content, "options.branded_content"),
        (*own_brand, "options.own_brand"),
        (*ai_generated, "options.ai_generated"),
        (title.is_some(), "options.title"),
        (*add_music, "options.add_music"),
        (cover_index.is_some(), "options.cover_index"),
    ] {
        if given {
            found.push(violation(
                field,
                "not_supported",
                "A draft carries the video alone and this would be lost: the creator sets it in the TikTok app. Leave it out, or post directly.",
            ));
        }
    }
}

fn violation(field: &str, code: &'static str, sentence: impl Into<String>) -> Violation {
    Violation {
        field: field.to_owned(),
        code,
        sentence: sentence.into(),
    }
}
