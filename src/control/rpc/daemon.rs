//! What concerns the supervisor itself.

use fathom_kernel::Command;

use super::catalogue::Method;
use super::desk::Desk;
use super::fault::{Code, Fault};
use super::xml::Xml;

/// The only version of the interface that supervisord's own client accepts.
const API_VERSION: &str = "3.0";

/// The state of a supervisor that does its work; one that ends answers with a fault.
const RUNNING: (i64, &str) = (1, "RUNNING");

/// Answers what the supervisor knows of itself.
pub(super) async fn answer(desk: &Desk, method: Method) -> Result<Xml, Fault> {
    match method {
        Method::ApiVersion => Ok(Xml::of_text(API_VERSION)),
        Method::Version => Ok(Xml::of_text(env!("CARGO_PKG_VERSION"))),
        Method::Identification => {
            let plan = desk.console.parts().plans.borrow().clone();
            Ok(Xml::of_text(&plan.name))
        }
        Method::State => {
            let mut xml = Xml::default();
            xml.structure(|xml| {
                xml.int_member("statecode", RUNNING.0);
                xml.string_member("statename", RUNNING.1);
            });
            Ok(xml)
        }
        Method::Pid => Ok(Xml::of_number(std::process::id().into())),
        Method::Shutdown => {
            desk.outcomes(Command::Shutdown { now: false }).await?;
            Ok(Xml::yes())
        }
        _ => Err(Code::UnknownMethod.alone()),
    }
}
