//! How far receivers have been told of what is on record, kept on disk: what a node that was killed
//! had not sent, it sends after its next start.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use dunlin_types::Epoch;
use serde::{Deserialize, Serialize};

/// A record in the journal of this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Position {
    /// In which life it was written.
    pub(crate) epoch: Epoch,
    /// Its number there; 0 is before the first.
    pub(crate) number: u64,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The last record that was put into the queues.
    pub(crate) read: Position,
    /// Of each callback, by name, with records that wait: the first of these.
    pub(crate) waiting: BTreeMap<String, Position>,
}

impl Progress {
    /// Whether the receivers of a callback of that name are done with a record. Of several receivers
    /// with one name the slowest counts: the others get some twice.
    pub(crate) fn is_done(&self, callback: &str, at: Position) -> bool {
        match self.waiting.get(callback) {
            Some(first) => at < *first,
            None => at <= self.read,
        }
    }

    /// The last record that nobody waits for, nor for any before it.
    pub(crate) fn done(&self) -> Position {
        let before =
            |first: &Position| Position { number: first.number.saturating_sub(1), ..*first };
        self.waiting.values().map(before).fold(self.read, Position::min)
    }

    /// What was kept there. `None`: nothing was.
    pub(crate) fn load(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps it there. After a power cut the file is the former one or this.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let partial = path.with_extension("tmp");
        let mut file = File::create(&partial)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, number: u64) -> Position {
        Position { epoch: Epoch(epoch), number }
    }

    #[test]
    fn what_waited_is_owed_to_those_it_waited_for_and_to_no_others() {
        let waiting = BTreeMap::from([("otel".to_owned(), at(2, 3)), ("own".to_owned(), at(1, 9))]);
        let progress = Progress { read: at(2, 5), waiting };
        assert_eq!(progress.done(), at(1, 8));
        for (name, last_done) in [("otel", at(2, 2)), ("own", at(1, 8)), ("langfuse", at(2, 5))] {
            let next = Position { number: last_done.number + 1, ..last_done };
            assert!(progress.is_done(name, last_done) && !progress.is_done(name, next), "{name}");
        }
    }

    #[test]
    fn it_is_read_as_it_was_kept_and_a_torn_file_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("progress.json");
        assert_eq!(Progress::load(&path).expect("no file"), None);
        let waiting = BTreeMap::from([("otel".to_owned(), at(2, 3))]);
        let kept = Progress { read: at(2, 5), waiting };
        kept.save(&path).expect("saved");
        assert_eq!(Progress::load(&path).expect("read"), Some(kept));
        fs::write(&path, b"{\"read\"").expect("torn");
        assert!(Progress::load(&path).is_err());
    }
}
