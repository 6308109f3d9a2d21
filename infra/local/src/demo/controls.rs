//! The forms of a page, the buttons and links that a person could press, and the fields that would be
//! sent.

use super::html::{Piece, Tag, pieces};
use super::words::{Mood, mood, words};

/// What is typed where a page wants something and has nothing: a stand-in's login takes anything.
const TYPED: &str = "demo-user";
const TYPED_EMAIL: &str = "demo-user@example.com";

/// Names of checkboxes that stand for what is granted.
const GRANTED: &[&str] = &[
    "scope",
    "scopes",
    "permission",
    "permissions",
    "terms",
    "consent",
];

/// A page's forms with what belongs to them.
#[derive(Debug, Default)]
pub(super) struct Controls {
    /// In the order of the page.
    pub(super) forms: Vec<Tag>,
    /// Buttons that send a form.
    pub(super) buttons: Vec<Pressable>,
    /// Links, and where the page would go by itself.
    pub(super) links: Vec<Pressable>,
    fields: Vec<Field>,
}

/// A button or a link.
#[derive(Debug)]
pub(super) struct Pressable {
    /// Its tag.
    pub(super) tag: Tag,
    /// Which form it sends.
    pub(super) form: Option<usize>,
    /// What a person reads on it.
    pub(super) label: String,
}

#[derive(Debug)]
struct Field {
    tag: Tag,
    form: Option<usize>,
    /// The text of a textarea.
    text: String,
    options: Vec<(Tag, String)>,
}

/// Where text that comes next belongs.
enum Open {
    Button(usize),
    Link(usize),
    Textarea(usize),
    Option(usize),
}

impl Controls {
    /// Reads a page.
    pub(super) fn of(html: &str) -> Self {
        let mut page = Self::default();
        let mut form = None;
        // Names of open elements whose text matters, the innermost last.
        let mut open: Vec<(String, Open)> = Vec::new();
        let mut disabled = Vec::new();
        for piece in pieces(html) {
            match piece {
                Piece::Text(text) => open.iter().for_each(|(_, at)| page.write(at, &text)),
                Piece::End(name) => {
                    match name.as_str() {
                        "form" => form = None,
                        "fieldset" => drop(disabled.pop()),
                        "select" => open.retain(|(name, _)| name != "option"),
                        _ => {}
                    }
                    if let Some(at) = open.iter().rposition(|(known, _)| *known == name) {
                        open.truncate(at);
                    }
                }
                Piece::Start(tag) if tag.name == "form" => {
                    form = Some(page.forms.len());
                    page.forms.push(tag);
                }
                Piece::Start(tag) if tag.name == "fieldset" => disabled.push(tag.has("disabled")),
                Piece::Start(tag) => {
                    let off = disabled.contains(&true) || tag.has("disabled");
                    if tag.name == "option" {
                        open.retain(|(name, _)| name != "option");
                    }
                    let name = tag.name.clone();
                    if let Some(at) = page.take(tag, form, off, &open) {
                        open.push((name, at));
                    }
                }
            }
        }
        page.resolve();
        page
    }

