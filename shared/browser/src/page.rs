//! Pages with the headers that belong to them.

use http::StatusCode;
use lambda::{Problem, Request, Response, responses};
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

/// The page for a problem that a JSON caller would be told, in the language that the browser accepts.
pub fn problem(language: Option<&str>, product: &str, problem: &Problem) -> Response {
    let why = match problem.status() {
        404 => Trouble::NotFound,
        429 | 502..=504 => Trouble::Busy,
        500.. => Trouble::Internal,
        _ => Trouble::FormInvalid,
    };
    trouble(Locale::accepted(language), product, why, None)
}

#[cfg(test)]
mod tests {
    use domain::{Fault, FaultKind};
    use lambda::Code;

    use super::*;

    #[test]
    fn a_problem_is_a_page_in_the_browsers_language() {
        let throttled = Fault::new(FaultKind::RateLimited).into();
        for (told, status, code) in [
            (Problem::unavailable("a table is gone"), 503, "busy"),
            (throttled, 503, "busy"),
            (Problem::internal("a table is gone"), 500, "internal"),
            (Problem::not_found(), 404, "not_found"),
            (Problem::new(Code::TooLarge), 403, "form_invalid"),
        ] {
            let page = problem(Some("fr-CH, fr;q=0.9"), "Soupe", &told);
            let body = String::from_utf8_lossy(page.body()).into_owned();
            assert_eq!(page.status().as_u16(), status, "{told}");
            assert!(
                body.contains(code) && body.contains("lang=\"fr\""),
                "{body}"
            );
            assert!(!body.contains("a table is gone"));
            let kind = page.headers()["content-type"].to_str().unwrap();
            assert!(kind.starts_with("text/html"), "{kind}");
        }
    }
}
