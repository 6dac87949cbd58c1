//! Lines of a file or of stdin, gzip or not, with a progress bar where one helps.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// What takes longer than a moment to read.
const LARGE: u64 = 8 << 20;
const BUFFER: usize = 1 << 16;

/// A source of lines.
pub(super) struct Input {
    name: String,
    reader: BufReader<Box<dyn Read + Send>>,
    line: Vec<u8>,
    lines: u64,
    bar: ProgressBar,
}

impl Input {
    /// Opens a file; `-` is stdin.
    pub(super) fn open(path: &Path) -> Result<Input> {
        Input::with_bar(path, false)
    }

    /// As [`Input::open`]; reading a large file shows a bar if stderr is a terminal.
    pub(super) fn open_with_progress(path: &Path) -> Result<Input> {
        Input::with_bar(path, io::stderr().is_terminal())
    }

    fn with_bar(path: &Path, progress: bool) -> Result<Input> {
        let stdin = path == Path::new("-");
        let name = if stdin {
            "stdin".into()
        } else {
            path.display().to_string()
        };
        let mut bar = ProgressBar::hidden();
        let mut source: Box<dyn Read + Send> = if stdin {
            Box::new(io::stdin())
        } else {
            let file = File::open(path).with_context(|| name.clone())?;
            let size = file.metadata().with_context(|| name.clone())?.len();
            if progress && size > LARGE {
                bar = reading(size);
            }
            // Counted before it is unpacked, as only that size is known.
            Box::new(bar.wrap_read(file))
        };
        let mut start = Vec::new();
        source
            .by_ref()
            .take(2)
            .read_to_end(&mut start)
            .with_context(|| name.clone())?;
        let packed = start == GZIP;
        let whole = Cursor::new(start).chain(source);
        let plain: Box<dyn Read + Send> = if packed {
            Box::new(MultiGzDecoder::new(whole))
        } else {
            Box::new(whole)
        };
        let reader = BufReader::with_capacity(BUFFER, plain);
        Ok(Input {
            name,
            reader,
            line: Vec::new(),
            lines: 0,
            bar,
        })
    }

    /// What messages call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The bar over what is read; hidden where there is none.
    pub(super) fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// The next line without its end.
    pub(super) fn next_line(&mut self) -> Result<Option<&[u8]>> {
        self.line.clear();
        let read = self.reader.read_until(b'\n', &mut self.line);
        let read = read.with_context(|| format!("{}: after line {}", self.name, self.lines))?;
        if read == 0 {
            self.bar.finish_and_clear();
            return Ok(None);
        }
        self.lines += 1;
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let marked = if self.lines == 1 {
            line.strip_prefix(BYTE_ORDER_MARK)
        } else {
            None
        };
        Ok(Some(marked.unwrap_or(line)))
    }

    /// Whether the next line may have to be waited for.
    pub(super) fn is_drained(&self) -> bool {
        self.reader.buffer().is_empty()
    }
}

fn reading(size: u64) -> ProgressBar {
    let template = "{wide_bar} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template holds");
    ProgressBar::new(size).with_style(style)
}
