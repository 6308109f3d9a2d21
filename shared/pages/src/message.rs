//! The pages that only say something.

use askama::Template;
use domain::Platform;

use crate::page::rendered;
use crate::{AccountView, Locale};

/// What stopped a creator. Each has a fixed code and fixed texts: nothing that a platform or a
/// request wrote is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The link was used, or its time is over.
    LinkSpent,
    /// This browser has no session, or it is over.
    SessionEnded,
    /// What came back does not belong to an attempt of this browser.
    AttemptInvalid,
    /// The creator said no on the platform's page.
    Refused,
    /// The platform does not let the app connect accounts.
    PlatformRefused,
    /// The platform does not accept our app's credentials or settings: the operator's to mend.
    AppRefused,
    /// The platform does not answer as it should.
    PlatformDown,
    /// The account is being disconnected just now.
    AccountBusy,
    /// The creator cancelled on our page.
    Cancelled,
    /// The form was sent from another page, or twice.
    FormInvalid,
    /// There is no such page.
    NotFound,
    /// Something that we need does not answer, or asks us to slow down.
    Busy,
    /// Our own failing.
    Internal,
}

impl Trouble {
    /// Every trouble.
    pub const ALL: &[Trouble] = &[
        Self::LinkSpent,
        Self::SessionEnded,
        Self::AttemptInvalid,
        Self::Refused,
        Self::PlatformRefused,
        Self::AppRefused,
        Self::PlatformDown,
        Self::AccountBusy,
        Self::Cancelled,
        Self::FormInvalid,
        Self::NotFound,
        Self::Busy,
        Self::Internal,
    ];

    /// The stable code, shown small for whoever asks support, and handed to the product.
    pub const fn code(self) -> &'static str {
        match self {
            Self::LinkSpent => "link_spent",
            Self::SessionEnded => "session_ended",
            Self::AttemptInvalid => "attempt_invalid",
            Self::Refused => "refused_by_creator",
            Self::PlatformRefused => "refused_by_platform",
            Self::AppRefused => "app_refused",
            Self::PlatformDown => "platform_down",
            Self::AccountBusy => "account_busy",
            Self::Cancelled => "cancelled",
            Self::FormInvalid => "form_invalid",
            Self::NotFound => "not_found",
            Self::Busy => "busy",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status of the page.
    pub const fn status(self) -> u16 {
        match self {
            Self::LinkSpent => 410,
            Self::SessionEnded | Self::AttemptInvalid | Self::FormInvalid => 403,
            Self::Refused | Self::Cancelled => 200,
            Self::AccountBusy => 409,
            Self::PlatformRefused | Self::AppRefused | Self::PlatformDown => 502,
            Self::NotFound => 404,
            Self::Busy => 503,
            Self::Internal => 500,
        }
    }
}

/// A title, a sentence, what to do, and perhaps a way back.
#[derive(Clone, Debug)]
pub struct MessagePage<'a> {
    locale: Locale,
    product: &'a str,
    title: String,
    sentence: String,
    todo: String,
    account: Option<AccountView>,
    back: Option<&'a str>,
    code: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    locale: Locale,
    product: &'a str,
    title: &'a str,
    sentence: &'a str,
    todo: &'a str,
    account: &'a Option<AccountView>,
    back: Option<&'a str>,
    code: Option<&'static str>,
}

impl<'a> MessagePage<'a> {
    /// A page with texts of the caller's own.
    pub fn new(
        locale: Locale,
        product: &'a str,
        title: impl Into<String>,
        sentence: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self {
            locale,
            product,
            title: title.into(),
            sentence: sentence.into(),
            todo: todo.into(),
            account: None,
            back: None,
            code: None,
        }
    }

    /// The end of a connection that worked.
    pub fn connected(
        locale: Locale,
        product: &'a str,
        platform: Platform,
        account: &AccountView,
    ) -> Self {
        Self {
            account: Some(account.clone()),
            ..Self::new(
                locale,
                product,
                locale.connected_title(platform),
                locale.connected_sentence(product),
                locale.close_this_page(),
            )
        }
    }

    /// The end of one that did not.
    pub fn trouble(locale: Locale, product: &'a str, trouble: Trouble) -> Self {
        let (title, sentence, todo) = locale.trouble(trouble);
        Self {
            code: Some(trouble.code()),
            ..Self::new(locale, product, title, sentence, todo)
        }
    }

    /// With a link back to the product. Anything but an http(s) address or a path of ours is left
    /// out: a `javascript:` address would run.
    #[must_use]
    pub fn back(mut self, address: Option<&'a str>) -> Self {
        self.back = address.filter(|address| {
            let path = address.starts_with('/') && !address.starts_with("//");
            let path = path && !address.contains('\\');
            path || address.starts_with("https://") || address.starts_with("http://")
        });
        self
    }

    /// The page.
    pub fn render(&self) -> String {
        let template = Message {
            locale: self.locale,
            product: self.product,
            title: &self.title,
            sentence: &self.sentence,
            todo: &self.todo,
            account: &self.account,
            back: self.back,
            code: self.code,
        };
        rendered(&template)
    }
}
