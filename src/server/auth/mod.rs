//! Who may do what: bearer tokens, each with the streams, queries and rows it is for.

mod file;
mod names;
mod rows;

use std::fmt;

use subtle::ConstantTimeEq;

use crate::query::Expr;
#[cfg(feature = "serve")]
use crate::query::Query;
use names::Names;
use rows::Rows;

/// A bearer token, and what it is for: streams, results of queries, queries to register, and of
/// these only some rows.
///
/// ```
/// use tailwater::query::col;
/// use tailwater::server::Token;
///
/// let all = Token::new("s3cret-of-the-admin").read().write();
/// let orders = Token::new("s3cret-of-the-shop").prefix("orders").read();
/// let page = Token::new("s3cret-of-the-page").read_queries(["top", "public-*"]);
/// let acme = Token::new("s3cret-of-acme")
///     .name("acme")
///     .read_queries(["acme-*"])
///     .register_queries(["acme-*"])
///     .rows("order", [col("order.tenant").eq("acme")]);
/// ```
#[derive(Clone)]
pub struct Token {
    secret: String,
    name: Option<String>,
    /// Segments; none is all streams.
    prefix: Vec<String>,
    read: bool,
    write: bool,
    read_queries: Names,
    register_queries: Names,
    rows: Rows,
}

impl Token {
    /// A token that allows nothing yet.
    pub fn new(secret: impl Into<String>) -> Token {
        Token {
            secret: secret.into(),
            name: None,
            prefix: Vec::new(),
            read: false,
            write: false,
            read_queries: Names::default(),
            register_queries: Names::default(),
            rows: Rows::default(),
        }
    }

    /// What messages call it, as they never show the secret.
    pub fn name(mut self, name: impl Into<String>) -> Token {
        self.name = Some(name.into());
        self
    }

    /// Restricts the token to streams whose path starts with these segments, and to queries over
    /// them: `a/b` is for the streams `a/b` and `a/b/c`, not for `a/bc`.
    pub fn prefix(mut self, prefix: &str) -> Token {
        let segments = prefix.split('/').filter(|segment| !segment.is_empty());
        self.prefix = segments.map(str::to_owned).collect();
        self
    }

    /// Allows to read streams, and results of all queries over them.
    pub fn read(mut self) -> Token {
        self.read = true;
        self
    }

    /// Allows to create, append to, close and delete streams, and to register, replace and drop
    /// queries over them.
    pub fn write(mut self) -> Token {
        self.write = true;
        self
    }

    /// Allows to read results of queries with these names; `a*` is all names that begin with `a`.
    pub fn read_queries(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Token {
        self.read_queries = Names::new(names);
        self
    }

    /// Allows to register, replace and drop queries with these names, over streams of the server
    /// that the prefix covers, and over the default source.
    pub fn register_queries(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Token {
        self.register_queries = Names::new(names);
        self
    }

    /// Shows only those rows of a collection of which conditions are true, whose paths start with
    /// the collection's name; `*` stands for all collections that are not named, also in paths.
    /// They become part of each query that the token registers, and the token reads results only
    /// of queries in which they are. So it does not go with [`Token::read`] and [`Token::write`].
    pub fn rows(
        mut self,
        collection: &str,
        conditions: impl IntoIterator<Item = impl Into<Expr>>,
    ) -> Token {
        self.rows
            .add(collection, conditions.into_iter().map(Into::into));
        self
    }

    fn covers(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        self.prefix.iter().all(|own| segments.next() == Some(own))
    }

    /// As [`Token::covers`]; what is elsewhere is as the streams of all prefixes.
    #[cfg(feature = "serve")]
    fn covers_source(&self, source: &str) -> bool {
        self.covers(if is_elsewhere(source) { "" } else { source })
    }
}

/// The secret stays one.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .field("prefix", &self.prefix.join("/"))
            .field("read", &self.read)
            .field("write", &self.write)
            .field("read_queries", &self.read_queries)
            .field("register_queries", &self.register_queries)
            .finish_non_exhaustive()
    }
}

/// Whether a source is no stream of the server.
#[cfg(feature = "serve")]
fn is_elsewhere(source: &str) -> bool {
    source.contains("://")
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
    /// The token is for other queries, or does not allow this.
    #[cfg(feature = "serve")]
    NotThisQuery,
    /// The query shows rows that the token is not for.
    #[cfg(feature = "serve")]
    OtherRows,
}

