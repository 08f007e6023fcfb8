//! What happens in the water and in the modules: background, bursts, coincidences, tracks.

pub(crate) mod bursts;
pub(crate) mod coincidences;
pub(crate) mod compass;
pub(crate) mod event;
pub(crate) mod k40;
pub(crate) mod light;
pub(crate) mod pmts;
pub(crate) mod rates;
