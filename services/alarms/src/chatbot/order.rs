//! What was said to the bot, read as an order.

use fathom_kernel::Span;

use super::roles::names;
use crate::engine::{Pattern, Until};

/// Most targets of one order.
const TARGETS_MAX: usize = 20;

/// The word for no shifters.
const NOBODY: &str = "nobody";
/// What is asked back when no name was said.
const WHO: &str = "who? `shifters are NAME and NAME`, or `shifters are nobody`";

/// What the bot understands, for people.
pub(crate) const HELP: &str = "\
hello -- says hello
help -- this text
who is on shift -- names the shifters
status [SERVICE...] -- the state of services (shifters)
alarms -- the alarms that are not over (shifters)
acknowledge NUMBER | RULE [SUBJECT] -- somebody looks at it: it is not told again (shifters)
mute RULE [SUBJECT] for TIME [because ...] -- it is not told for 2h, 30m, 1d (shifters)
mute RULE [SUBJECT] until TIME [because ...] -- the same until 18:00 UTC, 2026-11-21 18:00 (shifters)
unmute RULE [SUBJECT] -- it is told again (shifters)
start | stop | restart SERVICE... (shifters; `all` for operators)
shifters are NAME and NAME -- who is on shift from now on (operators)
shifters are nobody -- nobody is on shift, and alarms name nobody (operators)
`*` in rules and subjects stands for any characters; `supervisorctl` before status, start, stop and
restart is left out.";

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    Hello,
    Help,
    Who,
    Status(Vec<String>),
    Alarms,
    Acknowledge(Meant),
    Mute {
        rule: Pattern,
        subject: Pattern,
        end: End,
        reason: String,
    },
    Unmute(Meant),
    Start(Vec<String>),
    Stop(Vec<String>),
    Restart(Vec<String>),
    Shifters(Vec<String>),
    /// Nothing that is understood, and why.
    Unclear(String),
}

/// When a mute ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    For(Span),
    Until(Until),
}

/// Which alarms or mutes are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meant {
    Number(u64),
    Fitting { rule: Pattern, subject: Pattern },
}

/// Returns what was said to the bot; `None` when it was said to somebody else.
pub(crate) fn addressed<'a>(text: &'a str, botname: &str) -> Option<&'a str> {
    let rest = text.trim_start().strip_prefix('@')?.strip_prefix(botname)?;
    let next = rest.chars().next();
    let is_whole = next.is_none_or(|c| c.is_whitespace() || ",:;!?".contains(c));
    is_whole.then(|| rest.trim_matches(|c: char| c.is_whitespace() || ",:;!?".contains(c)))
}

impl Order {
    /// Reads an order.
    pub(crate) fn read(text: &str) -> Self {
        let text = text
            .strip_prefix("supervisorctl")
            .map_or(text, str::trim_start);
        let mut words = text.split_whitespace();
        let verb = words.next().unwrap_or_default().to_lowercase();
        let rest: Vec<&str> = words.collect();
        let read = match &*verb {
            "hello" | "hey" | "hi" | "ciao" => Ok(Self::Hello),
            "help" | "" => Ok(Self::Help),
            "who" => Ok(Self::Who),
            "status" => targets(&rest).map(Self::Status),
            "alarms" | "alerts" => Ok(Self::Alarms),
            "acknowledge" | "ack" => meant(&rest).map(Self::Acknowledge),
            "mute" => mute(&rest),
            "unmute" => meant(&rest).map(Self::Unmute),
            "start" => some_targets(&rest).map(Self::Start),
            "stop" => some_targets(&rest).map(Self::Stop),
            "restart" => some_targets(&rest).map(Self::Restart),
            "shifters" => shifters(&rest),
            _ => Err("I do not understand; try `help`".to_owned()),
        };
        read.unwrap_or_else(Self::Unclear)
    }

