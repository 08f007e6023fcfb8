//! Every method by name: what it takes, what it returns, what it is for.

use Method as M;

/// What can be asked; several names may mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    AddGroup,
    AllConfig,
    AllInfo,
    ApiVersion,
    ClearAllLogs,
    ClearLogs,
    ClearOwnLog,
    Help,
    Identification,
    Info,
    List,
    Multicall,
    Pid,
    ReadOut,
    ReadErr,
    ReadOwnLog,
    Reload,
    RemoveGroup,
    Restart,
    RemoteEvent,
    Shutdown,
    SignalAll,
    SignalGroup,
    SignalOne,
    Signature,
    StartAll,
    StartGroup,
    StartOne,
    State,
    Stdin,
    StopAll,
    StopGroup,
    StopOne,
    TailOut,
    TailErr,
    Version,
}

/// One name.
pub(super) struct Entry {
    /// With its namespace.
    pub(super) name: &'static str,
    /// What it means.
    pub(super) method: Method,
    /// Types, divided by blanks: first what it returns, then its parameters.
    types: &'static str,
    /// Fewest parameters.
    pub(super) needs: usize,
    /// What it does.
    pub(super) help: &'static str,
}

impl Entry {
    /// Returns the types: first what it returns, then its parameters.
    pub(super) fn signature(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.types.split(' ')
    }

    /// Returns the largest number of parameters.
    pub(super) fn takes(&self) -> usize {
        self.signature().count() - 1
    }
}