/// A query that a request wants something of.
#[cfg(feature = "serve")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    /// What it reads: the path of a stream, or a URL.
    pub(crate) source: &'a str,
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

    /// What the value of an `Authorization` header stands for.
    fn known(&self, authorization: Option<&[u8]>) -> Result<Vec<&Token>, Denied> {
        let header = authorization.ok_or(Denied::NoToken)?;
        let Some((scheme, secret)) = header.split_at_checked(7) else {
            return Err(Denied::NoToken);
        };
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return Err(Denied::NoToken);
        }
        let secret = secret.trim_ascii();
        // All of them are compared, so that the time does not tell how near a guess was.
        let same = |token: &&Token| bool::from(token.secret.as_bytes().ct_eq(secret));
        let known: Vec<&Token> = self.0.iter().filter(same).collect();
        match known.is_empty() {
            true => Err(Denied::UnknownToken),
            false => Ok(known),
        }
    }

    /// Whether a request brings a token at all.
    #[cfg(feature = "serve")]
    pub(crate) fn check_known(&self, authorization: Option<&[u8]>) -> Result<(), Denied> {
        match self.is_empty() {
            true => Ok(()),
            false => self.known(authorization).map(drop),
        }
    }

    /// Whether a request may do something with a stream.
    pub(crate) fn check(
        &self,
        authorization: Option<&[u8]>,
        path: &str,
        right: Right,
    ) -> Result<(), Denied> {
        if self.is_empty() {
            return Ok(());
        }
        let enough = |token: &&Token| match right {
            Right::Read => token.read && token.covers(path),
            Right::Write => token.write && token.covers(path),
        };
        match self.known(authorization)?.iter().any(enough) {
            true => Ok(()),
            false => Err(Denied::NotAllowed),
        }
    }

    /// Which token a request brings, as a number that is no secret; none without tokens.
    pub(crate) fn client(&self, authorization: Option<&[u8]>) -> Option<usize> {
        let known = self.known(authorization).ok()?;
        self.0
            .iter()
            .position(|token| std::ptr::eq(token, known[0]))
    }
}

#[cfg(feature = "serve")]
impl Tokens {
    /// Whether a request may do something with what a source says as a whole.
    pub(crate) fn check_source(
        &self,
        authorization: Option<&[u8]>,
        source: &str,
        right: Right,
    ) -> Result<(), Denied> {
        let path = if is_elsewhere(source) { "" } else { source };
        self.check(authorization, path, right)
    }

    /// Whether a request may read the result of a query, or drop it. Without the query, it is about
    /// the name alone.
    pub(crate) fn check_query(
        &self,
        authorization: Option<&[u8]>,
        wanted: Wanted<'_>,
        query: Option<&Query>,
        right: Right,
    ) -> Result<(), Denied> {
        if self.is_empty() {
            return Ok(());
        }
        let mut denied = Denied::NotThisQuery;
        for token in self.known(authorization)? {
            if !token.covers_source(wanted.source) {
                continue;
            }
            let (all, names) = match right {
                Right::Read => (token.read, &token.read_queries),
                Right::Write => (token.write, &token.register_queries),
            };
            if all {
                return Ok(());
            }
            if names.hold(wanted.name) {
                if query.is_none_or(|query| token.rows.hold_in(query)) {
                    return Ok(());
                }
                denied = Denied::OtherRows;
            }
        }
        Err(denied)
    }

    /// Whether a request may register a query, and the rows that it is to show then. `default` is
    /// the source of queries that name none.
    pub(crate) fn register(
        &self,
        authorization: Option<&[u8]>,
        wanted: Wanted<'_>,
        default: &str,
    ) -> Result<Registering, Denied> {
        if self.is_empty() {
            return Ok(Registering::All);
        }
        let mut allowed = Err(Denied::NotThisQuery);
        for token in self.known(authorization)? {
            if !token.covers_source(wanted.source) {
                continue;
            }
            if token.write {
                return Ok(Registering::All);
            }
            // Only who may do all makes the server read what is elsewhere.
            let reachable = !is_elsewhere(wanted.source) || wanted.source == default;
            if reachable && allowed.is_err() && token.register_queries.hold(wanted.name) {
                allowed = Ok(Registering::Named(token.rows.clone()));
            }
        }
        allowed
    }

    /// Whether a request brings a token that is for some queries.
    pub(crate) fn knows_queries(&self, authorization: Option<&[u8]>) -> bool {
        let some = |token: &&Token| !token.read_queries.is_empty();
        let known = self.known(authorization);
        known.is_ok_and(|known| known.iter().any(some))
    }
}

/// By which right a query is registered.
#[cfg(feature = "serve")]
#[derive(Debug)]
pub(crate) enum Registering {
    /// That of its source.
    All,
    /// That of its name, with the rows that it is to show.
    Named(Rows),
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
