//! Who may do what: bearer tokens, each with the streams it is for.

use std::fmt;

use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::Error;

/// A bearer token, the streams it is for, and what it allows there.
///
/// ```
/// use tailwater::server::Token;
///
/// let all = Token::new("s3cret-of-the-admin").read().write();
/// let orders = Token::new("s3cret-of-the-shop").prefix("orders").read();
/// ```
#[derive(Clone)]
pub struct Token {
    secret: String,
    /// Segments; none is all streams.
    prefix: Vec<String>,
    read: bool,
    write: bool,
}

impl Token {
    /// A token that allows nothing yet.
    pub fn new(secret: impl Into<String>) -> Token {
        Token {
            secret: secret.into(),
            prefix: Vec::new(),
            read: false,
            write: false,
        }
    }

    /// Restricts the token to streams whose path starts with these segments: `a/b` is for the
    /// streams `a/b` and `a/b/c`, not for `a/bc`.
    pub fn prefix(mut self, prefix: &str) -> Token {
        let segments = prefix.split('/').filter(|segment| !segment.is_empty());
        self.prefix = segments.map(str::to_owned).collect();
        self
    }

    /// Allows to read streams.
    pub fn read(mut self) -> Token {
        self.read = true;
        self
    }

    /// Allows to create, append to, close and delete streams.
    pub fn write(mut self) -> Token {
        self.write = true;
        self
    }

    /// Reads tokens from JSON: an array of objects with `token`, `rights` (`read`, `write` or
    /// `read-write`) and, unless they are for all streams, `prefix`. A token may stand there
    /// several times, with the streams of each.
    ///
    /// ```
    /// # use tailwater::server::Token;
    /// let tokens = Token::from_json(r#"[{"token":"s3cret","prefix":"orders","rights":"read"}]"#)?;
    /// # Ok::<(), tailwater::server::Error>(())
    /// ```
    pub fn from_json(json: &str) -> Result<Vec<Token>, Error> {
        let entries: Vec<Entry> = serde_json::from_str(json).map_err(Error::Tokens)?;
        let tokens = entries.into_iter().map(|entry| Token {
            read: entry.rights != Rights::Write,
            write: entry.rights != Rights::Read,
            ..Token::new(entry.token).prefix(&entry.prefix)
        });
        Ok(tokens.collect())
    }

    fn covers(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        self.prefix.iter().all(|own| segments.next() == Some(own))
    }

    /// Whether it could be sent in a header.
    pub(crate) fn is_sendable(&self) -> bool {
        !self.secret.is_empty() && self.secret.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// The secret stays one.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("prefix", &self.prefix.join("/"))
            .field("read", &self.read)
            .field("write", &self.write)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    token: String,
    #[serde(default)]
    prefix: String,
    rights: Rights,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Rights {
    Read,
    Write,
    ReadWrite,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Read,
    Write,
}

/// Why a request may not do what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It brings no token.
    NoToken,
    UnknownToken,
    /// The token is for other streams, or does not allow this.
    NotAllowed,
}

/// The tokens of a server. Without any, all is allowed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens(Vec<Token>);

impl Tokens {
    pub(crate) fn new(tokens: Vec<Token>) -> Tokens {
        Tokens(tokens)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the value of an `Authorization` header.
    pub(crate) fn check(
        &self,
        authorization: Option<&[u8]>,
        path: &str,
        right: Right,
    ) -> Result<(), Denied> {
        if self.is_empty() {
            return Ok(());
        }
        let header = authorization.ok_or(Denied::NoToken)?;
        let Some((scheme, secret)) = header.split_at_checked(7) else {
            return Err(Denied::NoToken);
        };
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return Err(Denied::NoToken);
        }
        let secret = secret.trim_ascii();
        let (mut known, mut allowed) = (false, false);
        // All of them are compared, so that the time does not tell how near a guess was.
        for token in &self.0 {
            let same = bool::from(token.secret.as_bytes().ct_eq(secret));
            let enough = match right {
                Right::Read => token.read,
                Right::Write => token.write,
            };
            known |= same;
            allowed |= same && enough && token.covers(path);
        }
        match (known, allowed) {
            (_, true) => Ok(()),
            (true, false) => Err(Denied::NotAllowed),
            (false, false) => Err(Denied::UnknownToken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_allow_what_they_say() {
        let tokens = Tokens::new(vec![
            Token::new("a").prefix("x/y").read(),
            Token::new("a").prefix("z").read().write(),
            Token::new("b").write(),
        ]);
        let check = |header: &str, path, right| tokens.check(Some(header.as_bytes()), path, right);
        assert_eq!(tokens.check(None, "x", Right::Read), Err(Denied::NoToken));
        assert_eq!(check("Basic a", "x", Right::Read), Err(Denied::NoToken));
        assert_eq!(
            check("Bearer c", "x/y", Right::Read),
            Err(Denied::UnknownToken)
        );
        assert_eq!(
            check("Bearer ", "x/y", Right::Read),
            Err(Denied::UnknownToken)
        );
        assert_eq!(check("Bearer a", "x/y", Right::Read), Ok(()));
        assert_eq!(check("bearer  a", "x/y/w", Right::Read), Ok(()));
        assert_eq!(
            check("Bearer a", "x/yz", Right::Read),
            Err(Denied::NotAllowed)
        );
        assert_eq!(check("Bearer a", "x", Right::Read), Err(Denied::NotAllowed));
        assert_eq!(
            check("Bearer a", "x/y", Right::Write),
            Err(Denied::NotAllowed)
        );
        assert_eq!(check("Bearer a", "z", Right::Write), Ok(()));
        assert_eq!(check("Bearer b", "anything", Right::Write), Ok(()));
        assert_eq!(
            check("Bearer b", "anything", Right::Read),
            Err(Denied::NotAllowed)
        );
        assert_eq!(Tokens::default().check(None, "x", Right::Write), Ok(()));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!(
            "{:?}",
            Tokens::new(vec![Token::new("s3cret").prefix("a").read()])
        );
        assert!(
            !shown.contains("s3cret") && shown.contains("\"a\""),
            "{shown}"
        );
    }
}
