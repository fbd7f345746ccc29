//! What serves a request, as limits and budgets of single models know it.

use std::sync::Arc;

/// What serves a request, whatever it was asked for as, and on whichever path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The row of the models (`model_name`), which may be a pattern.
    pub row: Arc<str>,
    /// What else it is called: the name of a pattern's that is served, and the names of other rows
    /// whose credential may be lent for the same.
    pub names: Vec<Arc<str>>,
    /// Which models it asks is not known: any that a row serves whose name is among these.
    pub unclear: bool,
}

impl Served {
    /// All that it is called.
    pub fn all(&self) -> impl Iterator<Item = &Arc<str>> {
        [&self.row].into_iter().chain(&self.names)
    }

    /// Takes a name in, once.
    pub fn called(&mut self, name: &str) {
        if self.all().all(|known| **known != *name) {
            self.names.push(name.into());
        }
    }
}

impl From<Arc<str>> for Served {
    fn from(row: Arc<str>) -> Self {
        Self { row, names: Vec::new(), unclear: false }
    }
}

impl From<&Arc<str>> for Served {
    fn from(row: &Arc<str>) -> Self {
        Arc::clone(row).into()
    }
}

impl From<&str> for Served {
    fn from(row: &str) -> Self {
        Arc::<str>::from(row).into()
    }
}
