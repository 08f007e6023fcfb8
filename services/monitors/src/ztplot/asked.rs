//! Requests for a second look: an event of the last ones or of the selection, drawn anew.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fathom_formats::km3net::Event as Payload;
use fathom_kernel::view::Panels;
use fathom_kernel::{Content, Fetch, Fetched, Outputs};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::ZtPlot;
use super::drawing::{Chosen, EVERY_DU};
use super::folder::Folder;
use super::row::Key;
use crate::royfit::Config as RoyfitConfig;
use crate::royfit::event::{Fitter, Wanted};

/// Files read at a time.
const READS_MAX: usize = 8;

/// Stored payloads that are to be read.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Names, and whether their pictures are to be written anew.
    waiting: BTreeMap<String, bool>,
    under_way: BTreeMap<String, bool>,
}

/// Arguments of `event`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wished {
    /// Name of the picture; without it the event drawn last, or what the numbers say.
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    run: Option<i32>,
    #[serde(default)]
    frame_index: Option<i32>,
    /// As a number, or as the text that our tables have.
    #[serde(default, deserialize_with = "wide")]
    trigger_counter: Option<u64>,
    /// DUs to draw; all when not given.
    #[serde(default)]
    dus: Option<Vec<u32>>,
    /// Most DUs to draw, those with the most hits; as many as the option says when not given.
    #[serde(default)]
    dus_max: Option<usize>,
    /// Fit a line to the hits of every DU and lay it over them, with the residuals.
    #[serde(default)]
    fit: bool,
}

/// Arguments of `redraw`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redraw {
    /// Name of the picture; all of the selection when not given.
    #[serde(default)]
    name: Option<String>,
}

/// Arguments of `remove`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

/// Reads a number of 64 bits, which may be a text since the JSON numbers of a browser do not hold it.
fn wide<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(None),
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let number = number.ok_or_else(|| D::Error::custom("expected a number from 0 to 2^64 - 1"))?;
    Ok(Some(number))
}

impl Asked {
    fn read(&mut self, name: String, is_redrawn: bool) {
        let wish = self.waiting.entry(name).or_default();
        *wish |= is_redrawn;
    }

    /// Wishes for the next stored payloads.
    pub(super) fn fetch(&mut self, folder: &Folder, out: &mut Outputs) {
        while self.under_way.len() < READS_MAX {
            let Some((name, is_redrawn)) = self.waiting.pop_first() else {
                return;
            };
            let place = folder.place_of(&name, "dat");
            out.fetch(Fetch::new(name.clone(), place.into()));
            self.under_way.insert(name, is_redrawn);
        }
    }
}

impl ZtPlot {
    /// Answers `event`: its z-t-plot as an output.
    pub(super) fn answer_event(&mut self, args: &Value) -> Result<Value, String> {
        let wanted: Wished = arguments(
            args,
            "name, run, frame_index, trigger_counter, dus, dus_max, fit",
        )?;
        let body = match self.find(&wanted) {
            Some(body) => body.clone(),
            None => return Err(self.missing(&wanted)),
        };
        let event = Payload::decode(&body).map_err(|error| error.to_string())?;
        let chosen = (wanted.dus.as_deref(), wanted.dus_max);
        let view = match wanted.fit {
            true => self.draw_fitted(&event, chosen),
            false => self.draw(&event, chosen),
        };
        let output = self.output(&Key::of(&event).name(), &event, view);
        serde_json::to_value(output).map_err(|error| error.to_string())
    }

    /// Answers `redraw`: the names of the pictures that will be drawn anew.
    pub(super) fn answer_redraw(&mut self, args: &Value) -> Result<Value, String> {
        let Redraw { name } = arguments(args, "name")?;
        let names: BTreeSet<String> = match name {
            Some(name) => {
                let row = self.selection.find(&name);
                let row = row.ok_or_else(|| not_selected(&name))?;
                if !row.has_files() {
                    return Err(without_data(&name));
                }
                BTreeSet::from([name])
            }
            None => {
                let rows = self.selection.rows().iter();
                let rows = rows.filter(|row| row.has_files());
                rows.map(|row| row.key.name()).collect()
            }
        };
        for name in &names {
            self.asked.read(name.clone(), true);
        }
        Ok(json!({ "redrawn": names }))
    }

