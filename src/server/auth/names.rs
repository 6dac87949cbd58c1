//! Names of queries that a token is for.

/// Names, and beginnings of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// Names; one that ends in `*` stands for all that begin so.
    pub(super) fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Names {
        Names(names.into_iter().map(Into::into).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(feature = "serve")]
    pub(super) fn hold(&self, name: &str) -> bool {
        self.0.iter().any(|known| match known.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == known,
        })
    }

    /// The first that no query could have.
    pub(super) fn wrong(&self) -> Option<&str> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let wrong = |name: &&String| {
            let text = name.strip_suffix('*').unwrap_or(name);
            !text.bytes().all(fits) || name.is_empty()
        };
        self.0.iter().find(wrong).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_or_end_in_a_star() {
        let names = Names::new(["top", "acme-*"]);
        #[cfg(feature = "serve")]
        for (name, held) in [
            ("top", true),
            ("tops", false),
            ("acme-", true),
            ("acme-x", true),
            ("acme", false),
            ("", false),
        ] {
            assert_eq!(names.hold(name), held, "{name}");
        }
        assert_eq!(names.wrong(), None);
        assert_eq!(Names::new(["a", "a*b"]).wrong(), Some("a*b"));
        assert_eq!(Names::new(["a/b"]).wrong(), Some("a/b"));
        assert_eq!(Names::new([""]).wrong(), Some(""));
    }
}
