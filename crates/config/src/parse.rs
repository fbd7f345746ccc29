//! From YAML text to the tree. Anchors, aliases and `<<` merge keys are followed here; duplicate
//! keys are refused here. The grammar itself is `granit_parser`'s, which ends at this file.

use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle};

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::tree::{Key, Map, Node, Value, parse_number};

/// Nodes of one file, aliases followed: far above any real file, and small enough that a file of
/// nested aliases cannot fill the memory.
const MAX_NODES: usize = 200_000;

/// The tree of one file, if its grammar allows one, and what is wrong with it.
pub(crate) fn parse(text: &str, file: usize) -> (Option<Node>, Vec<Diagnostic>) {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let events = Parser::new_from_str_with_options(text, options);
    let length = text.len();
    let mut builder =
        Builder { events, file, length, anchors: BTreeMap::new(), nodes: 0, problems: Vec::new() };
    let tree = match builder.document() {
        Ok(tree) => Some(tree),
        Err(problem) => {
            builder.problems.push(*problem);
            None
        }
    };
    (tree, builder.problems)
}

struct Builder<'t> {
    events: Parser<'t, StrInput<'t>>,
    file: usize,
    length: usize,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    problems: Vec<Diagnostic>,
}

/// Boxed: a diagnostic is large, and this travels through every level of the tree.
type Stop = Box<Diagnostic>;

impl<'t> Builder<'t> {
    fn document(&mut self) -> Result<Node, Stop> {
        let mut tree = None;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::StreamEnd) {
                let empty = Node::new(Value::Map(Map::default()), Place::new(self.file, 0, 0));
                return Ok(tree.unwrap_or(empty));
            }
            let frame =
                matches!(event, Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd);
            if frame {
                continue;
            }
            if tree.is_some() {
                return Err(self.syntax(self.place(span), "a second document in one file"));
            }
            tree = Some(self.node(event, span)?);
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.scan_error(&error)),
            None => {
                let end = Place::new(self.file, self.length, self.length);
                Err(self.syntax(end, "the file ends in the middle of a value"))
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Stop> {
        self.count(1, span)?;
        let (node, anchor) = if let Event::Scalar(text, style, anchor, tag) = event {
            let forced = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
            let plain = style == ScalarStyle::Plain && !forced;
            let value = if plain { plain_value(&text) } else { Value::Text(text.into_owned()) };
            (Node::new(value, self.place(span)), anchor)
        } else if let Event::SequenceStart(style, anchor, _) = event {
            (self.sequence(style, span)?, anchor)
        } else if let Event::MappingStart(style, anchor, _) = event {
            (self.mapping(style, span)?, anchor)
        } else if let Event::Alias(id) = event {
            // The grammar refuses unknown anchors; this one is still open, inside itself.
            let Some(node) = self.anchors.get(&id).cloned() else {
                return Err(self.syntax(self.place(span), "an alias inside its own anchor"));
            };
            self.count(size(&node), span)?;
            (node, 0)
        } else {
            return Err(self.syntax(self.place(span), "a value was expected here"));
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, style: StructureStyle, open: Span) -> Result<Node, Stop> {
        let mut items: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let last = items.last().map(|item| item.place);
                let place = self.extent(style, open, last, span);
                return Ok(Node::new(Value::List(items), place));
            }
            items.push(self.node(event, span)?);
        }
    }

    fn mapping(&mut self, style: StructureStyle, open: Span) -> Result<Node, Stop> {
        let mut map = Map::default();
        let mut merged = Vec::new();
        let mut seen = BTreeSet::new();
        let mut last = None;
        let close = loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break span;
            }
            let place = self.place(span);
            let Event::Scalar(text, style, _, _) = event else {
                return Err(self.syntax(place, "a key must be a plain text"));
            };
            let key = Key { text: text.into_owned(), place };
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            // An alias stands elsewhere and an empty value nowhere: then the entry ends at its key.
            last = Some(if node.place.start < place.start { place } else { node.place });
            if key.text == "<<" && style == ScalarStyle::Plain {
                merged.push(node);
            } else if seen.insert(key.text.clone()) {
                map.entries.push((key, node));
            } else {
                self.duplicate(&map, &key);
            }
        };
        merged.iter().for_each(|source| merge(&mut map, source));
        let place = self.extent(style, open, last, close);
        Ok(Node::new(Value::Map(map), place))
    }

    /// Where a collection stands. The end of a block is only known as the start of what follows,
    /// so the last child ends it.
    fn extent(&self, style: StructureStyle, open: Span, last: Option<Place>, close: Span) -> Place {
        let end = match style {
            StructureStyle::Flow => self.place(close),
            StructureStyle::Block => last.unwrap_or_else(|| self.place(open)),
        };
        self.place(open).until(end)
    }

    fn place(&self, span: Span) -> Place {
        // A text in memory always has byte offsets.
        let offset = |at: granit_parser::Marker| at.byte_offset().unwrap_or(self.length);
        Place::new(self.file, offset(span.start), offset(span.end))
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Stop> {
        self.nodes += nodes;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("more than {MAX_NODES} values in one file, aliases followed");
        Err(self.syntax(self.place(span), &message))
    }

    fn duplicate(&mut self, map: &Map, key: &Key) {
        let message = format!("key `{}` occurs twice in one map", key.text);
        let mut problem =
            Diagnostic::error(Code::DuplicateKey, message).at(key.place, "again here");
        if let Some((first, _)) = map.find(&key.text) {
            problem = problem.related(first.place, "first here");
        }
        self.problems.push(problem);
    }

    fn scan_error(&self, error: &ScanError) -> Stop {
        let at = error.marker().byte_offset().unwrap_or(self.length);
        self.syntax(Place::new(self.file, at, at), &error.info())
    }

    fn syntax(&self, place: Place, message: &str) -> Stop {
        let message = format!("this is not YAML: {message}");
        Box::new(Diagnostic::error(Code::Syntax, message).at(place, ""))
    }
}

/// A plain scalar as PyYAML reads it, but for `1e-6`, which is a number here.
pub(crate) fn plain_value(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        _ if parse_number(text).is_some() => Value::Number(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

/// `<<: *defaults`: entries of another map, or of several, where this one has none.
fn merge(map: &mut Map, source: &Node) {
    source.items().iter().for_each(|item| merge(map, item));
    for (key, node) in source.as_map().into_iter().flat_map(|source| &source.entries) {
        if map.get(&key.text).is_none() {
            map.entries.push((key.clone(), node.clone()));
        }
    }
}

fn size(node: &Node) -> usize {
    let children = node.as_map().into_iter().flat_map(|map| &map.entries).map(|(_, child)| child);
    1 + children.chain(node.items()).map(size).sum::<usize>()
}
