//! What clients are told of the configuration of services.

use std::sync::Arc;

use fathom_kernel::{Available, Command, Reply};
use nix::sys::signal::Signal;
use nix::unistd::User;

use super::desk::{Desk, unexpected};
use super::fault::Fault;
use super::names::within_group;
use super::xml::Xml;
use crate::config::plan::{Body, CommandBody, Plan, ServicePlan, Stderr};

/// What stands for a value that is not there.
const NONE: &str = "none";

/// Steps between the priorities of two levels.
const STEP: usize = 10;

/// Returns the configuration of every service of the files read last, sorted by name.
pub(super) async fn all(desk: &Desk) -> Result<Xml, Fault> {
    let Reply::Available(mut services) = desk.ask(Command::Available).await? else {
        return Err(unexpected());
    };
    let plan: Arc<Plan> = desk.console.parts().read_plans.borrow().clone();
    services.sort_by(|a, b| within_group(&a.name).cmp(within_group(&b.name)));
    let mut xml = Xml::default();
    xml.array(|xml| {
        for service in &services {
            write(xml, service, plan.service(&service.name));
        }
    });
    Ok(xml)
}

/// Writes a service; another reading may just have come between that and the list.
fn write(xml: &mut Xml, service: &Available, plan: Option<&ServicePlan>) {
    // There are no priorities here: what starts earlier has a smaller number.
    let priority = i64::try_from(service.depth.saturating_mul(STEP)).unwrap_or(i64::MAX);
    let own_stderr = plan.is_some_and(|plan| plan.log.stderr == Stderr::Separate);
    xml.structure(|xml| {
        xml.boolean_member("autostart", service.autostart);
        xml.string_member("directory", &plan.map_or(NONE.to_owned(), directory));
        xml.member("uid", |xml| match plan.and_then(uid) {
            Some(uid) => xml.int(uid.into()),
            None => xml.string(NONE),
        });
        xml.string_member("command", &plan.map_or(NONE.to_owned(), command));
        let exit_ok = plan.map_or(&[][..], |plan| &plan.exit_ok);
        xml.member("exitcodes", |xml| {
            xml.array(|xml| exit_ok.iter().for_each(|code| xml.int((*code).into())));
        });
        xml.string_member("group", &service.group);
        xml.int_member("group_prio", priority);
        xml.boolean_member("inuse", service.in_use);
        xml.boolean_member("killasgroup", plan.is_none_or(|plan| plan.stop.group));
        xml.string_member("name", within_group(&service.name));
        xml.int_member("process_prio", priority);
        xml.boolean_member("redirect_stderr", !own_stderr);
        xml.int_member(
            "startretries",
            plan.map_or(0, |plan| plan.budget.restarts.into()),
        );
        xml.int_member(
            "startsecs",
            plan.map_or(0, |plan| saturated(plan.ready.least_life().as_secs())),
        );
        write_stream(xml, plan, "stdout", plan.is_some());
        let signal = plan.map_or(Signal::SIGTERM, |plan| plan.stop.signal);
        xml.int_member("stopsignal", i64::from(signal as i32));
        let wait = plan.map_or(0, |plan| saturated(plan.stop.wait.as_secs()));
        xml.int_member("stopwaitsecs", wait);
        write_stream(xml, plan, "stderr", own_stderr);
        xml.string_member("serverurl", NONE);
    });
}

fn write_stream(xml: &mut Xml, plan: Option<&ServicePlan>, stream: &str, is_file: bool) {
    let file = if is_file { "auto" } else { NONE };
    let backups = plan.and_then(|plan| i64::try_from(plan.log.backups).ok());
    let bytes = plan.map_or(0, |plan| saturated(plan.log.max.bytes()));
    xml.int_member(&format!("{stream}_capture_maxbytes"), 0);
    xml.boolean_member(&format!("{stream}_events_enabled"), false);
    xml.string_member(&format!("{stream}_logfile"), file);
    xml.int_member(&format!("{stream}_logfile_backups"), backups.unwrap_or(0));
    xml.int_member(&format!("{stream}_logfile_maxbytes"), bytes);
    xml.boolean_member(&format!("{stream}_syslog"), false);
}

fn program(service: &ServicePlan) -> Option<&CommandBody> {
    match &service.body {
        Body::Command(program) => Some(program),
        Body::Kind(_) => None,
    }
}

fn directory(service: &ServicePlan) -> String {
    let cwd = program(service).and_then(|program| program.cwd.as_ref());
    cwd.map_or(NONE.to_owned(), |cwd| cwd.display().to_string())
}

fn uid(service: &ServicePlan) -> Option<u32> {
    let user = program(service)?.user.as_deref()?;
    let found = User::from_name(user).ok().flatten();
    found
        .map(|user| user.uid.as_raw())
        .or_else(|| user.parse().ok())
}

/// Returns the command line, or the name of a built-in kind.
fn command(service: &ServicePlan) -> String {
    match &service.body {
        Body::Command(program) => {
            let words = program.argv.iter().map(String::as_str);
            // A word with a NUL, which no program could be given either, cannot be quoted.
            shlex::try_join(words).unwrap_or_else(|_| program.argv.join(" "))
        }
        Body::Kind(body) => body.kind.name.to_owned(),
    }
}

fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
