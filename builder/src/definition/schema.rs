//! The JSON schema of the definition, for editors.

use super::Definition;

/// The schema as indented JSON text with a final newline; kept in `images/definition.schema.json`.
pub fn json() -> String {
    let schema = schemars::schema_for!(Definition);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}
