//! The server as a process that is started, stopped and killed, and requests to it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::Error;

pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    program: PathBuf,
    data: PathBuf,
    client: Client,
}

impl Server {
    pub(crate) fn start(program: &Path, data: &Path) -> Result<Server, Error> {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Ok(Server {
            process: spawn(program, free, data)?,
            address: free,
            program: program.to_owned(),
            data: data.to_owned(),
            client: Client::builder().timeout(Duration::from_secs(20)).build()?,
        })
    }

    pub(crate) fn kill_and_start(&mut self) -> Result<(), Error> {
        self.process.kill()?;
        self.process.wait()?;
        self.process = spawn(&self.program, self.address, &self.data)?;
        Ok(())
    }

    pub(crate) fn signal(&self, name: &str) -> Result<(), Error> {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args([name, &id]).status()?;
        status.success().then_some(()).ok_or("no signal".into())
    }

    /// Lets none of its files grow for some time, which it takes for a full disk: it has to say so
    /// as long as it lasts, and that it is over.
    pub(crate) fn fill_disk(
        &self,
        time: Duration,
    ) -> impl Future<Output = Result<(), Error>> + use<> {
        let id = self.process.id().to_string();
        let limit = move |bytes: &str| -> Result<(), Error> {
            let limit = format!("--fsize={bytes}:");
            let status = Command::new("prlimit")
                .args(["--pid", &id, &limit])
                .status()?;
            status.success().then_some(()).ok_or("no limit".into())
        };
        let (client, url) = (
            self.client.clone(),
            format!("http://{}/health", self.address),
        );
        let health = async move |due: u16| -> Result<(), Error> {
            // The file is checked then, all of it.
            for _ in 0..3000 {
                if client.get(&url).send().await?.status() == due {
                    return Ok(());
                }
                sleep(Duration::from_millis(10)).await;
            }
            Err(format!("/health is not {due} though the disk says so").into())
        };
        async move {
            limit("4096")?;
            let full = health(503).await;
            sleep(time).await;
            limit("unlimited")?;
            full?;
            health(200).await
        }
    }

    /// An error if it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self.process.try_wait()? {
            Some(status) => Err(format!("the server ended by itself: {status}").into()),
            None => Ok(()),
        }
    }

    /// What is resident, in MiB.
    pub(crate) fn memory(&self) -> Option<f64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024.0)
    }

    /// Sends until there is an answer: its status.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> Result<u16, Error> {
        for _ in 0..2000 {
            let url = format!("http://{}{path}", self.address);
            let mut request = self.client.request(method.clone(), url);
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            let request = request.header("content-type", "application/json");
            match request.body(body.to_owned()).send().await {
                Ok(answer) if answer.status().as_u16() < 500 => {
                    return Ok(answer.status().as_u16());
                }
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
        Err(format!("{method} {path} is not answered").into())
    }

    pub(crate) async fn register(&self, name: &str, sql: &str) -> Result<(), Error> {
        let body: Value = json!({"name": name, "query": sql});
        match self
            .send(Method::POST, "/v1/query", &[], &body.to_string())
            .await?
        {
            // It is there already where an answer was lost.
            201 | 409 => Ok(()),
            status => Err(format!("`{name}` is not registered: {status}").into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(program: &Path, address: SocketAddr, data: &Path) -> Result<Child, Error> {
    // Files that must not grow are an error of theirs, and not the end.
    let mut process = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(program)
        .args(["serve", "--listen", &address.to_string(), "--data"])
        .arg(data)
        .args([
            "--queries",
            concat!(env!("CARGO_MANIFEST_DIR"), "/queries/flights"),
        ])
        .args(["--snapshot-seconds", "10"])
        .env("TAILWATER_LOG", "error")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().ok_or("no stdout")?).read_line(&mut line)?;
    match line.starts_with("listening on") {
        true => Ok(process),
        false => Err(format!("the server says {line:?}").into()),
    }
}
