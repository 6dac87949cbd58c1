//! The page: files that are part of the program.

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::server::http::problem::Problem;

macro_rules! files {
    ($($name:literal,)+) => {
        &[$(($name, include_bytes!(concat!("../../dashboard/", $name)))),+]
    };
}

/// The files of the page.
const FILES: &[(&str, &[u8])] = files![
    "index.html",
    "api.js",
    "app.js",
    "dialogs.js",
    "dom.js",
    "early.js",
    "editor.css",
    "editor/editor.js",
    "editor/highlight.js",
    "editor/result.js",
    "editor/save.js",
    "editor/source.js",
    "editor/text.js",
    "favicon.svg",
    "following.js",
    "format.js",
    "frame.js",
    "glow.js",
    "keys.js",
    "menu.js",
    "page.css",
    "panel.js",
    "panels.css",
    "plan.css",
    "plan/layout.js",
    "plan/picture.js",
    "plan/plan.js",
    "plan/words.js",
    "replay.js",
    "results.js",
    "sequence.js",
    "shape.js",
    "spark.js",
    "sse.js",
    "stats.js",
    "status.js",
    "stream.js",
    "theme.css",
    "theme.js",
    "tones.js",
    "top.js",
    "views.js",
    "wall.js",
    "panels/bars.js",
    "panels/board.js",
    "panels/cells.js",
    "panels/grid.js",
    "panels/kinds.js",
    "panels/line.js",
    "panels/number.js",
    "panels/order.js",
    "panels/points.js",
    "panels/table.js",
    "panels/ticks.js",
    "panels/widths.js",
    "vendor/uplot/LICENSE",
    "vendor/uplot/uPlot.iife.min.js",
    "vendor/uplot/uPlot.min.css",
];

/// The content type of a file.
fn kind(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    })
}

pub(super) async fn index() -> Response {
    file("index.html")
}

pub(super) async fn asset(Path(name): Path<String>) -> Response {
    file(&name)
}

fn file(name: &str) -> Response {
    let Some((_, content)) = FILES.iter().find(|(known, _)| *known == name) else {
        let detail = "there is no such file of the page";
        return Problem::new(StatusCode::NOT_FOUND, "not-found", detail).into_response();
    };
    let mut response = Response::new(Body::from(*content));
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, kind(name));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Nothing on the page comes from elsewhere, and nothing of it goes there.
    let policy = "default-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'";
    out.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn collect(folder: &Path, prefix: &str, names: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                collect(&entry.path(), &format!("{name}/"), names);
            } else {
                names.push(name);
            }
        }
    }

    #[test]
    fn all_files_are_part_of_the_program() {
        let mut names = Vec::new();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/dashboard");
        collect(Path::new(folder), "", &mut names);
        // It tells Node how to read the files in tests.
        names.retain(|name| name != "package.json");
        let mut known: Vec<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.sort();
        known.sort();
        assert_eq!(names, known);
    }
}
