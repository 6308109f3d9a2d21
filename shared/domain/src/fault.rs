//! What can go wrong, in one list for the whole product.
//!
//! Each platform has one table from its own codes to a [`Fault`]. Who must act, whether a retry can
//! help and what a person reads are answered here, once.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The access token is not honoured; a refresh may mend it.
    TokenRejected,
    /// The grant itself is dead: only the creator can mend it.
    ReauthNeeded,
    /// The creator did not grant a scope that this needs.
    ScopeMissing,
    /// Too many calls; over after a while.
    RateLimited,
    /// A quota of the account or the app is used up, for hours rather than seconds.
    QuotaUsed,
    /// The file breaks a rule of the platform.
    MediaRejected,
    /// The platform refused the content, or thinks it spam.
    ContentRejected,
    /// The platform did not answer, or said that it is in trouble.
    PlatformDown,
    /// The app may not do this until the platform has approved it.
    AppNotApproved,
    /// The platform does not accept our app's credentials or settings.
    AppRefused,
    /// The platform restricts this account.
    AccountRestricted,
    /// The thing asked for does not exist on the platform.
    NotFound,
    /// The request breaks a rule that its caller can mend.
    InvalidRequest,
    /// We built a wrong request, or met an answer that we do not know.
    OurBug,
}

/// Who must act before it can work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The end user.
    Creator,
    /// The product that called us.
    Product,
    /// Who runs this deployment.
    Operator,
    /// Nobody: time mends it.
    Nobody,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same again will fail again.
    Never,
    /// After a pause that grows.
    BackOff,
    /// Not before this instant.
    At(Timestamp),
    /// Once, with a fresh access token.
    AfterRefresh,
}

/// One piece of trouble: what a caller may see, and beside it what a log may show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// The platform's own code for it, where it has one. Codes are safe to show; texts are not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_code: Option<String>,
    /// Until when, where the platform or a limit of ours says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// A sentence that fits better than the kind's own, and says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sentence: Option<Cow<'static, str>>,
}

