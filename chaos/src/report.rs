//! A run for people to read, and for machines: when what was done and what came of the chats
//! meanwhile, then each invariant with its figure.

use std::fmt::Write as _;

use serde::Serialize;

use crate::history::{Act, History, Outcome};
use crate::invariants::{Verdict, judge};

/// Violations of one invariant that are shown; the file has all.
const MOST_SHOWN: usize = 12;

/// A judged run.
#[derive(Serialize)]
pub struct Report {
    /// What brings the run again.
    pub command: String,
    /// The seed it was drawn from.
    pub seed: u64,
    /// How many nodes there were.
    pub nodes: usize,
    /// Whether every invariant held, as far as there was anything to look at for all of them.
    pub verdict: Judgement,
    /// What was done, in order, with the chats that ended since.
    pub timeline: Vec<Moment>,
    /// Each invariant and its figure.
    pub invariants: Vec<Judged>,
}

/// Something that was done, and what followed until the next.
#[derive(Serialize)]
pub struct Moment {
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// In words.
    pub what: String,
    /// Chats that were answered from then on.
    pub answered: usize,
    /// Chats that were refused: limits, blocked keys.
    pub refused: usize,
    /// Chats that failed, by node.
    pub failed: Vec<usize>,
    /// Chats that found nobody.
    pub unreached: usize,
}

/// What a run says of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It was kept.
    Held,
    /// Nothing happened that it is about: a run that shows nothing proves nothing.
    Unknown,
    /// It was broken.
    Violated,
}

/// One invariant's verdict.
#[derive(Serialize)]
pub struct Judged {
    /// Its name.
    pub name: &'static str,
    /// What is promised.
    pub promise: &'static str,
    /// Whether it held.
    pub verdict: Judgement,
    /// How much there was to look at.
    pub looked_at: usize,
    /// The figure.
    pub figure: String,
    /// All that must not be.
    pub broken: Vec<String>,
}

impl Report {
    /// Judges a run.
    #[must_use]
    pub fn of(history: &History, seed: u64, command: String) -> Self {
        let judged = judge(history).into_iter().map(|(invariant, verdict)| Judged {
            name: invariant.name,
            promise: invariant.promise,
            verdict: Judgement::of(&verdict),
            looked_at: verdict.looked_at,
            figure: verdict.figure,
            broken: verdict.broken,
        });
        let invariants: Vec<_> = judged.collect();
        let worst = invariants.iter().map(|judged| judged.verdict).max();
        let verdict = worst.unwrap_or(Judgement::Unknown);
        let timeline = timeline(history);
        Self { command, seed, nodes: history.nodes, verdict, timeline, invariants }
    }

    /// The invariants of which the run says nothing.
    pub fn unknown(&self) -> impl Iterator<Item = &'static str> {
        let unknown = |judged: &&Judged| judged.verdict == Judgement::Unknown;
        self.invariants.iter().filter(unknown).map(|judged| judged.name)
    }

    /// The whole of it for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("seed {}, {} nodes\n\n", self.seed, self.nodes);
        for moment in &self.timeline {
            let seconds = format!("{}.{}", moment.at_ms / 1_000, moment.at_ms % 1_000 / 100);
            line(&mut text, &format!("{seconds:>7} s  {:<58}{}", moment.what, moment.chats()));
        }
        text.push('\n');
        text + &self.verdicts()
    }

    /// The verdicts alone.
    #[must_use]
    pub fn verdicts(&self) -> String {
        let mut text = String::new();
        for Judged { name, verdict, figure, broken, .. } in &self.invariants {
            let verdict = match verdict {
                Judgement::Held => "held",
                Judgement::Unknown => "unknown",
                Judgement::Violated => "VIOLATED",
            };
            line(&mut text, &format!("{verdict:<8}  {name:<20}  {figure}"));
            for why in broken.iter().take(MOST_SHOWN) {
                line(&mut text, &format!("            {why}"));
            }
            if broken.len() > MOST_SHOWN {
                line(&mut text, &format!("            and {} more", broken.len() - MOST_SHOWN));
            }
        }
        match self.verdict {
            Judgement::Held => {}
            Judgement::Unknown => {
                let names: Vec<_> = self.unknown().collect();
                line(&mut text, &format!("\nunknown, for nothing happened: {}", names.join(", ")));
            }
            Judgement::Violated => line(&mut text, &format!("\nagain: {}", self.command)),
        }
        text
    }
}

impl Judgement {
    fn of(verdict: &Verdict) -> Self {
        match (verdict.broken.is_empty(), verdict.looked_at) {
            (false, _) => Self::Violated,
            (true, 0) => Self::Unknown,
            (true, _) => Self::Held,
        }
    }
}

impl Moment {
    fn new(at_ms: u64, what: String, nodes: usize) -> Self {
        let failed = vec![0; nodes];
        Self { at_ms, what, answered: 0, refused: 0, failed, unreached: 0 }
    }

    fn chats(&self) -> String {
        let mut text = format!("{:>5} answered", self.answered);
        if self.refused > 0 {
            text += &format!(", {} refused", self.refused);
        }
        for (node, failed) in self.failed.iter().enumerate().filter(|(_, failed)| **failed > 0) {
            text += &format!(", {failed} failed on n{}", node + 1);
        }
        if self.unreached > 0 {
            text += &format!(", {} found nobody", self.unreached);
        }
        text
    }
}

fn timeline(history: &History) -> Vec<Moment> {
    let mut moments = vec![Moment::new(0, "begin".to_owned(), history.nodes)];
    moments.extend(history.acts().map(|(at, act)| Moment::new(at, act.words(), history.nodes)));
    for chat in history.writes_and_chats().1 {
        let Some((at, outcome)) = chat.ended else { continue };
        let moment = moments.iter_mut().rev().find(|moment| moment.at_ms <= at);
        let moment = moment.expect("the first moment is the beginning");
        match outcome {
            Outcome::Done { .. } => moment.answered += 1,
            Outcome::Refused(_) => moment.refused += 1,
            Outcome::Unreached => moment.unreached += 1,
            Outcome::Failed { .. } | Outcome::Broken { .. } => moment.failed[chat.call.node] += 1,
        }
    }
    moments
}

impl Act {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Killed { node } => format!("n{} is killed", node + 1),
            Self::Stopped { node } => format!("n{} is asked to stop", node + 1),
            Self::Back { node } => format!("n{} serves", node + 1),
            Self::Paused { node } => format!("n{} stands still", node + 1),
            Self::Resumed { node } => format!("n{} goes on", node + 1),
            Self::CutOff { nodes } => {
                let names: Vec<_> = nodes.iter().map(|node| format!("n{}", node + 1)).collect();
                format!("{} cut off", names.join(", "))
            }
            Self::Connected => "all are connected".to_owned(),
            Self::Lossy => "messages are lost and late".to_owned(),
            Self::Steady => "messages arrive again".to_owned(),
            Self::BackendIll { backend, how, .. } => format!("backend {} {how}", backend + 1),
            Self::BackendWell { backend } => format!("backend {} is well", backend + 1),
        }
    }
}

fn line(text: &mut String, words: &str) {
    writeln!(text, "{}", words.trim_end()).expect("writing to a String cannot fail");
}
