//! Finding what is wrong with a body, by walking it along its schema.

use domain::validation::{Check, Invalid};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use serde_json::Value;

/// Everything that is wrong with the shape of a body that could not be read as `T`.
pub(super) fn problems<T: Type>(value: &Value) -> Invalid {
    let mut registry = Registry::new();
    T::register(&mut registry);
    let mut check = Check::default();
    Walk { registry: &registry, check: &mut check }.visit(&T::schema_ref(), value, "");
    match check.finish() {
        Err(invalid) => invalid,
        Ok(()) => Invalid::one("", "the body does not have the shape described at /docs"),
    }
}

struct Walk<'a> {
    registry: &'a Registry,
    check: &'a mut Check,
}

impl Walk<'_> {
    fn visit(&mut self, schema: &MetaSchemaRef, value: &Value, pointer: &str) {
        let registry = self.registry;
        let schema = match schema {
            MetaSchemaRef::Inline(schema) => schema,
            MetaSchemaRef::Reference(name) => match registry.schemas.get(name) {
                Some(schema) => schema,
                None => return,
            },
        };
        for part in &schema.all_of {
            self.visit(part, value, pointer);
        }
        if schema.discriminator.is_some() {
            self.variant(schema, value, pointer);
            return;
        }
        match (schema.ty, value) {
            ("object", Value::Object(_)) => self.object(schema, value, pointer),
            ("array", Value::Array(items)) => {
                for (n, item) in items.iter().enumerate() {
                    if let Some(schema) = &schema.items {
                        self.visit(schema, item, &format!("{pointer}/{n}"));
                    }
                }
            }
            ("string", Value::String(_)) => self.choice(schema, value, pointer),
            ("integer", Value::Number(number)) => {
                let (sound, rule) = whole(number, schema.format);
                self.check.require(sound, pointer, rule);
            }
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => {}
            ("object", _) => self.check.problem(pointer, "must be an object"),
            ("array", _) => self.check.problem(pointer, "must be an array"),
            ("string", _) => self.check.problem(pointer, "must be a string"),
            ("integer", _) => self.check.problem(pointer, "must be a whole number"),
            ("number", _) => self.check.problem(pointer, "must be a number"),
            ("boolean", _) => self.check.problem(pointer, "must be true or false"),
            _ => {}
        }
    }

    fn object(&mut self, schema: &MetaSchema, value: &Value, pointer: &str) {
        for (name, property) in &schema.properties {
            let pointer = format!("{pointer}/{}", escaped(name));
            match value.get(name) {
                None | Some(Value::Null) if schema.required.contains(name) => {
                    self.check.problem(&pointer, "is required");
                }
                None | Some(Value::Null) => {}
                Some(value) => self.visit(property, value, &pointer),
            }
        }
        let (Some(schema), Value::Object(members)) = (&schema.additional_properties, value) else {
            return;
        };
        for (name, value) in members {
            self.visit(schema, value, &format!("{pointer}/{}", escaped(name)));
        }
    }

    fn choice(&mut self, schema: &MetaSchema, value: &Value, pointer: &str) {
        if !schema.enum_items.is_empty() && !schema.enum_items.contains(value) {
            let names: Vec<_> = schema.enum_items.iter().filter_map(Value::as_str).collect();
            self.check.problem(pointer, format!("must be one of {}", names.join(", ")));
        } else if schema.format == Some("date-time") {
            let sound =
                value.as_str().is_some_and(|t| chrono::DateTime::parse_from_rfc3339(t.trim()).is_ok());
            let rule = "must be an RFC 3339 date and time, such as 2026-02-01T09:00:00Z";
            self.check.require(sound, pointer, rule);
        }
    }

    /// One of several shapes, told apart by a member.
    fn variant(&mut self, schema: &MetaSchema, value: &Value, pointer: &str) {
        let Some(discriminator) = &schema.discriminator else { return };
        if !value.is_object() {
            self.check.problem(pointer, "must be an object");
            return;
        }
        let place = format!("{pointer}/{}", discriminator.property_name);
        let mapping = &discriminator.mapping;
        match value.get(discriminator.property_name) {
            None | Some(Value::Null) => self.check.problem(&place, "is required"),
            Some(Value::String(name)) if mapping.iter().any(|(known, _)| known == name) => {
                let target = mapping.iter().find(|(known, _)| known == name).map(|(_, target)| target);
                let name = target.and_then(|t| t.rsplit('/').next()).unwrap_or_default();
                self.visit(&MetaSchemaRef::Reference(name.to_owned()), value, pointer);
            }
            Some(_) => {
                let names: Vec<_> = mapping.iter().map(|(known, _)| known.as_str()).collect();
                self.check.problem(&place, format!("must be one of {}", names.join(", ")));
            }
        }
    }
}

/// Whether a number is whole and fits its format, and the rule to tell when not.
fn whole(number: &serde_json::Number, format: Option<&str>) -> (bool, String) {
    let signed = number.as_i64();
    let unsigned = number.as_u64();
    let (sound, least, most) = match format {
        Some("uint64") => (unsigned.is_some(), "0", "18446744073709551615"),
        Some("uint32") => (unsigned.is_some_and(|n| u32::try_from(n).is_ok()), "0", "4294967295"),
        Some("uint16") => (unsigned.is_some_and(|n| u16::try_from(n).is_ok()), "0", "65535"),
        Some("int32") => (signed.is_some_and(|n| i32::try_from(n).is_ok()), "-2147483648", "2147483647"),
        _ => return (signed.is_some() || unsigned.is_some(), "must be a whole number".to_owned()),
    };
    (sound, format!("must be a whole number between {least} and {most}"))
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
