//! The live screen: takes lines when they are due, redraws now and then, and ends with a key.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::screen::Screen;
use super::table::{Canvas, Panel};
use super::time::Pace;
use super::{Session, cut};
use crate::cli::event_time::EventTime;
use crate::cli::input::Input;

/// The time between two pictures, at least.
const FRAME: Duration = Duration::from_millis(100);
/// How much longer than drawing the work between two pictures takes, at least.
const WORK: u32 = 4;
/// Lines that are read ahead.
const AHEAD: usize = 1024;

/// A line that waits until it is due.
struct Waiting {
    line: Vec<u8>,
    time: Option<EventTime>,
    due: Instant,
}

/// Plays the input on the screen until it ends or a key ends it; says what was played.
pub(super) fn play(session: &mut Session, input: Input, speed: Option<f64>) -> Result<String> {
    let lines = read_ahead(input);
    let mut screen = Screen::enter()?;
    let mut pace = Pace::new(speed);
    let began = Instant::now();
    let mut rate = Rate {
        since: began,
        events: 0,
        per_second: 0,
    };
    let mut waiting: Option<Waiting> = None;
    let mut open = true;
    while open {
        let started = Instant::now();
        rate.count(session.events, started);
        session.tick();
        let clock = pace.clock(waiting.as_ref().and_then(|next| next.time), started);
        let mut notes = vec![format!("{} events/s", grouped(rate.per_second))];
        notes.extend(speed.map(|speed| format!("speed {speed}")));
        notes.push("q quits".into());
        let size = screen.size();
        let mut picture = vec![cut(&header(session, clock, &notes), size.0), String::new()];
        draw(session, size, started, &mut picture);
        screen.draw(picture)?;
        let pause = FRAME.max(started.elapsed() * WORK);
        if screen.quits_within(Duration::ZERO)? {
            break;
        }
        let redraw = started + pause;
        loop {
            let now = Instant::now();
            if now >= redraw {
                break;
            }
            match waiting.take() {
                Some(next) if next.due > now => {
                    let wait = next.due.min(redraw) - now;
                    waiting = Some(next);
                    if screen.quits_within(wait)? {
                        open = false;
                        break;
                    }
                }
                Some(next) => {
                    pace.taken(next.time);
                    session.line(&next.line)?;
                }
                None => match lines.recv_timeout(redraw - now) {
                    Ok(line) => {
                        let line = line?;
                        let time = EventTime::of_line(&line);
                        waiting = Some(Waiting {
                            due: pace.due(time, now),
                            time,
                            line,
                        });
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => {
                        session.end();
                        open = false;
                        break;
                    }
                },
            }
        }
    }
    let pace_of_all = format!("in {:.1} s", began.elapsed().as_secs_f64());
    Ok(header(
        session,
        pace.clock(None, Instant::now()),
        &[pace_of_all],
    ))
}

/// Reads lines on a thread of its own, so that keys are heard while a line is waited for. The
/// channel closes at the end of the input.
fn read_ahead(mut input: Input) -> Receiver<Result<Vec<u8>>> {
    let (sender, lines) = sync_channel(AHEAD);
    thread::spawn(move || {
        while let Some(line) = input.next_line().transpose() {
            let line = line.map(<[u8]>::to_vec);
            let failed = line.is_err();
            if sender.send(line).is_err() || failed {
                break;
            }
        }
    });
    lines
}

/// The tables on what the header leaves of the screen.
fn draw(
    session: &mut Session,
    (width, height): (usize, usize),
    now: Instant,
    lines: &mut Vec<String>,
) {
    session.refresh(now);
    let panels = session.panels.iter_mut().map(|(_, panel)| panel);
    draw_panels(&mut panels.collect::<Vec<_>>(), (width, height), now, lines);
}

/// Tables on the lines that are left of the screen.
pub(super) fn draw_panels(
    panels: &mut [&mut Panel],
    (width, height): (usize, usize),
    now: Instant,
    lines: &mut Vec<String>,
) {
    let frames = panels.len() * (Panel::FRAME + 1);
    let wants: Vec<usize> = panels.iter().map(|panel| panel.wants()).collect();
    let rows = share((height + 1).saturating_sub(lines.len() + frames), &wants);
    let canvas = Canvas {
        width: Some(width),
        changes: Some(now),
    };
    for (i, (panel, rows)) in panels.iter_mut().zip(rows).enumerate() {
        if i > 0 {
            lines.push(String::new());
        }
        lines.extend(panel.draw(rows, &canvas));
    }
}

/// Deals lines out evenly; what one does not want is left to the others.
fn share(mut lines: usize, wants: &[usize]) -> Vec<usize> {
    let mut shares = vec![0; wants.len()];
    loop {
        let before = lines;
        for (share, want) in shares.iter_mut().zip(wants) {
            if *share < *want && lines > 0 {
                *share += 1;
                lines -= 1;
            }
        }
        if lines == before {
            return shares;
        }
    }
}

fn header(session: &Session, clock: Option<EventTime>, notes: &[String]) -> String {
    let mut parts = Vec::new();
    parts.extend(clock.map(EventTime::display));
    parts.push(format!("batch {}", grouped(session.batches)));
    parts.push(format!("{} events", grouped(session.events)));
    parts.extend_from_slice(notes);
    match session.loader.skipped() {
        0 => {}
        skipped => parts.push(format!("{} skipped", grouped(skipped))),
    }
    parts.join("   ")
}

/// The number with its digits in groups of three.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Events a second, over the last second or so.
struct Rate {
    since: Instant,
    events: u64,
    per_second: u64,
}

impl Rate {
    fn count(&mut self, events: u64, now: Instant) {
        let gone = now.duration_since(self.since).as_secs_f64();
        if gone >= 1.0 {
            let per_second = (events - self.events) as f64 / gone;
            *self = Rate {
                since: now,
                events,
                per_second: per_second.round() as u64,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_dealt_out() {
        assert_eq!(share(10, &[1, 20]), [1, 9]);
        assert_eq!(share(10, &[20, 20]), [5, 5]);
        assert_eq!(share(10, &[2, 3]), [2, 3]);
        assert_eq!(share(0, &[2, 3]), [0, 0]);
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1234567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
