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

/// The fields of `value` that `schema` says nothing of.
pub fn undocumented(
    document: &Value,
    schema: &Value,
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) {
    for item in value.as_array().into_iter().flatten() {
        undocumented(
            document,
            &resolved(document, schema, value)["items"],
            item,
            at,
            found,
        );
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        match described(document, schema, value, name) {
            Some(schema) => undocumented(document, schema, field, &at, found),
            None => found.push(format!("{at} is not documented")),
        }
    }
}

/// What `schema` says of a field of `value`; null for one of an object of which it leaves everything open.
fn described<'a>(
    document: &'a Value,
    schema: &'a Value,
    value: &Value,
    name: &str,
) -> Option<&'a Value> {
    const OPEN: &Value = &Value::Null;
    let schema = resolved(document, schema, value);
    if let Some(all) = schema["allOf"].as_array() {
        return all
            .iter()
            .find_map(|schema| described(document, schema, value, name));
    }
    let fields = schema["properties"].as_object();
    let additional = &schema["additionalProperties"];
    match fields.and_then(|fields| fields.get(name)) {
        Some(schema) => Some(schema),
        None if additional.is_object() => Some(additional),
        None => fields.is_none().then_some(OPEN),
    }
}

/// Follows references and the choice that fits.
fn resolved<'a>(document: &'a Value, schema: &'a Value, value: &Value) -> &'a Value {
    if let Some(target) = schema["$ref"].as_str() {
        return resolved(
            document,
            document.pointer(target.trim_start_matches('#')).unwrap(),
            value,
        );
    }
    let choices = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    let fits = |choice: &&Value| {
        let mut found = Vec::new();
        misfits(document, choice, value, "", &mut found);
        found.is_empty()
    };
    match choices.and_then(|choices| choices.iter().find(fits)) {
        Some(choice) => resolved(document, choice, value),
        None => schema,
    }
}
