//! Mails as people read them: subject, HTML and text. Pure.
//!
//! Every text that a platform, a product or a user wrote is escaped by the templates and made one
//! line. The HTML loads nothing: no image, no font, no count of who opened it.

use askama::Template;
use domain::{Timestamp, UserId};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use pages::Locale;
use store::User;

use crate::due;
use crate::growth::Growth;
use crate::link::MailKind;
use crate::notice::Cause;
use crate::report::{AccountLine, Attention, PostLine, Report, Trouble};
use crate::show;
use crate::words::Words;

/// How a deployment's mails look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The product's name.
    pub product: String,
    /// The colour of buttons.
    pub colour: Colour,
    /// Where who needs help is sent: https or mailto.
    pub support: Option<String>,
    /// Where readers are sent on.
    pub home: Option<String>,
}

/// A colour, `#0b57d0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// A text that is no colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give a colour as six hexadecimal digits, such as #0b57d0")]
pub struct InvalidColour;

/// One mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Which kind.
    pub kind: MailKind,
    /// The subject.
    pub subject: String,
    /// The page.
    pub html: String,
    /// The same as text.
    pub text: String,
    /// The opt-out link, for the headers.
    pub unsubscribe: String,
}

/// To whom a mail is written.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The user.
    pub user: &'a User,
    /// Their opt-out link for this kind.
    pub unsubscribe: &'a str,
}

impl Colour {
    /// Reads `#rrggbb`.
    pub fn parse(text: &str) -> Result<Self, InvalidColour> {
        let digits = text.strip_prefix('#').ok_or(InvalidColour)?;
        let number = (digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u32::from_str_radix(digits, 16).ok())
            .flatten();
        let [_, red, green, blue] = number.ok_or(InvalidColour)?.to_be_bytes();
        Ok(Self([red, green, blue]))
    }

    fn css(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// Black or white, whichever can be read on it (WCAG 2's relative luminance).
    fn ink(self) -> &'static str {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.040_45 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        };
        let [red, green, blue] = self.0.map(linear);
        let light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        // Equal contrast with both is at 0.179.
        if light > 0.179 { "#000000" } else { "#ffffff" }
    }
}

struct Figure {
    label: &'static str,
    value: String,
    change: String,
}

struct AccountView {
    platform: &'static str,
    name: String,
    figures: Vec<Figure>,
}

impl AccountView {
    /// Columns that are left empty, so that those of all accounts stand below each other.
    fn gaps(&self) -> usize {
        3_usize.saturating_sub(self.figures.len())
    }
}

struct PostView {
    platform: &'static str,
    title: String,
    url: Option<String>,
    figures: String,
}

struct TroubleView {
    platform: &'static str,
    name: String,
    sentence: String,
}

/// The content of both kinds; what a kind has not is empty.
struct View<'a> {
    words: Words<'a>,
    look: &'a Look,
    subject: String,
    /// What mail programs show beside the subject.
    preview: String,
    title: &'static str,
    span: String,
    hello: Option<String>,
    intro: Option<String>,
    together: Option<Figure>,
    only_some: Option<String>,
    accounts: Vec<AccountView>,
    posts: Vec<PostView>,
    trouble: Vec<TroubleView>,
    why: String,
    stop: &'static str,
    unsubscribe: &'a str,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    v: &'a View<'a>,
    accent: String,
    on_accent: &'static str,
}

#[derive(Template)]
#[template(path = "mail.txt")]
struct Text<'a> {
    v: &'a View<'a>,
}

/// The weekly report.
pub fn report(look: &Look, reader: Reader<'_>, report: &Report) -> Mail {
    let words = words(look, reader.user);
    let zone = due::zone(reader.user);
    let sum = report.followers;
    let whole = Growth {
        value: sum.value,
        by: sum.by,
        days: None,
    };
    let many = report.accounts.len() > 1;
    let view = View {
        subject: words.report_subject(sum.by, report.from, report.to),
        preview: words.span(report.from, report.to),
        title: words.report_title(),
        span: words.span(report.from, report.to),
        hello: hello(words, reader.user),
        intro: None,
        together: figure(words, words.together(), whole).filter(|_| many),
        only_some: (many && sum.by.is_some() && sum.grown < sum.of)
            .then(|| words.only_some(sum.grown, sum.of)),
        accounts: report
            .accounts
            .iter()
            .map(|one| account(words, one))
            .collect(),
        posts: report.posts.iter().map(|one| post(words, one)).collect(),
        trouble: report
            .attention
            .iter()
            .map(|one| trouble(words, one, &zone))
            .collect(),
        why: words.why_report(),
        stop: words.stop_reports(),
        words,
        look,
        unsubscribe: reader.unsubscribe,
    };
    finished(MailKind::Report, &view)
}

