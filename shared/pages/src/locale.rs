//! Our own texts, by language.

use domain::Platform;

use crate::Trouble;

/// A language that the pages speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locale {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
}

impl Locale {
    /// The best language for an `Accept-Language` header; English where none fits.
    pub fn accepted(header: Option<&str>) -> Self {
        let mut best = (0.0, Self::En);
        for range in header.unwrap_or_default().split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim();
            let weight = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(Some(1.0), |weight| weight.trim().parse::<f32>().ok());
            let language = tag.split('-').next().unwrap_or_default();
            let locale = match language.to_ascii_lowercase().as_str() {
                "en" => Self::En,
                "fr" => Self::Fr,
                _ => continue,
            };
            // The first of equal weights wins.
            if let Some(weight) = weight.filter(|weight| *weight > best.0) {
                best = (weight, locale);
            }
        }
        best.1
    }

    /// The tag for `lang`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
        }
    }

    const fn pick<T: Copy>(self, english: T, french: T) -> T {
        match self {
            Self::En => english,
            Self::Fr => french,
        }
    }

    pub(crate) fn session_title(self, platform: Option<Platform>, product: &str) -> String {
        match (self, platform.map(Platform::title)) {
            (Self::En, Some(platform)) => format!("Connect {platform} to {product}"),
            (Self::En, None) => format!("Connect an account to {product}"),
            (Self::Fr, Some(platform)) => format!("Connecter {platform} à {product}"),
            (Self::Fr, None) => format!("Connecter un compte à {product}"),
        }
    }

    pub(crate) fn session_sentence(self, product: &str) -> String {
        match self {
            Self::En => format!(
                "{product} sent you here to connect a social media account. Continue only if you asked for it."
            ),
            Self::Fr => format!(
                "{product} vous a dirigé ici pour connecter un compte de réseau social. Ne continuez que si vous l’avez demandé."
            ),
        }
    }

    pub(crate) fn confirm_title(self, platform: Platform) -> String {
        let platform = platform.title();
        match self {
            Self::En => format!("Link this {platform} account?"),
            Self::Fr => format!("Lier ce compte {platform}\u{a0}?"),
        }
    }

    pub(crate) fn confirm_sentence(self, product: &str) -> String {
        match self {
            Self::En => format!(
                "Check that this is your account and that you know who it is being linked to. {product} can use it once you confirm."
            ),
            Self::Fr => format!(
                "Vérifiez qu’il s’agit bien de votre compte et à qui il sera lié. {product} pourra l’utiliser dès que vous aurez confirmé."
            ),
        }
    }

    pub(crate) const fn user_label(self) -> &'static str {
        self.pick("User", "Utilisateur")
    }

    pub(crate) const fn linked_to(self) -> &'static str {
        self.pick("Linked to", "Lié à")
    }

    pub(crate) const fn which_account(self) -> &'static str {
        self.pick("Which account?", "Quel compte\u{a0}?")
    }

    pub(crate) fn allowed(self, product: &str) -> String {
        match self {
            Self::En => format!("{product} will be able to"),
            Self::Fr => format!("{product} pourra"),
        }
    }

    pub(crate) const fn not_allowed(self) -> &'static str {
        self.pick("Not allowed", "Non autorisé")
    }

    pub(crate) const fn not_allowed_note(self) -> &'static str {
        self.pick(
            "These features stay off. To turn them on, connect the account again and allow them.",
            "Ces fonctions resteront désactivées. Pour les activer, connectez à nouveau le compte et autorisez-les.",
        )
    }

    pub(crate) const fn go_on(self) -> &'static str {
        self.pick("Continue", "Continuer")
    }

    pub(crate) const fn confirm(self) -> &'static str {
        self.pick("Confirm", "Confirmer")
    }

    pub(crate) const fn cancel(self) -> &'static str {
        self.pick("Cancel", "Annuler")
    }

    pub(crate) fn back(self, product: &str) -> String {
        match self {
            Self::En => format!("Back to {product}"),
            Self::Fr => format!("Retour à {product}"),
        }
    }

    pub(crate) const fn code_label(self) -> &'static str {
        self.pick("Code:", "Code\u{a0}:")
    }

    pub(crate) fn connected_title(self, platform: Platform) -> String {
        let platform = platform.title();
        match self {
            Self::En => format!("{platform} is connected"),
            Self::Fr => format!("{platform} est connecté"),
        }
    }

    pub(crate) fn connected_sentence(self, product: &str) -> String {
        match self {
            Self::En => format!("This account is now linked to {product}."),
            Self::Fr => format!("Ce compte est maintenant lié à {product}."),
        }
    }

    pub(crate) const fn close_this_page(self) -> &'static str {
        self.pick("You can close this page.", "Vous pouvez fermer cette page.")
    }

    /// Title, sentence, what to do.
    pub(crate) const fn trouble(
        self,
        trouble: Trouble,
    ) -> (&'static str, &'static str, &'static str) {
        match trouble {
            Trouble::LinkSpent => self.pick(
                (
                    "This link no longer works",
                    "It has been used already, or its time is over.",
                    "Go back to where you got it and ask for a new one.",
                ),
                (
                    "Ce lien ne fonctionne plus",
                    "Il a déjà été utilisé, ou il a expiré.",
                    "Retournez là où vous l’avez obtenu et demandez-en un nouveau.",
                ),
            ),
            Trouble::SessionEnded => self.pick(
                (
                    "Your session is over",
                    "This browser has no open session here.",
                    "Open a new link in this browser, and allow cookies for this site.",
                ),
                (
                    "Votre session est terminée",
                    "Ce navigateur n’a pas de session ouverte ici.",
                    "Ouvrez un nouveau lien dans ce navigateur et autorisez les cookies de ce site.",
                ),
            ),
            Trouble::AttemptInvalid => self.pick(
                (
                    "This attempt cannot go on",
                    "It was started in another browser, has been finished already, or took too long. No account was linked.",
                    "Start again from the beginning, in one browser.",
                ),
                (
                    "Cette tentative ne peut pas continuer",
                    "Elle a été commencée dans un autre navigateur, est déjà terminée ou a duré trop longtemps. Aucun compte n’a été lié.",
                    "Recommencez depuis le début, dans un seul navigateur.",
                ),
            ),
            Trouble::Refused => self.pick(
                (
                    "Nothing was connected",
                    "You did not allow access on the platform’s page.",
                    "You can start again at any time.",
                ),
                (
                    "Rien n’a été connecté",
                    "Vous n’avez pas autorisé l’accès sur la page de la plateforme.",
                    "Vous pouvez recommencer à tout moment.",
                ),
            ),
            Trouble::PlatformRefused => self.pick(
                (
                    "The platform refused",
                    "It does not let this account be connected at the moment. No account was linked.",
                    "Try again later. If it happens again, contact support with the code below.",
                ),
                (
                    "La plateforme a refusé",
                    "Elle ne permet pas de connecter ce compte pour le moment. Aucun compte n’a été lié.",
                    "Réessayez plus tard. Si cela se reproduit, contactez l’assistance avec le code ci-dessous.",
                ),
            ),
            Trouble::AppRefused => self.pick(
                (
                    "This site is not set up correctly",
                    "The platform does not accept this site’s app settings. That is for its operator to mend; your account is fine. No account was linked.",
                    "Try again later. If it happens again, contact support with the code below.",
                ),
                (
                    "Ce site n’est pas configuré correctement",
                    "La plateforme n’accepte pas les réglages de l’application de ce site. C’est à son exploitant de les corriger ; votre compte n’y est pour rien. Aucun compte n’a été lié.",
                    "Réessayez plus tard. Si cela se reproduit, contactez l’assistance avec le code ci-dessous.",
                ),
            ),
            Trouble::PlatformDown => self.pick(
                (
                    "The platform is not answering",
                    "The connection could not be finished. No account was linked.",
                    "Start again in a few minutes.",
                ),
                (
                    "La plateforme ne répond pas",
                    "La connexion n’a pas pu être terminée. Aucun compte n’a été lié.",
                    "Recommencez dans quelques minutes.",
                ),
            ),
            Trouble::AccountBusy => self.pick(
                (
                    "One moment",
                    "This account is being disconnected elsewhere just now. Nothing was linked yet.",
                    "Go back, wait a minute, and press Confirm again.",
                ),
                (
                    "Un instant",
                    "Ce compte est en cours de déconnexion ailleurs. Rien n’a encore été lié.",
                    "Revenez en arrière, attendez une minute, puis appuyez de nouveau sur Confirmer.",
                ),
            ),
            Trouble::Cancelled => self.pick(
                (
                    "Cancelled",
                    "No account was linked.",
                    "You can start again at any time.",
                ),
                (
                    "Annulé",
                    "Aucun compte n’a été lié.",
                    "Vous pouvez recommencer à tout moment.",
                ),
            ),
            Trouble::FormInvalid => self.pick(
                (
                    "This form cannot be used",
                    "It does not belong to this browser’s session, or was sent already.",
                    "Start again from the beginning.",
                ),
                (
                    "Ce formulaire ne peut pas être utilisé",
                    "Il n’appartient pas à la session de ce navigateur, ou a déjà été envoyé.",
                    "Recommencez depuis le début.",
                ),
            ),
            Trouble::NotFound => self.pick(
                (
                    "There is nothing here",
                    "This address does not lead anywhere.",
                    "Check the link that you followed.",
                ),
                (
                    "Il n’y a rien ici",
                    "Cette adresse ne mène nulle part.",
                    "Vérifiez le lien que vous avez suivi.",
                ),
            ),
            Trouble::Busy => self.pick(
                (
                    "Not just now",
                    "We cannot do this at the moment. The failure is on our side and has been recorded.",
                    "Wait a minute and reload this page. If that does not help, start again from the beginning.",
                ),
                (
                    "Pas pour l’instant",
                    "Nous ne pouvons pas le faire pour le moment. L’erreur vient de notre côté et a été enregistrée.",
                    "Patientez une minute et rechargez cette page. Si cela ne suffit pas, recommencez depuis le début.",
                ),
            ),
            Trouble::Internal => self.pick(
                (
                    "Something went wrong",
                    "The failure is on our side and has been recorded.",
                    "Try again in a few minutes. If it happens again, contact support with the code below.",
                ),
                (
                    "Une erreur s’est produite",
                    "Elle vient de notre côté et a été enregistrée.",
                    "Réessayez dans quelques minutes. Si cela se reproduit, contactez l’assistance avec le code ci-dessous.",
                ),
            ),
        }
    }
}
