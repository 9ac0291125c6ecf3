//! Which columns of a table are which parts of a context.

use arrow_buffer::NullBuffer;
use arrow_data::ArrayData;
use arrow_schema::{DataType, Schema};

use super::bind::{column, folded, nulls, unreadable};
use super::column::Column;
use super::options::{TableOptions, invalid};
use crate::engine::context::View;
use crate::engine::identity::{CUSTOM_PROPERTIES, TARGETING_KEY};
use crate::error::{Error, nearest};

/// A column of the table, or a field of `custom_properties`.
#[derive(Debug)]
pub(super) struct Source {
    column: usize,
    field: Option<usize>,
    /// For messages.
    name: String,
    data_type: DataType,
}

/// Where the values of a context come from. Of several with the same name the last that is not null counts, as the last of
/// equal keys does in JSON.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) sources: Vec<Source>,
    /// Top-level keys.
    attributes: Vec<(Box<str>, usize)>,
    pub(super) properties: Vec<Property>,
    /// Whether `custom_properties` is an object in every row; otherwise in those where a column of these is not null.
    pub(super) always_object: bool,
    pub(super) objects: Vec<usize>,
    targeting_key_as: Option<Box<str>>,
}

/// What gives `custom_properties` a member.
#[derive(Debug)]
pub(super) enum Property {
    /// The name as rules see it. With sources that have to be null.
    Named(Box<str>, usize, Box<[usize]>),
    /// A map, which gives each of its members.
    Members(usize),
}

impl Plan {
    pub(super) fn new(schema: &Schema, options: &TableOptions, view: Option<&View>) -> Result<Plan, Error> {
        for name in options.columns.keys() {
            find(schema, "columns", name)?;
        }
        let mut plan = Plan::default();
        let (mut defaults, mut explicit) = (Vec::new(), Vec::new());
        for (at, field) in schema.fields().iter().enumerate() {
            let name = field.name();
            let place = match options.columns.get(name) {
                Some(None) => continue,
                Some(Some(place)) => Some(place.as_str()),
                None if name == CUSTOM_PROPERTIES => Some(CUSTOM_PROPERTIES),
                None => None,
            };
            let property = place.and_then(|place| place.strip_prefix(CUSTOM_PROPERTIES)?.strip_prefix('.'));
            if place == Some(CUSTOM_PROPERTIES) {
                plan.custom_properties(at, name, field.data_type(), &mut explicit)?;
                continue;
            }
            let source = plan.source(at, None, name.clone(), field.data_type());
            match (property, place) {
                (Some(property), _) => explicit.push(named(property, source)),
                (None, Some(key)) => plan.attributes.push((key.into(), source)),
                (None, None) => {
                    plan.attributes.push((name.as_str().into(), source));
                    if name != crate::engine::identity::DISTINCT_ID {
                        defaults.push(named(name, source));
                    }
                }
            }
        }
        plan.always_object = !defaults.is_empty() || explicit.iter().any(|property| plan.is_column(property));
        if let Some(view) = view {
            plan.targeting_key_as = view.targeting_key_as.clone();
            if view.attributes_as_custom_properties {
                plan.properties = plan.attributes.iter().map(|(key, source)| named(key, *source)).collect();
                plan.properties.extend(plan.filled());
                plan.always_object = true;
            }
        }
        plan.properties.extend(defaults.into_iter().chain(explicit));
        Ok(plan)
    }

    fn source(&mut self, column: usize, field: Option<usize>, name: String, data_type: &DataType) -> usize {
        self.sources.push(Source { column, field, name, data_type: data_type.clone() });
        self.sources.len() - 1
    }

    /// A struct or map that is the whole of `custom_properties`.
    fn custom_properties(
        &mut self,
        at: usize,
        name: &str,
        data_type: &DataType,
        properties: &mut Vec<Property>,
    ) -> Result<(), Error> {
        match data_type {
            DataType::Struct(fields) => {
                for (n, field) in fields.iter().enumerate() {
                    let path = format!("{name}.{}", field.name());
                    let source = self.source(at, Some(n), path, field.data_type());
                    properties.push(named(field.name(), source));
                }
            }
            DataType::Map(..) => {
                let source = self.source(at, None, name.to_owned(), data_type);
                properties.push(Property::Members(source));
            }
            other => {
                let why = "custom_properties can only be a struct, or a map with strings as keys";
                return Err(invalid(format!("column `{name}`: {why}, not {other}")));
            }
        }
        self.objects.push(at);
        Ok(())
    }

    /// Whether a property comes from a column that is nothing else.
    fn is_column(&self, property: &Property) -> bool {
        match property {
            Property::Named(_, source, _) => {
                self.sources.get(*source).is_some_and(|source| source.field.is_none())
            }
            Property::Members(_) => false,
        }
    }

    /// The properties that the option `targeting_key_as` gives where the column is null.
    fn filled(&self) -> Vec<Property> {
        let Some(name) = &self.targeting_key_as else { return Vec::new() };
        let unless: Box<[usize]> = self.exact(name).collect();
        let property = |source| Property::Named(folded(name), source, unless.clone());
        self.exact(TARGETING_KEY).map(property).collect()
    }

    fn exact(&self, key: &str) -> impl Iterator<Item = usize> {
        self.attributes.iter().filter(move |(name, _)| **name == *key).map(|(_, source)| *source)
    }

    /// The sources of a top-level key. The last that is not null counts.
    pub(super) fn attribute(&self, key: &str) -> Box<[usize]> {
        let fills = self.targeting_key_as.as_deref() == Some(key);
        let fallback = self.exact(TARGETING_KEY).filter(|_| fills);
        fallback.chain(self.exact(key)).collect()
    }

    /// Fails if a flag reads a source that contexts cannot hold.
    pub(super) fn check(&self, source: usize, flag: &str) -> Result<(), Error> {
        let Some(Source { name, data_type, .. }) = self.sources.get(source) else { return Ok(()) };
        let Some(part) = unreadable(data_type) else { return Ok(()) };
        let part = if part == data_type.to_string() { String::new() } else { format!(" ({part})") };
        let why = format!("values of type {data_type}{part} cannot be read");
        Err(invalid(format!(
            "column `{name}`: {why}, and flag `{flag}` reads them; convert or ignore the column"
        )))
    }

    /// A source of some rows of a batch that has the schema.
    pub(super) fn bind(
        &self,
        source: usize,
        batch: &[ArrayData],
        from: usize,
        rows: usize,
    ) -> Option<Column> {
        let Source { column: at, field, .. } = self.sources.get(source)?;
        let data = batch.get(*at)?;
        let Some(field) = field else { return Some(column(data, from, rows)) };
        let mut bound = column(data.child_data().get(*field)?, data.offset() + from, rows);
        bound.nulls = NullBuffer::union(nulls(data, from, rows).as_ref(), bound.nulls.as_ref());
        Some(bound)
    }
}

fn named(name: &str, source: usize) -> Property {
    Property::Named(folded(name), source, Box::default())
}

/// The index of the column `name`, which the option `option` names.
pub(super) fn find(schema: &Schema, option: &str, name: &str) -> Result<usize, Error> {
    schema.fields().iter().position(|field| field.name() == name).ok_or_else(|| {
        let near = nearest(name, schema.fields().iter().map(|field| field.name().as_str()));
        let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        invalid(format!("options: {option}: the table has no column `{name}`{near}"))
    })
}
