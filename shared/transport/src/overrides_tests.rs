use super::*;

const LOCAL: &str = r#"{
    "www.tiktok.com": "http://127.0.0.1:8090/tiktok/www",
    "open.tiktokapis.com": "http://127.0.0.1:8090/tiktok/open/",
    "*.tiktokapis.com": "http://127.0.0.1:8090/tiktok/upload",
    "*.eu.tiktokapis.com": "http://[::1]:8091"
}"#;
const ALLOWED: &[&str] = &["*.tiktokapis.com", "open-upload.tiktokapis.com"];

fn local() -> HostOverrides {
    HostOverrides::parse(LOCAL).unwrap()
}

#[test]
fn real_urls_go_to_their_bases() {
    for (real, wire) in [
        (
            "https://open.tiktokapis.com/v2/oauth/token/?a=b%20c",
            "http://127.0.0.1:8090/tiktok/open/v2/oauth/token/?a=b%20c",
        ),
        (
            "https://OPEN-upload.TikTokAPIs.com/video/?id=1&t=2",
            "http://127.0.0.1:8090/tiktok/upload/video/?id=1&t=2",
        ),
        ("https://x.eu.tiktokapis.com/a", "http://[::1]:8091/a"),
        (
            "https://www.tiktok.com",
            "http://127.0.0.1:8090/tiktok/www/",
        ),
        ("https://tiktokapis.com/a", "https://tiktokapis.com/a"),
        ("https://graph.example/a", "https://graph.example/a"),
    ] {
        assert_eq!(local().outward(real), wire);
    }
    let unchanged = "https://open.tiktokapis.com?x";
    assert_eq!(HostOverrides::default().outward(unchanged), unchanged);
}

#[test]
fn returned_urls_must_be_the_platforms() {
    let long = format!("https://open-upload.tiktokapis.com/{}", "x".repeat(9_000));
    for (returned, expected) in [
        ("https://open-upload.tiktokapis.com/v?t=1", Ok(())),
        ("https://open-upload-i18n.tiktokapis.com:443/v", Ok(())),
        ("HTTPS://Open-Upload.TikTokApis.COM/v", Ok(())),
        (
            "https://open-upload.tiktokapis.com.evil.test/v",
            Err(Refused::Host),
        ),
        ("https://eviltiktokapis.com/v", Err(Refused::Host)),
        ("https://tiktokapis.com/v", Err(Refused::Host)),
        ("https://.tiktokapis.com/v", Err(Refused::Host)),
        ("https://open-upload.tiktokapis.com./v", Err(Refused::Host)),
        (
            "https://evil.test/open-upload.tiktokapis.com",
            Err(Refused::Host),
        ),
        ("https://evil.test#.tiktokapis.com", Err(Refused::Host)),
        ("https://evil.test?.tiktokapis.com", Err(Refused::Host)),
        ("https://evil.test\\.tiktokapis.com/v", Err(Refused::Host)),
        (
            "https://open-upload.tiktokapis.com@evil.test/v",
            Err(Refused::UserPart),
        ),
        (
            "https://u:p@open-upload.tiktokapis.com/v",
            Err(Refused::UserPart),
        ),
        (
            "https://:p@open-upload.tiktokapis.com/v",
            Err(Refused::UserPart),
        ),
        (
            "http://open-upload.tiktokapis.com/v",
            Err(Refused::NotHttps),
        ),
        ("file:///etc/passwd", Err(Refused::NotHttps)),
        ("ftp://open-upload.tiktokapis.com/v", Err(Refused::NotHttps)),
        (
            "https://open-upload.tiktokapis.com:8443/v",
            Err(Refused::Port),
        ),
        (
            "https://open-upload.tiktokapis.com:80/v",
            Err(Refused::Port),
        ),
        ("https://169.254.169.254/latest", Err(Refused::Host)),
        ("https://0xa9fea9fe/latest", Err(Refused::Host)),
        ("https://[::1]/v", Err(Refused::Host)),
        ("https://127.0.0.1/v", Err(Refused::Host)),
        ("//open-upload.tiktokapis.com/v", Err(Refused::Unreadable)),
        ("/v", Err(Refused::Unreadable)),
        ("", Err(Refused::Unreadable)),
        (long.as_str(), Err(Refused::Unreadable)),
    ] {
        let cloud = HostOverrides::default().checked(returned, ALLOWED);
        assert_eq!(cloud.map(|_| ()), expected, "{returned}");
    }
}

