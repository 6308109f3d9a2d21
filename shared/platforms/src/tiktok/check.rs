//! TikTok's rules for a post, checked before anything is sent (tiktok.md §4.2 to §4.4, §4.6, §4.10).

use domain::{Mode, PostOptions, Transfer};
use url::{Host, Url};

use super::creator::LONGEST;
use super::settings::{self, EVERYONE, ONLY_ME};
use super::{check_photo, scope};
use crate::{MediaInfo, PostDraft, Violation};

/// In UTF-16 code units.
const TITLE: usize = 2_200;
/// The smaller reading of 4 GB.
const FILE: u64 = 4_000_000_000;
const PRIVACY: &[&str] = &[
    EVERYONE,
    "MUTUAL_FOLLOW_FRIENDS",
    "FOLLOWER_OF_CREATOR",
    ONLY_ME,
];

/// What the operator must do where TikTok is to fetch files and they have no address.
pub(super) const NO_MEDIA_ADDRESS: &str = "TikTok fetches this file by itself, and this deployment has no address for it. The operator must set the parameter `MediaDomainName` or `MediaBaseUrl` to a domain or prefix that is verified in TikTok's developer portal.";

/// Every rule that the post breaks.
pub(super) fn check(draft: &PostDraft<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let videos = draft.media.iter().filter(|file| file.kind.is_video());
    let videos = videos.count();
    let photos = videos < draft.media.len();
    if draft.media.is_empty() {
        let what = "A TikTok post has one video, or up to 35 photos.";
        found.push(violation("media", "required", what));
    } else if photos && videos > 0 {
        found.push(violation(
            "media",
            "mixed",
            "A TikTok post has either one video or photos, not both. Make two posts of it.",
        ));
    } else if photos {
        check_photo::files(draft, &mut found);
    } else {
        video(draft, &mut found);
    }
    transfer(draft, photos, &mut found);
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
    match (draft.options.mode, photos) {
        (Mode::Direct, _) => direct(draft, &mut found),
        (Mode::Inbox, false) => inbox(draft, &mut found),
        (Mode::Inbox, true) => {}
    }
    match photos {
        true => check_photo::options(draft, &mut found),
        false => video_options(draft, &mut found),
    }
    found
}

fn video(draft: &PostDraft<'_>, found: &mut Vec<Violation>) {
    let [file] = draft.media else {
        found.push(violation(
            "media",
            "too_many",
            "A TikTok post has exactly one video. Make a post of each.",
        ));
        return;
    };
    size(
        file,
        "media[0]",
        FILE,
        "A TikTok video may have at most 4 GB.",
        found,
    );
    if file
        .duration_ms
        .is_some_and(|millis| millis > LONGEST * 1_000)
    {
        found.push(violation(
            "media[0]",
            "too_long",
            "TikTok takes videos of at most 10 minutes from apps.",
        ));
    }
}

/// That there is something in a file, and no more than TikTok takes.
pub(super) fn size(
    file: &MediaInfo,
    field: &str,
    most: u64,
    sentence: &str,
    found: &mut Vec<Violation>,
) {
    // The size of what only its address knows may be unknown.
    if file.size == 0 && file.stored {
        found.push(violation(field, "empty", "The file is empty."));
    }
    if file.size > most {
        found.push(violation(field, "too_large", sentence));
    }
}

/// Whether TikTok gets the files by itself, and can.
fn transfer(draft: &PostDraft<'_>, photos: bool, found: &mut Vec<Violation>) {
    let chosen = draft.options.transfer;
    if photos && chosen == Some(Transfer::Upload) {
        found.push(violation(
            "options.transfer",
            "not_supported",
            "TikTok takes no uploads of photos, it fetches them. Leave this out, or choose `pull`.",
        ));
    }
    let pull = photos || chosen == Some(Transfer::Pull);
    for (number, file) in draft.media.iter().enumerate() {
        let field = format!("media[{number}]");
        if !file.stored && !photos && chosen == Some(Transfer::Upload) {
            found.push(violation(
                &field,
                "not_stored",
                "This file's bytes are not stored here, so they cannot be uploaded. Choose `pull`, or upload the file.",
            ));
        } else if pull || !file.stored {
            match &file.address {
                None => found.push(violation(&field, "no_media_address", NO_MEDIA_ADDRESS)),
                Some(address) if !fetchable(address.expose()) => found.push(violation(
                    &field,
                    "media_address_unusable",
                    "TikTok fetches files over https from a named host alone. The operator must correct the parameter `MediaBaseUrl`.",
                )),
                Some(_) => {}
            }
        }
    }
}

/// Whether TikTok fetches from such an address at all (§4.7).
fn fetchable(address: &str) -> bool {
    Url::parse(address)
        .is_ok_and(|url| url.scheme() == "https" && matches!(url.host(), Some(Host::Domain(_))))
}

fn direct(draft: &PostDraft<'_>, found: &mut Vec<Violation>) {
    let options = draft.options;
    let unaudited = settings::breaks_unaudited(draft.app, options);
    // There is no default: TikTok's audit asks that the creator chooses (§4.10).
    match options.privacy.as_deref() {
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
        Some(_) if unaudited => found.push(violation(
            "options.privacy",
            "app_not_audited",
            "TikTok has not audited this app, so it may post as SELF_ONLY alone. The operator must pass TikTok's audit.",
        )),
        Some(EVERYONE) if settings::sandbox(draft.app) => found.push(violation(
            "options.privacy",
            "sandbox",
            "The account is connected through a sandbox of TikTok, which posts nothing in public. Choose another privacy.",
        )),
        Some(_) => {}
    }
    if options.privacy.as_deref() == Some(ONLY_ME) && options.branded_content {
        found.push(violation(
            "options.branded_content",
            "conflict",
            match settings::audited(draft.app) {
                Some(false) => "Branded content may not be SELF_ONLY, and until TikTok has audited this app it may post nothing else.",
                _ => "Branded content may not be SELF_ONLY. Choose another privacy.",
            },
        ));
    }
}

/// What a video's caption and options break, whatever becomes of it.
fn video_options(draft: &PostDraft<'_>, found: &mut Vec<Violation>) {
    let options = draft.options;
    for (given, field) in [
        (options.title.is_some(), "options.title"),
        (options.add_music, "options.add_music"),
        (options.cover_index.is_some(), "options.cover_index"),
    ] {
        if given {
            found.push(violation(
                field,
                "not_supported",
                "This is for photos: a TikTok video has a caption (`text`) and a cover by its instant (`options.cover_at_ms`). Leave it out.",
            ));
        }
    }
    if options.mode == Mode::Direct {
        length(draft.text, "text", TITLE, found);
        if options
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
}

/// In UTF-16 code units, as TikTok counts.
pub(super) fn length(text: &str, field: &str, most: usize, found: &mut Vec<Violation>) {
    let units = text.encode_utf16().count();
    if units > most {
        found.push(violation(
            field,
            "too_long",
            format!("This text has {units} UTF-16 code units; TikTok takes {most}."),
        ));
    }
}

/// The draft of a video carries the file alone (§4.3): what else is said would be lost without a word.
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
        title: _,
        transfer: _,
        add_music: _,
        cover_index: _,
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

pub(super) fn violation(field: &str, code: &'static str, sentence: impl Into<String>) -> Violation {
    Violation {
        field: field.to_owned(),
        code,
        sentence: sentence.into(),
    }
}