/// A notice of what only its reader can save.
pub fn notice(look: &Look, reader: Reader<'_>, all: &[Attention]) -> Mail {
    let words = words(look, reader.user);
    let zone = due::zone(reader.user);
    let platforms: Vec<_> = all.iter().map(|one| one.platform).collect();
    let trouble: Vec<_> = all.iter().map(|one| trouble(words, one, &zone)).collect();
    let view = View {
        subject: words.notice_subject(&platforms),
        preview: trouble
            .first()
            .map(|one| one.sentence.clone())
            .unwrap_or_default(),
        title: words.notice_title(all.len()),
        span: String::new(),
        hello: hello(words, reader.user),
        intro: Some(words.notice_intro(all.len())),
        together: None,
        only_some: None,
        accounts: Vec::new(),
        posts: Vec::new(),
        trouble,
        why: words.why_notice(),
        stop: words.stop_notices(),
        words,
        look,
        unsubscribe: reader.unsubscribe,
    };
    finished(MailKind::Notice, &view)
}

/// The language of a user's mails.
pub fn locale(user: &User) -> Locale {
    Locale::accepted(user.locale.as_deref())
}

/// Where a link of a mail leads.
pub fn unsubscribe_url(
    base: &str,
    keys: &crate::LinkKeys,
    user: &UserId,
    kind: MailKind,
) -> String {
    format!(
        "{}/unsubscribe/{}",
        base.trim_end_matches('/'),
        keys.sign(user, kind)
    )
}

fn words<'a>(look: &'a Look, user: &User) -> Words<'a> {
    Words {
        locale: locale(user),
        product: &look.product,
    }
}

fn hello(words: Words<'_>, user: &User) -> Option<String> {
    let label = show::line(user.label.as_deref()?);
    (!label.is_empty()).then(|| words.hello(&label))
}

/// A figure; `None` where it is missing.
fn figure(words: Words<'_>, label: &'static str, growth: Growth) -> Option<Figure> {
    let change = match growth.by {
        None => words.unknown().to_owned(),
        Some(by) => {
            let by = show::difference(words.locale, by);
            match growth.days.filter(|days| *days != 7) {
                None => by,
                Some(days) => format!("{by} {}", words.in_days(days)),
            }
        }
    };
    Some(Figure {
        label,
        value: show::count(words.locale, growth.value?),
        change,
    })
}

fn account(words: Words<'_>, line: &AccountLine) -> AccountView {
    let figures = [
        (words.followers(), line.followers),
        (words.views(), line.views),
        (words.likes(), line.likes),
    ];
    AccountView {
        platform: line.platform.title(),
        name: line.name.clone(),
        figures: figures
            .into_iter()
            .filter_map(|(label, growth)| figure(words, label, growth))
            .collect(),
    }
}

fn post(words: Words<'_>, line: &PostLine) -> PostView {
    let figures = [
        line.views.map(|count| words.views_of(count)),
        line.likes.map(|count| words.likes_of(count)),
        line.comments.map(|count| words.comments_of(count)),
    ];
    let title = match line.title.as_str() {
        "" => words.untitled().to_owned(),
        title => title.to_owned(),
    };
    PostView {
        platform: line.platform.title(),
        title,
        url: line.url.clone(),
        figures: figures
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" · "),
    }
}

fn trouble(words: Words<'_>, one: &Attention, zone: &TimeZone) -> TroubleView {
    let sentence = match one.what {
        Trouble::NotAllowed => words.not_allowed().to_owned(),
        Trouble::Connect(cause) => {
            let end = match cause {
                Cause::Reauth(_) => None,
                Cause::TokenEnds(end) | Cause::GrantEnds(end) => date(zone, end),
            };
            words.cause(cause, end)
        }
    };
    TroubleView {
        platform: one.platform.title(),
        name: one.name.clone(),
        sentence,
    }
}

fn date(zone: &TimeZone, at: Timestamp) -> Option<Date> {
    let instant = jiff::Timestamp::from_millisecond(at.millis()).ok()?;
    Some(instant.to_zoned(zone.clone()).date())
}

/// Writing to a text fails for no reason that a template of ours has.
fn finished(kind: MailKind, view: &View<'_>) -> Mail {
    let html = Html {
        v: view,
        accent: view.look.colour.css(),
        on_accent: view.look.colour.ink(),
    };
    Mail {
        kind,
        subject: view.subject.clone(),
        html: html.render().unwrap_or_default(),
        text: Text { v: view }.render().unwrap_or_default(),
        unsubscribe: view.unsubscribe.to_owned(),
    }
}

#[cfg(test)]
mod tests;
