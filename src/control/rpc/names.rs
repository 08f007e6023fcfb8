//! Names as supervisord's clients write them: `group:process`, `process` alone when both are equal,
//! `group:*` or `group:` for all of a group.

use fathom_kernel::ServiceStatus;

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// One process of a group.
    One {
        /// The group.
        group: String,
        /// The process.
        process: String,
    },
    /// All processes of a group.
    Group(String),
}

impl Name {
    /// Reads a name.
    pub(super) fn read(text: &str) -> Self {
        let (group, process) = text.split_once(':').unwrap_or((text, text));
        match process {
            "" | "*" => Self::Group(group.to_owned()),
            process => Self::One {
                group: group.to_owned(),
                process: process.to_owned(),
            },
        }
    }

    /// Tells whether a service belongs to what is meant.
    pub(super) fn means(&self, service: &ServiceStatus) -> bool {
        match self {
            Self::One { group, process } => {
                service.group == *group && process_of(service) == process
            }
            Self::Group(group) => service.group == *group,
        }
    }
}

/// Returns the name of a service within its group.
pub(super) fn process_of(service: &ServiceStatus) -> &str {
    within_group(&service.name)
}

/// Returns the target that means this service and never a group of the same name.
pub(super) fn target_of(service: &ServiceStatus) -> String {
    format!("{}:{}", service.group, process_of(service))
}

/// Returns the part of a full name that is not the group.
pub(super) fn within_group(full: &str) -> &str {
    full.split_once(':').map_or(full, |(_, process)| process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_process_or_a_group() {
        let one = |group: &str, process: &str| Name::One {
            group: group.to_owned(),
            process: process.to_owned(),
        };
        assert_eq!(Name::read("g:p"), one("g", "p"));
        assert_eq!(Name::read("web"), one("web", "web"));
        assert_eq!(Name::read("a.b:p"), one("a.b", "p"));
        assert_eq!(Name::read("g:*"), Name::Group("g".to_owned()));
        assert_eq!(Name::read("g:"), Name::Group("g".to_owned()));
    }
}
