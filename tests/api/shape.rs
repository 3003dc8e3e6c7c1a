//! Holds an answer to the schema that the public contract gives it.

use serde_json::Value;

/// Everything in which a value differs from a named schema of the contract: wrong kinds, members that
/// are missing, members that nobody has documented.
pub fn differences(value: &Value, schema: &str) -> Vec<String> {
    let contract: Value = serde_json::from_str(include_str!("../../openapi/openapi.json")).unwrap();
    let mut found = Vec::new();
    compare(&contract, value, &contract["components"]["schemas"][schema], schema, &mut found);
    found
}

fn compare(contract: &Value, value: &Value, schema: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return compare(contract, value, &contract["components"]["schemas"][name], place, found);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        compare(contract, value, part, place, found);
    }
    let right = match schema["type"].as_str() {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some(other) => panic!("{place}: a kind that is not understood: {other}"),
    };
    if !right {
        found.push(format!("{place} is {value}, not of kind {}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{place} is {value}, none of {words:?}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            found.push(format!("{place} lacks {name}"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        let required = schema["required"].as_array().is_some_and(|r| r.iter().any(|r| r == name));
        if member.is_null() && !required {
            // What need not be there may also be said to be nothing.
            continue;
        }
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(known), _) => compare(contract, member, known, &place, found),
            (None, Some(any)) if any.is_object() => compare(contract, member, any, &place, found),
            (None, _) if schema["type"] == "object" => found.push(format!("{place} is not documented")),
            (None, _) => {}
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        compare(contract, item, &schema["items"], &format!("{place}[{number}]"), found);
    }
}

#[test]
fn a_wrong_kind_a_missing_and_an_unknown_member_are_found() {
    let wrong = serde_json::json!({"openConnections": "1", "inUse": 0, "surprise": 1});
    let found = differences(&wrong, "SystemConnections");
    for part in ["openConnections is", "lacks \"idle\"", "surprise is not documented"] {
        assert!(found.iter().any(|f| f.contains(part)), "{part}: {found:?}");
    }
}
