//! What a caller is told when something goes wrong: RFC 9457.

use std::borrow::Cow;
use std::fmt;

use domain::{Fault, FaultKind, Timestamp};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::responses::{self, Response};
use crate::start::Error;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $code:literal, $sentence:literal;)*) => {
        /// The stable codes of answers that are not the platform's doing. A [`Fault`]'s own codes
        /// ([`FaultKind::code`]) join them; where both have one, it means the same.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &[Code] = &[$(Self::$name),*];

            /// The code as callers see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The sentence, where a caller gives no better one.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

codes! {
    /// The request cannot be read.
    Malformed = 400, "malformed_request", "The request cannot be read.";
    /// There is no token; the gateway itself answers so as a rule.
    Unauthorized = 401, "unauthorized", "A token is needed.";
    /// A webhook's signature is not the platform's.
    SignatureInvalid = 401, "signature_invalid", "The signature does not match the body.";
    /// The token does not carry the scope.
    Forbidden = 403, "forbidden", "The token does not allow this.";
    /// There is no such thing, or it is not this user's.
    NotFound = 404, "not_found", "There is nothing here under this id.";
    /// The path exists, the method does not.
    MethodNotAllowed = 405, "method_not_allowed", "This address does not take this method.";
    /// The thing is in a state in which this cannot be done.
    Conflict = 409, "conflict", "This cannot be done in the present state.";
    /// The body is larger than this address takes.
    TooLarge = 413, "too_large", "The body is larger than this address takes.";
    /// The request breaks rules that `errors` names.
    Invalid = 422, "invalid_request", "The request breaks a rule; errors names each.";
    /// We could not do it; the request can be sent again.
    Unavailable = 503, "unavailable", "This cannot be done right now. Try again later.";
    /// The operator has not set up this platform.
    NotConfigured = 503, "platform_not_configured", "This platform is not set up in this deployment.";
    /// Our own failing.
    Internal = 500, "internal", "Something went wrong on our side. It has been recorded.";
}

/// One field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: `targets[0].options.privacy`, a header's or a parameter's name; `.` is the whole body.
    pub field: String,
    /// Stable: `missing`, `too_long`.
    pub code: Cow<'static, str>,
    /// What is wrong and what to do.
    pub sentence: String,
}

/// An answer that says what went wrong. What the caller sees and what the log sees are apart: the
/// cause never leaves the function.
#[derive(Debug)]
pub struct Problem(Box<Told>);

#[derive(Debug)]
struct Told {
    status: u16,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    until: Option<Timestamp>,
    fault: Option<Fault>,
    cause: Option<Error>,
}

impl Problem {
    /// A problem with its code's own status and sentence.
    pub fn new(code: Code) -> Self {
        Self(Box::new(Told {
            status: code.status(),
            code: code.as_str(),
            detail: Cow::Borrowed(code.sentence()),
            errors: Vec::new(),
            until: None,
            fault: None,
            cause: None,
        }))
    }

    /// 400: a header, parameter or body that cannot be read.
    pub fn bad_request(
        field: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        sentence: impl Into<String>,
    ) -> Self {
        Self::new(Code::Malformed).error(field, code, sentence)
    }

    /// 422: one field breaks a rule; [`Problem::error`] adds more.
    pub fn invalid(
        field: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        sentence: impl Into<String>,
    ) -> Self {
        Self::new(Code::Invalid).error(field, code, sentence)
    }

