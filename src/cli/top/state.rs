//! All that is shown, and what news do to it. No I/O and no clock.

use std::collections::{BTreeSet, HashMap};

use fathom_kernel::{ServiceStatus, StackStatus, Timestamp};

use super::figures::{Figures, Sample, figures};
use super::log::Log;
use super::orders::{Order, Verb};
use super::rows::{self, Item, Row, Shown, rows};

/// What comes from the supervisor.
#[derive(Debug)]
pub(super) enum News {
    /// How things are.
    Sample(Box<Sample>),
    /// It cannot be reached, and why.
    Gone(String),
    /// The log of a service is read from its last lines on.
    LogBegins(String),
    /// Lines of that log.
    Line { of: String, text: String },
    /// What became of an order.
    Done { text: String, well: bool },
}

/// What the keys mean at present.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Mode {
    #[default]
    Watch,
    /// A filter is typed.
    Filter,
    /// An order waits for a yes.
    Confirm(Order),
    Help,
}

/// What is said in the last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) well: bool,
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct State {
    /// Where the supervisor is.
    pub(super) place: String,
    pub(super) sample: Option<Sample>,
    pub(super) figures: HashMap<String, Figures>,
    /// Processor share of the supervisor itself [%].
    pub(super) own_percent: Option<f64>,
    /// Why the supervisor cannot be reached, while it cannot.
    pub(super) gone: Option<String>,
    pub(super) mode: Mode,
    pub(super) filter: String,
    pub(super) order: rows::Order,
    pub(super) folded: BTreeSet<String>,
    pub(super) cursor: Option<Item>,
    pub(super) log: Log,
    /// The log takes the place of the tree.
    pub(super) log_only: bool,
    pub(super) said: Option<Said>,
    /// Orders under way.
    pub(super) busy: usize,
    pub(super) now: Timestamp,
    pub(super) colours: bool,
}

impl State {
    /// Begins without any news.
    pub(super) fn new(place: String, colours: bool) -> Self {
        Self {
            place,
            sample: None,
            figures: HashMap::new(),
            own_percent: None,
            gone: None,
            mode: Mode::Watch,
            filter: String::new(),
            order: rows::Order::default(),
            folded: BTreeSet::new(),
            cursor: None,
            log: Log::default(),
            log_only: false,
            said: None,
            busy: 0,
            now: Timestamp::UNIX_EPOCH,
            colours,
        }
    }

    /// Takes news.
    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Sample(sample) => {
                (self.figures, self.own_percent) = figures(self.sample.as_ref(), &sample);
                self.sample = Some(*sample);
                self.gone = None;
                self.settle();
            }
            News::Gone(why) => self.gone = Some(why),
            News::LogBegins(of) => self.log.begin(Some(of)),
            News::Line { of, text } if self.log.of.as_ref() == Some(&of) => self.log.push(&text),
            // A line of the service that was looked at before.
            News::Line { .. } => {}
            News::Done { text, well } => {
                self.busy = self.busy.saturating_sub(1);
                self.said = Some(Said { text, well });
            }
        }
    }

    /// Returns the stack as last seen.
    pub(super) fn status(&self) -> Option<&StackStatus> {
        self.sample.as_ref().map(|sample| &sample.status)
    }

    /// Returns the lines of the tree.
    pub(super) fn rows(&self) -> Vec<Row> {
        rows(Shown {
            services: self.status().map_or(&[], |status| &status.services),
            figures: &self.figures,
            folded: &self.folded,
            filter: &self.filter,
            order: self.order,
        })
    }

    /// Returns a service.
    pub(super) fn service(&self, name: &str) -> Option<&ServiceStatus> {
        let mut services = self.status()?.services.iter();
        services.find(|service| service.name == name)
    }

    /// Returns the service the cursor is on.
    pub(super) fn selected(&self) -> Option<&ServiceStatus> {
        match self.cursor.as_ref()? {
            Item::Service(name) => self.service(name),
            Item::Group(_) => None,
        }
    }

    /// Returns whose log is wanted: of the service the cursor is on, else the supervisor's own.
    pub(super) fn wanted_log(&self) -> Option<String> {
        match self.cursor.as_ref()? {
            Item::Service(name) => Some(name.clone()),
            Item::Group(_) => Some(String::new()),
        }
    }

    /// Puts the cursor onto a line that is there.
    pub(super) fn settle(&mut self) {
        let rows = self.rows();
        let is_there = |item: &Item| rows.iter().any(|row| row.item == *item);
        if self.cursor.as_ref().is_some_and(is_there) {
            return;
        }
        // Of a group that was folded or filtered away the group itself is left, if anything.
        let of_it = self.cursor.as_ref().and_then(|cursor| match cursor {
            Item::Service(name) => name.split_once(':').map(|(group, _)| group),
            Item::Group(_) => None,
        });
        let group = of_it.map(|group| Item::Group(group.to_owned()));
        let group = group.filter(is_there);
        self.cursor = group.or_else(|| rows.first().map(|row| row.item.clone()));
    }

    /// Moves the cursor by so many lines, down when it is positive.
    pub(super) fn step(&mut self, lines: isize) {
        let rows = self.rows();
        let at = rows
            .iter()
            .position(|row| Some(&row.item) == self.cursor.as_ref());
        let to = at.unwrap_or_default().saturating_add_signed(lines);
        let to = to.min(rows.len().saturating_sub(1));
        self.cursor = rows.into_iter().nth(to).map(|row| row.item);
    }

    /// Folds or unfolds the group the cursor is on or in.
    pub(super) fn fold(&mut self, fold: Option<bool>) {
        let group = match &self.cursor {
            Some(Item::Group(name)) => name.clone(),
            Some(Item::Service(name)) => match name.split_once(':') {
                Some((group, _)) => group.to_owned(),
                None => return,
            },
            None => return,
        };
        let fold = fold.unwrap_or(!self.folded.contains(&group));
        match fold {
            true => self.folded.insert(group),
            false => self.folded.remove(&group),
        };
        self.settle();
    }

    /// Folds or unfolds all groups.
    pub(super) fn fold_all(&mut self, fold: bool) {
        self.folded.clear();
        if fold {
            let services = self.status().map_or(&[][..], |status| &status.services);
            self.folded = services
                .iter()
                .map(|service| service.group.clone())
                .collect();
        }
        self.settle();
    }

    /// Asks whether something shall be done with what the cursor is on.
    pub(super) fn ask(&mut self, verb: Verb) {
        let Some(cursor) = &self.cursor else { return };
        let verb = match verb {
            Verb::Hold if self.is_held(cursor) => Verb::Unhold,
            verb => verb,
        };
        let target = cursor.target();
        self.mode = Mode::Confirm(Order { verb, target });
    }

    /// Tells whether a service, or every member of a group, is held.
    fn is_held(&self, item: &Item) -> bool {
        let services = self.status().map_or(&[][..], |status| &status.services);
        let mut of_it = services.iter().filter(|service| match item {
            Item::Group(group) => service.group == *group,
            Item::Service(name) => service.name == *name,
        });
        of_it.all(|service| service.watch.hold.is_some())
    }
}
