//! The form that a page wants pressed: the button that agrees or declines, by what is written on it,
//! and what a browser would then send.

use anyhow::{Context, Result};
use url::form_urlencoded;

use super::controls::{Controls, Pressable};
use super::words::Mood;

/// A form with the fields that one of its buttons sends; or a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent; the page's own address where absent.
    pub action: Option<String>,
    /// POST rather than GET.
    pub post: bool,
    /// A link: its address is opened as it stands.
    pub link: bool,
    /// Names and values in the order of the page.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// What pressing the button that agrees sends: the clearest yes that the page shows, then the
    /// button that is called so, then the only one that does not decline, then a link, then a form
    /// that has no button at all.
    pub fn agreeing(html: &str) -> Result<Self> {
        let page = Controls::of(html);
        let yes = clearest(&page.buttons, &[Mood::Positive, Mood::Onward]);
        if let Some(button) = yes.or_else(|| only(&page.buttons)) {
            return Ok(Self::pressed(&page, button));
        }
        let link = clearest(&page.links, &[Mood::Positive, Mood::Onward]);
        if let Some(link) = link {
            return Ok(Self::followed(link));
        }
        // A form that a script would send.
        let alone = page.forms.len() == 1 && page.buttons.is_empty();
        let sent = alone.then(|| Self::sent(&page, 0, None));
        sent.context("no button or link that agrees")
    }

    /// What pressing the button that declines sends.
    pub fn declining(html: &str) -> Result<Self> {
        let page = Controls::of(html);
        let button = clearest(&page.buttons, &[Mood::Negative]);
        let button = button.map(|button| Self::pressed(&page, button));
        let link = || clearest(&page.links, &[Mood::Negative]).map(Self::followed);
        button
            .or_else(link)
            .context("no button or link that declines")
    }

    /// The body, or the query, that it sends.
    pub fn body(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.fields)
            .finish()
    }

    /// Gives a field another value.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    fn pressed(page: &Controls, button: &Pressable) -> Self {
        Self::sent(page, button.form.unwrap_or_default(), Some(button))
    }

    fn followed(link: &Pressable) -> Self {
        Self {
            action: link.tag.get("href").map(str::to_owned),
            link: true,
            ..Self::default()
        }
    }

    fn sent(page: &Controls, form: usize, button: Option<&Pressable>) -> Self {
        let own = |name: &str| button.and_then(|button| button.tag.get(name));
        let of_form = |name: &str| page.forms.get(form).and_then(|form| form.get(name));
        let method = own("formmethod").or(of_form("method")).unwrap_or_default();
        let mut fields = page.fields(form);
        if let Some(name) = own("name").filter(|name| !name.is_empty()) {
            let image = button.is_some_and(|button| button.tag.kind("type") == "image");
            if image {
                fields.extend(["x", "y"].map(|axis| (format!("{name}.{axis}"), "0".to_owned())));
            } else {
                fields.push((name.to_owned(), own("value").unwrap_or_default().to_owned()));
            }
        }
        Self {
            action: own("formaction").or(of_form("action")).map(str::to_owned),
            post: method.trim().eq_ignore_ascii_case("post"),
            link: false,
            fields,
        }
    }
}

/// The first of those that say one of `wanted`: what is written on it counts more than how it is
/// called, an earlier mood more than a later one.
fn clearest<'a>(all: &'a [Pressable], wanted: &[Mood]) -> Option<&'a Pressable> {
    let mut ways = [true, false]
        .into_iter()
        .flat_map(|written| wanted.iter().map(move |mood| (*mood, written)));
    ways.find_map(|way| all.iter().find(|one| one.mood() == way))
}

/// The only button that does not decline; or the first of several that differ in their value alone,
/// such as accounts to choose from.
fn only(buttons: &[Pressable]) -> Option<&Pressable> {
    let open: Vec<&Pressable> = buttons
        .iter()
        .filter(|one| one.mood().0 == Mood::Unknown)
        .collect();
    let first = open.first()?;
    let name = first.tag.get("name");
    let alike =
        |one: &&Pressable| one.form == first.form && name.is_some() && one.tag.get("name") == name;
    (open.len() == 1 || open.iter().all(alike)).then_some(*first)
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