    /// Takes in one element; gives where its text goes, if it has any.
    fn take(
        &mut self,
        tag: Tag,
        form: Option<usize>,
        off: bool,
        open: &[(String, Open)],
    ) -> Option<Open> {
        let label = |names: &[&str]| {
            let named = names.iter().filter_map(|name| tag.get(name));
            named
                .map(str::trim)
                .find(|text| !text.is_empty())
                .unwrap_or_default()
                .to_owned()
        };
        match (tag.name.as_str(), tag.kind("type").as_str()) {
            ("button", "" | "submit") if !off => {
                self.buttons.push(Pressable {
                    tag,
                    form,
                    label: String::new(),
                });
                return Some(Open::Button(self.buttons.len() - 1));
            }
            ("input", "submit") if !off => {
                // What a browser writes on a button without a value.
                let label = if tag.has("value") {
                    label(&["value"])
                } else {
                    "Submit".to_owned()
                };
                self.buttons.push(Pressable { tag, form, label });
            }
            ("input", "image") if !off => {
                let label = label(&["alt", "title"]);
                self.buttons.push(Pressable { tag, form, label });
            }
            ("input", "button" | "reset" | "file") => {}
            ("input" | "select" | "textarea", _) if !off && tag.has("name") => {
                let text = (tag.name == "textarea").then_some(Open::Textarea(self.fields.len()));
                self.fields.push(Field {
                    tag,
                    form,
                    text: String::new(),
                    options: Vec::new(),
                });
                return text;
            }
            ("option", _) => {
                let field = self
                    .fields
                    .last_mut()
                    .filter(|field| field.tag.name == "select")?;
                field.options.push((tag, String::new()));
                return Some(Open::Option(self.fields.len() - 1));
            }
            ("meta", _) if tag.kind("http-equiv") == "refresh" => {
                let label = "Continue".to_owned();
                let address = tag
                    .get("content")
                    .and_then(|content| content.split_once(';'));
                let address = address
                    .and_then(|(_, rest)| rest.split_once('='))
                    .map(|(_, url)| url.trim());
                let tag = Tag::link(address?.trim_matches(['\'', '"']));
                self.links.push(Pressable {
                    tag,
                    form: None,
                    label,
                });
            }
            ("a", _) if leads_on(tag.get("href")) => {
                self.links.push(Pressable {
                    tag,
                    form: None,
                    label: String::new(),
                });
                return Some(Open::Link(self.links.len() - 1));
            }
            ("img", _) => {
                let alt = label(&["alt"]);
                open.iter().for_each(|(_, at)| self.write(at, &alt));
            }
            _ => {}
        }
        None
    }

    fn write(&mut self, at: &Open, text: &str) {
        let into = match at {
            Open::Button(at) => self.buttons.get_mut(*at).map(|button| &mut button.label),
            Open::Link(at) => self.links.get_mut(*at).map(|link| &mut link.label),
            Open::Textarea(at) => self.fields.get_mut(*at).map(|field| &mut field.text),
            Open::Option(at) => {
                let field = self.fields.get_mut(*at);
                field
                    .and_then(|field| field.options.last_mut())
                    .map(|(_, text)| text)
            }
        };
        if let Some(into) = into {
            into.push_str(text);
            if !matches!(at, Open::Textarea(_)) {
                into.push(' ');
            }
        }
    }

    /// Gives what names its form by `form=` to that form, wherever it stands, and labels to buttons
    /// that show none.
    fn resolve(&mut self) {
        let forms = &self.forms;
        let owner = |tag: &Tag, form: &mut Option<usize>| {
            if let Some(id) = tag.get("form") {
                *form = forms.iter().position(|form| form.get("id") == Some(id));
            }
        };
        self.buttons
            .iter_mut()
            .for_each(|button| owner(&button.tag, &mut button.form));
        self.fields
            .iter_mut()
            .for_each(|field| owner(&field.tag, &mut field.form));
        self.buttons.retain(|button| button.form.is_some());
        for one in self.buttons.iter_mut().chain(&mut self.links) {
            one.label = one.label.split_whitespace().collect::<Vec<_>>().join(" ");
            if one.label.is_empty() {
                let told = one.tag.get("aria-label").or(one.tag.get("title"));
                one.label = told.unwrap_or_default().to_owned();
            }
        }
    }

    /// The fields of a form that are sent whichever button is pressed, as one who agrees would fill
    /// them in.
    pub(super) fn fields(&self, form: usize) -> Vec<(String, String)> {
        let own: Vec<&Field> = self
            .fields
            .iter()
            .filter(|field| field.form == Some(form))
            .collect();
        let mut sent = Vec::new();
        for field in &own {
            let name = field.tag.get("name").unwrap_or_default();
            let value = match (field.tag.name.as_str(), field.tag.kind("type").as_str()) {
                ("select", _) => field.selected(),
                // The first line break after the tag is not part of the text.
                ("textarea", _) => Some(
                    field
                        .text
                        .strip_prefix('\n')
                        .unwrap_or(&field.text)
                        .to_owned(),
                ),
                (_, "radio") => field.chosen(&own, chooses),
                (_, "checkbox") => field.chosen(&own, checks),
                _ => Some(field.typed()),
            };
            sent.extend(value.map(|value| (name.to_owned(), value)));
        }
        sent
    }
}

