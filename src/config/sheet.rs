//! A plan as a list of keys with their values in text: what is compared when a configuration changes,
//! and what people see of it.

use std::time::Duration;

use fathom_kernel::{Consequence, FieldChange, Span, without_passwords};

use super::plan::{
    After, Body, CommandBody, ControlPlan, GroupPlan, KindBody, LogPlan, Plan, ProcessPlan,
    ServicePlan, StopPlan,
};

/// Parts of the names of keys whose values are not shown.
const SECRETS: [&str; 5] = ["password", "passwd", "secret", "token", "credential"];

/// Keys with values and with what a change of each means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sheet(Vec<Field>);

#[derive(Debug, PartialEq, Eq)]
struct Field {
    key: String,
    value: String,
    consequence: Consequence,
}

impl Sheet {
    /// Writes down one service. Exhaustive, so that a new field cannot be forgotten here.
    pub(crate) fn service(plan: &ServicePlan) -> Self {
        let ServicePlan {
            name: _,
            group,
            description,
            body,
            after,
            bind,
            autostart,
            restart,
            exit_ok,
            backoff,
            budget,
            on_fatal,
            ready,
            ready_timeout,
            stop,
            limits,
            process,
            log,
            flow,
            check,
        } = plan;
        let mut sheet = Self::default();
        sheet.body(body);
        sheet.hot("group", text(group));
        sheet.hot("description", text(description));
        sheet.hot("after", list(after.iter().map(condition)));
        sheet.hot("bind", list(bind.iter().map(|name| text(name))));
        sheet.hot("autostart", autostart.to_string());
        sheet.hot("restart", toml_of(restart));
        sheet.hot("exit_ok", toml_of(exit_ok));
        sheet.table("backoff", backoff, Consequence::Hot);
        sheet.table("budget", budget, Consequence::Hot);
        sheet.hot("on_fatal", text(&on_fatal.to_string()));
        // What is asked of an incarnation was settled when it started; the next one is asked this.
        sheet.hot("ready", text(&ready.to_string()));
        sheet.hot("ready_timeout", span(*ready_timeout));
        sheet.stop(stop);
        sheet.table("limits", limits, Consequence::Restart);
        sheet.process(process);
        sheet.log(log);
        sheet.hot("flow", list(flow.iter().map(ToString::to_string)));
        sheet.hot("check", list(check.iter().map(ToString::to_string)));
        sheet
    }

    /// Writes down one group, without its members: those say themselves where they belong.
    pub(crate) fn group(plan: &GroupPlan) -> Self {
        let GroupPlan {
            name: _,
            // Part of the full name.
            parent: _,
            lone: _,
            description,
            strategy,
            budget,
            members: _,
        } = plan;
        let mut sheet = Self::default();
        sheet.hot("description", text(description));
        sheet.hot("strategy", text(strategy.name()));
        let budget = budget.as_ref().map(toml_of);
        sheet.optional("budget", budget, Consequence::Hot);
        sheet
    }

    /// Writes down what concerns the stack as a whole.
    pub(crate) fn stack(plan: &Plan) -> Self {
        let mut sheet = Self::default();
        sheet.hot("stack.name", text(&plan.name));
        sheet.hot("stack.shutdown_limit", span(plan.shutdown_limit));
        let budget = plan.budget.as_ref().map(toml_of);
        sheet.optional("stack.budget", budget, Consequence::Hot);
        sheet.table("health", &plan.health, Consequence::Hot);
        sheet.control(&plan.control);
        let log = &plan.log;
        sheet.add("log.level", text(&log.level), Consequence::Relaunch);
        sheet.add("log.max", text(&log.max.to_string()), Consequence::Relaunch);
        sheet.add(
            "log.backups",
            log.backups.to_string(),
            Consequence::Relaunch,
        );
        sheet.add("log.format", toml_of(&log.format), Consequence::Relaunch);
        sheet
    }

    fn control(&mut self, plan: &ControlPlan) {
        let ControlPlan {
            listen,
            socket_mode,
            socket_group,
            account,
            rpc_open,
            token_file,
            hosts,
        } = plan;
        let file = token_file
            .as_ref()
            .map(|file| text(&file.display().to_string()));
        for (key, value) in [
            ("listen", listen.map(|address| text(&address.to_string()))),
            ("socket_mode", Some(text(&format!("{socket_mode:04o}")))),
            ("socket_group", socket_group.as_deref().map(text)),
            ("user", account.as_ref().map(|account| text(&account.user))),
            (
                "password_hash",
                account.as_ref().map(|account| text(&account.password_hash)),
            ),
            ("rpc_open", Some(rpc_open.to_string())),
            ("token_file", file),
            ("hosts", Some(toml_of(hosts))),
        ] {
            self.optional(&format!("control.{key}"), value, Consequence::Relaunch);
        }
    }

    /// Adds a key by hand.
    pub(crate) fn add(&mut self, key: &str, value: String, consequence: Consequence) {
        self.0.push(Field {
            key: key.to_owned(),
            value,
            consequence,
        });
    }

