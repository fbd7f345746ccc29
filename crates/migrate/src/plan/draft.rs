//! A row on its way: what it says so far in the API's words, what changes, what is in its way.

use dunlin_admin_api::values::{self as api, Wrong};
use dunlin_admin_api::{
    Field, ImportKind, ImportRow, Of, REGIONS, RawJson, Shape, THROUGHPUTS, idle_fields,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::world::World;
use super::{Finding, Item, Outcome, Way};
use crate::dump::Row;
use crate::values::{self, Moment};

/// What is said of a guard that is dropped, and of one that keeps a row from moving.
const DROPPED: &str = "dropped: it is not enforced by this version";
const MOVED: &str = "not enforced by this version; the rest moves, or nothing at all would hold";
const STRANGE: &str = "left out: this version does not know the column";
const GUARDS: &str = "not enforced by this version, so the row would be less guarded than before; \
     --drop-guards moves it without";

/// A row on its way.
pub(super) struct Draft<'w, 'd> {
    pub(super) world: &'w World<'d>,
    pub(super) row: &'d Row,
    pub(super) fields: Map<String, Value>,
    /// Fields that are dealt with, whatever their columns say.
    pub(super) taken: Vec<&'static str>,
    /// Left out, it would let requests in without anything that holds for it.
    pub(super) must_move: bool,
    changes: Vec<Finding>,
    blockers: Vec<Finding>,
}

impl<'w, 'd> Draft<'w, 'd> {
    pub(super) fn new(world: &'w World<'d>, row: &'d Row) -> Self {
        let mut draft = Self::inside(world, row);
        for column in &row.strange {
            draft.changed(column, STRANGE);
        }
        draft
    }

    /// The draft of what a row says besides: what is strange in that row is told of it alone.
    pub(super) fn inside(world: &'w World<'d>, row: &'d Row) -> Self {
        let (changes, blockers) = (Vec::new(), Vec::new());
        let (fields, taken, must_move) = (Map::new(), Vec::new(), false);
        Self { world, row, fields, taken, must_move, changes, blockers }
    }

    /// Notes that a field is different here.
    pub(super) fn changed(&mut self, field: &str, reason: impl Into<String>) {
        self.changes.push(Finding { field: field.to_owned(), reason: reason.into() });
    }

    /// Notes why the row cannot move.
    pub(super) fn blocked(&mut self, field: &str, reason: impl Into<String>) {
        self.blockers.push(Finding { field: field.to_owned(), reason: reason.into() });
    }

    pub(super) fn put(&mut self, field: &str, value: impl Into<Value>) {
        self.fields.insert(field.to_owned(), value.into());
    }

    /// Puts a value that the API's reader takes; one that it refuses is in the way.
    pub(super) fn judged<T>(
        &mut self,
        field: &str,
        value: impl Into<Value>,
        read: fn(&Value) -> Result<T, Wrong>,
    ) {
        let value = value.into();
        match read(&value) {
            Ok(_) => self.put(field, value),
            Err(wrong) => self.refused(field, &value, &wrong),
        }
    }

    /// Notes that the API would refuse a value.
    pub(super) fn refused(&mut self, field: &str, value: &Value, wrong: &Wrong) {
        let shown = match value {
            Value::Array(_) | Value::Object(_) => "it".to_owned(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        };
        self.blocked(field, format!("{shown} would be refused: {}", wrong.msg));
    }

    /// A cell with something in it.
    pub(super) fn text(&self, column: &str) -> Option<&'d str> {
        self.row.get(column).filter(|text| !text.is_empty())
    }

    /// Takes a text over under the name of its field.
    pub(super) fn copy(&mut self, column: &str, field: &str) {
        if let Some(text) = self.text(column) {
            self.put(field, text);
        }
    }

    /// Takes a name over under the name of its field.
    pub(super) fn name(&mut self, column: &str, field: &str) {
        if let Some(name) = self.text(column) {
            self.judged(field, name, api::name);
        }
    }

    /// A cell, read; one that cannot be read is in the way.
    pub(super) fn read<T>(
        &mut self,
        column: &str,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let found = read(self.text(column)?);
        if found.is_none() {
            self.blocked(column, format!("it is not {what}"));
        }
        found
    }

    pub(super) fn flag(&mut self, column: &str) -> Option<bool> {
        self.read(column, "true or false", values::flag)
    }

    pub(super) fn array(&mut self, column: &str) -> Vec<String> {
        self.read(column, "a list of texts", values::array).unwrap_or_default()
    }

    pub(super) fn moment(&mut self, column: &str) -> Option<Moment> {
        self.read(column, "a point in time", values::moment)
    }

    /// An object; what is null is an empty one.
    pub(super) fn object(&mut self, column: &str) -> Map<String, Value> {
        let object = |text: &str| match values::json(text)? {
            Value::Object(entries) => Some(entries),
            Value::Null => Some(Map::new()),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        };
        self.read(column, "an object", object).unwrap_or_default()
    }

    /// When it was made, and by whom.
    pub(super) fn made(&mut self) {
        if let Some(Moment::At(at)) = self.moment("created_at") {
            self.put("created_at", values::iso(at));
        }
        self.copy("created_by", "created_by");
    }

    /// All fields that this version does not act upon, from their columns and from the metadata,
    /// where LiteLLM keeps those without a column.
    pub(super) fn idle(&mut self, of: Of, metadata: &mut Map<String, Value>) {
        let taken = std::mem::take(&mut self.taken);
        for field in idle_fields(of).filter(|field| !taken.contains(&field.name)) {
            let value = match self.text(field.name) {
                Some(_) => self.cell(field),
                None => metadata.get(field.name).filter(|value| fits(field.shape, value)).cloned(),
            };
            let Some(value) = value else { continue };
            metadata.remove(field.name);
            self.keep_idle(field.name, field.guards(&value), value);
        }
        let held = self.text("object_permission_id").and_then(|id| self.world.permission(id));
        if let Some(held) = held.cloned() {
            self.keep_idle("object_permission", true, held);
        }
    }

    /// Takes a field over that is not acted upon, unless it would guard something.
    pub(super) fn keep_idle(&mut self, field: &str, guards: bool, value: Value) {
        if !guards {
            if !is_empty(&value) {
                self.put(field, value);
            }
        } else if self.must_move {
            self.changed(field, MOVED);
        } else if self.world.options.drop_guards {
            self.changed(field, DROPPED);
        } else {
            self.blocked(field, GUARDS);
        }
    }

    fn cell(&mut self, field: &Field) -> Option<Value> {
        match field.shape {
            Shape::Text | Shape::Throughput => self.text(field.name).map(Value::from),
            Shape::Region => {
                let region = |text: &str| REGIONS.contains(&text).then(|| Value::from(text));
                self.read(field.name, "eu or us", region)
            }
            Shape::Count => {
                let count = |text: &str| text.trim().parse::<u64>().ok().map(Value::from);
                self.read(field.name, "a whole number", count)
            }
            Shape::Flag => self.flag(field.name).map(Value::from),
            Shape::List => Some(Value::from(self.array(field.name))),
            Shape::Object | Shape::Counts | Shape::Lists => {
                Some(Value::Object(self.object(field.name)))
            }
        }
    }

    /// The row as it is imported, if nothing is against it.
    pub(super) fn done(self, table: &'static str, kind: ImportKind, object: String) -> Item {
        self.sent(table, object, |fields| Way::Import(raw(&ImportRow { kind, fields })))
    }

    /// The row as the request that makes such a thing, if nothing is against it.
    pub(super) fn posted(self, table: &'static str, path: &'static str, object: String) -> Item {
        self.sent(table, object, |fields| Way::Post(path, raw(&fields)))
    }

    fn sent(
        self,
        table: &'static str,
        object: String,
        way: impl FnOnce(Map<String, Value>) -> Way,
    ) -> Item {
        let Self { world, row, fields, changes, blockers, .. } = self;
        let place = world.place(row.file, row.line);
        if !blockers.is_empty() {
            return Item {
                table,
                place,
                object,
                outcome: Outcome::Unsupported(blockers),
                way: None,
            };
        }
        let way = way(fields);
        let outcome = if changes.is_empty() { Outcome::Kept } else { Outcome::Changed(changes) };
        Item { table, place, object, outcome, way: Some(way) }
    }

    /// The row as one that need not move.
    pub(super) fn needless(self, table: &'static str, object: String, why: &str) -> Item {
        let place = self.world.place(self.row.file, self.row.line);
        let outcome = Outcome::Needless(why.to_owned());
        Item { table, place, object, outcome, way: None }
    }
}

fn raw(of: &impl Serialize) -> RawJson {
    serde_json::value::to_raw_value(of).expect("plain data with text keys")
}

fn fits(shape: Shape, value: &Value) -> bool {
    match shape {
        Shape::Text => value.is_string(),
        Shape::Throughput => value.as_str().is_some_and(|text| THROUGHPUTS.contains(&text)),
        Shape::Region => value.as_str().is_some_and(|text| REGIONS.contains(&text)),
        Shape::Count => value.is_u64(),
        Shape::Flag => value.is_boolean(),
        Shape::List => value.is_array(),
        Shape::Object => value.is_object(),
        Shape::Counts => value.as_object().is_some_and(|counts| counts.values().all(Value::is_u64)),
        Shape::Lists => {
            let texts = |list: &Value| {
                list.as_array().is_some_and(|items| items.iter().all(Value::is_string))
            };
            value.as_object().is_some_and(|lists| lists.values().all(texts))
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}
