//! Just enough HTML to press a button: the forms of a page, their fields as a browser would send
//! them, and the button that agrees or declines.

use anyhow::{Context, Result};
use url::form_urlencoded;

const YES: &[&str] = &[
    "approve",
    "allow",
    "authorize",
    "authorise",
    "confirm",
    "continue",
    "accept",
    "agree",
    "log in",
    "connect",
    "continuer",
    "confirmer",
    "autoriser",
];
const NO: &[&str] = &[
    "decline", "deny", "cancel", "refuse", "reject", "annuler", "refuser",
];

/// A form with the fields that one of its buttons sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent; the page's own address where absent.
    pub action: Option<String>,
    /// POST rather than GET.
    pub post: bool,
    /// Names and values in the order of the page.
    pub fields: Vec<(String, String)>,
}

/// A start tag and where it ends.
struct Tag<'a> {
    name: String,
    attributes: Vec<(String, String)>,
    /// The page after the tag.
    rest: &'a str,
}

impl Form {
    /// The form with a button that agrees, as pressing that button sends it.
    pub fn agreeing(html: &str) -> Result<Self> {
        Self::with_button(html, YES, NO).context("the page has no button that agrees")
    }

    /// The form with a button that declines, as pressing that button sends it.
    pub fn declining(html: &str) -> Result<Self> {
        Self::with_button(html, NO, &[]).context("the page has no button that declines")
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

    fn with_button(html: &str, wanted: &[&str], unwanted: &[&str]) -> Option<Self> {
        let mut rest = html;
        while let Some(tag) = next_tag(rest, &["form"]) {
            let inside = &tag.rest[..tag.rest.find("</form").unwrap_or(tag.rest.len())];
            let label = |text: &str| {
                let text = text.to_lowercase();
                let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
                has(wanted) && !has(unwanted)
            };
            let pressed = buttons(inside).into_iter().find(|(text, _)| label(text));
            if let Some((_, field)) = pressed {
                let mut fields = fields(inside);
                fields.extend(field);
                let post = tag
                    .get("method")
                    .is_some_and(|method| method.eq_ignore_ascii_case("post"));
                return Some(Self {
                    action: tag.get("action"),
                    post,
                    fields,
                });
            }
            rest = tag.rest;
        }
        None
    }
}

/// Buttons with what they show and what they send.
fn buttons(inside: &str) -> Vec<(String, Option<(String, String)>)> {
    let mut found = Vec::new();
    let mut rest = inside;
    while let Some(tag) = next_tag(rest, &["button", "input"]) {
        rest = tag.rest;
        let kind = tag.get("type").unwrap_or_else(|| "submit".to_owned());
        if !kind.eq_ignore_ascii_case("submit") {
            continue;
        }
        let value = tag.get("value").unwrap_or_default();
        let field = tag.get("name").map(|name| (name, value.clone()));
        let text = match tag.name.as_str() {
            "button" => visible(&rest[..rest.find("</button").unwrap_or(rest.len())]),
            _ => value,
        };
        found.push((text, field));
    }
    found
}

/// Fields that are sent whichever button is pressed.
fn fields(inside: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut rest = inside;
    while let Some(tag) = next_tag(rest, &["input", "select", "textarea"]) {
        rest = tag.rest;
        let Some(name) = tag.get("name") else {
            continue;
        };
        let value = match tag.name.as_str() {
            "select" => {
                let options = &rest[..rest.find("</select").unwrap_or(rest.len())];
                next_tag(options, &["option"]).and_then(|option| option.get("value"))
            }
            "textarea" => Some(String::new()),
            _ => match tag.get("type").unwrap_or_default().to_lowercase().as_str() {
                "submit" | "button" | "reset" | "image" | "file" => None,
                "checkbox" => tag
                    .get("checked")
                    .map(|_| tag.get("value").unwrap_or_else(|| "on".to_owned())),
                "radio" => {
                    let first = !found.iter().any(|(known, _)| *known == name);
                    (tag.get("checked").is_some() || (first && tag.get("required").is_some()))
                        .then(|| tag.get("value").unwrap_or_default())
                }
                _ => Some(tag.get("value").unwrap_or_default()),
            },
        };
        if let Some(value) = value {
            found.push((name, value));
        }
    }
    found
}

/// What a person reads of a piece of HTML.
pub(crate) fn visible(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    unescape(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

impl Tag<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    }
}

/// The next start tag of one of these names.
fn next_tag<'a>(html: &'a str, names: &[&str]) -> Option<Tag<'a>> {
    let mut rest = html;
    loop {
        rest = &rest[rest.find('<')? + 1..];
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let name = rest[..end].to_lowercase();
        if names.contains(&name.as_str()) {
            let (attributes, rest) = attributes(&rest[end..]);
            return Some(Tag {
                name,
                attributes,
                rest,
            });
        }
    }
}

/// Attributes up to the end of the tag, and the page after it.
fn attributes(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            return (found, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (found, after);
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'));
        let end = end.unwrap_or(rest.len()).max(1).min(rest.len());
        let name = rest[..end].to_lowercase();
        rest = rest[end..].trim_start();
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (text, left) = match quote {
                Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                None => after.split_at(
                    after
                        .find(|c: char| c.is_whitespace() || c == '>')
                        .unwrap_or(after.len()),
                ),
            };
            value = unescape(text);
            rest = left;
        }
        found.push((name, value));
    }
}

fn unescape(text: &str) -> String {
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#38;", "&"),
        ("&#34;", "\""),
        ("&amp;", "&"),
    ];
    named
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<form action="/search"><input name=q><button>Go</button></form>
        <form method="POST" action='/go?a=1&amp;b=2'>
          <input type=hidden name="csrf" value="x&quot;y">
          <input type="checkbox" name="scope" value="basic" checked><input type="checkbox" name="scope" value="more">
          <label><input type="radio" name="user" value="u1" required> One</label>
          <input type="radio" name="user" value="u2">
          <select name="lang"><option value="en">English</select>
          <button name="decision" value="no">Decline</button>
          <button type="submit" name="decision" value="yes"><b>Approve</b> access</button>
        </form>"#;

    #[test]
    fn presses_the_button_that_is_meant() {
        let form = Form::agreeing(PAGE).unwrap();
        assert_eq!(form.action.as_deref(), Some("/go?a=1&b=2"));
        assert!(form.post);
        assert_eq!(
            form.body(),
            "csrf=x%22y&scope=basic&user=u1&lang=en&decision=yes"
        );
        assert!(
            Form::declining(PAGE)
                .unwrap()
                .body()
                .ends_with("decision=no")
        );
        assert!(Form::agreeing("<p>nothing</p><form><button>Go</button></form>").is_err());
    }

    #[test]
    fn broken_pages_do_not_hang() {
        for html in [
            "<form",
            "<form <input",
            "<form method=\"post",
            "<input name='",
            "<",
            "<form/>",
        ] {
            drop(Form::agreeing(html));
        }
    }
}
