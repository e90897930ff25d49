//! Whether values fit the schemas of the document: as much of JSON Schema as the document uses.

use serde_json::Value;

/// What of `value` does not fit `schema`.
pub fn misfits(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(target) = schema["$ref"].as_str() {
        let schema = document.pointer(target.trim_start_matches('#')).unwrap();
        return misfits(document, schema, value, at, found);
    }
    let within = |schema: &Value| {
        let mut found = Vec::new();
        misfits(document, schema, value, at, &mut found);
        found
    };
    if let Some(all) = schema["allOf"].as_array() {
        return found.extend(all.iter().flat_map(within));
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            if !choices.iter().any(|schema| within(schema).is_empty()) {
                found.push(format!("{at} fits none of its choices: {value}"));
            }
            return;
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        if !words.contains(value) {
            found.push(format!("{at} is none of its words: {value}"));
        }
        return;
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => return,
        one => vec![one.clone()],
    };
    let fits = |kind: &Value| match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at} has the type {other}"),
    };
    if !types.iter().any(fits) {
        return found.push(format!("{at} is not {types:?}: {value}"));
    }
    for item in value.as_array().into_iter().flatten() {
        misfits(document, &schema["items"], item, &format!("{at}[]"), found);
    }
    let Some(fields) = value.as_object() else {
        return;
    };
    for required in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(required.as_str().unwrap()) {
            found.push(format!("{at} lacks {required}"));
        }
    }
    for (name, field) in fields {
        let at = format!("{at}.{name}");
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => found.push(format!("{at} must not be there")),
            (Value::Null, Value::Object(_)) => {
                misfits(document, &schema["additionalProperties"], field, &at, found)
            }
            (Value::Null, _) => {}
            (schema, _) => misfits(document, schema, field, &at, found),
        }
    }
}
