//! Colour maps as tables of 256 colours, the same for pictures and for the page.
//!
//! Each map is given by every fifth of its 256 published colours and interpolated between them:
//! exact at these, elsewhere at most 4/255 off in one channel (0.5/255 on average).

use std::fmt::Write;

use fathom_kernel::view::Colours;

use super::colour::{Rgb, parse};

const KEYS: usize = 52;
const STEP: usize = 5;
type Keys = [u32; KEYS];

/// The maps, by the names that outputs use.
pub static MAPS: [ColourMap; 3] = [
    // J. R. Nunez, C. R. Anderton, R. S. Renslow, PLoS ONE 13 (2018) e0199239.
    ColourMap::new("cividis", &CIVIDIS),
    // K. Moreland, Diverging Color Maps for Scientific Visualization, ISVC 2009.
    ColourMap::new("coolwarm", &COOLWARM),
    // N. J. Smith, S. van der Walt, presented at SciPy 2015; in the public domain (CC0).
    ColourMap::new("plasma", &PLASMA),
];

/// A named table of 256 colours.
pub struct ColourMap {
    name: &'static str,
    table: [Rgb; 256],
}

impl ColourMap {
    const fn new(name: &'static str, keys: &Keys) -> Self {
        let mut table = [Rgb::BLACK; 256];
        let mut index = 0;
        while index < 256 {
            let key = index / STEP;
            let after = if key + 1 < KEYS { key + 1 } else { key };
            table[index] = Rgb::from_u32(keys[key]).mixed(
                Rgb::from_u32(keys[after]),
                (index % STEP) as u32,
                STEP as u32,
            );
            index += 1;
        }
        Self { name, table }
    }

    /// Returns the map of a name; `cividis` when there is none of that name.
    pub fn named(name: &str) -> &'static Self {
        let [default, ..] = &MAPS;
        MAPS.iter().find(|map| map.name == name).unwrap_or(default)
    }

    /// Returns the name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the 256 colours.
    pub fn table(&self) -> &[Rgb; 256] {
        &self.table
    }

    /// Returns the table as hexadecimal digits, six per colour.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(256 * 6);
        for Rgb([r, g, b]) in self.table {
            write!(text, "{r:02x}{g:02x}{b:02x}").expect("writing to a string does not fail");
        }
        text
    }
}

/// How the values of one output become colours.
pub struct Scale {
    map: &'static ColourMap,
    low: f64,
    high: f64,
    /// One over the length of the range, logarithmic where the scale is.
    per_span: f64,
    log: bool,
    under: Rgb,
    over: Rgb,
    missing: Rgb,
    has_under: bool,
    has_over: bool,
}

impl Scale {
    /// Prepares the scale of an output.
    pub fn of(colours: &Colours) -> Self {
        let map = ColourMap::named(&colours.map);
        let [first, .., last] = map.table;
        let parse_or = |text: &Option<String>, or| text.as_deref().and_then(parse).unwrap_or(or);
        let span = if colours.log {
            colours.high.ln() - colours.low.ln()
        } else {
            colours.high - colours.low
        };
        Self {
            map,
            low: colours.low,
            high: colours.high,
            per_span: 1.0 / span,
            log: colours.log,
            under: parse_or(&colours.under, first),
            over: parse_or(&colours.over, last),
            missing: parse(&colours.missing).unwrap_or(Rgb::WHITE),
            has_under: colours.under.is_some(),
            has_over: colours.over.is_some(),
        }
    }

    /// Returns the colour of a value; both bounds belong to the range.
    pub fn colour(&self, value: f64) -> Rgb {
        if !value.is_finite() || (self.log && value <= 0.0) {
            return self.missing;
        }
        if value < self.low {
            return self.under;
        }
        if value > self.high {
            return self.over;
        }
        self.at(self.fraction(value))
    }

    /// Returns the colour at a fraction of the range; the first one where there is no range.
    pub fn at(&self, fraction: f64) -> Rgb {
        // The conversion takes what is below zero, and NaN, as zero.
        let index = (fraction * 256.0) as usize;
        self.map.table[index.min(255)]
    }

    /// Returns where in the range a value lies; not finite for an empty range.
    pub fn fraction(&self, value: f64) -> f64 {
        if self.log {
            (value.ln() - self.low.ln()) * self.per_span
        } else {
            (value - self.low) * self.per_span
        }
    }

    /// Tells whether the scale is logarithmic.
    pub fn is_log(&self) -> bool {
        self.log
    }

