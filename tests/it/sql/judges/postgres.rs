//! PostgreSQL: a cluster of the test process's own on a Unix socket, and a client that speaks as much
//! of its protocol as statements in text ask for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Judge, Rows, Tables};
use serde_json::Value;

/// Starts a server, prints its folder, and takes both away when its input ends: with the test,
/// however that ends.
const SERVER: &str = r#"
set -eu
bin=${TAILWATER_POSTGRES_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)}
bin=${bin:-$(dirname "$(command -v initdb)")}
dir=$(mktemp -d --tmpdir tailwater-postgres-XXXXXX)
server=
trap '[ -z "$server" ] || kill -QUIT $server; wait; rm -rf "$dir"' EXIT
"$bin/initdb" -D "$dir/data" -U tailwater -A trust -E UTF8 --lc-collate=C --lc-ctype=C.UTF-8 --no-sync >"$dir/log" 2>&1 ||
    { cat "$dir/log" >&2; exit 1; }
exec 2>>"$dir/log"
"$bin/postgres" -D "$dir/data" -c listen_addresses= -c unix_socket_directories="$dir" -c timezone=UTC -c jit=off \
    -c fsync=off -c autovacuum=off -c shared_buffers=64MB -c work_mem=64MB >>"$dir/log" &
server=$!
echo "$dir"
cat >/dev/null
"#;

/// The server refuses to run as root.
const UNPRIVILEGED: &str = r#"
[ "$(id -u)" != 0 ] || exec setpriv --reuid=postgres --regid=postgres --clear-groups sh -c "$0"
exec sh -c "$0"
"#;

/// The folder of the server of this process, and what keeps it alive.
static CLUSTER: OnceLock<(PathBuf, Child)> = OnceLock::new();

pub(in crate::sql) struct Postgres(BufReader<UnixStream>);

impl Postgres {
    /// A connection with tables of its own.
    pub(in crate::sql) fn start(tables: &Tables) -> Postgres {
        let mut postgres = Postgres::connect();
        postgres
            .run(&tables.create())
            .expect("the tables are right");
        postgres
    }

