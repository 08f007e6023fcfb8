//! Reads pings from files and data bases: one per line, as JSON objects or as a table with a header
//! line, its columns separated by tabs, semicolons or commas.
//!
//! Columns are found by name, in upper or lower case; those of the data base's stream `toashort` are
//! understood. Others are ignored. A table that was asked for one module need not name it.

use fathom_formats::km3net::{Arrival, DomId};
use serde_json::Value;

use crate::stream_table::refused;

/// Names of the column with the module.
const DOM: &[&str] = &["dom_id", "domid", "dom"];

/// Names of the columns of an [`Arrival`], in the order of its fields.
const NAMES: [&[&str]; 5] = [
    DOM,
    &["emitter", "emitterid", "emitter_id"],
    &["quality", "qualityfactor", "quality_factor"],
    &["unixtimebase", "time_base_s", "unixtimebase_s", "utb"],
    &["toa_s", "toa"],
];

/// What was read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Read {
    pub(super) arrivals: Vec<Arrival>,
    /// Lines that are no ping.
    pub(super) bad: u64,
}

/// Reads all lines; empty ones and those that begin with `#` are skipped. Pings that do not name their
/// module are those of `module`, if the table was asked for one. An `Err` says why nothing can be
/// read at all.
pub(super) fn read(text: &str, module: Option<DomId>) -> Result<Read, String> {
    let mut lines = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .peekable();
    let mut read = Read::default();
    let Some(first) = lines.peek() else {
        return Ok(read);
    };
    if first.trim_start().starts_with('{') {
        for line in lines {
            read.take(of_json(line, module));
        }
        return Ok(read);
    }
    refused(first)?;
    let separator = ['\t', ';', ',']
        .into_iter()
        .find(|s| first.contains(*s))
        .unwrap_or(',');
    let columns: Vec<String> = first.split(separator).map(clean).collect();
    let mut places = [None; NAMES.len()];
    for (place, names) in places.iter_mut().zip(NAMES) {
        *place = columns.iter().position(|column| names.contains(&&**column));
        let is_told = names == DOM && module.is_some();
        if place.is_none() && !is_told {
            return Err(format!(
                "no column {} among {}",
                names.join(" or "),
                columns.join(", ")
            ));
        }
    }
    lines.next();
    for line in lines {
        let fields: Vec<&str> = line.split(separator).map(str::trim).collect();
        let number = |place: &Option<usize>| match place {
            Some(place) => fields.get(*place)?.parse().ok(),
            None => module.map(|id| id.0.into()),
        };
        read.take(arrival(places.iter().map(number)));
    }
    Ok(read)
}

impl Read {
    fn take(&mut self, arrival: Option<Arrival>) {
        match arrival {
            Some(arrival) => self.arrivals.push(arrival),
            None => self.bad += 1,
        }
    }
}

fn clean(name: &str) -> String {
    name.trim().trim_matches('"').to_lowercase()
}

fn of_json(line: &str, module: Option<DomId>) -> Option<Arrival> {
    let Value::Object(object) = serde_json::from_str(line).ok()? else {
        return None;
    };
    let number = |names: &&[&str]| {
        let mut fields = object.iter();
        match fields.find(|(name, _)| names.contains(&&*clean(name))) {
            Some((_, value)) => value.as_f64(),
            None if *names == DOM => module.map(|id| id.0.into()),
            None => None,
        }
    };
    arrival(NAMES.iter().map(number))
}

/// Makes a ping of its five numbers.
fn arrival(mut numbers: impl Iterator<Item = Option<f64>>) -> Option<Arrival> {
    let mut next = || {
        numbers
            .next()
            .flatten()
            .filter(|number: &f64| number.is_finite())
    };
    let (dom_id, emitter) = (next()?, next()?);
    let fits =
        |number: f64, low: f64, high: f64| number.fract() == 0.0 && (low..=high).contains(&number);
    if !fits(dom_id, 0.0, u32::MAX.into()) || !fits(emitter, i32::MIN.into(), i32::MAX.into()) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole numbers in range by the checks above"
    )]
    let (dom_id, emitter) = (dom_id as u32, emitter as i32);
    Some(Arrival {
        dom_id: DomId(dom_id),
        emitter,
        quality: next()?,
        time_base_s: next()?,
        toa_s: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping() -> Arrival {
        Arrival {
            dom_id: DomId(808_969_857),
            emitter: 11,
            quality: 9050.0,
            time_base_s: 1_699_999_851.0,
            toa_s: 0.408_303,
        }
    }

    #[test]
    fn all_three_forms_say_the_same() {
        let texts = [
            "dom_id,emitter,quality,unixtimebase,toa\n808969857,11,9050,1699999851.0,0.408303\n",
            "RUN\tUNIXTIMEBASE\tDOMID\tEMITTERID\tQUALITYFACTOR\tTOA_S\n\
             7\t1699999851\t808969857\t11\t9050\t0.408303\r\n",
            "# pings\n{\"dom_id\": 808969857, \"emitter\": 11, \"quality\": 9050, \
             \"unixtimebase\": 1699999851.0, \"toa_s\": 0.408303, \"run\": 7}\n\n",
        ];
        for text in texts {
            let read = read(text, None).unwrap();
            assert_eq!((read.arrivals, read.bad), (vec![ping()], 0), "{text}");
        }
    }

    #[test]
    fn lines_that_are_no_ping_are_counted_and_a_wrong_header_is_said() {
        let text =
            "dom,emitter,quality,utb,toa\n1,2,3,4,5\n1,2,x,4,5\n1,2\n1.5,2,3,4,5\n1,2,nan,4,5\n";
        let found = read(text, None).unwrap();
        assert_eq!((found.arrivals.len(), found.bad), (1, 4));
        let json =
            "{\"dom\":1,\"emitter\":2,\"quality\":3,\"utb\":4,\"toa\":5}\n[1]\n{\"dom\":1}\n{";
        let found = read(json, None).unwrap();
        assert_eq!((found.arrivals.len(), found.bad), (1, 3));
        assert!(
            read("<html>not found</html>", None)
                .unwrap_err()
                .contains("no column dom_id")
        );
        assert_eq!(read("", None).unwrap(), Read::default());
    }

    #[test]
    fn a_table_of_one_module_need_not_name_it() {
        let texts = [
            "EMITTERID\tQUALITYFACTOR\tUNIXTIMEBASE\tTOA_S\n11\t9050\t1699999851\t0.408303\n",
            "{\"emitter\": 11, \"quality\": 9050, \"unixtimebase\": 1699999851.0, \"toa\": 0.408303}\n",
        ];
        for text in texts {
            let own = read(text, Some(ping().dom_id)).unwrap();
            assert_eq!((own.arrivals, own.bad), (vec![ping()], 0), "{text}");
            assert!(!read(text, None).is_ok_and(|read| read.bad == 0));
        }
    }
}