impl Fault {
    /// A fault with nothing but its kind.
    pub const fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            platform_code: None,
            until: None,
            sentence: None,
        }
    }

    /// With the platform's code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.platform_code = Some(code.into());
        self
    }

    /// With the instant at which it is over.
    #[must_use]
    pub const fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// With a sentence of its own: what happened and what to do. Never a platform's raw text.
    #[must_use]
    pub fn sentence(mut self, sentence: impl Into<Cow<'static, str>>) -> Self {
        self.sentence = Some(sentence.into());
        self
    }

    /// The sentence for a person.
    pub fn explain(&self) -> &str {
        self.sentence
            .as_deref()
            .unwrap_or_else(|| self.kind.sentence())
    }

    /// Whether trying again can help, and when.
    pub const fn retry(&self) -> Retry {
        match (self.kind, self.until) {
            (FaultKind::TokenRejected, _) => Retry::AfterRefresh,
            (FaultKind::RateLimited | FaultKind::QuotaUsed | FaultKind::PlatformDown, Some(at)) => {
                Retry::At(at)
            }
            (FaultKind::RateLimited | FaultKind::PlatformDown, None) => Retry::BackOff,
            _ => Retry::Never,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.code())?;
        match &self.platform_code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

impl FaultKind {
    /// Every kind, for tables and documents.
    pub const ALL: &[FaultKind] = &[
        Self::TokenRejected,
        Self::ReauthNeeded,
        Self::ScopeMissing,
        Self::RateLimited,
        Self::QuotaUsed,
        Self::MediaRejected,
        Self::ContentRejected,
        Self::PlatformDown,
        Self::AppNotApproved,
        Self::AppRefused,
        Self::AccountRestricted,
        Self::NotFound,
        Self::InvalidRequest,
        Self::OurBug,
    ];

    /// The stable code in problem answers and events.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TokenRejected => "token_rejected",
            Self::ReauthNeeded => "reauth_needed",
            Self::ScopeMissing => "scope_missing",
            Self::RateLimited => "rate_limited",
            Self::QuotaUsed => "quota_used",
            Self::MediaRejected => "media_rejected",
            Self::ContentRejected => "content_rejected",
            Self::PlatformDown => "platform_down",
            Self::AppNotApproved => "app_not_approved",
            Self::AppRefused => "app_refused",
            Self::AccountRestricted => "account_restricted",
            Self::NotFound => "not_found",
            Self::InvalidRequest => "invalid_request",
            Self::OurBug => "internal",
        }
    }

    /// Who must act.
    pub const fn actor(self) -> Actor {
        match self {
            Self::ReauthNeeded
            | Self::ScopeMissing
            | Self::MediaRejected
            | Self::ContentRejected
            | Self::AccountRestricted => Actor::Creator,
            Self::NotFound | Self::InvalidRequest => Actor::Product,
            Self::AppNotApproved | Self::AppRefused | Self::OurBug => Actor::Operator,
            Self::TokenRejected | Self::RateLimited | Self::QuotaUsed | Self::PlatformDown => {
                Actor::Nobody
            }
        }
    }

    /// The HTTP status when it is the answer to a request of a product.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::ReauthNeeded | Self::ScopeMissing | Self::AccountRestricted => 409,
            Self::RateLimited | Self::QuotaUsed => 429,
            Self::MediaRejected | Self::ContentRejected | Self::InvalidRequest => 422,
            Self::NotFound => 404,
            Self::TokenRejected | Self::PlatformDown | Self::AppNotApproved | Self::AppRefused => {
                503
            }
            Self::OurBug => 500,
        }
    }

    /// Whether it says something of the whole app on the platform, so that no connection may be
    /// blamed for it: such faults open the platform's circuit breaker.
    pub const fn concerns_app(self) -> bool {
        matches!(self, Self::AppRefused | Self::AppNotApproved)
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::TokenRejected => {
                "The platform did not accept the access token. It is being renewed."
            }
            Self::ReauthNeeded => {
                "The connection has ended on the platform's side. The creator needs to connect the account again."
            }
            Self::ScopeMissing => {
                "The creator did not allow this when connecting. Connect the account again and allow it."
            }
            Self::RateLimited => {
                "The platform's rate limit is reached. It is tried again by itself."
            }
            Self::QuotaUsed => "A quota on the platform is used up for now. Try again later.",
            Self::MediaRejected => {
                "The platform does not accept this file. Check its format, length, size and frame rate."
            }
            Self::ContentRejected => "The platform refused this content.",
            Self::PlatformDown => {
                "The platform is not answering as it should. It is tried again by itself."
            }
            Self::AppNotApproved => {
                "The app is not approved by the platform for this yet. The operator must finish the platform's review."
            }
            Self::AppRefused => {
                "The platform does not accept the app's credentials or settings. The operator must check them."
            }
            Self::AccountRestricted => {
                "The platform restricts this account. The creator must settle it with the platform."
            }
            Self::NotFound => "The platform does not know this item.",
            Self::InvalidRequest => "The platform does not accept this request as it is.",
            Self::OurBug => "Something went wrong on our side. It has been recorded.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_code_of_its_own_and_a_whole_sentence() {
        let mut codes: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), FaultKind::ALL.len());
        for kind in FaultKind::ALL {
            assert!(Fault::new(*kind).explain().ends_with('.'), "{kind:?}");
        }
    }

    #[test]
    fn retry_follows_the_kind_and_the_instant() {
        let at = Timestamp::from_secs(9);
        for (fault, retry) in [
            (Fault::new(FaultKind::TokenRejected), Retry::AfterRefresh),
            (Fault::new(FaultKind::RateLimited), Retry::BackOff),
            (Fault::new(FaultKind::RateLimited).until(at), Retry::At(at)),
            (Fault::new(FaultKind::QuotaUsed).until(at), Retry::At(at)),
            (Fault::new(FaultKind::QuotaUsed), Retry::Never),
            (Fault::new(FaultKind::OurBug), Retry::Never),
        ] {
            assert_eq!(fault.retry(), retry, "{fault}");
        }
    }

    #[test]
    fn a_fault_survives_being_written_down() {
        let fault = Fault::new(FaultKind::QuotaUsed)
            .code("spam_risk")
            .sentence("Wait a day.");
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), fault);
    }
}
