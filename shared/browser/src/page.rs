//! Pages with the headers that belong to them.

use http::StatusCode;
use lambda::{Request, Response, responses};
use pages::{Locale, MessagePage, Trouble};

/// The language of a page: the session's, or what the browser prefers.
pub fn locale_of(request: &Request, told: Option<&str>) -> Locale {
    Locale::accepted(told.or_else(|| request.header("accept-language")))
}

/// A page whose form may end at these origins beside our own.
pub fn show(page: String, form_action: &[&str]) -> Response {
    responses::html(StatusCode::OK, page, pages::style_hash(), form_action)
}

/// A page that only says something.
pub fn message(status: StatusCode, page: &MessagePage<'_>) -> Response {
    responses::html(status, page.render(), pages::style_hash(), &[])
}

/// The page for what stopped a creator, with a way back where there is one.
pub fn trouble(locale: Locale, product: &str, trouble: Trouble, back: Option<&str>) -> Response {
    let status = StatusCode::from_u16(trouble.status()).unwrap_or(StatusCode::BAD_REQUEST);
    message(
        status,
        &MessagePage::trouble(locale, product, trouble).back(back),
    )
}
