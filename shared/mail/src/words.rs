//! What mails say, by language. A match on the language is exhaustive: no text can be missing in one.

use domain::{Platform, ReauthReason};
use jiff::civil::Date;
use pages::Locale;

use crate::notice::Cause;
use crate::show;

/// Words in a language, for a product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a> {
    pub(crate) locale: Locale,
    pub(crate) product: &'a str,
}

impl Words<'_> {
    pub(crate) const fn pick(self, english: &'static str, french: &'static str) -> &'static str {
        match self.locale {
            Locale::En => english,
            Locale::Fr => french,
        }
    }

    pub(crate) fn hello(self, label: &str) -> String {
        match self.locale {
            Locale::En => format!("Hello {label},"),
            Locale::Fr => format!("Bonjour {label},"),
        }
    }

    // ---- the report

    pub(crate) fn report_subject(self, followers: Option<i64>, from: Date, to: Date) -> String {
        let span = show::span(self.locale, from, to);
        let by = followers.map(|by| show::difference(self.locale, by));
        match (self.locale, by, followers) {
            (Locale::En, Some(by), Some(1 | -1)) => format!("Your week: {by} follower"),
            (Locale::En, Some(by), _) => format!("Your week: {by} followers"),
            (Locale::En, None, _) => format!("Your week, {span}"),
            (Locale::Fr, Some(by), Some(-1..=1)) => format!("Votre semaine\u{a0}: {by} abonné"),
            (Locale::Fr, Some(by), _) => format!("Votre semaine\u{a0}: {by} abonnés"),
            (Locale::Fr, None, _) => format!("Votre semaine, {span}"),
        }
    }

    pub(crate) const fn report_title(self) -> &'static str {
        self.pick("Your week", "Votre semaine")
    }

    pub(crate) fn span(self, from: Date, to: Date) -> String {
        let span = show::span(self.locale, from, to);
        match self.locale {
            Locale::En => span,
            Locale::Fr => span.replacen("du", "Du", 1),
        }
    }

    pub(crate) const fn together(self) -> &'static str {
        self.pick("Followers, all accounts", "Abonnés, tous comptes")
    }

    pub(crate) fn only_some(self, grown: usize, of: usize) -> String {
        match self.locale {
            Locale::En => format!(
                "The change counts {grown} of {of} accounts: the others have no figures for both ends of the week."
            ),
            Locale::Fr => format!(
                "L’évolution porte sur {grown} des {of} comptes\u{a0}: il manque aux autres des chiffres en début ou en fin de semaine."
            ),
        }
    }

    pub(crate) const fn accounts(self) -> &'static str {
        self.pick("Your accounts", "Vos comptes")
    }

    pub(crate) const fn followers(self) -> &'static str {
        self.pick("Followers", "Abonnés")
    }

    pub(crate) const fn views(self) -> &'static str {
        self.pick("Views", "Vues")
    }

    pub(crate) const fn likes(self) -> &'static str {
        self.pick("Likes", "J’aime")
    }

    pub(crate) const fn unknown(self) -> &'static str {
        self.pick("no comparison", "pas de comparaison")
    }

    pub(crate) fn in_days(self, days: i64) -> String {
        match self.locale {
            Locale::En => format!("in {days} days"),
            Locale::Fr => format!("en {days} jours"),
        }
    }

    pub(crate) const fn no_figures(self) -> &'static str {
        self.pick(
            "No figures for the end of this week.",
            "Aucun chiffre pour la fin de cette semaine.",
        )
    }

    pub(crate) const fn posts(self) -> &'static str {
        self.pick(
            "Your best posts of the last four weeks",
            "Vos meilleures publications des quatre dernières semaines",
        )
    }

    pub(crate) const fn untitled(self) -> &'static str {
        self.pick("Without a title", "Sans titre")
    }

    pub(crate) fn views_of(self, views: u64) -> String {
        let shown = show::count(self.locale, views);
        match (self.locale, views) {
            (Locale::En, 1) => format!("{shown} view"),
            (Locale::En, _) => format!("{shown} views"),
            (Locale::Fr, 0 | 1) => format!("{shown} vue"),
            (Locale::Fr, _) => format!("{shown} vues"),
        }
    }

    pub(crate) fn likes_of(self, likes: u64) -> String {
        let shown = show::count(self.locale, likes);
        match (self.locale, likes) {
            (Locale::En, 1) => format!("{shown} like"),
            (Locale::En, _) => format!("{shown} likes"),
            (Locale::Fr, _) => format!("{shown} j’aime"),
        }
    }

    pub(crate) fn comments_of(self, comments: u64) -> String {
        let shown = show::count(self.locale, comments);
        match (self.locale, comments) {
            (Locale::En, 1) => format!("{shown} comment"),
            (Locale::En, _) => format!("{shown} comments"),
            (Locale::Fr, 0 | 1) => format!("{shown} commentaire"),
            (Locale::Fr, _) => format!("{shown} commentaires"),
        }
    }

    // ---- what needs attention

    pub(crate) const fn attention(self) -> &'static str {
        self.pick("Needs your attention", "À vérifier")
    }

    pub(crate) fn notice_subject(self, all: &[Platform]) -> String {
        match (self.locale, all) {
            (Locale::En, [one]) => format!("Connect your {} account again", one.title()),
            (Locale::En, all) => format!("{} accounts need you", all.len()),
            (Locale::Fr, [one]) => format!("Reconnectez votre compte {}", one.title()),
            (Locale::Fr, all) => format!("{} comptes ont besoin de vous", all.len()),
        }
    }

    pub(crate) fn notice_title(self, all: usize) -> &'static str {
        match all {
            1 => self.pick("An account needs you", "Un compte a besoin de vous"),
            _ => self.pick("Accounts need you", "Des comptes ont besoin de vous"),
        }
    }

    pub(crate) fn notice_intro(self, all: usize) -> String {
        let product = self.product;
        match self.locale {
            Locale::Fr if all > 1 => format!(
                "Nous ne pouvons pas le faire à votre place\u{a0}: ouvrez {product} et reconnectez-les. Cela prend une minute."
            ),
            Locale::En => format!(
                "Only you can keep this working: open {product} and connect again. It takes a minute."
            ),
            Locale::Fr => format!(
                "Nous ne pouvons pas le faire à votre place\u{a0}: ouvrez {product} et reconnectez le compte. Cela prend une minute."
            ),
        }
    }

    pub(crate) fn cause(self, cause: Cause, on: Option<Date>) -> String {
        let product = self.product;
        let day = on
            .map(|date| show::day(self.locale, date))
            .unwrap_or_default();
        match (self.locale, cause) {
            (Locale::En, Cause::Reauth(ReauthReason::GrantRevoked)) => format!(
                "The platform has withdrawn {product}’s access. Nothing is posted and no figures are read until you connect it again."
            ),
            (Locale::Fr, Cause::Reauth(ReauthReason::GrantRevoked)) => format!(
                "La plateforme ne donne plus accès à ce compte. {product} n’y publie rien et n’en lit aucun chiffre tant que vous ne l’avez pas reconnecté."
            ),
            (Locale::En, Cause::Reauth(_)) => format!(
                "{product}’s access has ended. Nothing is posted and no figures are read until you connect it again."
            ),
            (Locale::Fr, Cause::Reauth(_)) => format!(
                "{product} n’a plus accès à ce compte\u{a0}: rien n’est publié et aucun chiffre n’est lu tant que vous ne l’avez pas reconnecté."
            ),
            (Locale::En, Cause::TokenEnds(_) | Cause::GrantEnds(_)) => format!(
                "{product}’s access ends on {day}. Connect it again before then, and nothing is interrupted."
            ),
            (Locale::Fr, Cause::TokenEnds(_) | Cause::GrantEnds(_)) => format!(
                "{product} perd l’accès à ce compte le {day}. Reconnectez-le d’ici là et rien ne sera interrompu."
            ),
        }
    }

    pub(crate) const fn not_allowed(self) -> &'static str {
        self.pick(
            "Some features are off, because they were not allowed when you connected it. Connect it again to allow them.",
            "Certaines fonctions sont désactivées, car elles n’ont pas été autorisées lors de la connexion. Reconnectez-le pour les autoriser.",
        )
    }

    // ---- around

    pub(crate) fn open(self) -> String {
        match self.locale {
            Locale::En => format!("Open {}", self.product),
            Locale::Fr => format!("Ouvrir {}", self.product),
        }
    }

    pub(crate) fn why_report(self) -> String {
        match self.locale {
            Locale::En => format!(
                "You get this every Monday because you connected accounts to {}.",
                self.product
            ),
            Locale::Fr => format!(
                "Vous recevez ce message chaque lundi parce que vous avez connecté des comptes à {}.",
                self.product
            ),
        }
    }

    pub(crate) fn why_notice(self) -> String {
        match self.locale {
            Locale::En => format!(
                "You get this because an account that you connected to {} will not go on without you.",
                self.product
            ),
            Locale::Fr => format!(
                "Vous recevez ce message parce qu’un compte que vous avez connecté à {} ne peut continuer sans vous.",
                self.product
            ),
        }
    }

    pub(crate) const fn stop_reports(self) -> &'static str {
        self.pick("No more weekly reports", "Ne plus recevoir ce rapport")
    }

    pub(crate) const fn stop_notices(self) -> &'static str {
        self.pick("No more notices", "Ne plus recevoir ces avis")
    }

    /// What stands between a label and what it labels.
    pub(crate) const fn colon(self) -> &'static str {
        self.pick(": ", "\u{a0}: ")
    }

    pub(crate) const fn support(self) -> &'static str {
        self.pick("Help", "Aide")
    }
}
