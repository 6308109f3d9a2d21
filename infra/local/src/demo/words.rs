//! What the words on a button mean.

/// What pressing it would say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mood {
    /// Nothing that these lists know.
    Unknown,
    /// Something beside the way: cookies, another account, a search.
    Aside,
    /// No.
    Negative,
    /// On to the next page.
    Onward,
    /// Yes to what is asked.
    Positive,
}

/// One of them is enough for a no: "Don't allow", "Continue without signing in".
const NO: &[&str] = &[
    "no", "non", "not", "dont", "wont", "cant", "never", "without", "decline", "deny", "denied",
    "cancel", "refuse", "reject", "disallow", "disagree", "forbid", "block", "abort", "skip",
    "later", "back", "close", "exit", "dismiss", "false", "logout", "log out", "signout",
    "sign out", "revoke", "remove", "delete", "annuler", "refuser", "retour", "pas", "jamais",
];
const ASIDE: &[&str] = &[
    "cookie",
    "cookies",
    "search",
    "forgot",
    "forgotten",
    "reset",
    "register",
    "signup",
    "sign up",
    "create",
    "help",
    "language",
    "another",
    "different",
    "other",
    "switch",
    "rechercher",
    "autre",
];
const YES: &[&str] = &[
    "yes",
    "oui",
    "allow",
    "allowed",
    "approve",
    "approved",
    "accept",
    "accepted",
    "agree",
    "agreed",
    "authorize",
    "authorise",
    "authorized",
    "authorised",
    "grant",
    "granted",
    "confirm",
    "confirmed",
    "consent",
    "true",
    "autoriser",
    "accepter",
    "approuver",
    "confirmer",
];
const ONWARD: &[&str] = &[
    "ok",
    "okay",
    "continue",
    "next",
    "proceed",
    "submit",
    "connect",
    "login",
    "log in",
    "logon",
    "log on",
    "signin",
    "sign in",
    "done",
    "finish",
    "continuer",
    "suivant",
    "valider",
    "connecter",
    "connexion",
];

/// Reads a label, a value or an id.
pub(super) fn mood(text: &str) -> Mood {
    let words = words(text);
    let has = |list: &[&str]| {
        list.iter().any(|wanted| match wanted.split_once(' ') {
            Some((first, second)) => words
                .windows(2)
                .any(|two| two[0] == first && two[1] == second),
            None => words.iter().any(|word| word == wanted),
        })
    };
    match () {
        () if has(NO) => Mood::Negative,
        () if has(ASIDE) => Mood::Aside,
        () if has(YES) => Mood::Positive,
        () if has(ONWARD) => Mood::Onward,
        () => Mood::Unknown,
    }
}

/// Lower-case words; apostrophes join, anything else that is no letter parts, as a capital does in
/// `btnAllow`.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut small = false;
    for c in text.chars() {
        if matches!(c, '\'' | '’' | 'ʼ') {
            continue;
        }
        if !c.is_alphanumeric() || (small && c.is_uppercase()) {
            found.push(String::new());
        }
        small = c.is_lowercase();
        if c.is_alphanumeric()
            && let Some(word) = found.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    found.retain(|word| !word.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_words_win() {
        for (text, expected) in [
            ("Allow", Mood::Positive),
            ("Yes, grant access", Mood::Positive),
            ("I agree", Mood::Positive),
            ("btnAuthorize", Mood::Positive),
            ("Autoriser l’accès", Mood::Positive),
            ("OK", Mood::Onward),
            ("Log in", Mood::Onward),
            ("LOGIN", Mood::Onward),
            ("Sign in to continue", Mood::Onward),
            ("Next ›", Mood::Onward),
            ("Submit", Mood::Onward),
            ("Don't allow", Mood::Negative),
            ("Don’t Allow", Mood::Negative),
            ("Disallow", Mood::Negative),
            ("Not now", Mood::Negative),
            ("no", Mood::Negative),
            ("No, thanks", Mood::Negative),
            ("Do not authorize", Mood::Negative),
            ("Continue without connecting", Mood::Negative),
            ("Log out", Mood::Negative),
            ("Refuser", Mood::Negative),
            ("Log in with another account", Mood::Aside),
            ("Accept all cookies", Mood::Aside),
            ("Sign up", Mood::Aside),
            ("User agreement", Mood::Unknown),
            ("Unauthorized", Mood::Unknown),
            ("Nobody", Mood::Unknown),
            ("Mara Cooks", Mood::Unknown),
            ("", Mood::Unknown),
        ] {
            assert_eq!(mood(text), expected, "{text}");
        }
    }
}
