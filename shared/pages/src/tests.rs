use domain::Platform;

use super::*;

const HOSTILE: &str = r#""><script>alert('x')</script>&<img src=x onerror=y>{{7*7}}"#;

fn account(id: &str, name: &str, username: Option<&str>) -> AccountView {
    AccountView {
        id: id.into(),
        display_name: name.into(),
        username: username.map(Into::into),
    }
}

fn session(locale: Locale) -> String {
    SessionPage {
        locale,
        product: "Acme",
        user_label: "maya@acme.example",
        platform: Some(Platform::TikTok),
        action: "/session/abc",
    }
    .render()
}

fn confirm(locale: Locale, text: &str, accounts: &[AccountView]) -> String {
    ConfirmPage {
        locale,
        product: text,
        user_label: text,
        platform: Platform::TikTok,
        accounts,
        granted: &[text.to_owned()],
        missing: &[text.to_owned()],
        action: "/oauth/tiktok/confirm",
        csrf: text,
    }
    .render()
}

fn every_page() -> Vec<String> {
    let mut pages = Vec::new();
    for locale in [Locale::En, Locale::Fr] {
        let one = [account("a1", "Maya", Some("maya"))];
        let two = [account("a1", "Maya", Some("maya")), account("a2", "", None)];
        pages.push(session(locale));
        pages.push(confirm(locale, "Acme", &one));
        pages.push(confirm(locale, "Acme", &two));
        pages.push(MessagePage::connected(locale, "Acme", Platform::TikTok, &one[0]).render());
        for trouble in Trouble::ALL {
            pages.push(MessagePage::trouble(locale, "Acme", *trouble).render());
        }
    }
    pages
}

/// The page without its style, which changes for reasons of its own.
fn without_style(page: &str) -> String {
    page.replace(STYLE, "…")
}

#[test]
fn the_session_page() {
    insta::assert_snapshot!(without_style(&session(Locale::En)));
}

#[test]
fn the_confirm_page_with_one_account() {
    let accounts = [account("a1", "Maya Lind", Some("maya"))];
    insta::assert_snapshot!(without_style(&confirm(Locale::En, "Acme", &accounts)));
}

#[test]
fn the_confirm_page_with_several_accounts_in_french() {
    let accounts = [
        account("a1", "Maya Lind", Some("maya")),
        account("a2", "", Some("second")),
        account("a3", " ", None),
    ];
    insta::assert_snapshot!(without_style(&confirm(Locale::Fr, "Acme", &accounts)));
}

#[test]
fn the_result_page() {
    let maya = account("a1", "Maya Lind", Some("maya"));
    let page = MessagePage::connected(Locale::En, "Acme", Platform::TikTok, &maya)
        .back(Some("https://app.acme.example/done?a=1&b=2"));
    insta::assert_snapshot!(without_style(&page.render()));
}

#[test]
fn a_trouble_page() {
    let page = MessagePage::trouble(Locale::En, "Acme", Trouble::LinkSpent);
    insta::assert_snapshot!(without_style(&page.render()));
}

#[test]
fn nothing_unescaped_gets_through() {
    let hostile = [account(HOSTILE, HOSTILE, Some(HOSTILE))];
    let several = [hostile[0].clone(), hostile[0].clone()];
    let session = SessionPage {
        locale: Locale::En,
        product: HOSTILE,
        user_label: HOSTILE,
        platform: None,
        action: HOSTILE,
    };
    let connected = MessagePage::connected(Locale::Fr, HOSTILE, Platform::TikTok, &hostile[0]);
    let message = MessagePage::new(Locale::En, HOSTILE, HOSTILE, HOSTILE, HOSTILE);
    let pages = [
        session.render(),
        confirm(Locale::En, HOSTILE, &hostile),
        confirm(Locale::Fr, HOSTILE, &several),
        connected.back(Some("/x\"><script>")).render(),
        message
            .back(Some("https://a.example/\"onclick=\"x"))
            .render(),
    ];
    for page in pages {
        let page = without_style(&page);
        for raw in ["<script", "<img", "'x'", "\"onclick", "\"\">", "49"] {
            assert!(!page.contains(raw), "{raw} in {page}");
        }
    }
}

