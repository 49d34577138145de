//! How lines look: one way for each contender.

use plotters::style::RGBColor;

/// How the line of one contender looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) colour: RGBColor,
    pub(super) width: u32,
    /// The lengths of dash and gap in pixels; none for a line without gaps.
    pub(super) dash: Option<(u32, u32)>,
}

/// Dark to light as well as in hue (after Okabe and Ito), so that grey keeps them apart.
const LOOKS: [Look; 6] = [
    Look { colour: RGBColor(0, 0, 0), width: 3, dash: None },
    Look { colour: RGBColor(0, 114, 178), width: 4, dash: Some((18, 8)) },
    Look { colour: RGBColor(213, 94, 0), width: 4, dash: Some((5, 5)) },
    Look { colour: RGBColor(0, 158, 115), width: 6, dash: None },
    Look { colour: RGBColor(204, 121, 167), width: 4, dash: Some((30, 12)) },
    Look { colour: RGBColor(120, 120, 120), width: 3, dash: Some((2, 6)) },
];

/// The look of the contender with this number.
pub(super) fn look(number: usize) -> Look {
    let [first, ..] = LOOKS;
    LOOKS.get(number % LOOKS.len()).copied().unwrap_or(first)
}

pub(super) const INK: RGBColor = RGBColor(30, 30, 30);
pub(super) const FAINT: RGBColor = RGBColor(110, 110, 110);
pub(super) const GRID: RGBColor = RGBColor(225, 225, 225);
pub(super) const SHADE: RGBColor = RGBColor(238, 238, 238);
