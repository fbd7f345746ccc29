//! The way out of the log, by outputs that are full, slow or stuck.

use std::sync::mpsc;

use super::*;

const LONG: Duration = Duration::from_secs(30);

/// Takes what it is let, and as much of it.
struct Stuck {
    lets: mpsc::Receiver<io::Result<usize>>,
    taken: mpsc::Sender<Vec<u8>>,
}

impl Write for Stuck {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let over = |_| Err(ErrorKind::BrokenPipe.into());
        let taken = self.lets.recv().unwrap_or_else(over)?.min(text.len());
        drop(self.taken.send(text[..taken].to_vec()));
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Outside {
    queue: Arc<Queue>,
    lets: mpsc::Sender<io::Result<usize>>,
    taken: mpsc::Receiver<Vec<u8>>,
    told: mpsc::Receiver<(u64, String)>,
}

fn start() -> Outside {
    let ((lets, when), (to, taken)) = (mpsc::channel(), mpsc::channel());
    let (tell, told) = mpsc::channel();
    let tell = move |lines, why: &str| drop(tell.send((lines, why.to_owned())));
    let queue = Queue::start(Stuck { lets: when, taken: to }, tell).expect("a thread");
    Outside { queue, lets, taken, told }
}

impl Outside {
    fn lets(&self, outcome: io::Result<usize>) {
        self.lets.send(outcome).expect("it writes");
    }

    fn reads(&self) -> String {
        let text = self.taken.recv_timeout(LONG).expect("it writes");
        String::from_utf8(text).expect("text")
    }
}

#[test]
fn an_output_that_is_stuck_holds_up_nobody_and_what_is_lost_is_told_once() {
    let outside = start();
    let line = [vec![b'x'; (1 << 16) - 1], b"\n".to_vec()].concat();
    for _ in 0..100 {
        outside.queue.push(&line);
    }
    // One may be with the output.
    let lost = outside.queue.lost();
    assert!((100 - 17..=100 - 16).contains(&lost), "{lost}");
    for _ in 0..100 - lost {
        outside.lets(Ok(usize::MAX));
        assert_eq!(outside.reads().len(), line.len());
    }
    let told = outside.told.recv_timeout(LONG).expect("it is told");
    assert_eq!(told, (lost, "it was not read in time".to_owned()));
    outside.queue.push(b"more\n");
    outside.lets(Ok(usize::MAX));
    assert_eq!(outside.reads(), "more\n");
    outside.queue.flush(LONG);
    assert!(outside.told.try_recv().is_err());
}

#[test]
fn what_cannot_be_written_is_lost_and_the_next_line_begins_where_a_line_begins() {
    let outside = start();
    outside.queue.push(b"one\ntwo\nthree\n");
    outside.lets(Ok(5));
    outside.lets(Err(ErrorKind::Interrupted.into()));
    outside.lets(Err(ErrorKind::WouldBlock.into()));
    outside.lets(Err(ErrorKind::StorageFull.into()));
    assert_eq!(outside.reads(), "one\nt");
    outside.queue.push(b"four\n");
    outside.lets(Err(ErrorKind::StorageFull.into()));
    outside.queue.flush(LONG);
    assert_eq!(outside.queue.lost(), 3);
    outside.queue.push(b"five\n");
    outside.lets(Ok(usize::MAX));
    outside.lets(Ok(usize::MAX));
    assert_eq!(outside.reads() + &outside.reads(), "\nfive\n");
    let (lines, why) = outside.told.recv_timeout(LONG).expect("it is told");
    assert_eq!((lines, why.as_str()), (3, "no storage space"));
}

#[test]
fn the_end_waits_for_the_last_lines_and_not_for_ever() {
    let outside = start();
    outside.queue.push(b"last\n");
    outside.queue.flush(Duration::ZERO);
    assert!(outside.taken.try_recv().is_err(), "it is stuck, and was not waited for");
    outside.lets(Ok(usize::MAX));
    outside.queue.flush(LONG);
    assert_eq!(outside.taken.try_recv().expect("all is written"), b"last\n");
}
