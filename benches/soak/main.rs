//! Days of flights at full speed through a real server that is killed, stopped, cut off and read by
//! readers that come, go and stall; what they put together is compared with a recomputation all the way.
//!
//! The first wrong result ends it, with what is needed to make it again.

mod day;
mod model;
mod picture;
mod reader;
mod schedule;
mod server;
mod way;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
cargo bench --bench soak [-- OPTIONS]
  --minutes N    how long (10)
  --seed N       which faults come when (1)
  --batch N      events of an append (20)
  --server FILE  the server's program (what cargo builds)
  --picture FILE where the picture goes (docs/images/soak.svg)
  --summary FILE where the summary goes (benches/soak/README.md)";

pub(crate) struct Options {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) batch: usize,
    pub(crate) server: PathBuf,
    picture: PathBuf,
    summary: PathBuf,
}

impl Options {
    fn parse() -> Result<Options, Error> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut options = Options {
            time: Duration::from_secs(600),
            seed: 1,
            batch: 20,
            server: env!("CARGO_BIN_EXE_tailwater").into(),
            picture: root.join("docs/images/soak.svg"),
            summary: root.join("benches/soak/README.md"),
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--minutes" => {
                    options.time = Duration::from_secs_f64(value()?.parse::<f64>()? * 60.0);
                }
                "--seed" => options.seed = value()?.parse()?,
                "--batch" => options.batch = value()?.parse::<usize>()?.max(1),
                "--server" => options.server = value()?.into(),
                "--picture" => options.picture = value()?.into(),
                "--summary" => options.summary = value()?.into(),
                // What cargo adds.
                "--bench" => {}
                _ => return Err(HELP.into()),
            }
        }
        Ok(options)
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Error> {
    let options = Options::parse()?;
    let figures = schedule::run(&options).await?;
    std::fs::write(&options.picture, picture::svg(&figures))?;
    std::fs::write(&options.summary, picture::summary(&figures))?;
    println!(
        "{} and {} are written",
        options.picture.display(),
        options.summary.display()
    );
    Ok(())
}
