//! Colours, and the CSS names and notations that outputs use for them.

use super::colour_names::NAMES;

/// A colour: red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(pub [u8; 3]);

impl Rgb {
    /// Black.
    pub const BLACK: Self = Self([0; 3]);
    /// White.
    pub const WHITE: Self = Self([255; 3]);

    /// Makes a colour from `0xRRGGBB`.
    pub const fn from_u32(rgb: u32) -> Self {
        let [_, r, g, b] = rgb.to_be_bytes();
        Self([r, g, b])
    }

    /// Returns the colour `part` of `whole` on the way to another one, rounded.
    pub(super) const fn mixed(self, to: Self, part: u32, whole: u32) -> Self {
        let Self([r, g, b]) = self;
        let Self([to_r, to_g, to_b]) = to;
        Self([
            mix(r, to_r, part, whole),
            mix(g, to_g, part, whole),
            mix(b, to_b, part, whole),
        ])
    }
}

const fn mix(from: u8, to: u8, part: u32, whole: u32) -> u8 {
    ((from as u32 * (whole - part) + to as u32 * part + whole / 2) / whole) as u8
}

/// Reads a CSS colour: a name, `#rgb` or `#rrggbb`.
pub fn parse(text: &str) -> Option<Rgb> {
    let text = text.trim();
    if let Some(digits) = text.strip_prefix('#') {
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None; // `from_str_radix` would take a sign
        }
        let value = u32::from_str_radix(digits, 16).ok()?;
        return match digits.len() {
            6 => Some(Rgb::from_u32(value)),
            3 => Some(Rgb::from_u32(
                ((value & 0xF00) * 0x1100) | ((value & 0xF0) * 0x110) | ((value & 0xF) * 0x11),
            )),
            _ => None,
        };
    }
    let name = text.to_ascii_lowercase();
    let index = NAMES
        .binary_search_by_key(&name.as_str(), |(name, _)| name)
        .ok()?;
    NAMES.get(index).map(|(_, value)| Rgb::from_u32(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn css_colours_are_read() {
        assert_eq!(parse("#ff0f5b"), Some(Rgb([0xff, 0x0f, 0x5b])));
        assert_eq!(parse("#1af"), Some(Rgb([0x11, 0xaa, 0xff])));
        assert_eq!(parse("DarkOrchid"), Some(Rgb([0x99, 0x32, 0xcc])));
        assert_eq!(parse("tomato"), Some(Rgb([0xff, 0x63, 0x47])));
        for wrong in ["", "#", "#12345", "#+12", "nocolour", "#é"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_are_sorted_so_that_each_is_found() {
        assert!(NAMES.is_sorted_by_key(|(name, _)| name));
    }
}
