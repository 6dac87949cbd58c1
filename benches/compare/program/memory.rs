//! A process' memory in MiB, where the system tells it.

/// The most that was resident so far, of the process with this number or `self`.
pub(crate) fn peak_mib(process: &str) -> Option<f64> {
    status(process, "VmHWM:")
}

/// What this process has resident now.
#[allow(dead_code, reason = "for programs that compare")]
pub(crate) fn resident_mib() -> Option<f64> {
    status("self", "VmRSS:")
}

fn status(process: &str, field: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}