#[test]
fn a_way_back_that_would_run_is_left_out() {
    for (address, shown) in [
        ("https://app.example/x", true),
        ("http://localhost:3000/x", true),
        ("/portal", true),
        ("//evil.test", false),
        ("/\\evil.test", false),
        ("javascript:alert(1)", false),
        ("data:text/html,x", false),
        ("", false),
    ] {
        let page = MessagePage::trouble(Locale::En, "Acme", Trouble::Cancelled);
        let page = page.back(Some(address)).render();
        assert_eq!(page.contains("<a "), shown, "{address}");
    }
}

#[test]
fn every_page_stands_alone_and_is_accessible() {
    for page in every_page() {
        let body = without_style(&page);
        for outside in [
            "<script", "<link", "<img", "src=", "url(", " style=", "@import",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(body.matches("<h1>").count(), 1);
        assert_eq!(body.matches("<main>").count(), 1);
        for needed in ["<html lang=\"", "<title>", "name=\"viewport\""] {
            assert!(body.contains(needed), "{needed}");
        }
        assert!(!body.contains("user-scalable"));
        // Each choice is named by the label around it, the group by its legend.
        let radios = body.matches("type=\"radio\"").count();
        assert_eq!(body.matches("<label").count(), radios);
        assert_eq!(body.contains("<legend>"), radios > 0);
    }
}

#[test]
fn the_hash_is_of_the_style_as_the_page_holds_it() {
    for page in every_page() {
        let start = page.find("<style>").unwrap() + "<style>".len();
        let end = page.find("</style>").unwrap();
        let hash = digest::digest(&digest::SHA256, &page.as_bytes()[start..end]);
        let named = format!("sha256-{}", BASE64.encode(hash.as_ref()));
        assert_eq!(style_hash(), named);
    }
}

/// Text at 4.5:1 and controls at 3:1 against what is behind them (WCAG 2.2, 1.4.3 and 1.4.11).
#[test]
fn colours_have_contrast_in_both_schemes() {
    let schemes: Vec<_> = STYLE
        .lines()
        .filter(|line| line.contains("--ground:"))
        .collect();
    assert_eq!(schemes.len(), 2);
    for scheme in schemes {
        let luminance = |name: &str| {
            let hex = scheme.split(&format!("{name}:#")).nth(1).unwrap();
            let hex = hex.split([';', '}']).next().unwrap();
            let digits: Vec<u32> = hex.chars().map(|c| c.to_digit(16).unwrap()).collect();
            let channel = |index: usize| {
                let value = match digits.len() {
                    3 => digits[index] * 17,
                    _ => digits[index * 2] * 16 + digits[index * 2 + 1],
                };
                let value = f64::from(value) / 255.0;
                if value <= 0.03928 {
                    value / 12.92
                } else {
                    ((value + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2)
        };
        let contrast = |a: &str, b: &str| {
            let (a, b) = (luminance(a), luminance(b));
            (a.max(b) + 0.05) / (a.min(b) + 0.05)
        };
        for (front, back) in [
            ("--ink", "--card"),
            ("--soft", "--card"),
            ("--bad", "--card"),
            ("--accent", "--card"),
            ("--on-accent", "--accent"),
        ] {
            let ratio = contrast(front, back);
            assert!(ratio >= 4.5, "{front} on {back}: {ratio:.2}");
        }
    }
}

#[test]
fn languages_are_chosen_by_weight() {
    for (header, locale) in [
        (None, Locale::En),
        (Some("fr-CH, fr;q=0.9, en;q=0.8"), Locale::Fr),
        (Some("de, en;q=0.7, fr;q=0.8"), Locale::Fr),
        (Some("en, fr"), Locale::En),
        (Some("de, es"), Locale::En),
        (Some("fr;q=0, en;q=0.1"), Locale::En),
        (Some("FR"), Locale::Fr),
        (Some("fr;q=x"), Locale::En),
        (Some(";;,,q="), Locale::En),
    ] {
        assert_eq!(Locale::accepted(header), locale, "{header:?}");
    }
}
