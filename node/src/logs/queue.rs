//! What this process logs, on its way out. Whoever logs leaves the text here and goes on; a thread
//! writes it. So neither a reader that has stopped reading nor a disk that is full holds up a
//! request. What finds no room here, or cannot be written, is lost and counted, and the log says how
//! much that was once it has caught up.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What waits to be written, in bytes; further lines are lost.
const MOST: usize = 1 << 20;
/// How long until an output is asked again that would not block and has no room, as a terminal is
/// that another program shares.
const AGAIN: Duration = Duration::from_millis(10);

/// Takes what is logged. It never waits for the output, and never fails.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    /// An event each, which may have several lines.
    texts: VecDeque<Vec<u8>>,
    bytes: usize,
    is_writing: bool,
}

impl Queue {
    /// Begins to write to `out` what is put in. `tell` logs how many lines were lost, and why.
    pub(crate) fn start(
        out: impl Write + Send + 'static,
        tell: impl Fn(u64, &str) + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self::default());
        let writing = Arc::clone(&queue);
        thread::Builder::new()
            .name("dunlin-log".to_owned())
            .spawn(move || writing.write_all_to(Output { out, is_torn: false }, tell))?;
        Ok(queue)
    }

    /// Takes whole lines.
    pub(crate) fn push(&self, text: &[u8]) {
        let mut waiting = self.lock();
        if waiting.bytes + text.len() > MOST {
            self.lost.fetch_add(lines(text), Ordering::Relaxed);
            return;
        }
        waiting.bytes += text.len();
        waiting.texts.push_back(text.to_vec());
        self.changed.notify_all();
    }

    /// Waits until all is written, or `patience` has passed.
    pub(crate) fn flush(&self, patience: Duration) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.texts.is_empty();
        drop(self.changed.wait_timeout_while(self.lock(), patience, is_busy));
    }

    /// The lines that were lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn write_all_to(&self, mut output: Output<impl Write>, tell: impl Fn(u64, &str)) {
        let (mut told, mut failure) = (0, None);
        loop {
            let text = self.next();
            match output.write(&text) {
                Ok(()) if self.lock().texts.is_empty() && self.lost() > told => {
                    let lost = self.lost();
                    let failure = failure.take();
                    tell(lost - told, failure.as_deref().unwrap_or("it was not read in time"));
                    told = lost;
                }
                Ok(()) => {}
                Err(Unwritten { lines, cause }) => {
                    self.lost.fetch_add(lines, Ordering::Relaxed);
                    failure = Some(cause.to_string());
                }
            }
        }
    }

    /// Waits for something to write.
    fn next(&self) -> Vec<u8> {
        let mut waiting = self.lock();
        waiting.is_writing = false;
        loop {
            if let Some(text) = waiting.texts.pop_front() {
                waiting.bytes -= text.len();
                waiting.is_writing = true;
                return text;
            }
            self.changed.notify_all();
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for &Queue {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.push(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Output<W> {
    out: W,
    /// The last line that was written lacks its end.
    is_torn: bool,
}

/// What of a text could not be written.
struct Unwritten {
    lines: u64,
    cause: io::Error,
}

impl<W: Write> Output<W> {
    fn write(&mut self, text: &[u8]) -> Result<(), Unwritten> {
        let unwritten = |rest: &[u8], cause| Unwritten { lines: lines(rest), cause };
        if self.is_torn {
            self.write_on(b"\n").map_err(|(_, cause)| unwritten(text, cause))?;
            self.is_torn = false;
        }
        self.write_on(text).map_err(|(written, cause)| {
            self.is_torn = written > 0 && text[written - 1] != b'\n';
            unwritten(&text[written..], cause)
        })
    }

    /// If not all is written: how much was, and why not more.
    fn write_on(&mut self, text: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < text.len() {
            match self.out.write(&text[written..]) {
                Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(AGAIN),
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }
}

fn lines(text: &[u8]) -> u64 {
    let ends = text.split_inclusive(|byte| *byte == b'\n').count();
    u64::try_from(ends).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
