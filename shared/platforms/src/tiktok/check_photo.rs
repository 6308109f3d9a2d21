//! TikTok's rules for a post of photos (tiktok.md §4.4).

use domain::{MediaKind, Mode};

use super::check::{length, size, violation};
use crate::{PostDraft, Violation};

/// In UTF-16 code units.
const TITLE: usize = 90;
const DESCRIPTION: usize = 4_000;
const PHOTOS: usize = 35;
/// The smaller reading of 20 MB.
const FILE: u64 = 20_000_000;

pub(super) fn files(draft: &PostDraft<'_>, found: &mut Vec<Violation>) {
    if draft.media.len() > PHOTOS {
        found.push(violation(
            "media",
            "too_many",
            "A TikTok post has at most 35 photos.",
        ));
    }
    for (number, file) in draft.media.iter().enumerate() {
        let field = format!("media[{number}]");
        if !matches!(file.kind, MediaKind::Jpeg | MediaKind::WebP) {
            let sentence = "TikTok takes photos as JPEG or WebP alone, no PNG.";
            found.push(violation(&field, "unsupported_type", sentence));
        }
        size(
            file,
            &field,
            FILE,
            "A photo for TikTok may have at most 20 MB.",
            found,
        );
    }
}

pub(super) fn options(draft: &PostDraft<'_>, found: &mut Vec<Violation>) {
    let options = draft.options;
    length(draft.text, "text", DESCRIPTION, found);
    let title = options.title.as_deref().unwrap_or_default();
    length(title, "options.title", TITLE, found);
    let cover = options.cover_index.unwrap_or(0);
    if usize::try_from(cover).is_ok_and(|cover| cover > 0 && cover >= draft.media.len()) {
        found.push(violation(
            "options.cover_index",
            "out_of_range",
            "There is no such photo: the first one is 0.",
        ));
    }
    for (given, field) in [
        (options.disable_duet, "options.disable_duet"),
        (options.disable_stitch, "options.disable_stitch"),
        (options.cover_at_ms.is_some(), "options.cover_at_ms"),
        (options.ai_generated, "options.ai_generated"),
    ] {
        if given {
            found.push(violation(
                field,
                "not_supported",
                "TikTok knows this of videos alone, so it would be lost. Leave it out.",
            ));
        }
    }
    if options.mode == Mode::Direct {
        return;
    }
    for (given, field) in [
        (options.privacy.is_some(), "options.privacy"),
        (options.disable_comment, "options.disable_comment"),
        (options.add_music, "options.add_music"),
    ] {
        if given {
            found.push(violation(
                field,
                "not_supported",
                "The creator of a draft sets this in the TikTok app, so it would be lost. Leave it out, or post directly.",
            ));
        }
    }
}
