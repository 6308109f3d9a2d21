//! Mails as they are read: escaping, both languages, and the samples in the documents.

use std::path::Path;

use domain::{ReauthReason, Timestamp};
use store::Connection;

use super::*;
use crate::growth;

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_millis(instant.as_millisecond())
}

fn look() -> Look {
    Look {
        product: "Soup Kitchen".to_owned(),
        colour: Colour::parse("#0b57d0").unwrap(),
        support: Some("mailto:help@soup.example".to_owned()),
        home: Some("https://app.soup.example/accounts".to_owned()),
    }
}

fn user(locale: &str) -> User {
    User {
        label: Some("Mara".to_owned()),
        email: Some("mara@example.com".to_owned()),
        locale: Some(locale.to_owned()),
        time_zone: Some("Europe/Paris".to_owned()),
        ..User::new("u-1001".parse().unwrap(), Timestamp::default())
    }
}

fn growth_of(value: u64, by: Option<i64>, days: Option<i64>) -> Growth {
    Growth {
        value: Some(value),
        by,
        days,
    }
}

fn account(name: &str, followers: Growth, views: Growth, likes: Growth) -> AccountLine {
    AccountLine {
        platform: domain::Platform::TikTok,
        name: name.to_owned(),
        followers,
        views,
        likes,
    }
}

fn post(title: &str, url: Option<&str>, views: u64, likes: u64, comments: u64) -> PostLine {
    PostLine {
        platform: domain::Platform::TikTok,
        title: title.to_owned(),
        url: url.map(str::to_owned),
        views: Some(views),
        likes: Some(likes),
        comments: Some(comments),
    }
}

fn needs(name: &str, what: Trouble) -> Attention {
    Attention {
        platform: domain::Platform::TikTok,
        name: name.to_owned(),
        what,
    }
}

/// A week with everything in it.
fn full() -> Report {
    let accounts = vec![
        account(
            "@joris.bikes",
            growth_of(48_210, Some(310), Some(7)),
            growth_of(1_204_533, Some(12_430), Some(7)),
            growth_of(88_120, Some(-41), Some(7)),
        ),
        account(
            "@mara.soup",
            growth_of(3_902, Some(18), Some(6)),
            growth_of(51_008, Some(2_400), Some(7)),
            Growth::default(),
        ),
        account(
            "@night.kitchen",
            growth_of(120, None, None),
            Growth::default(),
            Growth::default(),
        ),
        account(
            "@old.pans",
            Growth::default(),
            Growth::default(),
            Growth::default(),
        ),
    ];
    Report {
        from: "2026-11-16".parse().unwrap(),
        to: "2026-11-22".parse().unwrap(),
        followers: growth::together(accounts.iter().map(|one| one.followers)),
        accounts,
        posts: vec![
            post(
                "Onion soup in nine minutes",
                Some("https://www.tiktok.example/@joris.bikes/video/1"),
                84_210,
                3_120,
                88,
            ),
            post(
                "Why I never peel ginger, and what my grandmother said when she saw it",
                None,
                20_400,
                1,
                0,
            ),
            post("", None, 9_006, 540, 1),
        ],
        attention: vec![
            needs(
                "@old.pans",
                Trouble::Connect(Cause::Reauth(ReauthReason::GrantRevoked)),
            ),
            needs("@night.kitchen", Trouble::NotAllowed),
        ],
    }
}

const LINK: &str = "https://api.soup.example/unsubscribe/dS0xMDAx.r.4Zt1nVbXQyJd0a6p";

fn of_report(locale: &str, report: &Report) -> Mail {
    let user = user(locale);
    let reader = Reader {
        user: &user,
        unsubscribe: LINK,
    };
    super::report(&look(), reader, report)
}

fn of_notice(locale: &str) -> Mail {
    let user = user(locale);
    let link = LINK.replace(".r.", ".n.");
    let reader = Reader {
        user: &user,
        unsubscribe: &link,
    };
    let all = [
        needs(
            "@old.pans",
            Trouble::Connect(Cause::Reauth(ReauthReason::RefreshExpired)),
        ),
        needs(
            "@mara.soup",
            Trouble::Connect(Cause::TokenEnds(at("2026-11-25T23:30:00Z"))),
        ),
    ];
    notice(&look(), reader, &all)
}

