//! Text into a syntax tree of bounded depth.

use sqlparser::ast::{Query, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::error::{Fault, Result};

/// Bytes of a statement.
const MAX_TEXT: usize = 1 << 20;
/// Each operator may be a level of the tree, which is walked and dropped recursively.
const MAX_OPERATORS: usize = 1000;
/// Parentheses in each other. The parser tries what is in them several ways, each level anew.
const MAX_NESTING: usize = 24;

/// Reads one query.
pub(super) fn statement(text: &str) -> Result<Box<Query>> {
    if text.len() > MAX_TEXT {
        let message = format!("the statement has more than {MAX_TEXT} bytes");
        return Err(Fault::new(Span::empty(), message));
    }
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|e| {
        let span = Span::new(e.location, e.location);
        Fault::new(span, lower_case(&e.message))
    })?;
    bound(&tokens)?;
    let end = tokens.last().map_or(Span::empty(), |token| token.span);
    let mut words = tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let first = words.next().map_or(Span::empty(), |token| token.span);
    let open_case = open_case(&tokens);
    let parsed = Parser::new(&dialect)
        .with_tokens_with_locations(tokens)
        .parse_statements();
    let mut statements = parsed
        .map_err(|e| {
            let fault = unparsed(e, end);
            match open_case {
                // The parser takes it for a name then, and wonders at what follows.
                Some(case) if fault.is_after(case) => Fault::new(case, "this CASE has no END"),
                _ => fault,
            }
        })?
        .into_iter();
    match (statements.next(), statements.next()) {
        (Some(Statement::Query(query)), None) => Ok(query),
        (None, _) => Err(Fault::new(Span::empty(), "there is no statement")),
        (Some(_), Some(second)) => {
            use sqlparser::ast::Spanned;
            let fault = Fault::new(second.span(), "a second statement");
            Err(fault.hint("a query is one statement"))
        }
        (Some(_), None) => {
            let fault = Fault::new(first, "only queries can be kept up to date");
            Err(fault.hint("a query begins with SELECT or WITH"))
        }
    }
}

/// The last `CASE` without an `END`.
fn open_case(tokens: &[TokenWithSpan]) -> Option<Span> {
    let mut open = Vec::new();
    for TokenWithSpan { token, span } in tokens {
        match token {
            Token::Word(word) if word.keyword == Keyword::CASE => open.push(*span),
            Token::Word(word) if word.keyword == Keyword::END => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

/// Refuses what would make a tree too deep.
fn bound(tokens: &[TokenWithSpan]) -> Result<()> {
    let (mut nesting, mut operators) = (0usize, 0usize);
    for TokenWithSpan { token, span } in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => nesting += 1,
            Token::RParen | Token::RBracket | Token::RBrace => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        if nesting > MAX_NESTING {
            let message = format!("more than {MAX_NESTING} parentheses in each other");
            return Err(Fault::new(*span, message));
        }
        operators += usize::from(match token {
            Token::Word(word) => matches!(
                word.keyword,
                Keyword::AND
                    | Keyword::OR
                    | Keyword::NOT
                    | Keyword::IS
                    | Keyword::UNION
                    | Keyword::INTERSECT
                    | Keyword::EXCEPT
                    | Keyword::CASE
                    | Keyword::COLLATE
                    | Keyword::AT
                    | Keyword::JOIN
                    | Keyword::SELECT
                    | Keyword::LIKE
                    | Keyword::ILIKE
                    | Keyword::IN
                    | Keyword::BETWEEN
            ),
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Whitespace(_)
            | Token::Comma
            | Token::Period
            | Token::LParen
            | Token::RParen
            | Token::SemiColon
            | Token::EOF => false,
            _ => true,
        });
        if operators > MAX_OPERATORS {
            let message = format!("more than {MAX_OPERATORS} operators");
            return Err(Fault::new(*span, message).hint("many alternatives can be a list: IN (…)"));
        }
    }
    Ok(())
}

fn unparsed(error: ParserError, end: Span) -> Fault {
    match error {
        ParserError::RecursionLimitExceeded => {
            Fault::new(Span::empty(), "the statement is nested too deeply")
        }
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => {
            // The place is part of the parser's text.
            let place = text.rfind(" at Line: ").and_then(|at| {
                let (line, column) = text[at + 10..].split_once(", Column: ")?;
                let location = Location::new(line.parse().ok()?, column.trim().parse().ok()?);
                Some((at, location))
            });
            match place {
                Some((at, start)) => {
                    let message = &text[..at];
                    // What was found stands at the end, as it is written.
                    let found = message
                        .rsplit_once("found: ")
                        .map_or("", |(_, found)| found);
                    let length = found.chars().count().max(1) as u64;
                    let end = Location::new(start.line, start.column + length);
                    Fault::new(Span::new(start, end), lower_case(message))
                }
                None => Fault::new(Span::new(end.end, end.end), lower_case(&text)),
            }
        }
    }
}

fn lower_case(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string());
    (first.unwrap_or_default() + chars.as_str()).replace("found: EOF", "found the end")
}