    /// Answers `remove`: takes an event out of the selection, one of a broken DOM for example.
    pub(super) fn answer_remove(&mut self, args: &Value) -> Result<Value, String> {
        let Named { name } = arguments(args, "name")?;
        let gone = self.selection.remove(|row| row.key.name() == name);
        if gone.is_empty() {
            return Err(not_selected(&name));
        }
        gone.iter().for_each(|row| self.stored.removed(row.key));
        self.leaving.extend(gone);
        self.stored.look_again();
        Ok(json!({ "removed": name }))
    }

    /// Draws an event with a line fitted to the hits of each DU.
    fn draw_fitted(&mut self, event: &Payload<'_>, chosen: Chosen<'_>) -> Panels {
        let Some(detector) = &self.setup.detector else {
            return Panels::default();
        };
        let fitter = self.fitter.get_or_insert_with(|| {
            let any = Wanted {
                doms_min: 0,
                ..RoyfitConfig::default().wanted()
            };
            Fitter::new(detector.clone(), any)
        });
        let fits = fitter.fit(event).unwrap_or_default();
        let fits = fits.dus.into_iter().collect();
        self.paper.draw_fitted(event, detector, chosen, &fits)
    }

    fn find(&self, wanted: &Wished) -> Option<&Bytes> {
        if let Some(name) = &wanted.name {
            return self.store.find(|key| key.name() == *name);
        }
        if wanted.run.is_none() && wanted.frame_index.is_none() && wanted.trigger_counter.is_none()
        {
            return self.latest.as_ref();
        }
        self.store.find(|key| wanted.fits(key))
    }

    /// A selected event is read from its file, so that the next question finds it.
    fn missing(&mut self, wanted: &Wished) -> String {
        let mut rows = self.selection.rows().iter();
        let row = rows.find(|row| match &wanted.name {
            Some(name) => row.key.name() == *name,
            None => wanted.fits(&row.key),
        });
        match row.map(|row| (row.key.name(), row.has_files())) {
            Some((name, false)) => without_data(&name),
            Some((name, true)) => {
                let text = format!("{name} is being read, ask again in a second");
                self.asked.read(name, false);
                text
            }
            None => "no such event among the last ones and in the selection".into(),
        }
    }

    /// Takes a payload that was read from its file.
    pub(super) fn take_stored(&mut self, fetched: Fetched, out: &mut Outputs) {
        let is_redrawn = self.asked.under_way.remove(&fetched.name).unwrap_or(false);
        self.asked.fetch(&self.folder, out);
        let Ok(Content::Bytes(body, _)) = fetched.content else {
            out.bad("stored event cannot be read");
            return;
        };
        let Ok(event) = Payload::decode(&body) else {
            out.bad("stored event is damaged");
            return;
        };
        let key = Key::of(&event);
        let name = key.name();
        // Meanwhile it may have lost its place.
        if is_redrawn && self.selection.find(&name).is_some() {
            let output = self.output(&name, &event, self.draw(&event, EVERY_DU));
            self.write_picture(&name, &output, out);
        }
        self.store.keep(key, body.clone());
    }
}

impl Wished {
    fn fits(&self, key: &Key) -> bool {
        let is = |wanted: Option<i32>, got| wanted.is_none_or(|wanted| wanted == got);
        is(self.run, key.run_id)
            && is(self.frame_index, key.frame_index)
            && self
                .trigger_counter
                .is_none_or(|counter| counter == key.trigger_counter)
    }
}

fn not_selected(name: &str) -> String {
    format!("{name:?} is not in the selection")
}

fn without_data(name: &str) -> String {
    format!("{name:?} was found in the file of local_db, its data are not kept here")
}

fn arguments<T: serde::de::DeserializeOwned>(args: &Value, expected: &str) -> Result<T, String> {
    let args = match args {
        Value::Null => json!({}),
        other => other.clone(),
    };
    serde_json::from_value(args).map_err(|error| format!("{error}; expected {expected}"))
}