#[test]
fn subjects_say_what_happened() {
    let subject = |locale: &str, by: Option<i64>| {
        let mut report = full();
        report.followers.by = by;
        of_report(locale, &report).subject
    };
    for (by, en, fr) in [
        (
            Some(328),
            "Your week: +328 followers",
            "Votre semaine\u{a0}: +328 abonnés",
        ),
        (
            Some(1),
            "Your week: +1 follower",
            "Votre semaine\u{a0}: +1 abonné",
        ),
        (
            Some(0),
            "Your week: ±0 followers",
            "Votre semaine\u{a0}: ±0 abonné",
        ),
        (
            Some(-1_200),
            "Your week: \u{2212}1,200 followers",
            "Votre semaine\u{a0}: \u{2212}1\u{202f}200 abonnés",
        ),
        (
            None,
            "Your week, 16–22 November",
            "Votre semaine, du 16 au 22 novembre",
        ),
    ] {
        assert_eq!(subject("en-GB", by), en);
        assert_eq!(subject("fr-CA", by), fr);
    }
    assert_eq!(of_notice("en").subject, "2 accounts need you");
    assert_eq!(of_notice("fr").subject, "2 comptes ont besoin de vous");
    assert_eq!(of_notice("pt-BR").subject, "2 accounts need you");
}

/// What a platform, a product or a user wrote cannot become markup, another header or another link.
#[test]
fn what_others_wrote_is_escaped() {
    let hostile = "<img src=x onerror=alert(1)>\"'&";
    let mut report = full();
    report.accounts[0].name = hostile.to_owned();
    report.posts[0].title = hostile.to_owned();
    report.attention[0].name = hostile.to_owned();
    let mut user = user("en");
    user.label = Some(format!("{hostile}\r\nBcc: x@y.example"));
    let mut look = look();
    look.product = format!("Soup {hostile}");
    look.home = Some("https://app.example/\"><script>".to_owned());
    let reader = Reader {
        user: &user,
        unsubscribe: LINK,
    };
    for mail in [
        super::report(&look, reader, &report),
        notice(&look, reader, &report.attention),
    ] {
        assert!(
            !mail.html.contains("<img") && !mail.html.contains("<script"),
            "{}",
            mail.html
        );
        assert!(
            mail.html.contains("&#60;img src=x onerror=alert(1)&#62;"),
            "{}",
            mail.html
        );
        assert!(!mail.subject.contains(['\r', '\n']));
        assert!(!mail.text.contains("\nBcc:"), "{}", mail.text);
        assert!(
            mail.text.contains(hostile),
            "text is not escaped: {}",
            mail.text
        );
    }
}

#[test]
fn links_of_posts_are_https_alone() {
    let media = |url: &str| domain::MediaItem {
        id: "1".to_owned(),
        published_at: Some(at("2026-11-20T00:00:00Z")),
        permalink: Some(url.to_owned()),
        figures: Some(domain::Figures {
            views: Some(3),
            ..domain::Figures::default()
        }),
        ..domain::MediaItem::default()
    };
    for (url, kept) in [
        ("https://www.tiktok.example/v/1", true),
        ("http://www.tiktok.example/v/1", false),
        ("javascript:alert(1)", false),
        ("https://x.example/\"onmouseover=alert(1)", false),
        ("https://x.example/ y", false),
    ] {
        let sources = crate::report::Sources {
            connections: &[],
            days: &std::collections::BTreeMap::new(),
            media: &[(domain::Platform::TikTok, media(url))],
        };
        let monday = "2026-11-23".parse().unwrap();
        let report = Report::of(&sources, monday, at("2026-11-23T08:00:00Z")).unwrap();
        assert_eq!(report.posts[0].url.is_some(), kept, "{url}");
    }
}