    /// 403: the scope, or who may do this.
    pub fn forbidden(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Forbidden).detail(sentence)
    }

    /// 404: no such thing, or another user's.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound)
    }

    /// 409: with what stands in the way.
    pub fn conflict(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Conflict).detail(sentence)
    }

    /// 503: our own trouble, worth another try.
    pub fn unavailable(cause: impl Into<Error>) -> Self {
        Self::new(Code::Unavailable).cause(cause)
    }

    /// 500: our own failing; the cause goes to the log alone.
    pub fn internal(cause: impl Into<Error>) -> Self {
        Self::new(Code::Internal).cause(cause)
    }

    /// With a sentence that fits better.
    #[must_use]
    pub fn detail(mut self, sentence: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = sentence.into();
        self
    }

    /// With one field more.
    #[must_use]
    pub fn error(
        mut self,
        field: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        sentence: impl Into<String>,
    ) -> Self {
        self.0.errors.push(FieldError {
            field: field.into(),
            code: code.into(),
            sentence: sentence.into(),
        });
        self
    }

    /// With all of these fields.
    #[must_use]
    pub fn errors(mut self, errors: impl IntoIterator<Item = FieldError>) -> Self {
        self.0.errors.extend(errors);
        self
    }

    /// With the instant from which another try makes sense; becomes `until` and `Retry-After`.
    #[must_use]
    pub fn until(mut self, until: Timestamp) -> Self {
        self.0.until = Some(until);
        self
    }

    /// With what the log shall say.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Error>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The sentence for a person.
    pub fn sentence(&self) -> &str {
        &self.0.detail
    }

    /// The whole seconds until another try makes sense, where that is known; 1 at least.
    pub(crate) fn retry_after(&self, now: Timestamp) -> Option<u64> {
        let until = self.0.until?;
        Some(until.since(now).as_secs().max(1))
    }

    /// The answer, under the id of the request that it answers.
    pub fn into_response(self, request_id: &str, now: Timestamp) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = json!({
            "type": format!("urn:passerelle:problem:{}", self.0.code),
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": self.0.code,
            "detail": self.0.detail,
            "instance": format!("urn:passerelle:request:{request_id}"),
        });
        if !self.0.errors.is_empty() {
            body["errors"] = json!(self.0.errors);
        }
        if let Some(fault) = &self.0.fault {
            body["actor"] = json!(fault.kind.actor());
            if let Some(code) = &fault.platform_code {
                body["platform_code"] = Value::from(code.as_str());
            }
        }
        let wait = self.retry_after(now);
        if let Some(until) = self.0.until {
            body["until"] = until.rfc3339().into();
        }
        let mut response = responses::json(status, &body);
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(secs) = wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self(Box::new(Told {
            status: fault.kind.http_status(),
            code: fault.kind.code(),
            detail: fault.explain().to_owned().into(),
            errors: Vec::new(),
            until: fault.until,
            cause: (fault.kind == FaultKind::OurBug).then(|| fault.clone().into()),
            fault: Some(fault),
        }))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.cause {
            Some(cause) => Some(&**cause),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn shown(problem: Problem) -> String {
        let response = problem.into_response("r-1", NOW);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(headers["cache-control"], "no-store");
        let retry = headers.get("retry-after");
        let retry = retry.and_then(|value| value.to_str().ok()).unwrap_or("-");
        let body = String::from_utf8_lossy(response.body()).into_owned();
        format!("{} retry-after={retry} {body}", response.status())
    }

    #[test]
    fn fields_are_told_one_by_one() {
        let problem = Problem::invalid("text", "too_long", "At most 2,200 characters.").error(
            "media[0]",
            "missing",
            "A post needs media.",
        );
        insta::assert_snapshot!(shown(problem), @r#"422 Unprocessable Entity retry-after=- {"code":"invalid_request","detail":"The request breaks a rule; errors names each.","errors":[{"code":"too_long","field":"text","sentence":"At most 2,200 characters."},{"code":"missing","field":"media[0]","sentence":"A post needs media."}],"instance":"urn:passerelle:request:r-1","status":422,"title":"Unprocessable Entity","type":"urn:passerelle:problem:invalid_request"}"#);
    }

    #[test]
    fn a_fault_tells_who_must_act_and_when() {
        let fault = Fault::new(FaultKind::QuotaUsed)
            .code("spam_risk_too_many_posts")
            .until(NOW.plus_secs(90));
        insta::assert_snapshot!(shown(fault.into()), @r#"429 Too Many Requests retry-after=90 {"actor":"nobody","code":"quota_used","detail":"A quota on the platform is used up for now. Try again later.","instance":"urn:passerelle:request:r-1","platform_code":"spam_risk_too_many_posts","status":429,"title":"Too Many Requests","type":"urn:passerelle:problem:quota_used","until":"2027-01-15T08:01:30Z"}"#);
    }

    #[test]
    fn a_cause_is_logged_and_never_answered() {
        let problem = Problem::internal("table passerelle-x is gone");
        let error: &dyn std::error::Error = &problem;
        assert!(error.source().is_some());
        assert!(!shown(problem).contains("passerelle-x"));
    }

    #[test]
    fn codes_are_unique_and_agree_with_the_faults() {
        for (index, code) in Code::ALL.iter().enumerate() {
            let twin = |other: &Code| other.as_str() == code.as_str();
            assert!(!Code::ALL[index + 1..].iter().any(twin), "{code:?}");
            assert!(code.sentence().ends_with('.'), "{code:?}");
            let kind = FaultKind::ALL
                .iter()
                .find(|kind| kind.code() == code.as_str());
            if let Some(kind) = kind {
                assert_eq!(kind.http_status(), code.status(), "{code:?}");
            }
        }
    }
}
