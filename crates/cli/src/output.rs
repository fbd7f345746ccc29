//! The form of a command's output: for people, or for programs.

use std::io;

use clap::{Args, ValueEnum};
use serde_json::Value;

/// The flag that every command has.
#[derive(Args, Debug, Clone, Copy)]
pub struct Output {
    /// The form of what goes to stdout, on a terminal and in a pipe.
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// The form of what goes to stdout.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: one object with the name of its shape in `schema`.
    Json,
}

impl Output {
    /// For people, the default.
    pub const TABLE: Self = Self { format: Format::Table };

    /// Whether programs read it.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Writes to stdout: `text` for people; for programs the object `json` with the name of its shape,
    /// to which fields are added and never changed.
    ///
    /// # Errors
    /// Nobody reads, or there is no room.
    pub fn show(self, schema: &str, mut json: Value, text: &str) -> io::Result<()> {
        match self.format {
            Format::Table => crate::print(text),
            Format::Json => {
                json["schema"] = schema.into();
                crate::print(&format!("{json:#}\n"))
            }
        }
    }
}