impl Pressable {
    /// What it says: by its label, else by what it is called. `true` if the label says so.
    pub(super) fn mood(&self) -> (Mood, bool) {
        let label = mood(&self.label);
        if label != Mood::Unknown {
            return (label, true);
        }
        let hints = ["value", "name", "id", "href"].into_iter();
        let moods = hints.filter_map(|name| self.tag.get(name)).map(mood);
        (
            moods
                .into_iter()
                .find(|mood| *mood != Mood::Unknown)
                .unwrap_or(Mood::Unknown),
            false,
        )
    }
}

impl Field {
    fn name(&self) -> &str {
        self.tag.get("name").unwrap_or_default()
    }

    /// What a radio button or a checkbox sends, if it is on.
    fn chosen(&self, all: &[&Self], on: fn(&Self, &[&Self]) -> bool) -> Option<String> {
        let kind = self.tag.kind("type");
        let same = |other: &&&Self| other.name() == self.name() && other.tag.kind("type") == kind;
        let group: Vec<&Self> = all.iter().filter(same).copied().collect();
        on(self, &group).then(|| self.tag.get("value").unwrap_or("on").to_owned())
    }

    fn says(&self) -> Mood {
        let hints = ["value", "id"]
            .into_iter()
            .filter_map(|name| self.tag.get(name));
        let mut moods = hints.map(mood);
        moods
            .find(|mood| *mood != Mood::Unknown)
            .unwrap_or(Mood::Unknown)
    }

    fn selected(&self) -> Option<String> {
        let value = |(tag, text): &(Tag, String)| {
            let text = || text.split_whitespace().collect::<Vec<_>>().join(" ");
            tag.get("value").map_or_else(text, str::to_owned)
        };
        let open: Vec<_> = self
            .options
            .iter()
            .filter(|(tag, _)| !tag.has("disabled"))
            .collect();
        let marked = open.iter().rev().find(|(tag, _)| tag.has("selected"));
        let shown = marked.or(open.first()).map(|option| value(option))?;
        if shown.is_empty() && self.tag.has("required") {
            return open
                .iter()
                .map(|option| value(option))
                .find(|value| !value.is_empty());
        }
        Some(shown)
    }

    /// The field's value; in an empty one that a person would have to fill in, something.
    fn typed(&self) -> String {
        let value = self.tag.get("value").unwrap_or_default();
        let kind = self.tag.kind("type");
        let known = matches!(kind.as_str(), "" | "text" | "email" | "password");
        let login = words(self.name())
            .iter()
            .any(|word| matches!(word.as_str(), "username" | "login" | "email"));
        let wanted =
            self.tag.has("required") || matches!(kind.as_str(), "email" | "password") || login;
        match (value.is_empty() && known && wanted, kind == "email") {
            (false, _) => value.to_owned(),
            (true, true) => TYPED_EMAIL.to_owned(),
            (true, false) => TYPED.to_owned(),
        }
    }
}

/// Whether a link leads to another page, without script.
fn leads_on(href: Option<&str>) -> bool {
    href.is_some_and(|href| {
        let href = href.trim();
        let other = ["#", "javascript:", "mailto:"];
        !href.is_empty() && !other.iter().any(|start| href.starts_with(start))
    })
}

/// The checked radio button of its group; where none is, the first that says yes, or not no.
fn chooses(this: &Field, group: &[&Field]) -> bool {
    let checked = group.iter().rev().find(|field| field.tag.has("checked"));
    let yes = group.iter().find(|field| field.says() >= Mood::Onward);
    let open = group.iter().find(|field| field.says() == Mood::Unknown);
    let chosen = checked.or(yes).or(open).or(group.first());
    chosen.is_some_and(|chosen| std::ptr::eq(*chosen, this))
}

/// What is checked, what must be, and what is asked for where nothing of it is checked.
fn checks(this: &Field, group: &[&Field]) -> bool {
    let granted = words(this.name())
        .iter()
        .any(|word| GRANTED.contains(&word.as_str()));
    let none = !group.iter().any(|field| field.tag.has("checked"));
    this.tag.has("checked")
        || this.tag.has("required")
        || (granted && none && this.says() != Mood::Negative)
}