    /// Returns the bounds.
    pub fn bounds(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Returns the colour below the range, where it has one of its own.
    pub fn under(&self) -> Option<Rgb> {
        self.has_under.then_some(self.under)
    }

    /// Returns the colour above the range, where it has one of its own.
    pub fn over(&self) -> Option<Rgb> {
        self.has_over.then_some(self.over)
    }

    /// Returns the colour of a missing value.
    pub fn missing(&self) -> Rgb {
        self.missing
    }
}

const CIVIDIS: Keys = [
    0x00224E, 0x002656, 0x002A5F, 0x002D68, 0x003070, 0x083370, 0x163770, 0x203A6F, 0x273E6E,
    0x2E416D, 0x34456C, 0x3A486C, 0x3F4C6C, 0x444F6C, 0x49536C, 0x4E566C, 0x535A6D, 0x575D6D,
    0x5C616E, 0x60646F, 0x656870, 0x696B71, 0x6D6F72, 0x727274, 0x767676, 0x7A7A78, 0x7E7D78,
    0x838179, 0x888578, 0x8D8878, 0x928C78, 0x969077, 0x9B9476, 0xA09875, 0xA59C74, 0xAAA073,
    0xAFA471, 0xB5A86F, 0xBAAC6D, 0xBFB06B, 0xC4B468, 0xC9B965, 0xCFBD62, 0xD4C15F, 0xDAC65B,
    0xDFCA57, 0xE5CF52, 0xEAD34C, 0xF0D846, 0xF6DD3F, 0xFCE236, 0xFEE838,
];

const COOLWARM: Keys = [
    0x3B4CC0, 0x4055C8, 0x465ECF, 0x4C66D6, 0x536EDD, 0x5977E3, 0x5F7FE8, 0x6687ED, 0x6C8FF1,
    0x7396F5, 0x7A9DF8, 0x81A4FB, 0x88ABFD, 0x8FB1FE, 0x96B7FF, 0x9DBDFF, 0xA3C2FE, 0xAAC7FD,
    0xB1CBFC, 0xB7CFF9, 0xBED2F6, 0xC4D5F3, 0xCAD8EF, 0xCFDAEA, 0xD5DBE5, 0xDADCE0, 0xDFDBD9,
    0xE4D9D2, 0xE9D5CB, 0xEDD2C3, 0xF0CDBB, 0xF2C9B4, 0xF5C4AC, 0xF6BEA4, 0xF7B89C, 0xF7B194,
    0xF7AA8C, 0xF6A385, 0xF59C7D, 0xF39475, 0xF08B6E, 0xED8366, 0xE97A5F, 0xE57058, 0xE16751,
    0xDC5D4A, 0xD65244, 0xD0473D, 0xCA3B37, 0xC32E31, 0xBB1B2C, 0xB40426,
];

const PLASMA: Keys = [
    0x0D0887, 0x1B068D, 0x260591, 0x2F0596, 0x38049A, 0x41049D, 0x4903A0, 0x5102A3, 0x5901A5,
    0x6100A7, 0x6900A8, 0x7100A8, 0x7801A8, 0x8004A8, 0x8707A6, 0x8E0CA4, 0x9511A1, 0x9C179E,
    0xA21D9A, 0xA82296, 0xAE2892, 0xB42E8D, 0xBA3388, 0xBF3984, 0xC43E7F, 0xC9447A, 0xCD4A76,
    0xD24F71, 0xD6556D, 0xDA5B69, 0xDE6164, 0xE26660, 0xE66C5C, 0xE97257, 0xED7953, 0xF07F4F,
    0xF3854B, 0xF58C46, 0xF79342, 0xF99A3E, 0xFBA139, 0xFCA835, 0xFDAF31, 0xFEB72D, 0xFEBE2A,
    0xFDC627, 0xFCCE25, 0xFBD724, 0xF8DF25, 0xF6E826, 0xF3F027, 0xF0F921,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn colours() -> Colours {
        Colours {
            map: "cividis".into(),
            low: 0.0,
            high: 900.0,
            log: false,
            under: Some("deepskyblue".into()),
            over: Some("deeppink".into()),
            missing: "lightgrey".into(),
            label: "last activity [s]".into(),
        }
    }

    #[test]
    fn the_maps_have_their_published_ends_and_middles() {
        let colour = |name: &str, index: usize| ColourMap::named(name).table[index].0;
        assert_eq!(colour("cividis", 0), [0, 34, 78]);
        assert_eq!(colour("cividis", 255), [254, 232, 56]);
        assert_eq!(colour("plasma", 0), [13, 8, 135]);
        assert_eq!(colour("plasma", 255), [240, 249, 33]);
        assert_eq!(colour("coolwarm", 0), [59, 76, 192]);
        assert_eq!(colour("coolwarm", 255), [180, 4, 38]);
        assert_eq!(colour("coolwarm", 130), [223, 219, 217]);
        assert_eq!(MAPS[0].hex().len(), 256 * 6);
    }

    #[test]
    fn bounds_belong_to_the_range_and_what_is_outside_has_its_own_colour() {
        let scale = Scale::of(&colours());
        assert_eq!(scale.colour(0.0), Rgb([0, 34, 78]));
        assert_eq!(scale.colour(900.0), Rgb([254, 232, 56]));
        assert_eq!(scale.colour(-0.1), Rgb([0, 191, 255]));
        assert_eq!(scale.colour(900.1), Rgb([255, 20, 147]));
        assert_eq!(scale.colour(f64::NAN), Rgb([211, 211, 211]));
    }

    #[test]
    fn a_logarithmic_scale_has_its_middle_at_the_geometric_mean() {
        let scale = Scale::of(&Colours {
            low: 1.0,
            high: 100.0,
            log: true,
            ..colours()
        });
        assert!((scale.fraction(10.0) - 0.5).abs() < 1e-12);
        assert_eq!(scale.colour(0.0), scale.missing());
    }

    #[test]
    fn an_empty_range_draws_without_a_panic() {
        let scale = Scale::of(&Colours {
            low: 5.0,
            high: 5.0,
            ..colours()
        });
        assert_eq!(scale.colour(5.0), Rgb([0, 34, 78]));
    }
}