    /// A connection with a schema of its own.
    pub(in crate::sql) fn connect() -> Postgres {
        static SCHEMAS: AtomicUsize = AtomicUsize::new(0);
        let (folder, _) = CLUSTER.get_or_init(cluster);
        let start = Instant::now();
        let mut postgres = loop {
            // The socket is there before the server answers.
            match Postgres::greet(&folder.join(".s.PGSQL.5432")) {
                Ok(postgres) => break postgres,
                Err(error) if start.elapsed() > Duration::from_secs(60) => {
                    let log = std::fs::read_to_string(folder.join("log"));
                    panic!(
                        "PostgreSQL does not answer: {error}\n{}",
                        log.unwrap_or_default()
                    );
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let schema = format!("s{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
        let statements = [
            format!("CREATE SCHEMA {schema}"),
            format!("SET search_path = {schema}"),
        ];
        postgres.run(&statements).expect("the schema is new");
        postgres
    }

    fn greet(socket: &std::path::Path) -> Result<Postgres, String> {
        let stream = UnixStream::connect(socket).map_err(|e| e.to_string())?;
        let mut postgres = Postgres(BufReader::new(stream));
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        body.extend(b"user\0tailwater\0database\0postgres\0client_encoding\0UTF8\0\0");
        postgres.send(None, &body).map_err(|e| e.to_string())?;
        postgres.answer()?;
        Ok(postgres)
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len() + 4)
            .expect("a short message")
            .to_be_bytes();
        let message: Vec<u8> = kind
            .into_iter()
            .chain(length)
            .chain(body.iter().copied())
            .collect();
        self.0.get_mut().write_all(&message)
    }

    fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; length as usize - 4];
        self.0.read_exact(&mut body)?;
        Ok((head[0], body))
    }

    /// Reads until the server is ready for more: the rows, or its first error.
    fn answer(&mut self) -> Result<Rows, String> {
        let (mut types, mut rows, mut error) = (Vec::new(), Rows::new(), None);
        loop {
            let (kind, body) = self
                .message()
                .map_err(|e| format!("the connection is lost: {e}"))?;
            match kind {
                b'T' => types = described(&body),
                b'D' => rows.push((String::new(), row(&body, &types))),
                b'E' => error = error.or(Some(said(&body))),
                b'Z' => return error.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }
}

impl Judge for Postgres {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn run(&mut self, statements: &[String]) -> Result<Vec<Rows>, String> {
        let run = |sql: &String| {
            let body = [sql.as_bytes(), b"\0"].concat();
            self.send(Some(b'Q'), &body).map_err(|e| e.to_string())?;
            self.answer()
        };
        statements.iter().map(run).collect()
    }
}

fn cluster() -> (PathBuf, Child) {
    let mut command = Command::new("sh");
    command
        .args(["-c", UNPRIVILEGED, SERVER])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    // What interrupts the test must not reach what cleans up behind it.
    let child = command.process_group(0).spawn();
    let mut child = child.expect("this test needs `sh`");
    let mut folder = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    output.read_line(&mut folder).expect("the server's folder");
    assert!(
        folder.ends_with('\n'),
        "this test needs PostgreSQL: apt-get install postgresql"
    );
    (folder.trim().into(), child)
}

/// The types of the columns.
fn described(body: &[u8]) -> Vec<u32> {
    let (mut rest, mut types) = (&body[2..], Vec::new());
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        let fixed = &rest[end + 1..];
        types.push(u32::from_be_bytes(
            fixed[6..10].try_into().expect("four bytes"),
        ));
        rest = &fixed[18..];
    }
    types
}

fn row(body: &[u8], types: &[u32]) -> Value {
    let mut rest = &body[2..];
    let mut next = |of: &u32| {
        let length = i32::from_be_bytes(rest[..4].try_into().expect("four bytes"));
        let Ok(length) = usize::try_from(length) else {
            rest = &rest[4..];
            return Value::Null;
        };
        let text = std::str::from_utf8(&rest[4..4 + length]).expect("UTF-8");
        rest = &rest[4 + length..];
        value(text, *of)
    };
    types.iter().map(&mut next).collect()
}

/// A value in our form: times are milliseconds, numbers that JSON has not are null.
fn value(text: &str, of: u32) -> Value {
    match of {
        16 => Value::from(text == "t"),
        20 | 21 | 23 | 700 | 701 | 1700 => match text.parse::<i64>() {
            Ok(i) => i.into(),
            Err(_) => text.parse::<f64>().expect("a number").into(),
        },
        114 | 3802 => serde_json::from_str(text).expect("JSON"),
        1114 | 1184 => {
            let at: jiff::civil::DateTime = text.trim_end_matches("+00").parse().expect("a time");
            let at = at.to_zoned(jiff::tz::TimeZone::UTC).expect("a time");
            at.timestamp().as_millisecond().into()
        }
        1000 => list(text, 16),
        1005 | 1007 | 1016 => list(text, 20),
        1021 | 1022 | 1231 => list(text, 701),
        25 | 1042 | 1043 | 1082 => text.into(),
        1009 | 1015 | 1182 => list(text, 25),
        other => panic!("a column has the type {other}: {text}"),
    }
}

/// An array of one dimension: `{1,NULL,"a, b"}`.
fn list(text: &str, of: u32) -> Value {
    let mut chars = text.trim_start_matches('{').chars();
    let (mut items, mut item, mut quoted, mut was_quoted) =
        (Vec::new(), String::new(), false, false);
    while let Some(c) = chars.next() {
        match c {
            '\\' => item.extend(chars.next()),
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' | '}' if !quoted => {
                match (item.as_str(), was_quoted) {
                    ("NULL", false) => items.push(Value::Null),
                    ("", false) => {}
                    (text, _) => items.push(value(text, of)),
                }
                item.clear();
                was_quoted = false;
            }
            c => item.push(c),
        }
    }
    Value::Array(items)
}

/// What an error's message says, behind the code of its kind.
fn said(body: &[u8]) -> String {
    let fields = body.split(|b| *b == 0).filter(|field| !field.is_empty());
    let field = |kind: u8| {
        let mut fields = fields.clone();
        let found = fields.find(|field| field[0] == kind);
        String::from_utf8_lossy(found.map_or(&b""[..], |field| &field[1..])).into_owned()
    };
    format!("{}: {}", field(b'C'), field(b'M'))
}
