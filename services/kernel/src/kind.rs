//! A kind of service: its name, what it is for, and how its options become a service.

use std::path::PathBuf;
use std::sync::Arc;

use fathom_formats::detx::Detector;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::DeTable;

use crate::{ByHand, Claim, Driver, Monitor, Service};

/// Makes a fresh service for each start, so that nothing half-broken is used again after a panic.
pub type Factory = Box<dyn Fn() -> Box<dyn Service> + Send + Sync>;

/// The options of a service, with their places in the file.
pub type Options = Spanned<DeTable<'static>>;

/// Why options do not fit a kind; a span points into the file where one is known.
pub type OptionsError = toml::de::Error;

/// What every kind may know of the stack when it reads its options.
#[derive(Clone, Default)]
pub struct Setup {
    /// Folder under which all files of the stack live.
    pub data_dir: PathBuf,
    /// Folder of the configuration file; relative paths in options start here.
    pub config_dir: PathBuf,
    /// The detector, when one is configured and known.
    pub detector: Option<Arc<Detector>>,
    /// One is configured that is not known yet: the page that tells of it was never asked so far.
    /// Who follows descriptions gets it when it comes.
    pub detector_comes: bool,
}

impl Setup {
    /// Tells whether a detector is configured, known or not.
    pub fn has_detector(&self) -> bool {
        self.detector.is_some() || self.detector_comes
    }
}

/// One kind of service. Crates list theirs in a constant `KINDS`.
pub struct Kind {
    /// Name in `kind = "…"`.
    pub name: &'static str,
    /// One line for `fathom kinds`.
    pub summary: &'static str,
    /// Section of km3mon's `pipeline.toml` that holds the same options, if any.
    pub section: Option<&'static str>,
    /// Section and key of an option that stands among those of another kind there, and has the same
    /// name here.
    pub borrowed: Option<(&'static str, &'static str)>,
    /// The kind reads outputs of others from the board.
    pub reads_board: bool,
    /// The kind reads the description of the detector when it starts.
    pub reads_detector: bool,
    /// The kind goes over to a newer description of the detector by itself.
    pub follows_detector: bool,
    /// The kind computes for long, so that it has a thread of its own unless told otherwise: it shall not
    /// keep the shared ones from others.
    pub own_thread: bool,
    /// Requests that only read, see [`Monitor::QUESTIONS`]; nothing else is passed on as a
    /// [`crate::Command::Question`].
    pub questions: &'static [&'static str],
    /// Turns options into a factory, or says what is wrong with them.
    pub parse: fn(Options, &Setup) -> Result<Factory, OptionsError>,
    /// Returns what a service with these options, a TOML text that was checked, writes under fixed names.
    pub claims: fn(&str) -> Vec<Claim>,
    /// JSON schema of the options, with defaults and units.
    pub schema: fn() -> Schema,
    /// Turns options into a monitor without a service around it; `None` for what can only be a service.
    pub by_hand: Option<MakeByHand>,
}

/// See [`Kind::by_hand`].
pub type MakeByHand = fn(Options, &Setup) -> Result<Box<dyn ByHand>, OptionsError>;

impl Kind {
    /// Makes the kind of a service whose options are `C` and whose starts come from `make`.
    pub const fn service<C, S>(name: &'static str, summary: &'static str) -> Self
    where
        C: DeserializeOwned + JsonSchema + Send + Sync + 'static,
        S: FromConfig<C>,
    {
        Self {
            name,
            summary,
            section: None,
            borrowed: None,
            reads_board: false,
            reads_detector: false,
            follows_detector: false,
            own_thread: false,
            questions: &[],
            parse: parse_service::<C, S>,
            claims: claims_of_service::<C, S>,
            schema: schema_of::<C>,
            by_hand: None,
        }
    }

