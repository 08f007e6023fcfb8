//! What a new configuration would change, for people.

use fathom_kernel::{Changes, ConfigFault, Consequence, FieldChange, ServiceChange};

use super::CtlError;
use super::session::Session;

/// Width of the column of consequences.
const WIDTH: usize = 9;

/// Exit code when nothing differs.
pub(super) const SAME: u8 = 0;
/// Exit code when the configuration cannot be used.
pub(super) const INVALID: u8 = 1;
/// Exit code when something differs.
pub(super) const DIFFERS: u8 = 2;

/// Asks for the changes; tells what is wrong with the configuration when it cannot be used.
pub(super) async fn ask(session: &mut Session) -> Result<Option<Changes>, CtlError> {
    match session.client.diff().await.map_err(CtlError::from) {
        Ok(changes) => {
            if !session.json {
                warn(&changes.warnings);
            }
            Ok(Some(changes))
        }
        Err(error) if error.word() == "bad_config" => {
            report(session, &error)?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Tells what is wrong with a configuration.
pub(super) fn report(session: &mut Session, error: &CtlError) -> Result<(), CtlError> {
    if session.json {
        return session.value(&serde_json::json!({
            "error": error.word(),
            "message": error.to_string(),
            "faults": error.faults(),
        }));
    }
    warn(error.faults());
    anstream::eprintln!("fathom ctl: {error}; nothing was changed");
    Ok(())
}

fn warn(faults: &[ConfigFault]) {
    for fault in faults {
        anstream::eprintln!("{fault}");
    }
}

/// Returns everything that differs, a line for each service and each of its keys.
pub(super) fn lines(changes: &Changes) -> Vec<String> {
    let mut lines = Vec::new();
    for field in &changes.stack {
        let change = sides(field);
        lines.push(format!(
            "{:WIDTH$}{}: {change}",
            field.consequence, field.field
        ));
    }
    for group in &changes.groups {
        lines.push(format!("{:WIDTH$}group {}", group.consequence, group.name));
        lines.extend(group.fields.iter().map(key));
    }
    for service in &changes.services {
        lines.push(head(service));
        lines.extend(service.fields.iter().map(key));
    }
    lines
}

fn head(service: &ServiceChange) -> String {
    let was = service.was.as_deref();
    let was = was.map_or_else(String::new, |was| format!(" (now {was})"));
    format!("{:WIDTH$}{}{was}", service.consequence, service.name)
}

fn key(field: &FieldChange) -> String {
    format!("{:WIDTH$}  {}: {}", "", field.field, sides(field))
}

fn sides(field: &FieldChange) -> String {
    let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "(not set)".to_owned());
    format!("{} -> {}", side(&field.old), side(&field.new))
}

/// Returns the number of changes of each sort, in words.
pub(super) fn summary(changes: &Changes) -> String {
    let count = |consequence| {
        let services = changes.services.iter();
        services.filter(|s| s.consequence == consequence).count()
    };
    let sorts = [
        (Consequence::Hot, "changed without a restart"),
        (Consequence::Restart, "restarted"),
        (Consequence::Add, "added"),
        (Consequence::Remove, "removed"),
    ];
    let parts = sorts.into_iter().filter_map(|(consequence, what)| {
        let count = count(consequence);
        (count > 0).then(|| format!("{count} {what}"))
    });
    let parts: Vec<String> = parts.collect();
    match parts.is_empty() {
        true => "no service is touched".to_owned(),
        false => format!("services: {}", parts.join(", ")),
    }
}