const fn entry(
    name: &'static str,
    method: Method,
    (types, needs): (&'static str, usize),
    help: &'static str,
) -> Entry {
    Entry {
        name,
        method,
        types,
        needs,
        help,
    }
}

const PART_OF_LOG: (&str, usize) = ("string string int int", 3);
const PART_OF_OWN_LOG: (&str, usize) = ("string int int", 2);
const TAIL: (&str, usize) = ("array string int int", 3);
const BY_NAME: (&str, usize) = ("boolean string", 1);

/// All names, sorted.
pub(super) const ENTRIES: [Entry; 41] = [
    entry(
        "supervisor.addProcessGroup",
        M::AddGroup,
        BY_NAME,
        "Takes a group of the configuration last read into service and starts what starts by itself.",
    ),
    entry(
        "supervisor.clearAllProcessLogs",
        M::ClearAllLogs,
        ("array", 0),
        "Empties the logs of all services; returns what became of each.",
    ),
    entry(
        "supervisor.clearLog",
        M::ClearOwnLog,
        ("boolean", 0),
        "Empties the supervisor's own log.",
    ),
    entry(
        "supervisor.clearProcessLog",
        M::ClearLogs,
        BY_NAME,
        "Empties the logs of a service.",
    ),
    entry(
        "supervisor.clearProcessLogs",
        M::ClearLogs,
        BY_NAME,
        "Empties the logs of a service.",
    ),
    entry(
        "supervisor.getAPIVersion",
        M::ApiVersion,
        ("string", 0),
        "Returns the version of this interface.",
    ),
    entry(
        "supervisor.getAllConfigInfo",
        M::AllConfig,
        ("array", 0),
        "Returns the configuration of every service.",
    ),
    entry(
        "supervisor.getAllProcessInfo",
        M::AllInfo,
        ("array", 0),
        "Returns the state of every service, sorted by group and name.",
    ),
    entry(
        "supervisor.getIdentification",
        M::Identification,
        ("string", 0),
        "Returns the name of the stack.",
    ),
    entry(
        "supervisor.getPID",
        M::Pid,
        ("int", 0),
        "Returns the process id of the supervisor.",
    ),
    entry(
        "supervisor.getProcessInfo",
        M::Info,
        ("struct string", 1),
        "Returns the state of a service.",
    ),
    entry(
        "supervisor.getState",
        M::State,
        ("struct", 0),
        "Returns the state of the supervisor.",
    ),
    entry(
        "supervisor.getSupervisorVersion",
        M::Version,
        ("string", 0),
        "Returns the version of the supervisor.",
    ),
    entry(
        "supervisor.getVersion",
        M::ApiVersion,
        ("string", 0),
        "Returns the version of this interface.",
    ),
    entry(
        "supervisor.readLog",
        M::ReadOwnLog,
        PART_OF_OWN_LOG,
        "Returns a part of the supervisor's own log.",
    ),
    entry(
        "supervisor.readMainLog",
        M::ReadOwnLog,
        PART_OF_OWN_LOG,
        "Returns a part of the supervisor's own log.",
    ),
    entry(
        "supervisor.readProcessLog",
        M::ReadOut,
        PART_OF_LOG,
        "Returns a part of the standard output of a service.",
    ),
    entry(
        "supervisor.readProcessStderrLog",
        M::ReadErr,
        PART_OF_LOG,
        "Returns a part of the standard error of a service.",
    ),
    entry(
        "supervisor.readProcessStdoutLog",
        M::ReadOut,
        PART_OF_LOG,
        "Returns a part of the standard output of a service.",
    ),
    entry(
        "supervisor.reloadConfig",
        M::Reload,
        ("array", 0),
        "Reads the configuration and returns the groups added, changed and removed; changes nothing.",
    ),
    entry(
        "supervisor.removeProcessGroup",
        M::RemoveGroup,
        BY_NAME,
        "Takes a group, all of whose services have stopped, out of service.",
    ),
    entry(
        "supervisor.restart",
        M::Restart,
        ("boolean", 0),
        "Stops everything in order and starts it again with the configuration as it is then.",
    ),
    entry(
        "supervisor.sendProcessStdin",
        M::Stdin,
        ("boolean string string", 2),
        "Writes text to the standard input of a service.",
    ),
    entry(
        "supervisor.sendRemoteCommEvent",
        M::RemoteEvent,
        ("boolean string string", 2),
        "Puts a message onto the bus.",
    ),
    entry(
        "supervisor.shutdown",
        M::Shutdown,
        ("boolean", 0),
        "Stops everything in order and ends the supervisor.",
    ),
    entry(
        "supervisor.signalAllProcesses",
        M::SignalAll,
        ("array string", 1),
        "Sends a signal to all services; returns what became of each.",
    ),
    entry(
        "supervisor.signalProcess",
        M::SignalOne,
        ("boolean string string", 2),
        "Sends a signal, by name or number, to a service.",
    ),
    entry(
        "supervisor.signalProcessGroup",
        M::SignalGroup,
        ("array string string", 2),
        "Sends a signal to all services of a group; returns what became of each.",
    ),
    entry(
        "supervisor.startAllProcesses",
        M::StartAll,
        ("array boolean", 0),
        "Starts all services in dependency order; returns what became of each.",
    ),
    entry(
        "supervisor.startProcess",
        M::StartOne,
        ("boolean string boolean", 1),
        "Starts a service, with what it depends on, and waits until it is ready unless told otherwise.",
    ),
    entry(
        "supervisor.startProcessGroup",
        M::StartGroup,
        ("array string boolean", 1),
        "Starts all services of a group in dependency order; returns what became of each.",
    ),
    entry(
        "supervisor.stopAllProcesses",
        M::StopAll,
        ("array boolean", 0),
        "Stops all services in reverse dependency order; returns what became of each.",
    ),
    entry(
        "supervisor.stopProcess",
        M::StopOne,
        ("boolean string boolean", 1),
        "Stops a service and waits until it has ended unless told otherwise.",
    ),
    entry(
        "supervisor.stopProcessGroup",
        M::StopGroup,
        ("array string boolean", 1),
        "Stops all services of a group in reverse dependency order; returns what became of each.",
    ),
    entry(
        "supervisor.tailProcessLog",
        M::TailOut,
        TAIL,
        "Returns the end of the standard output of a service, its size, and whether there is more.",
    ),
    entry(
        "supervisor.tailProcessStderrLog",
        M::TailErr,
        TAIL,
        "Returns the end of the standard error of a service, its size, and whether there is more.",
    ),
    entry(
        "supervisor.tailProcessStdoutLog",
        M::TailOut,
        TAIL,
        "Returns the end of the standard output of a service, its size, and whether there is more.",
    ),
    entry(
        "system.listMethods",
        M::List,
        ("array", 0),
        "Returns the names of all methods.",
    ),
    entry(
        "system.methodHelp",
        M::Help,
        ("string string", 1),
        "Returns what a method is for.",
    ),
    entry(
        "system.methodSignature",
        M::Signature,
        ("array string", 1),
        "Returns the types of a method: first what it returns, then its parameters.",
    ),
    entry(
        "system.multicall",
        M::Multicall,
        ("array array", 1),
        "Carries out calls, one after the other; returns the bare result or the fault of each.",
    ),
];

/// Returns the entry of a name.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    let at = ENTRIES
        .binary_search_by(|entry| entry.name.cmp(name))
        .ok()?;
    ENTRIES.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_so_that_they_are_found() {
        assert!(ENTRIES.is_sorted_by_key(|entry| entry.name));
        for entry in &ENTRIES {
            assert_eq!(find(entry.name).map(|found| found.name), Some(entry.name));
            assert!(entry.needs <= entry.takes(), "{}", entry.name);
        }
        assert!(find("supervisor._update").is_none());
    }

    #[test]
    fn signatures_are_those_of_supervisord() {
        let signature = |name| find(name).map(|entry| entry.signature().collect::<Vec<_>>());
        let expected = Some(vec!["boolean", "string", "boolean"]);
        assert_eq!(signature("supervisor.startProcess"), expected);
        assert_eq!(signature("supervisor.getPID"), Some(vec!["int"]));
    }
}
