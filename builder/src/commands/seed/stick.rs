//! `skerry seed --stick`: makes a USB stick with a join file.

use std::path::Path;

use crate::cli::SeedArgs;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::stick::{self, Content, Stick};

use super::super::output_failed;
use super::super::overrides::allowed;
use super::read_join_file;

/// Makes `target` a stick, or changes the join file of one.
pub(super) fn make(target: &Path, arguments: &SeedArgs, printer: &Printer) -> Result<(), Failure> {
    let file = read_join_file(arguments.join.as_deref().unwrap_or(Path::new("-")), printer)?;
    let content = if arguments.erase { Content::Erase } else { Content::Keep };
    let made = stick::make(target, &file, content, &allowed(&arguments.overrides))?;
    if arguments.json {
        let report = serde_json::json!({
            "version": 1,
            "stick": target,
            "made": made == Stick::Made,
            "changed": made.changed(),
            "file": file.name(),
            "token-id": file.token_id(),
            "endpoints": file.endpoints(),
            "trust": file.trust(),
        });
        return printer.data(&format!("{report}\n")).map_err(output_failed);
    }
    let target = target.display();
    let text = match (made, made.changed()) {
        (Stick::Made, _) => format!("made {target} a stick with {}: {file}", file.name()),
        (Stick::Updated(_), true) => format!("wrote {} to the stick {target}: {file}", file.name()),
        (Stick::Updated(_), false) => format!("unchanged: {} on the stick {target} has {file}", file.name()),
    };
    printer.say(&text);
    Ok(())
}
