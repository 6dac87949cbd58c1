//! Plans as text and DOT.

use std::fmt::{self, Write};

use super::{Arranged, Explanation, Figures, join};

impl Explanation {
    pub(super) fn line(&self) -> String {
        let details = self
            .details
            .iter()
            .map(|(name, text)| format!("{name}: {text}"));
        format!("{}  {}", self.operator, join(details, "; "))
            .trim_end()
            .to_owned()
    }

    /// The plan as a Graphviz graph, data flowing upwards.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from(HEAD);
        self.write_dot(&mut dot, &mut 0, "  ");
        dot.push_str("}\n");
        dot
    }

    /// The nodes and edges; gives the number of its own node.
    pub(super) fn write_dot(&self, dot: &mut String, next: &mut usize, indent: &str) -> usize {
        let id = *next;
        *next += 1;
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let details = self.details.iter();
        let details = details.map(|(name, text)| format!("{name}: {}\\l", escaped(text)));
        let beneath = self.beneath().map(|line| format!("{}\\l", escaped(&line)));
        let lines: String = details.chain(beneath).collect();
        let style = match self.shared_by {
            1 => "",
            _ => ", style=bold",
        };
        let label = format!("{}\\n{lines}", self.operator);
        writeln!(dot, "{indent}n{id} [label=\"{label}\"{style}];").expect("writing to a string");
        for input in &self.inputs {
            let from = input.write_dot(dot, next, indent);
            let label = match input.figures.as_ref() {
                Some(figures) => format!(" [label=\"{}\"]", figures.rows_out),
                None => String::new(),
            };
            writeln!(dot, "{indent}n{from} -> n{id}{label};").expect("writing to a string");
        }
        id
    }

    /// What is told below the line.
    fn beneath(&self) -> impl Iterator<Item = String> {
        let arrangements = self.arrangements.iter().map(ToString::to_string);
        let figures = self.figures.iter().map(ToString::to_string);
        arrangements.chain(figures)
    }
}

pub(super) const HEAD: &str =
    "digraph plan {\n  rankdir=BT;\n  node [shape=box, fontname=monospace];\n";

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn walk(step: &Explanation, indent: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let bar = if step.inputs.is_empty() {
                "   "
            } else {
                "│  "
            };
            for line in step.beneath() {
                writeln!(f, "{indent}{bar}{line}")?;
            }
            for (i, input) in step.inputs.iter().enumerate() {
                let last = i + 1 == step.inputs.len();
                let (branch, below) = if last {
                    ("└─ ", "   ")
                } else {
                    ("├─ ", "│  ")
                };
                writeln!(f, "{indent}{branch}{}", input.line())?;
                walk(input, &format!("{indent}{below}"), f)?;
            }
            Ok(())
        }
        writeln!(f, "{}", self.line())?;
        walk(self, "", f)
    }
}

impl fmt::Display for Arranged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arranged {
            side,
            collection,
            keys,
            filter,
            rows,
            bytes,
        } = self;
        write!(f, "{side}: {collection} by {}", keys.join(", "))?;
        if !filter.is_empty() {
            write!(f, " where {}", filter.join(" and "))?;
        }
        write!(f, ", {} rows, {}", Count(*rows as u64), Size(*bytes))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rows_in) = self.rows_in {
            write!(f, "in {}  ", Count(rows_in))?;
        }
        write!(f, "out {}", Count(self.rows_out))?;
        if let Some(rates) = &self.per_second {
            write!(f, " ({}/s)", Count(rates.rows_out.round() as u64))?;
        }
        if self.nanos > 0 {
            write!(f, "  time {}", Time(self.nanos))?;
        }
        if let Some(rates) = &self.per_second {
            write!(f, " ({:.1} %)", rates.busy * 100.0)?;
        }
        if let Some(rows) = self.rows {
            write!(f, "  holds {} rows", Count(rows as u64))?;
        }
        match self.bytes {
            0 => Ok(()),
            bytes => write!(f, "  {}", Size(bytes)),
        }
    }
}

/// A number with its thousands apart.
struct Count(u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// Nanoseconds for people.
struct Time(u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0 as f64;
        match nanos {
            _ if nanos < 1e6 => write!(f, "{:.1} µs", nanos / 1e3),
            _ if nanos < 1e9 => write!(f, "{:.1} ms", nanos / 1e6),
            _ => write!(f, "{:.2} s", nanos / 1e9),
        }
    }
}

/// Bytes for people.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1024 => write!(f, "{} bytes", self.0),
            1024..0x10_0000 => write!(f, "{:.1} KiB", bytes / 1024.0),
            _ => write!(f, "{:.1} MiB", bytes / (1024.0 * 1024.0)),
        }
    }
}
