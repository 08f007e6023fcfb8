//! What clients are told of the configuration of services.

use std::sync::Arc;

use nix::unistd::User;

use super::desk::Desk;
use super::names::within_group;
use super::xml::Xml;
use crate::config::plan::{Body, CommandBody, Plan, Ready, ServicePlan, Stderr};

/// What stands for a value that there is not.
const NONE: &str = "none";

/// Steps between the priorities of two levels.
const STEP: usize = 10;

/// Returns the configuration of every service, sorted by name.
pub(super) fn all(desk: &Desk) -> Xml {
    let plan: Arc<Plan> = desk.console.parts().plans.borrow().clone();
    let mut services: Vec<&ServicePlan> = plan.services.iter().collect();
    services.sort_by(|a, b| within_group(&a.name).cmp(within_group(&b.name)));
    let mut xml = Xml::default();
    xml.array(|xml| {
        for service in services {
            write(xml, service, priority(&plan, &service.name), true);
        }
    });
    xml
}

/// Returns a number that is smaller for what starts earlier: there are no priorities here.
fn priority(plan: &Plan, name: &str) -> i64 {
    let is_there = |level: &Vec<Arc<str>>| level.iter().any(|member| **member == *name);
    let depth = plan.levels.iter().position(is_there).unwrap_or(0);
    i64::try_from(depth * STEP).unwrap_or(i64::MAX)
}

fn write(xml: &mut Xml, service: &ServicePlan, priority: i64, in_use: bool) {
    let own_stderr = service.log.stderr == Stderr::Separate;
    xml.structure(|xml| {
        xml.boolean_member("autostart", service.autostart);
        xml.string_member("directory", &directory(service));
        xml.member("uid", |xml| match uid(service) {
            Some(uid) => xml.int(uid.into()),
            None => xml.string(NONE),
        });
        xml.string_member("command", &command(service));
        xml.member("exitcodes", |xml| {
            xml.array(|xml| {
                service
                    .exit_ok
                    .iter()
                    .for_each(|code| xml.int((*code).into()))
            });
        });
        xml.string_member("group", &service.group);
        xml.int_member("group_prio", priority);
        xml.boolean_member("inuse", in_use);
        xml.boolean_member("killasgroup", service.stop.group);
        xml.string_member("name", within_group(&service.name));
        xml.int_member("process_prio", priority);
        xml.boolean_member("redirect_stderr", !own_stderr);
        xml.int_member("startretries", service.budget.restarts.into());
        xml.int_member("startsecs", start_seconds(&service.ready));
        write_stream(xml, service, "stdout", true);
        xml.int_member("stopsignal", i64::from(service.stop.signal as i32));
        xml.int_member("stopwaitsecs", saturated(service.stop.wait.as_secs()));
        write_stream(xml, service, "stderr", own_stderr);
        xml.string_member("serverurl", NONE);
    });
}

fn write_stream(xml: &mut Xml, service: &ServicePlan, stream: &str, is_file: bool) {
    let backups = i64::try_from(service.log.backups).unwrap_or(i64::MAX);
    xml.int_member(&format!("{stream}_capture_maxbytes"), 0);
    xml.boolean_member(&format!("{stream}_events_enabled"), false);
    xml.string_member(
        &format!("{stream}_logfile"),
        if is_file { "auto" } else { NONE },
    );
    xml.int_member(&format!("{stream}_logfile_backups"), backups);
    let bytes = saturated(service.log.max.bytes());
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

fn start_seconds(ready: &Ready) -> i64 {
    match ready {
        Ready::Secs(time) => saturated(time.as_secs()),
        Ready::Spawn
        | Ready::Notify
        | Ready::Fd(_)
        | Ready::Tcp(_)
        | Ready::Http(_)
        | Ready::Exec(_)
        | Ready::Log(_)
        | Ready::File(_)
        | Ready::Flow => 0,
    }
}

fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
