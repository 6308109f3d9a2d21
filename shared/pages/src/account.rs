//! An account as a page shows it.

use domain::Account;

/// One account of a platform, in the words by which its owner knows it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AccountView {
    /// What the form sends back for it.
    pub id: String,
    /// The name; may be empty.
    pub display_name: String,
    /// The handle without `@`.
    pub username: Option<String>,
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.clone(),
            display_name: account.display_name.clone(),
            username: account.username.clone(),
        }
    }
}

impl AccountView {
    /// The best name there is: an account must be recognisable even without one.
    pub(crate) fn name(&self) -> String {
        match (self.display_name.trim(), &self.username) {
            ("", Some(username)) => format!("@{username}"),
            ("", None) => self.id.clone(),
            (name, _) => name.to_owned(),
        }
    }

    /// The handle, where it is not the name already.
    pub(crate) fn handle(&self) -> Option<String> {
        let shown = !self.display_name.trim().is_empty();
        self.username
            .as_ref()
            .filter(|_| shown)
            .map(|username| format!("@{username}"))
    }
}
