//! Places in a stream, as a server names them.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A place in a stream: everything before it was read, what comes next was not.
///
/// Only the server that made an offset knows what is inside; store it, compare it for equality, and
/// hand it back. Two are made here: [`START`](Self::START) and [`NOW`](Self::NOW).
///
/// ```
/// use tailwater::stream::Offset;
/// let stored = Offset::from("0000000000000003_0000000000000041");
/// assert_ne!(stored, Offset::START);
/// assert_eq!(Offset::default(), Offset::START);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offset(SmolStr);

impl Offset {
    /// Before the first item.
    pub const START: Offset = Offset(SmolStr::new_static("-1"));
    /// Behind the last item there is when the server answers.
    pub const NOW: Offset = Offset(SmolStr::new_static("now"));

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Offset {
    fn default() -> Self {
        Offset::START
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<T: Into<SmolStr>> From<T> for Offset {
    fn from(text: T) -> Self {
        Offset(text.into())
    }
}
