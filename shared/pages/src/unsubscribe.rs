//! The page behind a mail's opt-out link. Looking at it changes nothing.

use askama::Template;

use crate::page::rendered;
use crate::{Locale, MessagePage};

/// Which mails are to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mails {
    /// Weekly reports.
    Reports,
    /// Notices of accounts that need their owner.
    Notices,
    /// Both.
    All,
}

/// What an opt-out link opens. The form posts `stop`: `these` or `all`.
#[derive(Clone, Copy, Debug)]
pub struct UnsubscribePage<'a> {
    /// The language.
    pub locale: Locale,
    /// The product's name.
    pub product: &'a str,
    /// Which mails the link is of.
    pub mails: Mails,
    /// Where the buttons post to: a path of ours.
    pub action: &'a str,
}

#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct Unsubscribe<'a> {
    locale: Locale,
    product: &'a str,
    title: &'static str,
    sentence: String,
    these: &'static str,
    all: &'static str,
    action: &'a str,
}

impl UnsubscribePage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let words = |english, french| match self.locale {
            Locale::En => english,
            Locale::Fr => french,
        };
        let product = self.product;
        let sentence = match (self.mails, self.locale) {
            (Mails::Notices, Locale::En) => format!(
                "{product} will not tell you by mail when an account stops working until you connect it again."
            ),
            (Mails::Notices, Locale::Fr) => format!(
                "{product} ne vous préviendra plus par e-mail lorsqu’un compte cessera de fonctionner."
            ),
            (_, Locale::En) => format!("{product} will not send you its weekly report any more."),
            (_, Locale::Fr) => format!("{product} ne vous enverra plus son rapport hebdomadaire."),
        };
        let these = match self.mails {
            Mails::Notices => words("Stop these notices", "Ne plus recevoir ces avis"),
            _ => words("Stop weekly reports", "Ne plus recevoir ce rapport"),
        };
        rendered(&Unsubscribe {
            locale: self.locale,
            product,
            title: words("Stop these mails?", "Ne plus recevoir ces e-mails\u{a0}?"),
            sentence,
            these,
            all: words("Stop all mails", "Ne plus recevoir aucun e-mail"),
            action: self.action,
        })
    }
}

impl<'a> MessagePage<'a> {
    /// The end of an opt-out: which mails stop.
    pub fn unsubscribed(locale: Locale, product: &'a str, mails: Mails) -> Self {
        let (title, sentence) = match (locale, mails) {
            (Locale::En, Mails::Reports) => (
                "Done",
                format!("{product} sends you no more weekly reports."),
            ),
            (Locale::En, Mails::Notices) => {
                ("Done", format!("{product} sends you no more notices."))
            }
            (Locale::En, Mails::All) => (
                "Done",
                format!("{product} sends you no more reports and notices."),
            ),
            (Locale::Fr, Mails::Reports) => (
                "C’est fait",
                format!("{product} ne vous enverra plus de rapport hebdomadaire."),
            ),
            (Locale::Fr, Mails::Notices) => (
                "C’est fait",
                format!("{product} ne vous enverra plus d’avis."),
            ),
            (Locale::Fr, Mails::All) => (
                "C’est fait",
                format!("{product} ne vous enverra plus ni rapports ni avis."),
            ),
        };
        let todo = match locale {
            Locale::En => format!("You can turn them on again in {product}."),
            Locale::Fr => format!("Vous pouvez les réactiver dans {product}."),
        };
        Self::new(locale, product, title, sentence, todo)
    }
}