/// Neither language shows a word of the other, and everything that a full week holds is told.
#[test]
fn both_languages_are_complete() {
    const EN: &[&str] = &[
        "Your week",
        "Hello Mara",
        "Followers, all accounts",
        "Needs your attention",
        "Your accounts",
        "Views",
        "Likes",
        "Your best posts",
        "Without a title",
        "no comparison",
        "in 6 days",
        "No figures",
        "2 of 4 accounts",
        "Open Soup Kitchen",
        "No more weekly reports",
        "Help",
        "84,210 views",
        "1 like",
        "88 comments",
        "withdrawn",
        "were not allowed",
    ];
    const FR: &[&str] = &[
        "Votre semaine",
        "Bonjour Mara",
        "Abonnés, tous comptes",
        "À vérifier",
        "Vos comptes",
        "Vues",
        "J’aime",
        "Vos meilleures publications",
        "Sans titre",
        "pas de comparaison",
        "en 6 jours",
        "Aucun chiffre",
        "2 des 4 comptes",
        "Ouvrir Soup Kitchen",
        "Ne plus recevoir ce rapport",
        "Aide",
        "84\u{202f}210 vues",
        "1 j’aime",
        "1 commentaire",
        "ne donne plus accès",
        "n’ont pas été autorisées",
    ];
    for (locale, own, other) in [("en", EN, FR), ("fr", FR, EN)] {
        let mail = of_report(locale, &full());
        for body in [&mail.html, &mail.text] {
            for word in own {
                assert!(body.contains(word), "{locale}: {word} is missing in {body}");
            }
            for word in other.iter().filter(|word| word.len() > 6) {
                assert!(!body.contains(word), "{locale}: {word} in {body}");
            }
        }
        assert!(mail.html.contains(&format!("<html lang=\"{locale}\">")));
    }
    // 25 November 23:30 UTC is the 26th in Paris.
    assert!(of_notice("en").text.contains("ends on 26 November"));
    assert!(of_notice("fr").text.contains("le 26 novembre"));
}

#[test]
fn the_opt_out_link_is_in_every_mail() {
    for mail in [of_report("en", &full()), of_notice("fr")] {
        assert!(
            mail.html
                .contains(&format!("href=\"{}\"", mail.unsubscribe))
        );
        assert!(mail.text.contains(&mail.unsubscribe));
    }
}

#[test]
fn nothing_is_loaded_and_nobody_is_counted() {
    let html = of_report("en", &full()).html;
    for word in ["<img", "src=", "url(", "@import", "<link", "<script"] {
        assert!(!html.contains(word), "{word}");
    }
}

#[test]
fn a_button_can_be_read_on_every_colour() {
    for (colour, ink) in [
        ("#0b57d0", "#ffffff"),
        ("#ffd400", "#000000"),
        ("#000000", "#ffffff"),
        ("#ffffff", "#000000"),
        ("#C2410C", "#ffffff"),
    ] {
        assert_eq!(Colour::parse(colour).unwrap().ink(), ink, "{colour}");
    }
    for text in ["0b57d0", "#0b57d", "#0b57dg", "", "#0b57d0;x"] {
        assert_eq!(Colour::parse(text), Err(InvalidColour), "{text}");
    }
}

#[test]
fn a_report_leaves_out_what_has_ended_and_says_nothing_of_nothing() {
    let connection = |status: &str| -> Connection {
        let row = serde_json::json!({
            "user_id": "u", "connection_id": "conn_aaaaaaaaaaaaaaaaaaaaaaaaaa", "platform": "tiktok",
            "account": { "platform": "tiktok", "id": "a", "display_name": "Joris", "username": "joris" },
            "status": status, "token_version": 1, "created_at": 1, "updated_at": 1,
        });
        serde_json::from_value(row).unwrap()
    };
    let of = |connections: &[Connection]| {
        let sources = crate::report::Sources {
            connections,
            days: &std::collections::BTreeMap::new(),
            media: &[],
        };
        Report::of(
            &sources,
            "2026-11-23".parse().unwrap(),
            at("2026-11-23T08:00:00Z"),
        )
    };
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[connection("disconnected")]), None);
    assert_eq!(
        of(&[connection("active")]),
        None,
        "no figure, nothing to see to"
    );
    let report = of(&[connection("needs_reauth"), connection("disconnected")]).unwrap();
    assert_eq!((report.accounts.len(), report.attention.len()), (1, 1));
}

/// The samples in the documents are what this version sends. `UPDATE_SAMPLES=1` writes them.
#[test]
fn the_samples_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/docs/mails");
    let mut stale = Vec::new();
    for locale in ["en", "fr"] {
        for mail in [of_report(locale, &full()), of_notice(locale)] {
            let name = format!("{}.{locale}", mail.kind.as_str());
            let text = format!("Subject: {}\n\n{}", mail.subject, mail.text);
            for (end, content) in [("html", &mail.html), ("txt", &text)] {
                let path = folder.join(format!("{name}.{end}"));
                let content = format!("{}\n", content.trim_end());
                if std::env::var_os("UPDATE_SAMPLES").is_some() {
                    std::fs::write(&path, &content).unwrap();
                }
                if std::fs::read_to_string(&path).unwrap_or_default() != content {
                    stale.push(path);
                }
            }
        }
    }
    assert!(
        stale.is_empty(),
        "UPDATE_SAMPLES=1 cargo test -p mail samples: {stale:?}"
    );
}