    /// Tells whether it changes anything.
    pub(crate) fn changes(&self) -> bool {
        match self {
            Self::Hello
            | Self::Help
            | Self::Who
            | Self::Status(_)
            | Self::Alarms
            | Self::Unclear(_) => false,
            Self::Acknowledge(_)
            | Self::Mute { .. }
            | Self::Unmute(_)
            | Self::Start(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Shifters(_) => true,
        }
    }
}

fn targets(words: &[&str]) -> Result<Vec<String>, String> {
    let is_name = |word: &&str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:*".contains(c);
        word.len() <= 100 && word.chars().all(fits)
    };
    if let Some(odd) = words.iter().find(|word| !is_name(word)) {
        return Err(format!("{odd:?} is no service"));
    }
    match words.len() > TARGETS_MAX {
        true => Err(format!("at most {TARGETS_MAX} services at a time")),
        false => Ok(words.iter().map(|word| (*word).to_owned()).collect()),
    }
}

fn some_targets(words: &[&str]) -> Result<Vec<String>, String> {
    match words.is_empty() {
        true => Err("which service?".to_owned()),
        false => targets(words),
    }
}

/// Reads a number, or a rule and a subject; a subject may have blanks.
fn meant(words: &[&str]) -> Result<Meant, String> {
    if let [number] = words
        && let Ok(id) = number.trim_start_matches('#').parse()
    {
        return Ok(Meant::Number(id));
    }
    let (rule, subject) = rule_and_subject(words)?;
    Ok(Meant::Fitting { rule, subject })
}

fn rule_and_subject(words: &[&str]) -> Result<(Pattern, Pattern), String> {
    let (rule, subject) = words.split_first().ok_or("which alarm?")?;
    let subject = subject.join(" ");
    let subject = match unquoted(&subject) {
        "" => Pattern::any(),
        subject => Pattern::new(subject)?,
    };
    Ok((Pattern::new(unquoted(rule))?, subject))
}

/// Takes quotes away that somebody wrote as for a shell, or whose phone did.
fn unquoted(text: &str) -> &str {
    const QUOTES: [char; 7] = [
        '"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}',
    ];
    let inner = text.strip_prefix(QUOTES);
    inner
        .and_then(|inner| inner.strip_suffix(QUOTES))
        .unwrap_or(text)
}

fn mute(words: &[&str]) -> Result<Order, String> {
    let because = words.iter().position(|word| *word == "because");
    let (words, reason) = words.split_at(because.unwrap_or(words.len()));
    // What an alarm is about may have such a word as well: the last one counts.
    let last = words
        .iter()
        .rposition(|word| ["for", "until"].contains(word));
    let (about, end) = words.split_at(last.unwrap_or(words.len()));
    let is_time = |words: &[&str]| matches!(words, ["for", time] if time.parse::<Span>().is_ok());
    if about.contains(&"until") || about.windows(2).any(is_time) {
        return Err("for a time or until one? `mute RULE [SUBJECT] for 2h`".to_owned());
    }
    let end = match end.split_first() {
        Some((&"until", time)) => End::Until(unquoted(&time.join(" ")).parse()?),
        Some((_, time)) => {
            let time = unquoted(&time.join(" ")).parse();
            End::For(time.map_err(|error| format!("{error}"))?)
        }
        None => return Err("for how long? `mute RULE [SUBJECT] for 2h`".to_owned()),
    };
    let (rule, subject) = rule_and_subject(about)?;
    Ok(Order::Mute {
        rule,
        subject,
        end,
        reason: reason.iter().skip(1).copied().collect::<Vec<_>>().join(" "),
    })
}

fn shifters(words: &[&str]) -> Result<Order, String> {
    match words {
        [] | ["?"] => Ok(Order::Who),
        ["are", NOBODY] => Ok(Order::Shifters(Vec::new())),
        ["are", who @ ..] => named(&who.join(" ")).map(Order::Shifters),
        _ => Err(WHO.to_owned()),
    }
}

