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
    let declined = Form::declining(PAGE).unwrap();
    assert!(declined.body().ends_with("decision=no"));
}

#[test]
fn finds_the_button_whatever_it_is_called() {
    let no = |label: &str| format!("<button name=a value=0>{label}</button>");
    let yes = |label: &str| format!("<button name=a value=1>{label}</button>");
    // Words: negative ones win, and they stand first here.
    for (first, second) in [
        ("Don&#39;t allow", "Allow"),
        ("Don&rsquo;t Allow", "OK"),
        ("Disallow", "Yes"),
        ("Not now", "Grant"),
        ("no", "Agree"),
        ("No, continue without", "Next"),
        ("Log out", "Sign in"),
        ("Cancel", "Submit"),
        // A clear yes goes before a mere way on.
        ("Continue", "Authorize"),
        ("Accept all cookies", "Login"),
        // The only one that does not decline.
        ("Cancel", "Weiter"),
        ("Cancel", "<img src=x alt=Allow>"),
    ] {
        let html = format!("<form>{}{}</form>", no(first), yes(second));
        assert_eq!(Form::agreeing(&html).unwrap().body(), "a=1", "{html}");
    }
    for (html, sent) in [
        // What is not written on it.
        (
            "<button name=a value=deny>✗</button><button name=a value=approve>✓</button>",
            "a=approve",
        ),
        (
            "<button name=deny value=1>A</button><button name=allow value=1>B</button>",
            "allow=1",
        ),
        (
            "<button id=btnCancel name=a value=0></button><button id=btnAllow name=a value=1></button>",
            "a=1",
        ),
        (
            "<button name=a value=0 aria-label=Cancel></button><button name=a value=1 title=Agree></button>",
            "a=1",
        ),
        ("<input type=submit name=a value=Next>", "a=Next"),
        ("<input type=submit>", ""),
        ("<input type=image name=go alt=Approve>", "go.x=0&go.y=0"),
        // The first of several accounts.
        (
            "<button name=user value=u1>Mara</button><button name=user value=u2>Joris</button>",
            "user=u1",
        ),
        // Buttons that cannot be pressed, or do not send.
        (
            "<button disabled>Allow</button><button type=button>Allow</button><button name=a value=1>Go</button>",
            "a=1",
        ),
        (
            "<fieldset disabled><input name=b><button>Allow</button></fieldset><button name=a value=1>Go</button>",
            "a=1",
        ),
        // A form that a script would send.
        ("<input type=hidden name=a value=1>", "a=1"),
    ] {
        let form = Form::agreeing(&format!("<form method=post>{html}</form>")).unwrap();
        assert_eq!(form.body(), sent, "{html}");
        assert!(form.post, "{html}");
    }
}

#[test]
fn fills_fields_as_a_browser_and_a_willing_person_would() {
    for (fields, sent) in [
        (
            "<input name=a value='1 &#38; 2'><input name=b value=2 disabled>",
            "a=1+%26+2",
        ),
        (
            "<input name=a><input type=file name=f><input type=reset name=r><input value=nameless>",
            "a=",
        ),
        (
            "<textarea name=a>\n<b>x</b> &amp; y</textarea>",
            "a=%3Cb%3Ex%3C%2Fb%3E+%26+y",
        ),
        (
            "<select name=a><option>One<option selected>Two  b</select>",
            "a=Two+b",
        ),
        (
            "<select name=a><option value=1 disabled>1</option><option value=2>2</option></select>",
            "a=2",
        ),
        (
            "<select name=a required><option value=''>Choose<option value=u1>Mara</select>",
            "a=u1",
        ),
        (
            "<input type=radio name=a value=1><input type=radio name=a value=2 checked>",
            "a=2",
        ),
        (
            "<input type=radio name=a value=deny><input type=radio name=a value=allow>",
            "a=allow",
        ),
        (
            "<input type=radio name=a value=deny><input type=radio name=a value=mara>",
            "a=mara",
        ),
        (
            "<input type=checkbox name=a><input type=checkbox name=b checked><input type=checkbox name=c required>",
            "b=on&c=on",
        ),
        (
            "<input type=checkbox name=scopes value=x><input type=checkbox name=scopes value=y>",
            "scopes=x&scopes=y",
        ),
        (
            "<input name=username><input type=password name=p><input type=email name=e><input name=note>",
            "username=demo-user&p=demo-user&e=demo-user%40example.com&note=",
        ),
    ] {
        let html = format!("<form>{fields}<button>Continue</button></form>");
        assert_eq!(Form::agreeing(&html).unwrap().body(), sent, "{fields}");
    }
}

#[test]
fn goes_where_the_button_says() {
    let at =
        |action: &str, post, link, sent: &str| (action.to_owned(), post, link, sent.to_owned());
    for (html, expected) in [
        (
            "<form action=/a method=post><button formaction=/b formmethod=GET>Allow</button></form>",
            at("/b", false, false, ""),
        ),
        (
            "<form action=/a><button formaction='/no'>Deny</button><button formmethod=post>Allow</button></form>",
            at("/a", true, false, ""),
        ),
        (
            "<button form=f name=x value=1>Allow</button><form id=g></form><form id=f action=/a><input name=i value=2></form>",
            at("/a", false, false, "i=2&x=1"),
        ),
        (
            "<form id=f action=/a></form><input form=f name=i value=2><form action=/b><button form=f>OK</button></form>",
            at("/a", false, false, "i=2"),
        ),
        (
            "<a href=/no>Cancel</a><a href='/yes?a=1&amp;b=2'>Log in</a>",
            at("/yes?a=1&b=2", false, true, ""),
        ),
        (
            "<a href=#>Allow</a><a href='/approve?user=1'>Mara</a><a href=/help>Help</a>",
            at("/approve?user=1", false, true, ""),
        ),
        (
            "<form action=/no><button>Deny</button></form><a href=/yes><button>Allow</button></a>",
            at("/yes", false, true, ""),
        ),
        (
            "<meta http-equiv=refresh content=\"0; url='/next?a=1'\">",
            at("/next?a=1", false, true, ""),
        ),
    ] {
        let form = Form::agreeing(html).unwrap();
        let body = form.body();
        let found = (form.action.unwrap_or_default(), form.post, form.link, body);
        assert_eq!(found, expected, "{html}");
    }
}

#[test]
fn presses_nothing_that_says_no() {
    for html in [
        "<p>nothing</p>",
        "<form><button>Cancel</button></form><a href=/help>Help</a>",
        "<form><button>Don't allow</button><button>Not now</button></form>",
        "<form><button>Mara</button><button>Joris</button></form>",
        "<!-- <form><button>Allow</button></form> --><script>'<a href=/x>Allow</a>'</script>",
        "<button>Allow</button>",
    ] {
        assert!(Form::agreeing(html).is_err(), "{html}");
    }
    assert!(Form::declining("<form><button>Allow</button></form>").is_err());
    let declined = Form::declining("<form><button>Allow</button></form><a href=/no>No</a>");
    assert_eq!(declined.unwrap().action.as_deref(), Some("/no"));
}

#[test]
fn broken_pages_do_not_hang() {
    for html in [
        "<form",
        "<form <input",
        "<form method=\"post",
        "<input name='",
        "<",
        "</",
        "<form/>",
        "<!--",
        "<textarea name=a>",
        "<form =é=x><option><select><option",
    ] {
        drop(Form::agreeing(html));
    }
}
