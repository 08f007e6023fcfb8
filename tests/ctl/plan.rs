//! What a new configuration would change in the fake's stack.

use fathom_kernel::{
    Available, Changes, ConfigFault, Consequence, ControlError, FieldChange, Outcome,
    ServiceChange, Verdict,
};

/// One change of each sort.
pub(crate) fn changes() -> Changes {
    let service = |name: &str, consequence, fields: &[(&str, &str, &str)]| ServiceChange {
        name: name.to_owned(),
        was: None,
        group: name.split(':').next().unwrap_or(name).to_owned(),
        consequence,
        essential: false,
        fields: fields
            .iter()
            .map(|(field, old, new)| FieldChange {
                field: (*field).to_owned(),
                old: Some(*old).filter(|old| !old.is_empty()).map(str::to_owned),
                new: Some(*new).filter(|new| !new.is_empty()).map(str::to_owned),
                consequence,
            })
            .collect(),
    };
    Changes {
        generation: 4,
        sha256: "7692c3ad3540bb80".to_owned(),
        running: 5,
        services: vec![
            service("webserver", Consequence::Remove, &[]),
            service(
                "monitoring_process:rttc",
                Consequence::Hot,
                &[("backoff.max", "\"30s\"", "\"1m\"")],
            ),
            service(
                "monitoring_process:triggermap",
                Consequence::Restart,
                &[("lowest_rate", "100.0", "150.0"), ("window", "", "\"5m\"")],
            ),
            service("monitoring_process:new", Consequence::Add, &[]),
        ],
        ..Changes::default()
    }
}

/// A configuration with errors.
pub(crate) fn broken() -> ControlError {
    ControlError::BadConfig(vec![ConfigFault {
        gravity: "error".to_owned(),
        at: Some("supervisor.toml:7:1".to_owned()),
        message: "unknown key `lowest_rat`".to_owned(),
        help: Some("did you mean `lowest_rate`?".to_owned()),
    }])
}

/// What becomes of each service when all is well.
pub(crate) fn outcomes(changes: &Changes) -> Vec<Outcome> {
    let became = |change: &ServiceChange| {
        let result = match change.consequence {
            Consequence::Add | Consequence::Restart => Verdict::Started,
            Consequence::Remove => Verdict::Removed,
            Consequence::Hot | Consequence::None | Consequence::Relaunch => Verdict::Updated,
        };
        outcome(&change.name, result)
    };
    changes.services.iter().map(became).collect()
}

pub(crate) fn outcome(name: &str, result: Verdict) -> Outcome {
    Outcome {
        name: name.to_owned(),
        result,
        message: String::new(),
    }
}

/// Services of the configuration read last.
pub(crate) fn available() -> Vec<Available> {
    let service = |name: &str, in_use, autostart, depth| Available {
        name: name.to_owned(),
        group: name.split(':').next().unwrap_or(name).to_owned(),
        in_use,
        autostart,
        depth,
    };
    vec![
        service("ligiers:ligiermirror", true, true, 0),
        service("monitoring_process:new", false, false, 1),
    ]
}
