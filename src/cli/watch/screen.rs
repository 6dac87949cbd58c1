//! The terminal as a screen that is redrawn in place, and put back as it was.

use std::io::{self, BufWriter, Stdout, Write};
use std::panic;
use std::sync::Once;
use std::time::Duration;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{self, ClearType};
use crossterm::{execute, queue};

/// The terminal, taken over until this is dropped.
pub(super) struct Screen {
    out: BufWriter<Stdout>,
    /// What stands on it; nothing is known of a screen that was resized.
    lines: Option<Vec<String>>,
}

impl Screen {
    /// Takes the terminal over. A panic gives it back before its message is printed.
    pub(super) fn enter() -> io::Result<Screen> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let report = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                leave();
                report(info);
            }));
        });
        terminal::enable_raw_mode()?;
        let screen = Screen {
            out: BufWriter::new(io::stdout()),
            lines: None,
        };
        execute!(
            io::stdout(),
            terminal::EnterAlternateScreen,
            terminal::DisableLineWrap,
            Hide
        )?;
        Ok(screen)
    }

    /// Columns and lines.
    pub(super) fn size(&self) -> (usize, usize) {
        let (width, height) = terminal::size().unwrap_or((80, 24));
        (width.into(), height.into())
    }

    /// Shows lines from the top on; those that stand there already are not sent again.
    pub(super) fn draw(&mut self, mut lines: Vec<String>) -> io::Result<()> {
        lines.truncate(self.size().1);
        queue!(self.out, terminal::BeginSynchronizedUpdate)?;
        if self.lines.is_none() {
            queue!(self.out, terminal::Clear(ClearType::All))?;
        }
        let old = self.lines.take().unwrap_or_default();
        for (y, line) in lines.iter().enumerate() {
            if old.get(y) != Some(line) {
                // Cleared before it is written: after a line as wide as the screen, the cursor
                // still stands on its last character.
                queue!(
                    self.out,
                    MoveTo(0, y as u16),
                    terminal::Clear(ClearType::UntilNewLine),
                    Print(line),
                    SetAttribute(Attribute::Reset)
                )?;
            }
        }
        if lines.len() < old.len() {
            queue!(
                self.out,
                MoveTo(0, lines.len() as u16),
                terminal::Clear(ClearType::FromCursorDown)
            )?;
        }
        queue!(self.out, terminal::EndSynchronizedUpdate)?;
        self.lines = Some(lines);
        self.out.flush()
    }

    /// Waits for a key that quits, at most so long. True if one came.
    pub(super) fn quits_within(&mut self, wait: Duration) -> io::Result<bool> {
        let mut wait = wait;
        while event::poll(wait)? {
            match event::read()? {
                Event::Key(key) if quits(key) => return Ok(true),
                Event::Resize(..) => self.lines = None,
                _ => {}
            }
            wait = Duration::ZERO;
        }
        Ok(false)
    }
}

fn quits(key: KeyEvent) -> bool {
    let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind != KeyEventKind::Release && (key.code == KeyCode::Char('q') || interrupt)
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Puts the terminal back. What fails here cannot be helped.
fn leave() {
    let _ = execute!(
        io::stdout(),
        Show,
        terminal::EnableLineWrap,
        terminal::LeaveAlternateScreen
    );
    let _ = terminal::disable_raw_mode();
}
