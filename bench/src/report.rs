//! The figures, for people and for machines.

use std::fmt::Write as _;
use std::process::Command;

use serde::Serialize;

/// One run.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// The commit of the tree, with `+` for uncommitted changes.
    pub(crate) commit: String,
    pub(crate) command: String,
    pub(crate) nginx: Option<String>,
    pub(crate) nodes: usize,
    pub(crate) idle: Vec<Idle>,
    pub(crate) results: Vec<Row>,
    pub(crate) remarks: Vec<String>,
}

#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) kernel: String,
}

/// Memory before the first request.
#[derive(Serialize)]
pub(crate) struct Idle {
    pub(crate) target: &'static str,
    pub(crate) resident_bytes: u64,
}

/// One load through one target.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) target: &'static str,
    /// `closed` or `open`.
    pub(crate) mode: &'static str,
    /// `whole` or `stream`.
    pub(crate) answer: &'static str,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) failure: Option<String>,
    pub(crate) per_second: f64,
    /// To the whole answer, or to the first chunk of a stream.
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    /// Of the gateway's processes alone; none for the direct way.
    pub(crate) cpu_us_per_request: Option<f64>,
    pub(crate) resident_bytes: Option<u64>,
    /// CPU per request against nginx under the same load in this run.
    pub(crate) cpu_against_nginx: Option<f64>,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name"));
        let cpu = model.map_or("unknown", |text| text.trim_start_matches([' ', '\t', ':']));
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: cpu.to_owned(),
            kernel: kernel.trim().to_owned(),
        }
    }
}

/// The commit of the tree this was built from; `unknown` outside a repository.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        let output =
            command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    commit + if changed { "+" } else { "" }
}

/// So many for each of `amount`.
#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
pub(crate) fn per(count: u64, amount: f64) -> f64 {
    count as f64 / amount
}

/// The machine, the commit and the command, each report's first lines.
pub(crate) fn heading() -> String {
    let Machine { cores, cpu, kernel } = Machine::this();
    let (commit, command) = (commit(), std::env::args().collect::<Vec<_>>().join(" "));
    format!(
        "machine  {cores} cores, {cpu}, Linux {kernel}\ncommit   {commit}\ncommand  {command}\n"
    )
}

/// One line of a report.
pub(crate) fn line(name: &str, text: &str) -> String {
    format!("{name:<11}{text}\n")
}

impl Report {
    /// Sets what can only be known when all rows are there.
    pub(crate) fn compare(&mut self) {
        let cost = |rows: &[Row], of: &Row| {
            let same = |row: &&Row| row.mode == of.mode && row.answer == of.answer;
            rows.iter().find(|row| same(row) && row.target == "nginx")?.cpu_us_per_request
        };
        let nginx: Vec<Option<f64>> =
            self.results.iter().map(|row| cost(&self.results, row)).collect();
        for (row, nginx) in self.results.iter_mut().zip(nginx) {
            let ratio = row.cpu_us_per_request.zip(nginx).map(|(own, nginx)| own / nginx);
            row.cpu_against_nginx = ratio.filter(|ratio| ratio.is_finite());
        }
    }

    /// The table for people.
    pub(crate) fn table(&self) -> String {
        let mut text = heading();
        let line = |text: &mut String, words: std::fmt::Arguments<'_>| {
            writeln!(text, "{words}").expect("writing to a String cannot fail");
        };
        match &self.nginx {
            Some(version) => line(&mut text, format_args!("nginx    {version}")),
            None => {
                line(&mut text, format_args!("nginx    not installed: nothing to compare with"))
            }
        }
        for idle in &self.idle {
            let megabytes = megabytes(idle.resident_bytes);
            line(&mut text, format_args!("idle     {:<7}{megabytes:>7.1} MB", idle.target));
        }
        let mut last = ("", "");
        for row in &self.results {
            if last != (row.answer, row.mode) {
                last = (row.answer, row.mode);
                let latency = if row.answer == "stream" { "first chunk" } else { "whole answer" };
                line(
                    &mut text,
                    format_args!(
                        "\n{} loop, {} (latency to {latency})\n  {:<8}{:>11}{:>10}{:>10}{:>13}{:>9}{:>10}{:>9}",
                        row.mode,
                        row.answer,
                        "",
                        "requests/s",
                        "p50 ms",
                        "p99 ms",
                        "CPU µs/req",
                        "RSS MB",
                        "vs nginx",
                        "failed"
                    ),
                );
            }
            line(&mut text, format_args!("{}", row.line()));
        }
        for remark in &self.remarks {
            line(&mut text, format_args!("note: {remark}"));
        }
        text
    }
}

impl Row {
    fn line(&self) -> String {
        let or_dash = |value: Option<f64>, digits: usize, unit: &str| {
            value.map_or("-".to_owned(), |value| format!("{value:.digits$}{unit}"))
        };
        format!(
            "  {:<8}{:>11.0}{:>10.2}{:>10.2}{:>13}{:>9}{:>10}{:>9}{}",
            self.target,
            self.per_second,
            millis(self.p50_us),
            millis(self.p99_us),
            or_dash(self.cpu_us_per_request, 1, ""),
            or_dash(self.resident_bytes.map(megabytes), 1, ""),
            or_dash(self.cpu_against_nginx, 2, "x"),
            self.failed,
            self.failure.as_ref().map(|failure| format!("  {failure}")).unwrap_or_default(),
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
