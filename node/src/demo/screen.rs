//! What the demo prints. On a terminal the table is drawn over itself; elsewhere it is one line
//! every few seconds. Knows texts only; `demo.rs` fills them in.

use std::io::{self, IsTerminal, Write};

use super::load::Counts;

/// The row of one node.
pub(super) struct NodeRow {
    pub(super) name: String,
    pub(super) api: String,
    pub(super) state: String,
    pub(super) answered: u64,
}

/// The row of one backend.
pub(super) struct BackendRow {
    pub(super) name: &'static str,
    /// Requests under way there, from all nodes.
    pub(super) in_flight: u64,
    pub(super) state: String,
}

/// One moment.
pub(super) struct Picture {
    pub(super) nodes: Vec<NodeRow>,
    pub(super) backends: Vec<BackendRow>,
    pub(super) counts: Counts,
    pub(super) per_second: u32,
    /// What the demo's key has spent, in dollars.
    pub(super) spend: Option<f64>,
    /// What chaos did last.
    pub(super) event: Option<String>,
}

/// Stdout, and how many lines of it are to be drawn over.
pub(super) struct Screen {
    live: bool,
    drawn: usize,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { live: io::stdout().is_terminal(), drawn: 0 }
    }

    /// Whether a picture is drawn over the last one.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Prints lines that stay.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.drawn = 0;
        write_out(text)
    }

    /// Shows the moment.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub(super) fn show(&mut self, picture: &Picture) -> io::Result<()> {
        if !self.live {
            return write_out(&format!("{}\n", picture.line()));
        }
        let table = picture.table();
        let mut text = String::new();
        if self.drawn > 0 {
            // Up to the first line of the last picture, and clear from there down.
            text += &format!("\x1b[{}A\x1b[J", self.drawn);
        }
        self.drawn = table.lines().count();
        write_out(&(text + &table))
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

impl Picture {
    fn table(&self) -> String {
        let mut text = format!("\n  {:<6}{:<26}{:<12}{:>9}\n", "node", "api", "state", "answers");
        for NodeRow { name, api, state, answered } in &self.nodes {
            text += &format!("  {name:<6}{api:<26}{state:<12}{answered:>9}\n");
        }
        text += &format!("\n  {:<32}{:<12}{:>9}\n", "backend", "state", "in flight");
        for BackendRow { name, in_flight, state } in &self.backends {
            text += &format!("  {name:<32}{state:<12}{in_flight:>9}\n");
        }
        text += &format!("\n  {}\n", self.line());
        if let Some(event) = &self.event {
            text += &format!("  chaos: {event}\n");
        }
        if let Some(failure) = &self.counts.last_failure {
            // One line on a terminal of the usual width.
            let short: String = failure.replace('\n', " ").chars().take(66).collect();
            text += &format!("  failed: {short}\n");
        }
        text
    }

    fn line(&self) -> String {
        let Counts { ok, moved, failed, held_back, .. } = &self.counts;
        let up = self.nodes.iter().filter(|node| node.state != "down").count();
        let mut line = format!(
            "{up} of {} nodes, {} requests/s: {ok} ok, {moved} retried on another node, {failed} failed",
            self.nodes.len(),
            self.per_second,
        );
        if *held_back > 0 {
            line += &format!(", {held_back} held back");
        }
        if let Some(median) = self.counts.median_ms() {
            line += &format!(", median {median} ms");
        }
        if let Some(spend) = self.spend {
            line += &format!(", spent ${spend:.4}");
        }
        line
    }
}
