//! The pages with a form.

use askama::Template;
use domain::Platform;

use crate::{AccountView, Locale};

/// What a session's link opens: one button, so that a link preview spends nothing.
#[derive(Clone, Copy, Debug)]
pub struct SessionPage<'a> {
    /// The language.
    pub locale: Locale,
    /// The product's name.
    pub product: &'a str,
    /// Whom the product calls the user.
    pub user_label: &'a str,
    /// The platform that the session is for, where it is for one.
    pub platform: Option<Platform>,
    /// Where the button posts to: a path of ours.
    pub action: &'a str,
}

#[derive(Template)]
#[template(path = "session.html")]
struct Session<'a> {
    locale: Locale,
    product: &'a str,
    title: String,
    sentence: String,
    user_label: &'a str,
    action: &'a str,
}

impl SessionPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let template = Session {
            locale: self.locale,
            product: self.product,
            title: self.locale.session_title(self.platform, self.product),
            sentence: self.locale.session_sentence(self.product),
            user_label: self.user_label,
            action: self.action,
        };
        rendered(&template)
    }
}

/// The last step: which account is about to be linked to which product and user. The form posts
/// `csrf`, `account` (an [`AccountView::id`]) and `decision` (`confirm` or `cancel`).
#[derive(Clone, Copy, Debug)]
pub struct ConfirmPage<'a> {
    /// The language.
    pub locale: Locale,
    /// The product's name.
    pub product: &'a str,
    /// Whom the product calls the user.
    pub user_label: &'a str,
    /// The platform.
    pub platform: Platform,
    /// The accounts that the consent opened; with several, the creator picks one.
    pub accounts: &'a [AccountView],
    /// What was allowed, in plain words.
    pub granted: &'a [String],
    /// What was asked and not allowed, in plain words.
    pub missing: &'a [String],
    /// Where the form posts to: a path of ours.
    pub action: &'a str,
    /// Ties the form to the browser's session.
    pub csrf: &'a str,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm<'a> {
    locale: Locale,
    product: &'a str,
    title: String,
    sentence: String,
    user_label: &'a str,
    platform: Platform,
    accounts: &'a [AccountView],
    granted: &'a [String],
    missing: &'a [String],
    action: &'a str,
    csrf: &'a str,
}

impl ConfirmPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let template = Confirm {
            locale: self.locale,
            product: self.product,
            title: self.locale.confirm_title(self.platform),
            sentence: self.locale.confirm_sentence(self.product),
            user_label: self.user_label,
            platform: self.platform,
            accounts: self.accounts,
            granted: self.granted,
            missing: self.missing,
            action: self.action,
            csrf: self.csrf,
        };
        rendered(&template)
    }
}

/// Writing to a text fails for no reason that a template of ours has.
pub(crate) fn rendered(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}
