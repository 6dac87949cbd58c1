//! One query's table: the first rows of its result, with what just changed in them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, Row,
    Table, TableStyle, Width,
};
use crossterm::style::Stylize;

use serde::Serialize;

use super::cut;
use super::row::{Content, fields};
use crate::cli::printable;

/// How long a change is shown.
const MOMENT: Duration = Duration::from_millis(1500);
const GAP: u16 = 2;

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// The table of one query.
pub(super) struct Panel {
    title: String,
    columns: Vec<Column>,
    rows: Vec<Shown>,
    /// Rows in the result, of which `rows` are the first.
    total: usize,
}

struct Column {
    name: String,
    /// Whether a number with a fraction was ever in it.
    fractions: bool,
    numbers: bool,
    /// The widest it was, so that a column does not jump to and fro.
    width: usize,
}

struct Shown {
    key: String,
    came: Option<Instant>,
    /// In the order of the columns; those at the end may be left out.
    cells: Vec<(Content, Option<Instant>)>,
}

/// How a table is drawn.
pub(super) struct Canvas {
    /// How wide it may be; `None` lets it be as wide as it wants.
    pub(super) width: Option<usize>,
    /// Whether to show what changed just before this time, in colours.
    pub(super) changes: Option<Instant>,
}

impl Panel {
    /// Lines beside the rows: title, names, rule.
    pub(super) const FRAME: usize = 3;

    /// An empty table; some columns may be known already.
    pub(super) fn new(title: &str, columns: &[&str]) -> Panel {
        let mut panel = Panel {
            title: printable(title),
            columns: Vec::new(),
            rows: Vec::new(),
            total: 0,
        };
        for name in columns {
            panel.column(name);
        }
        panel
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// The lines that its rows want.
    pub(super) fn wants(&self) -> usize {
        self.rows.len().max(1)
    }

    fn column(&mut self, name: &str) -> usize {
        let found = self.columns.iter().position(|column| column.name == name);
        found.unwrap_or_else(|| {
            let name = name.to_owned();
            self.columns.push(Column {
                width: 0,
                fractions: false,
                numbers: true,
                name,
            });
            self.columns.len() - 1
        })
    }

    /// Takes over the first rows of a result of so many as they are now: their keys and values.
    pub(super) fn refresh(
        &mut self,
        total: usize,
        first: impl Iterator<Item = (String, impl Serialize)>,
        now: Instant,
    ) {
        self.total = total;
        let rows = std::mem::take(&mut self.rows);
        let mut old: HashMap<String, Shown> =
            rows.into_iter().map(|row| (row.key.clone(), row)).collect();
        for (key, row) in first {
            let before = old.remove(&key);
            let mut cells = Vec::new();
            for (name, content) in fields(&row) {
                let place = self.column(&name);
                if cells.len() <= place {
                    cells.resize_with(place + 1, || (Content::Missing, None));
                }
                cells[place].0 = content;
            }
            let came = match &before {
                Some(before) => {
                    cells.resize_with(cells.len().max(before.cells.len()), || {
                        (Content::Missing, None)
                    });
                    for (place, (content, changed)) in cells.iter_mut().enumerate() {
                        let (was, when) =
                            before.cells.get(place).unwrap_or(&(Content::Missing, None));
                        *changed = if was == content { *when } else { Some(now) };
                    }
                    before.came
                }
                None => Some(now),
            };
            self.rows.push(Shown { key, came, cells });
        }
        self.measure();
    }

    fn measure(&mut self) {
        for (place, column) in self.columns.iter_mut().enumerate() {
            let cells = || {
                self.rows
                    .iter()
                    .filter_map(move |row| row.cells.get(place))
                    .map(|cell| &cell.0)
            };
            column.fractions |= cells().any(|content| matches!(content, Content::Fraction(_)));
            column.numbers = cells().any(Content::is_number);
        }
    }

    /// The table as lines, with at most so many rows.
    pub(super) fn draw(&mut self, most: usize, canvas: &Canvas) -> Vec<String> {
        let shown = self.rows.len().min(most);
        let total = self.total;
        let rows = if total == 1 { "row" } else { "rows" };
        let count = if shown < total {
            format!("{shown} of {total} {rows}")
        } else {
            format!("{total} {rows}")
        };
        let room = canvas
            .width
            .map_or(usize::MAX, |width| width.saturating_sub(count.len() + 2));
        let title = cut(&self.title, room);
        let title = match canvas.changes {
            Some(_) => format!("{}  {count}", title.bold()),
            None => format!("{title}  {count}"),
        };
        let mut lines = vec![title];
        if !self.columns.is_empty() {
            lines.extend(
                self.table(shown, canvas)
                    .lines()
                    .map(|line| line.trim_end().to_owned()),
            );
        }
        lines
    }

    fn table(&mut self, shown: usize, canvas: &Canvas) -> Table {
        let mut table = Table::new();
        // No cell has this character, so that text is cut anywhere and not only between words.
        table
            .load_style(STYLE)
            .set_truncation_indicator("…")
            .set_delimiter('\0');
        let align = |number| {
            if number {
                CellAlignment::Right
            } else {
                CellAlignment::Left
            }
        };
        let names = self
            .columns
            .iter()
            .map(|column| Cell::new(printable(&column.name)).set_alignment(align(column.numbers)));
        let mut header = Row::from(names.collect::<Vec<_>>());
        header.max_height(1);
        table.set_header(header);
        for row in &self.rows[..shown] {
            let cells = self.columns.iter().enumerate().map(|(place, column)| {
                let (content, changed) = row.cells.get(place).unwrap_or(&(Content::Missing, None));
                let cell = Cell::new(content.text(column.fractions))
                    .set_alignment(align(content.is_number()));
                let recent = |when: &Option<Instant>| {
                    canvas
                        .changes
                        .zip(*when)
                        .is_some_and(|(now, when)| now.duration_since(when) < MOMENT)
                };
                if recent(&row.came) {
                    cell.fg(Color::Green)
                } else if recent(changed) {
                    cell.fg(Color::Yellow).add_attribute(Attribute::Bold)
                } else {
                    cell
                }
            });
            let mut cells = Row::from(cells.collect::<Vec<_>>());
            cells.max_height(1);
            table.add_row(cells);
        }
        if canvas.changes.is_some() {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        self.arrange(&mut table, canvas.width);
        table
    }

    fn arrange(&mut self, table: &mut Table, width: Option<usize>) {
        for (column, now) in self
            .columns
            .iter_mut()
            .zip(table.column_max_content_widths())
        {
            column.width = column.width.max(now.into());
        }
        let last = self.columns.len() - 1;
        let paddings = GAP as usize * last;
        let fits = self
            .columns
            .iter()
            .map(|column| column.width)
            .sum::<usize>()
            + paddings;
        for (place, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if place == last { 0 } else { GAP }));
        }
        match width {
            Some(width) if fits > width => {
                table.set_width(width.min(u16::MAX.into()) as u16);
                table.set_content_arrangement(ContentArrangement::Dynamic);
            }
            _ => {
                table.set_content_arrangement(ContentArrangement::Disabled);
                for (place, column) in table.column_iter_mut().enumerate() {
                    let padding = if place == last { 0 } else { GAP };
                    let width = self.columns[place].width.min(1 << 15) as u16 + padding;
                    column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
                }
            }
        }
    }
}
