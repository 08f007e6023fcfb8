//! The JSON schema of a whole file, the options of every kind included.

use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value, json};

use super::control::ControlDoc;
use super::document::{DetectorDoc, OwnLogDoc, ServiceDoc, StackDoc};
use super::groups::GroupDoc;
use super::plan::HealthPlan;
use crate::registry;

/// Returns the JSON schema of `supervisor.toml`.
pub fn json_schema() -> Value {
    let mut defs = Map::new();
    let mut service = embedded(schema_for!(ServiceDoc).into(), "service", &mut defs);
    let names: Vec<&str> = registry::kinds().map(|kind| kind.name).collect();
    let options: Vec<Value> = registry::kinds()
        .map(|kind| {
            let mut options = embedded((kind.schema)().into(), kind.name, &mut defs);
            drop_key(&mut options, "additionalProperties");
            let is_it =
                json!({ "properties": { "kind": { "const": kind.name } }, "required": ["kind"] });
            json!({ "if": is_it, "then": options })
        })
        .collect();
    // Options stand beside the common keys, so what is unknown shows only when both are seen.
    drop_key(&mut service, "additionalProperties");
    if let Value::Object(service) = &mut service {
        service.insert("unevaluatedProperties".into(), false.into());
        service.insert("allOf".into(), options.into());
    }
    if let Some(kind) = service.pointer_mut("/properties/kind") {
        *kind = json!({ "description": "Built-in kind.", "enum": names });
    }
    let mut section = |schema: Value, name: &str| embedded(schema, name, &mut defs);
    let stack = section(of::<StackDoc>(), "stack");
    let detector = section(of::<DetectorDoc>(), "detector");
    let control = section(of::<ControlDoc>(), "control");
    let log = section(of::<OwnLogDoc>(), "log");
    let health = section(of::<HealthPlan>(), "health");
    let group = section(of::<GroupDoc>(), "group");
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "supervisor.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "include": {
                "description": "Further files, relative to this one; `*` may stand in the last part.",
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
            },
            "stack": stack,
            "detector": detector,
            "control": control,
            "log": log,
            "health": health,
            "group": { "type": "object", "additionalProperties": group },
            "service": { "type": "object", "additionalProperties": service },
        },
        "$defs": defs,
    })
}

fn of<T: JsonSchema>() -> Value {
    schema_for!(T).into()
}

fn drop_key(schema: &mut Value, key: &str) {
    if let Value::Object(schema) = schema {
        schema.remove(key);
    }
}

/// Takes a schema into a larger one: its definitions move to the common ones under a prefix.
fn embedded(mut schema: Value, prefix: &str, defs: &mut Map<String, Value>) -> Value {
    drop_key(&mut schema, "$schema");
    let own = match &mut schema {
        Value::Object(schema) => schema.remove("$defs"),
        _ => None,
    };
    rename(&mut schema, prefix);
    if let Some(Value::Object(own)) = own {
        for (name, mut def) in own {
            rename(&mut def, prefix);
            defs.insert(format!("{prefix}.{name}"), def);
        }
    }
    schema
}

fn rename(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(entries) => {
            if let Some(Value::String(target)) = entries.get_mut("$ref") {
                *target = target.replace("#/$defs/", &format!("#/$defs/{prefix}."));
            }
            entries.values_mut().for_each(|value| rename(value, prefix));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, prefix)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::Shape;
    use super::*;

    /// Collects all references.
    fn references(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(entries) => {
                if let Some(Value::String(target)) = entries.get("$ref") {
                    found.push(target.clone());
                }
                entries.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schema = json_schema();
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(!found.is_empty());
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(schema.pointer(pointer).is_some(), "{target}");
        }
    }

    #[test]
    fn every_kind_has_its_options() {
        let schema = json_schema();
        let service = schema
            .pointer("/properties/service/additionalProperties")
            .unwrap();
        let kinds = service["allOf"].as_array().unwrap();
        assert_eq!(kinds.len(), registry::kinds().count());
    }

    /// `run` of the simulator, its first run, could not be set: every service has a `run`.
    #[test]
    fn no_option_of_a_kind_has_the_name_of_a_key_that_every_service_has() {
        let common = Shape::of_type::<ServiceDoc>().keys();
        assert!(common.contains(&"run".to_owned()), "{common:?}");
        for kind in registry::kinds() {
            let mut options = Shape::of((kind.schema)()).keys();
            options.retain(|name| common.contains(name));
            assert!(options.is_empty(), "{}: {options:?}", kind.name);
        }
    }
}