    /// Returns the keys in which another sheet differs from this one.
    pub(crate) fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let value = |sheet: &Self, key: &str| {
            let field = sheet.0.iter().find(|field| field.key == key);
            field.map(|field| field.value.clone())
        };
        let gone = self.0.iter().filter(|old| value(new, &old.key).is_none());
        let changed = new.0.iter().chain(gone).map(|field| FieldChange {
            field: field.key.clone(),
            old: value(self, &field.key),
            new: value(new, &field.key),
            consequence: field.consequence,
        });
        let mut changed: Vec<_> = changed.filter(|change| change.old != change.new).collect();
        changed.iter_mut().for_each(hide);
        changed
    }

    fn hot(&mut self, key: &str, value: String) {
        self.add(key, value, Consequence::Hot);
    }

    fn cold(&mut self, key: &str, value: String) {
        self.add(key, value, Consequence::Restart);
    }

    fn optional(&mut self, key: &str, value: Option<String>, consequence: Consequence) {
        if let Some(value) = value {
            self.add(key, value, consequence);
        }
    }

    fn body(&mut self, body: &Body) {
        match body {
            Body::Kind(KindBody {
                kind,
                factory: _,
                options,
                run,
                placement,
            }) => {
                self.cold("kind", text(kind.name));
                self.cold("run", toml_of(run));
                self.cold("placement", toml_of(placement));
                // Written by ourselves, so it reads back.
                let options: toml::Table = options.parse().unwrap_or_default();
                self.options("", &options);
            }
            Body::Command(CommandBody {
                argv,
                env,
                cwd,
                user,
            }) => {
                self.cold("command", toml_of(argv));
                for (name, value) in env {
                    self.cold(&format!("env.{name}"), text(value));
                }
                let cwd = cwd.as_ref().map(|cwd| text(&cwd.display().to_string()));
                self.optional("cwd", cwd, Consequence::Restart);
                let user = user.as_deref().map(text);
                self.optional("user", user, Consequence::Restart);
            }
        }
    }

    fn options(&mut self, prefix: &str, table: &toml::Table) {
        for (key, value) in table {
            match value {
                toml::Value::Table(inner) => self.options(&format!("{prefix}{key}."), inner),
                value => self.cold(&format!("{prefix}{key}"), value.to_string()),
            }
        }
    }

    fn stop(&mut self, plan: &StopPlan) {
        let StopPlan {
            signal,
            wait,
            group,
            command,
            stdin,
        } = plan;
        let name = signal.as_str().trim_start_matches("SIG");
        self.hot("stop.signal", text(name));
        self.hot("stop.wait", span(*wait));
        self.hot("stop.group", group.to_string());
        let command = command.as_ref().map(toml_of);
        self.optional("stop.command", command, Consequence::Hot);
        self.optional("stop.stdin", stdin.as_deref().map(text), Consequence::Hot);
    }

    fn process(&mut self, plan: &ProcessPlan) {
        let ProcessPlan {
            nice,
            oom_score_adj,
            umask,
            session,
            on_daemon_death,
        } = plan;
        for (key, value) in [
            ("nice", nice.map(|value| value.to_string())),
            (
                "oom_score_adj",
                oom_score_adj.map(|value| value.to_string()),
            ),
            ("umask", umask.map(|mask| text(&format!("{mask:03o}")))),
        ] {
            self.optional(key, value, Consequence::Restart);
        }
        self.cold("session", session.to_string());
        // Settled when the process starts: it is what the kernel does to it then.
        self.cold("on_daemon_death", toml_of(on_daemon_death));
    }

    fn log(&mut self, log: &LogPlan) {
        let LogPlan {
            target,
            format,
            max,
            backups,
            age,
            compress,
            stderr,
            on_full,
        } = log;
        self.hot("log.max", text(&max.to_string()));
        self.hot("log.backups", backups.to_string());
        self.optional("log.age", age.map(span), Consequence::Hot);
        self.hot("log.compress", compress.to_string());
        // The pipes and what they lead into are made when the process starts.
        self.cold("log.target", toml_of(target));
        self.cold("log.format", toml_of(format));
        self.cold("log.stderr", toml_of(stderr));
        self.cold("log.on_full", toml_of(on_full));
    }

    /// Adds every key of a small table.
    fn table(&mut self, key: &str, value: &impl serde::Serialize, consequence: Consequence) {
        match toml::Value::try_from(value) {
            Ok(toml::Value::Table(table)) => {
                for (name, value) in table {
                    self.add(&format!("{key}.{name}"), value.to_string(), consequence);
                }
            }
            Ok(value) => self.add(key, value.to_string(), consequence),
            Err(error) => self.add(key, error.to_string(), consequence),
        }
    }
}

/// Returns what the whole change of a service comes to.
pub(crate) fn worst(fields: &[FieldChange]) -> Consequence {
    let all = fields.iter().map(|field| field.consequence);
    all.max().unwrap_or(Consequence::None)
}

/// Takes what may be a secret out of a change: values of such keys, and passwords in addresses.
fn hide(change: &mut FieldChange) {
    let mut sides = [change.old.take(), change.new.take()];
    for side in sides.iter_mut().flatten() {
        *side = without_passwords(side).into_owned();
    }
    // Of two addresses that differ by their passwords nothing is left to show.
    let is_alike = sides[0] == sides[1];
    if is_secret(&change.field) || is_alike {
        for side in sides.iter_mut().flatten() {
            *side = "(not shown)".to_owned();
        }
    }
    [change.old, change.new] = sides;
}

fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    SECRETS.iter().any(|word| key.contains(word))
}

fn condition(after: &After) -> String {
    text(&after.to_string())
}

fn text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn span(time: Duration) -> String {
    text(&Span::from(time).to_string())
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn toml_of(value: &impl serde::Serialize) -> String {
    // Only used for words, numbers and lists of them, all of which are TOML.
    toml::Value::try_from(value).map_or_else(|error| error.to_string(), |value| value.to_string())
}
