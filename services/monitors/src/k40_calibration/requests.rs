//! Answers questions of operators: any module, whether its DU is drawn or not.

use fathom_kernel::view::View;
use serde_json::{Value, json};

use super::dom::Dom;
use super::export::of_dom;
use super::{K40Calibration, Phase, Redraw, Shown, views};
use crate::k40::pair_list;
use crate::places::Place;

/// Most DUs or modules that can be asked for at once.
const ASKED_MAX: usize = 96;

impl K40Calibration {
    /// `dom {"dom_id": N}`, or `{"du": N, "floor": N}`: the last result of a module.
    pub(super) fn answer_dom(&self, args: &Value) -> Result<Value, String> {
        let (place, dom) = self.asked(args)?;
        let done = dom.last.as_ref();
        let done = done.ok_or_else(|| format!("DOM {} is not calibrated yet", place.dom_id))?;
        Ok(of_dom(place, dom, done))
    }

    /// `counts {"dom_id": N}`: the running counts of a module, pairs without counts left out.
    pub(super) fn answer_counts(&self, args: &Value) -> Result<Value, String> {
        let (place, dom) = self.asked(args)?;
        let pairs = pair_list().iter().enumerate();
        let counted = pairs.filter(|(pair, _)| dom.table.pair(*pair).iter().any(|n| *n > 0));
        let pairs: Vec<Value> = counted
            .map(|(pair, (i, j))| {
                let (frames, counts) = (dom.table.frames_of(pair), dom.table.pair(pair));
                json!({"channels": [i, j], "frames": frames, "counts": counts})
            })
            .collect();
        Ok(json!({
            "dom_id": place.dom_id,
            "tmax": self.config.tmax,
            "frames": dom.table.frames(),
            "pairs": pairs,
        }))
    }

    /// `intradom {"du": N}` or `{"dom_ids": [..]}`: the grids of these modules.
    pub(super) fn answer_intradom(&self, args: &Value) -> Result<Value, String> {
        let seen = self.seen_of(&Shown::asked(args)?);
        Ok(json!({
            "intradom": View::from(views::intradom(&seen, self.config.tmax)),
            "angular_k40rate_distribution": View::from(views::angular_rates(&seen)),
        }))
    }

    /// `show`, like `intradom`: draws these modules from now on.
    pub(super) fn answer_show(&mut self, args: &Value) -> Result<Value, String> {
        self.shown = Shown::asked(args)?;
        self.redraw = self.redraw.max(Redraw::Grids);
        Ok(json!({"modules": self.seen_of(&self.shown).len()}))
    }

    /// `calibrate`: ends the cycle now.
    pub(super) fn answer_calibrate(&mut self) -> Result<Value, String> {
        match &self.phase {
            Phase::Waiting => Err("nothing is counted yet".to_owned()),
            Phase::Calibrating(_) => Err("calibrating already".to_owned()),
            Phase::Counting { .. } => {
                self.cut_cycle();
                Ok(Value::Null)
            }
        }
    }

    fn asked(&self, args: &Value) -> Result<(&Place, &Dom), String> {
        let rank = self.places.asked(args)?;
        let place = &self.places.list()[rank];
        let dom = self.doms.get(rank).and_then(|dom| dom.as_deref());
        let dom = dom.ok_or_else(|| format!("nothing was counted of DOM {}", place.dom_id))?;
        Ok((place, dom))
    }
}

impl Shown {
    fn asked(args: &Value) -> Result<Self, String> {
        let expected = "expected {\"du\": N}, {\"dus\": [..]} or {\"dom_ids\": [..]}";
        let list = |value: &Value| -> Option<Vec<i64>> {
            match value {
                Value::Array(list) => list.iter().map(Value::as_i64).collect(),
                one => Some(vec![one.as_i64()?]),
            }
        };
        let asked = ["du", "dus", "dom_id", "dom_ids"]
            .into_iter()
            .find_map(|key| Some((key, args.get(key)?)));
        let (key, value) = asked.ok_or(expected)?;
        let numbers = list(value).filter(|list| (1..=ASKED_MAX).contains(&list.len()));
        let numbers = numbers.ok_or(expected)?;
        let shown = match key.starts_with("du") {
            true => Self::Dus(
                numbers
                    .into_iter()
                    .filter_map(|n| n.try_into().ok())
                    .collect(),
            ),
            false => Self::Doms(
                numbers
                    .into_iter()
                    .filter_map(|n| n.try_into().ok())
                    .collect(),
            ),
        };
        match &shown {
            Self::Dus(list) if list.is_empty() => Err(expected.to_owned()),
            _ => Ok(shown),
        }
    }
}