    /// Makes the kind of a monitor.
    pub const fn monitor<M: Monitor>(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            summary,
            section: None,
            borrowed: None,
            reads_board: false,
            reads_detector: false,
            follows_detector: true,
            own_thread: true,
            questions: M::QUESTIONS,
            parse: parse_monitor::<M>,
            claims: claims_of_monitor::<M>,
            schema: schema_of::<M::Config>,
            by_hand: Some(by_hand::<M>),
        }
    }

    /// Says what a service is without everything around it, so that recorded data can be given to it
    /// like to a monitor.
    #[must_use]
    pub const fn with_core<C, S, H>(mut self) -> Self
    where
        C: DeserializeOwned,
        S: FromConfig<C>,
        H: ByHand + From<C> + 'static,
    {
        self.by_hand = Some(core_by_hand::<C, S, H>);
        self
    }

    /// Names the section of `pipeline.toml` with the same options.
    #[must_use]
    pub const fn in_section(mut self, section: &'static str) -> Self {
        self.section = Some(section);
        self
    }

    /// Names an option that `pipeline.toml` has in the section of another kind.
    #[must_use]
    pub const fn borrowing(mut self, section: &'static str, key: &'static str) -> Self {
        self.borrowed = Some((section, key));
        self
    }

    /// Says that the kind reads the description of the detector when it starts, and not again.
    #[must_use]
    pub const fn reading_detector(mut self) -> Self {
        self.reads_detector = true;
        self
    }

    /// Says that the kind computes for long.
    #[must_use]
    pub const fn computing(mut self) -> Self {
        self.own_thread = true;
        self
    }

    /// Says that the kind reads outputs of others.
    #[must_use]
    pub const fn reading_board(mut self) -> Self {
        self.reads_board = true;
        self
    }
}

/// A service that is made from checked options.
pub trait FromConfig<C>: Service + Sized {
    /// Checks options that serde cannot check; the text says what was expected.
    fn check(_config: &C, _setup: &Setup) -> Result<(), String> {
        Ok(())
    }

    /// Returns what the service writes under fixed names that two of one stack must not share.
    fn claims(_config: &C) -> Vec<Claim> {
        Vec::new()
    }

    /// Makes the service of one start.
    fn from_config(config: &C, setup: &Setup) -> Self;
}

fn parse_service<C, S>(options: Options, setup: &Setup) -> Result<Factory, OptionsError>
where
    C: DeserializeOwned + Send + Sync + 'static,
    S: FromConfig<C>,
{
    let config: C = read(options)?;
    S::check(&config, setup).map_err(serde::de::Error::custom)?;
    let setup = setup.clone();
    Ok(Box::new(move || Box::new(S::from_config(&config, &setup))))
}

fn parse_monitor<M: Monitor>(options: Options, setup: &Setup) -> Result<Factory, OptionsError> {
    let config = monitor_config::<M>(options, setup)?;
    let setup = setup.clone();
    Ok(Box::new(move || {
        Box::new(Driver::<M>::new(config.clone(), setup.clone()))
    }))
}

fn claims_of_service<C: DeserializeOwned, S: FromConfig<C>>(options: &str) -> Vec<Claim> {
    toml::from_str(options).map_or_else(|_| Vec::new(), |config| S::claims(&config))
}

fn claims_of_monitor<M: Monitor>(options: &str) -> Vec<Claim> {
    toml::from_str(options).map_or_else(|_| Vec::new(), |config| M::claims(&config))
}

fn by_hand<M: Monitor>(options: Options, setup: &Setup) -> Result<Box<dyn ByHand>, OptionsError> {
    let config = monitor_config::<M>(options, setup)?;
    Ok(Box::new(M::new(config, setup)))
}

fn core_by_hand<C, S, H>(options: Options, setup: &Setup) -> Result<Box<dyn ByHand>, OptionsError>
where
    C: DeserializeOwned,
    S: FromConfig<C>,
    H: ByHand + From<C> + 'static,
{
    let config: C = read(options)?;
    S::check(&config, setup).map_err(serde::de::Error::custom)?;
    Ok(Box::new(H::from(config)))
}

fn monitor_config<M: Monitor>(options: Options, setup: &Setup) -> Result<M::Config, OptionsError> {
    let config: M::Config = read(options)?;
    M::check(&config, setup).map_err(serde::de::Error::custom)?;
    Ok(config)
}

fn read<C: DeserializeOwned>(options: Options) -> Result<C, OptionsError> {
    C::deserialize(toml::de::Deserializer::from(options))
}

fn schema_of<C: JsonSchema>() -> Schema {
    schemars::schema_for!(C)
}
