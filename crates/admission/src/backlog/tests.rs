//! A disk that takes nothing for a while.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::PathBuf;

use dunlin_types::RequestId;

use super::*;

fn full() -> Error {
    Error::Append { path: PathBuf::from("x"), source: io::ErrorKind::StorageFull.into() }
}

fn record(request: u128) -> Arc<SpendRecord> {
    Arc::new(SpendRecord { request: RequestId(request), ..SpendRecord::default() })
}

#[test]
fn records_that_waited_are_written_once_in_their_order() {
    let backlog = Backlog::default();
    let numbers = [1, 2, 3].map(|request| {
        let number = backlog.number();
        backlog.add(number, record(request), &full(), MonoMillis(1));
        number
    });
    let (room, written) = (Cell::new(2), RefCell::new(Vec::new()));
    let append = |record: &Arc<SpendRecord>| {
        room.set(u64::checked_sub(room.get(), 1).ok_or_else(full)?);
        written.borrow_mut().push(record.request.0);
        Ok(10 + written.borrow().len() as u64)
    };
    let mut told = Vec::new();
    backlog.write(append, |before, number, _| told.push((before, number)));
    assert_eq!(backlog.figures(), (1, 0), "the disk is full again");
    room.set(5);
    for _ in 0..2 {
        backlog.write(append, |before, number, _| told.push((before, number)));
    }
    assert_eq!(*written.borrow(), [1, 2, 3]);
    assert_eq!(told, [(numbers[0], 11), (numbers[1], 12), (numbers[2], 13)]);
}

#[test]
fn what_can_never_be_written_is_counted_and_does_not_block_the_rest() {
    let backlog = Backlog::default();
    let too_long = Error::TooLong { bytes: 2, bound: 1 };
    backlog.add(backlog.number(), record(1), &too_long, MonoMillis(1));
    assert_eq!(backlog.figures(), (0, 1));
    for request in 0..=MAX_WAITING as u128 {
        backlog.add(backlog.number(), record(request), &full(), MonoMillis(1));
    }
    assert_eq!(backlog.figures(), (MAX_WAITING, 2));
}