#[test]
fn a_stand_in_may_answer_with_real_addresses_or_any_of_this_machine() {
    let wire = "http://127.0.0.1:8090/tiktok/upload/v?t=1";
    let real = "https://open-upload.tiktokapis.com/v?t=1";
    assert_eq!(local().checked(real, ALLOWED).unwrap().as_str(), wire);
    for own in [
        wire,
        "http://localhost:8090/tiktok/upload/v?t=1",
        "http://127.0.0.1:8090/tiktok/www/v",
        "http://127.0.0.1:8090/elsewhere",
        "https://127.1.2.3:9/v",
        "http://[::1]:1/v",
    ] {
        assert_eq!(local().checked(own, ALLOWED).unwrap().as_str(), own);
        // Without stand-ins nobody may send us to this machine.
        let cloud = HostOverrides::default().checked(own, ALLOWED);
        assert!(cloud.is_err(), "{own}");
    }
    for (returned, why) in [
        ("http://u@127.0.0.1:8090/tiktok/upload/v", Refused::UserPart),
        ("ftp://127.0.0.1/v", Refused::NotHttps),
        ("http://10.0.0.1/v", Refused::NotHttps),
        ("https://10.0.0.1/v", Refused::Host),
        ("https://169.254.169.254/latest", Refused::Host),
        ("https://0.0.0.0/v", Refused::Host),
        ("http://localhost.evil.test/v", Refused::NotHttps),
        ("https://127.0.0.1.evil.test/v", Refused::Host),
        ("https://www.tiktok.com/v", Refused::Host),
    ] {
        assert_eq!(local().checked(returned, ALLOWED), Err(why), "{returned}");
    }
}

/// As a stand-in with a single port has it.
#[test]
fn hosts_may_share_one_base() {
    let base = "http://127.0.0.1:9000/x";
    for hosts in [
        &["www.tiktok.com", "open.tiktokapis.com", "*.tiktokapis.com"][..],
        &["*.aaa.example", "*.tiktokapis.com", "*.zzz.example"],
        &["www.tiktok.com", "*.eu.tiktokapis.com", "*.tiktokapis.com"],
    ] {
        let entries: BTreeMap<_, _> = hosts.iter().map(|host| (host, base)).collect();
        let shared = HostOverrides::parse(&serde_json::to_string(&entries).unwrap()).unwrap();
        for returned in [
            "http://127.0.0.1:9000/x/v?t=1",
            "https://open-upload.tiktokapis.com/v?t=1",
            "https://upload.eu.tiktokapis.com/v?t=1",
        ] {
            let sent = shared.checked(returned, ALLOWED).unwrap();
            assert_eq!(sent.as_str(), "http://127.0.0.1:9000/x/v?t=1", "{hosts:?}");
        }
    }
}

#[test]
fn beside_stand_ins_no_real_host_is_called() {
    let url = |text: &str| Url::parse(text).unwrap();
    let refused = Refused::NoOverride("graph.example".into());
    let absent = Err(refused.clone());
    let real = url("https://graph.example/a?token=hush");
    assert_eq!(local().to_wire(&real), absent);
    assert_eq!(local().checked(real.as_str(), &["graph.example"]), absent);
    assert_eq!(refused.to_string(), "no override for graph.example");
    assert_eq!(HostOverrides::default().to_wire(&real), Ok(real));
}

#[test]
fn bases_off_this_machine_are_refused() {
    for base in [
        "http://127.1.2.3:1/x",
        "https://localhost",
        "http://[::1]:9",
    ] {
        let json = format!(r#"{{"a.example":"{base}"}}"#);
        assert!(HostOverrides::parse(&json).is_ok(), "{base}");
    }
    for base in [
        "http://10.0.0.1",
        "https://evil.test",
        "http://localhost.evil.test",
        "http://127.0.0.1.evil.test",
        "http://0.0.0.0",
        "ftp://127.0.0.1",
        "http://127.0.0.1/?a",
        "http://127.0.0.1/#a",
        "http://u@127.0.0.1",
        "127.0.0.1:80",
    ] {
        let json = format!(r#"{{"a.example":"{base}"}}"#);
        let refused = HostOverrides::parse(&json);
        assert_eq!(
            refused,
            Err(InvalidOverride::Base("a.example".into())),
            "{base}"
        );
    }
    for pattern in [
        "",
        "*",
        "*.",
        "a",
        "https://a.example",
        "a.example:1",
        "a.*.b",
        "127.0.0.1",
    ] {
        let json = format!(r#"{{"{pattern}":"http://127.0.0.1"}}"#);
        let refused = HostOverrides::parse(&json);
        assert_eq!(
            refused,
            Err(InvalidOverride::Pattern(pattern.into())),
            "{pattern}"
        );
    }
    assert_eq!(HostOverrides::parse("[]"), Err(InvalidOverride::Shape));
}
