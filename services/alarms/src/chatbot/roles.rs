//! Who may do what: by exact user names.

use serde::{Deserialize, Serialize};

use super::order::Order;

/// Most names of shifters.
const NAMES_MAX: usize = 20;
/// Longest name.
const NAME_BYTES_MAX: usize = 64;

/// What a user is allowed, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Anybody in the channel.
    Viewer,
    /// Who is on shift.
    Shifter,
    /// Who runs the detector.
    Operator,
}

impl Role {
    /// Returns the role of a user.
    pub(crate) fn of(user: &str, shifters: &[String], operators: &[String]) -> Self {
        let is_in = |list: &[String]| list.iter().any(|name| name == user);
        match (is_in(operators), is_in(shifters)) {
            (true, _) => Self::Operator,
            (false, true) => Self::Shifter,
            (false, false) => Self::Viewer,
        }
    }

    /// Returns the word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Shifter => "shifter",
            Self::Operator => "operator",
        }
    }
}

/// Returns the least role that may give an order.
pub(crate) fn needed(order: &Order) -> Role {
    let is_everything = |targets: &[String]| {
        let all = ["all", "*", "*:*"];
        targets.iter().any(|target| all.contains(&&**target))
    };
    match order {
        Order::Hello | Order::Help | Order::Who | Order::Unclear(_) => Role::Viewer,
        Order::Status(_)
        | Order::Alarms
        | Order::Acknowledge(_)
        | Order::Mute { .. }
        | Order::Unmute(_) => Role::Shifter,
        Order::Start(targets) | Order::Stop(targets) | Order::Restart(targets) => {
            match is_everything(targets) {
                true => Role::Operator,
                false => Role::Shifter,
            }
        }
        Order::Shifters(_) => Role::Operator,
    }
}

/// Returns why a role is not enough.
pub(crate) const fn refusal(needed: Role) -> &'static str {
    match needed {
        Role::Viewer => "nobody may do this",
        Role::Shifter => "only shifters and operators may do this",
        Role::Operator => "only operators may do this",
    }
}

/// Reads user names: with or without `@`, between them blanks, commas or the word `and`.
pub(crate) fn names(text: &str) -> Result<Vec<String>, String> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',' || c == ';');
    let words = words.map(|word| word.trim_start_matches('@'));
    let words = words.filter(|word| !word.is_empty() && *word != "and" && *word != "&");
    let names: Vec<String> = words.map(str::to_owned).collect();
    let is_name = |name: &String| {
        let fits = |c: char| c.is_alphanumeric() || "._-".contains(c);
        name.len() <= NAME_BYTES_MAX && name.chars().all(fits)
    };
    if let Some(odd) = names.iter().find(|name| !is_name(name)) {
        return Err(format!("{odd:?} is no user name"));
    }
    match names.len() > NAMES_MAX {
        true => Err(format!(
            "{} names, at most {NAMES_MAX} are shifters",
            names.len()
        )),
        false => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn user_a_is_no_shifter_because_the_names_contain_an_a() {
        let shifters = names("anna and @ben").unwrap();
        assert_eq!(shifters, ["anna", "ben"]);
        for (user, role) in [
            ("a", Role::Viewer),
            ("ann", Role::Viewer),
            ("Anna", Role::Viewer),
            ("anna", Role::Shifter),
            ("carl", Role::Operator),
        ] {
            assert_eq!(Role::of(user, &shifters, &list(&["carl"])), role, "{user}");
        }
    }

    #[test]
    fn names_are_separated_by_blanks_commas_and_and() {
        assert_eq!(names("a, b;c  and d").unwrap(), ["a", "b", "c", "d"]);
        assert!(names("").unwrap().is_empty());
        assert!(names("a`b").unwrap_err().contains("no user name"));
        assert!(names(&"x ".repeat(21)).unwrap_err().contains("at most 20"));
    }

    #[test]
    fn shifters_command_services_and_only_operators_all_of_them() {
        assert_eq!(needed(&Order::Restart(list(&["dom_rates"]))), Role::Shifter);
        assert_eq!(
            needed(&Order::Stop(list(&["dom_rates", "all"]))),
            Role::Operator
        );
        assert_eq!(needed(&Order::Who), Role::Viewer);
        assert_eq!(needed(&Order::Shifters(Vec::new())), Role::Operator);
    }
}
