//! What can be wrong with a query, and where.

use std::fmt;

use thiserror::Error;

/// Why a query was refused: the place in its JSON, what is wrong there, and a hint where one helps.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryError {
    /// The place, as in `join[0].on.args[1]`; empty for the query as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What might help.
    pub hint: Option<String>,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl QueryError {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        QueryError {
            path: path.into(),
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names what is close to an unknown name, or else all there is.
    pub(crate) fn suggest<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let close = known
            .iter()
            .map(|k| {
                (
                    strsim::damerau_levenshtein(&k.to_lowercase(), &name.to_lowercase()),
                    k,
                )
            })
            .filter(|(distance, k)| *distance <= 2 && *distance < k.len())
            .min();
        match close {
            Some((_, close)) => self.hint(format!("did you mean `{close}`?")),
            None if known.is_empty() => self,
            None => {
                let names: Vec<String> = known.iter().map(|k| format!("`{k}`")).collect();
                self.hint(format!("known: {}", names.join(", ")))
            }
        }
    }

    /// Puts the error's place inside another one.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        self.path = match (outer.is_empty(), self.path.is_empty()) {
            (true, _) => self.path,
            (_, true) => outer.to_owned(),
            (_, false) if self.path.starts_with('[') => format!("{outer}{}", self.path),
            (_, false) => format!("{outer}.{}", self.path),
        };
        self
    }
}
