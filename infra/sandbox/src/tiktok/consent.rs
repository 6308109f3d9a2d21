//! The consent page: works without script, on a phone, in light and dark.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use super::authorize::Asked;
use super::call::Answer;
use super::people::User;
use super::text::html;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #d0d0d7; --soft: #f5f5f8; --text: #161823; --dim: #57585f;
  --go: #c4183f; --page: #fff }
@media (prefers-color-scheme: dark) { :root { --line: #3d3f4a; --soft: #20222c; --text: #f2f2f5;
  --dim: #b1b3bd; --go: #ff5c7f; --page: #14151c } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 26rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
h1 { font-size: 1.35rem; line-height: 1.3; margin: .25rem 0 .5rem; overflow-wrap: anywhere }
p { margin: 0 0 1rem; color: var(--dim) }
.mark { display: inline-block; padding: .15rem .6rem; border: 1px solid var(--line); border-radius: 99px;
  font-size: .8rem; color: var(--dim) }
fieldset { border: 0; margin: 0 0 1.25rem; padding: 0 }
legend { font-weight: 600; padding: 0; margin-bottom: .4rem }
label { display: flex; gap: .75rem; align-items: center; min-height: 3rem; padding: .5rem .75rem;
  background: var(--soft); border: 1px solid var(--line); border-radius: .6rem; margin-bottom: .4rem }
label small { display: block; color: var(--dim) }
input { width: 1.25rem; height: 1.25rem; flex: none; accent-color: var(--go) }
.buttons { display: flex; gap: .75rem }
button { flex: 1; min-height: 3rem; font: inherit; font-weight: 600; border-radius: .6rem; cursor: pointer;
  border: 1px solid var(--line); background: transparent; color: var(--text) }
button.go { background: var(--text); border-color: var(--text); color: var(--page) }
:focus-visible { outline: 3px solid var(--go); outline-offset: 2px }
code { overflow-wrap: anywhere }";

/// Who asks, whom it may be granted by, and what of it.
pub(crate) fn page(asked: &Asked, people: &[&User]) -> Answer {
    let accounts: String = people
        .iter()
        .enumerate()
        .map(|(at, user)| {
            format!(
                r#"<label><input type="radio" name="user" value="{name}" required{checked}>
<span>{shown}<small>@{name}{private}</small></span></label>"#,
                name = html(&user.username),
                shown = html(user.shown()),
                checked = if at == 0 { " checked" } else { "" },
                private = if user.private {
                    " (private account)"
                } else {
                    ""
                },
            )
        })
        .collect();
    let scopes: String = asked
        .scopes
        .iter()
        .map(|scope| {
            format!(
                r#"<label><input type="checkbox" name="scope" value="{scope}" checked{fixed}>
<span>{gives}<small>{scope}</small></span></label>"#,
                scope = html(scope),
                gives = gives(scope),
                fixed = if scope == "user.info.basic" {
                    " disabled"
                } else {
                    ""
                },
            )
        })
        .collect();
    let title = html(asked.app.title());
    // The form goes back to this page's own address: its query is checked again.
    shell(
        StatusCode::OK,
        &format!("Authorize {title}"),
        &format!(
            r#"<span class="mark">Stand-in TikTok, nothing leaves this machine</span>
<h1>{title} would like to access your account</h1>
<p>You can take this permission back at any time.</p>
<form method="post">
<fieldset><legend>Continue as</legend>{accounts}</fieldset>
<fieldset><legend>{title} will be able to</legend>{scopes}</fieldset>
<div class="buttons"><button name="decision" value="decline" formnovalidate>Decline</button>
<button class="go" name="decision" value="approve">Approve</button></div>
</form>"#
        ),
    )
}

/// A page that says what is wrong; nothing goes back to the app.
pub(crate) fn error_page(status: StatusCode, code: &str, message: &str) -> Answer {
    shell(
        status,
        "Something went wrong",
        &format!(
            r#"<span class="mark">Stand-in TikTok</span>
<h1>Something went wrong</h1><p>{}</p><p><code>{}</code></p>"#,
            html(message),
            html(code),
        ),
    )
}

fn shell(status: StatusCode, title: &str, main: &str) -> Answer {
    Answer::empty(status)
        .with_header(CONTENT_TYPE, "text/html; charset=utf-8")
        .with_header(CACHE_CONTROL, "no-store")
        .with_header(
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        )
        .with_body(format!(
            r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{STYLE}</style></head>
<body><main>{main}</main></body></html>"#
        ))
}

fn gives(scope: &str) -> &str {
    match scope {
        "user.info.basic" => "Read your name and picture",
        "user.info.profile" => "Read your profile",
        "user.info.stats" => "Read your followers, likes and video counts",
        "video.list" => "Read your public videos",
        "video.upload" => "Send drafts to your inbox",
        "video.publish" => "Post videos for you",
        other => other,
    }
}
