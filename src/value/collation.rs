//! Strings in the order of a language.
//!
//! The rules are CLDR's, by ICU4X, as those of JavaScript's `localeCompare` are. They come with the
//! feature `locale`, as their data are large.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use thiserror::Error;

/// How strings are ordered by a language. Two are equal if they were asked for equally.
#[derive(Clone)]
pub struct Collation(Arc<Inner>);

struct Inner {
    locale: SmolStr,
    options: CollationOptions,
    #[cfg(feature = "locale")]
    collator: icu_collator::CollatorBorrowed<'static>,
}

/// What a collation looks at, named as the options of JavaScript's `localeCompare`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CollationOptions {
    /// Which differences count.
    pub sensitivity: Sensitivity,
    /// Whether numbers in strings are compared as numbers.
    pub numeric: bool,
    /// Which case comes first; `None` as the language has it.
    pub case_first: Option<CaseFirst>,
    /// Whether spaces and punctuation do not count.
    pub ignore_punctuation: bool,
}

/// Which differences between strings count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sensitivity {
    /// Of base letters alone.
    Base,
    /// And of accents.
    Accent,
    /// Of base letters and of case.
    Case,
    /// All of them.
    #[default]
    Variant,
}

/// Which case comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaseFirst {
    /// Capitals.
    Upper,
    /// Small letters.
    Lower,
}

/// Why there is no such collation.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CollationError {
    /// The locale is not a BCP 47 tag.
    #[error("`{0}` is not a locale such as `de` or `sv-FI`")]
    Locale(String),
    /// This build has no collations.
    #[error("this build has no collations (it needs the feature `locale`)")]
    NotBuilt,
    /// There are no data for it.
    #[error("there is no collation for `{0}`")]
    NoData(String),
}

impl fmt::Debug for Collation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collation({}, {:?})", self.0.locale, self.0.options)
    }
}

/// The locale.
impl fmt::Display for Collation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.locale)
    }
}

impl PartialEq for Collation {
    fn eq(&self, other: &Collation) -> bool {
        self.0.locale == other.0.locale && self.0.options == other.0.options
    }
}

/// As it was asked for.
impl Serialize for Collation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.0.locale, &self.0.options).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Collation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Collation, D::Error> {
        let (locale, options) = <(SmolStr, CollationOptions)>::deserialize(deserializer)?;
        Collation::new(&locale, options).map_err(serde::de::Error::custom)
    }
}

impl std::hash::Hash for Collation {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.locale.hash(state);
    }
}

impl Collation {
    /// The locale, a BCP 47 tag.
    pub fn locale(&self) -> &str {
        &self.0.locale
    }

    /// What it looks at.
    pub fn options(&self) -> &CollationOptions {
        &self.0.options
    }

    /// The collation of a locale, a BCP 47 tag; `und` is the order of no language in particular.
    ///
    /// # Errors
    ///
    /// If the locale is none, or the feature `locale` is not there.
    #[cfg(feature = "locale")]
    pub fn new(locale: &str, options: CollationOptions) -> Result<Collation, CollationError> {
        use icu_collator::options::{AlternateHandling, CaseLevel, CollatorOptions, Strength};
        use icu_collator::preferences::{CollationCaseFirst, CollationNumericOrdering};
        let parsed: icu_locale_core::Locale = locale
            .parse()
            .map_err(|_| CollationError::Locale(locale.to_owned()))?;
        let mut preferences = icu_collator::CollatorPreferences::from(parsed);
        if options.numeric {
            preferences.numeric_ordering = Some(CollationNumericOrdering::True);
        }
        preferences.case_first = match options.case_first {
            Some(CaseFirst::Upper) => Some(CollationCaseFirst::Upper),
            Some(CaseFirst::Lower) => Some(CollationCaseFirst::Lower),
            None => preferences.case_first,
        };
        let mut wanted = CollatorOptions::default();
        let (strength, case_level) = match options.sensitivity {
            Sensitivity::Base => (Strength::Primary, CaseLevel::Off),
            Sensitivity::Accent => (Strength::Secondary, CaseLevel::Off),
            Sensitivity::Case => (Strength::Primary, CaseLevel::On),
            Sensitivity::Variant => (Strength::Tertiary, CaseLevel::Off),
        };
        wanted.strength = Some(strength);
        wanted.case_level = Some(case_level);
        if options.ignore_punctuation {
            wanted.alternate_handling = Some(AlternateHandling::Shifted);
        }
        let collator = icu_collator::Collator::try_new(preferences, wanted)
            .map_err(|_| CollationError::NoData(locale.to_owned()))?;
        Ok(Collation(Arc::new(Inner {
            locale: locale.into(),
            options,
            collator,
        })))
    }

    /// There is none without the feature `locale`.
    ///
    /// # Errors
    ///
    /// Always.
    #[cfg(not(feature = "locale"))]
    pub fn new(_: &str, _: CollationOptions) -> Result<Collation, CollationError> {
        Err(CollationError::NotBuilt)
    }

    /// The bytes whose plain comparison is that of the strings.
    pub(super) fn key(&self, s: &str) -> Vec<u8> {
        let mut key = Vec::new();
        #[cfg(feature = "locale")]
        let Ok(()) = self.0.collator.write_sort_key_to(s, &mut key);
        #[cfg(not(feature = "locale"))]
        key.extend_from_slice(s.as_bytes());
        key
    }
}

#[cfg(all(test, feature = "locale"))]
mod tests {
    use super::*;

    fn sorted(locale: &str, options: CollationOptions, strings: &[&str]) -> String {
        let collation = Collation::new(locale, options).unwrap();
        let mut strings = strings.to_vec();
        strings.sort_by_key(|s| (collation.key(s), *s));
        strings.join(" ")
    }

    /// The expected orders are those of `Intl.Collator` in Node 20.
    #[test]
    fn strings_are_ordered_as_javascript_does() {
        let words = ["z", "Z", "ä", "a", "A", "b", "10", "9", "-", "ö", "o"];
        let plain = CollationOptions::default;
        assert_eq!(sorted("und", plain(), &words), "- 10 9 a A ä b o ö z Z");
        assert_eq!(sorted("en", plain(), &words), "- 10 9 a A ä b o ö z Z");
        assert_eq!(sorted("sv", plain(), &words), "- 10 9 a A b o z Z ä ö");
        let numeric = CollationOptions {
            numeric: true,
            ..plain()
        };
        assert_eq!(sorted("de", numeric, &words), "- 9 10 a A ä b o ö z Z");
        let upper = CollationOptions {
            case_first: Some(CaseFirst::Upper),
            ..plain()
        };
        assert_eq!(sorted("en", upper, &words), "- 10 9 A a ä b o ö Z z");
    }

    #[test]
    fn differences_that_do_not_count_are_ties() {
        let same = |sensitivity, a: &str, b: &str| {
            let options = CollationOptions {
                sensitivity,
                ..Default::default()
            };
            let collation = Collation::new("en", options).unwrap();
            collation.key(a) == collation.key(b)
        };
        assert!(same(Sensitivity::Base, "a", "Ä"));
        assert!(same(Sensitivity::Accent, "a", "A"));
        assert!(!same(Sensitivity::Accent, "a", "ä"));
        assert!(same(Sensitivity::Case, "a", "ä"));
        assert!(!same(Sensitivity::Case, "a", "A"));
        assert!(!same(Sensitivity::Variant, "a", "A"));
    }

    #[test]
    fn a_wrong_locale_is_named() {
        let error = Collation::new("not a locale", CollationOptions::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`not a locale` is not a locale such as `de` or `sv-FI`"
        );
    }
}
