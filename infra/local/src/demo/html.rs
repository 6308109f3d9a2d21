//! Just enough HTML to read a page without a screen: tags with their attributes, text, entities.

/// A start tag.
#[derive(Clone, Debug, Default)]
pub(super) struct Tag {
    /// Lower-case.
    pub(super) name: String,
    attributes: Vec<(String, String)>,
}

/// A piece of a page.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// A start tag.
    Start(Tag),
    /// The name of an end tag, lower-case.
    End(String),
    /// What stands between tags, entities decoded.
    Text(String),
}

impl Tag {
    /// A link to this address.
    pub(super) fn link(href: &str) -> Self {
        Self {
            name: "a".to_owned(),
            attributes: vec![("href".to_owned(), href.to_owned())],
        }
    }

    /// The value of an attribute; empty where it has none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether it has the attribute.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// An attribute of a few known values, lower-case.
    pub(super) fn kind(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().trim().to_lowercase()
    }
}

/// A page cut into pieces. Comments, scripts and styles are left out.
pub(super) fn pieces(html: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        let Some(at) = rest.find('<') else {
            found.push(Piece::Text(unescape(rest)));
            break;
        };
        let (text, after) = rest.split_at(at);
        if !text.is_empty() {
            found.push(Piece::Text(unescape(text)));
        }
        let inner = &after[1..];
        rest = match inner.chars().next() {
            Some('!') if inner.starts_with("!--") => past(&inner[3..], "-->"),
            Some('!' | '?') => past(inner, ">"),
            Some('/') => {
                let (name, left) = name_of(&inner[1..]);
                found.push(Piece::End(name));
                past(left, ">")
            }
            Some(c) if c.is_ascii_alphabetic() => start(inner, &mut found),
            _ => {
                found.push(Piece::Text("<".to_owned()));
                inner
            }
        };
    }
    found
}

/// What a person reads of a piece of HTML.
pub(super) fn visible(html: &str) -> String {
    let texts = pieces(html).into_iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text),
        _ => None,
    });
    let text = texts.collect::<Vec<_>>().join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Takes in a start tag, and for elements that hold no tags their text; gives the page after it.
fn start<'a>(inner: &'a str, found: &mut Vec<Piece>) -> &'a str {
    let (name, left) = name_of(inner);
    let (attributes, rest) = attributes(left);
    let raw = matches!(name.as_str(), "script" | "style" | "textarea" | "title");
    let tag = Tag { name, attributes };
    if !raw {
        found.push(Piece::Start(tag));
        return rest;
    }
    let end = find_end(rest, &tag.name);
    let (text, after) = rest.split_at(end);
    if matches!(tag.name.as_str(), "textarea" | "title") {
        let name = tag.name.clone();
        found.push(Piece::Start(tag));
        found.push(Piece::Text(unescape(text)));
        found.push(Piece::End(name));
    }
    past(after, ">")
}

/// Where the end tag of this name begins, or the page's end.
fn find_end(html: &str, name: &str) -> usize {
    let ends = html.match_indices("</").map(|(at, _)| at);
    let named = |at: &usize| {
        let after = html.as_bytes().get(at + 2..at + 2 + name.len());
        after.is_some_and(|after| after.eq_ignore_ascii_case(name.as_bytes()))
    };
    ends.into_iter().find(named).unwrap_or(html.len())
}

fn past<'a>(html: &'a str, mark: &str) -> &'a str {
    html.split_once(mark).map_or("", |(_, after)| after)
}

fn name_of(html: &str) -> (String, &str) {
    let end = html.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/'));
    let (name, rest) = html.split_at(end.unwrap_or(html.len()));
    (name.to_lowercase(), rest)
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
        // A name of no letters can only be a stray `=`, which is one byte long.
        let end = end.unwrap_or(rest.len()).max(1);
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

/// Text with its entities decoded, once and from left to right; what is no entity stays.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let found = after
            .split_once(';')
            .and_then(|(name, left)| Some((entity(name)?, left)));
        let (c, left) = found.unwrap_or(('&', after));
        plain.push(c);
        rest = left;
    }
    plain.push_str(rest);
    plain
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "laquo" => '«',
        "raquo" => '»',
        "lsaquo" => '‹',
        "rsaquo" => '›',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "middot" => '·',
        "bull" => '•',
        "times" => '×',
        "check" => '✓',
        "larr" => '←',
        "rarr" => '→',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_decoded_once() {
        for (written, read) in [
            ("Don&#39;t", "Don't"),
            ("Don&#x27;t &#X26; &#38;", "Don't & &"),
            ("Don&rsquo;t&nbsp;allow", "Don’t\u{a0}allow"),
            ("&#8217;&#x1F600;", "’😀"),
            ("&amp;lt;", "&lt;"),
            (
                "a&b; &#; &#x; &#1114112; &nosuch; &",
                "a&b; &#; &#x; &#1114112; &nosuch; &",
            ),
        ] {
            assert_eq!(unescape(written), read, "{written}");
        }
    }

    #[test]
    fn people_read_neither_scripts_nor_comments() {
        for (html, read) in [
            (
                "<title>Log in</title><style>a{}</style><script>if (a<b) {}</SCRIPT><p>Hi <b>you</b>",
                "Log in Hi you",
            ),
            ("<!-- <b>gone</b> --><!doctype html>a < b", "a < b"),
            ("<p title='a>b'>c</p>", "c"),
            ("<script>never closed", ""),
        ] {
            assert_eq!(visible(html), read, "{html}");
        }
    }
}
