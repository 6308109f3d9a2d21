//! Expressions as tokens.

use crate::Refusal;

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A bare word or `#alias`.
    Name(String),
    /// `:value`.
    Value(String),
    /// `=`, `<>`, `<`, `<=`, `>`, `>=`, `(`, `)`, `,`, `.`, `+`, `-`.
    Sign(&'static str),
}

const SIGNS: [&str; 12] = [
    "<>", "<=", ">=", "<", ">", "=", "(", ")", ",", ".", "+", "-",
];

/// Tokens with a place in them.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    tokens: Vec<Token>,
    at: usize,
    text: String,
}

impl Tokens {
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = |from: usize| {
                let end = rest[from..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                end.map_or(rest.len(), |end| from + end)
            };
            let end = if first == '#' || first == ':' || first.is_ascii_alphabetic() || first == '_'
            {
                let end = word(1);
                let token = rest[..end].to_owned();
                tokens.push(if first == ':' {
                    Token::Value(token)
                } else {
                    Token::Name(token)
                });
                end
            } else {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| syntax(text, rest))?;
                tokens.push(Token::Sign(sign));
                sign.len()
            };
            rest = rest[end..].trim_start();
        }
        Ok(Self {
            tokens,
            at: 0,
            text: text.to_owned(),
        })
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self) -> Result<Token, Refusal> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token.ok_or_else(|| syntax(&self.text, "its end"))
    }

    pub(super) fn is_over(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Whether the next token is this keyword, in any case; takes it if so.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found =
            matches!(self.peek(), Some(Token::Name(name)) if name.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    /// Whether the next token is this sign; takes it if so.
    pub(super) fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), Refusal> {
        if self.sign(sign) {
            return Ok(());
        }
        Err(self.wrong())
    }

    /// The expression cannot be read on from here.
    pub(super) fn wrong(&self) -> Refusal {
        syntax(&self.text, &format!("{:?}", self.peek()))
    }
}

fn syntax(text: &str, near: &str) -> Refusal {
    Refusal::invalid(format!(
        "Invalid expression: syntax error near {near} in: {text}"
    ))
}