/// Reads who is on shift; a slip must not take everybody off.
fn named(who: &str) -> Result<Vec<String>, String> {
    let names = names(who)?;
    if names.is_empty() {
        return Err(WHO.to_owned());
    }
    if who.trim_end_matches([' ', ',', ';', '&']).ends_with(" and") {
        return Err(format!("a name is missing behind `and`: {WHO}"));
    }
    match names.iter().any(|name| name == NOBODY) {
        true => Err(format!("`{NOBODY}` stands alone: `shifters are {NOBODY}`")),
        false => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).unwrap()
    }

    #[test]
    fn only_what_is_said_to_the_bot_is_heard() {
        assert_eq!(addressed("@bot status", "bot"), Some("status"));
        assert_eq!(addressed("  @bot: status ", "bot"), Some("status"));
        assert_eq!(addressed("@bot", "bot"), Some(""));
        for other in ["@botany status", "bot status", "say @bot status", "@b", ""] {
            assert_eq!(addressed(other, "bot"), None, "{other}");
        }
    }

    #[test]
    fn orders_are_read() {
        let dom = Meant::Fitting {
            rule: pattern("dom_inactive"),
            subject: pattern("DU 3 *"),
        };
        let cases = [
            ("Hello", Order::Hello),
            ("ciao", Order::Hello),
            ("", Order::Help),
            ("who is on shift", Order::Who),
            ("shifters", Order::Who),
            ("status", Order::Status(Vec::new())),
            (
                "supervisorctl restart dom_rates",
                Order::Restart(list(&["dom_rates"])),
            ),
            (
                "stop monitoring:* logging:weblog",
                Order::Stop(list(&["monitoring:*", "logging:weblog"])),
            ),
            ("ack #12", Order::Acknowledge(Meant::Number(12))),
            (
                "acknowledge dom_inactive DU 3 *",
                Order::Acknowledge(dom.clone()),
            ),
            (
                "mute dom_inactive \u{201c}DU 7*\u{201d} for 10m",
                Order::Mute {
                    rule: pattern("dom_inactive"),
                    subject: pattern("DU 7*"),
                    end: End::For(Span::from_secs(600)),
                    reason: String::new(),
                },
            ),
            ("unmute dom_inactive DU 3 *", Order::Unmute(dom)),
            (
                "shifters are anna and @ben",
                Order::Shifters(list(&["anna", "ben"])),
            ),
            (
                "mute dom_* waiting for ROV until 18:00 UTC",
                Order::Mute {
                    rule: pattern("dom_*"),
                    subject: pattern("waiting for ROV"),
                    end: End::Until("18:00".parse().unwrap()),
                    reason: String::new(),
                },
            ),
            (
                "mute dom_* for 2h because of the ROV",
                Order::Mute {
                    rule: pattern("dom_*"),
                    subject: Pattern::any(),
                    end: End::For(Span::from_secs(7200)),
                    reason: "of the ROV".to_owned(),
                },
            ),
        ];
        for (text, order) in cases {
            assert_eq!(Order::read(text), order, "{text}");
        }
    }

    #[test]
    fn a_slip_took_everybody_off_shift() {
        for slip in ["are and", "are , ;", "are &", "are @", "are", "are and and"] {
            let read = Order::read(&format!("shifters {slip}"));
            assert_eq!(read, Order::Unclear(WHO.to_owned()), "{slip}");
        }
        for slip in ["anna and", "anna and ,", "nobody and anna"] {
            let read = Order::read(&format!("shifters are {slip}"));
            assert!(matches!(read, Order::Unclear(_)), "{slip}");
        }
        let nobody = Order::read("shifters are nobody");
        assert_eq!(nobody, Order::Shifters(Vec::new()));
        let names = list(&["roland"]);
        assert_eq!(Order::read("shifters are roland"), Order::Shifters(names));
        assert!(HELP.contains("shifters are nobody"));
    }

    #[test]
    fn what_is_not_understood_says_why() {
        for (text, expected) in [
            ("dance", "try `help`"),
            ("restart", "which service?"),
            ("restart $(reboot)", "is no service"),
            ("restart a;b", "is no service"),
            ("mute dom_inactive", "for how long?"),
            ("mute for 2h", "which alarm?"),
            ("mute x until 18:00 for 2h", "for a time or until one?"),
            ("mute x for 2h until 18:00", "for a time or until one?"),
            ("mute x for ever", "ever"),
            ("mute x for", "expected a duration"),
            ("mute x until tonight", "\"tonight\" is no time"),
            ("acknowledge", "which alarm?"),
            ("acknowledge [", "pattern"),
            ("shifters are", "who?"),
            ("supervisorctl shutdown", "try `help`"),
        ] {
            let Order::Unclear(why) = Order::read(text) else {
                panic!("{text} was understood")
            };
            assert!(why.contains(expected), "{text}: {why}");
        }
    }
}
