//! What is drawn on: a picture of SVG or of pixels, with a font that comes along.
//!
//! No font of the system is asked for: a container without any draws the same picture.

use std::path::Path;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea as _};
use plotters::element::{DashedPathElement, PathElement, Text};
use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color as _, FontStyle, IntoFont as _, RGBColor, ShapeStyle, TextStyle, WHITE, register_font,
};

use super::style::{FAINT, INK, Look};
use crate::Failure;

/// A picture of a slide's shape, in pixels.
pub(super) const SIZE: (u32, u32) = (1600, 900);

/// The font that comes along, then what viewers of SVG have in its place.
const FONT: &str = "DejaVu Sans, Verdana, Arial, sans-serif";

/// What a picture is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulate) enum Format {
    Svg,
    Png,
}

impl Format {
    /// The format that a file's name asks for.
    pub(in crate::simulate) fn of(path: &Path) -> Result<Self, Failure> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            Some(_) | None => Err(Failure::usage(format!(
                "a plot is written as .svg or .png: {} is neither",
                path.display()
            ))),
        }
    }
}

pub(super) type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// Something that can be drawn on every kind of picture.
pub(super) trait Picture {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Drawn<DB>;
}

/// Draws a picture, and answers the bytes of its file.
pub(super) fn paint(picture: &impl Picture, format: Format) -> Result<Vec<u8>, String> {
    for (style, font) in
        [(FontStyle::Normal, dejavu::sans::regular()), (FontStyle::Bold, dejavu::sans::bold())]
    {
        register_font(FONT, style, font).map_err(|_| "its font is broken".to_owned())?;
    }
    match format {
        Format::Svg => {
            let mut svg = String::new();
            on(SVGBackend::with_string(&mut svg, SIZE), picture)?;
            Ok(svg.into_bytes())
        }
        Format::Png => {
            let (width, height) = SIZE;
            let mut pixels = vec![0; width as usize * height as usize * 3];
            on(BitMapBackend::with_buffer(&mut pixels, SIZE), picture)?;
            png(&pixels).map_err(|error| error.to_string())
        }
    }
}

/// Pixels of three bytes each, as a PNG.
fn png(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

fn on<DB: DrawingBackend>(backend: DB, picture: &impl Picture) -> Result<(), String> {
    let area = backend.into_drawing_area();
    let drawn = area.fill(&WHITE).and_then(|()| picture.draw(&area));
    drawn.and_then(|()| area.present()).map_err(|error| error.to_string())
}

/// Text of a size, from its left end, centred on its line.
pub(super) fn text(size: u32, colour: RGBColor) -> TextStyle<'static> {
    (FONT, size).into_font().color(&colour).pos(Pos::new(HPos::Left, VPos::Center))
}

/// The same in bold.
pub(super) fn bold(size: u32, colour: RGBColor) -> TextStyle<'static> {
    (FONT, size, FontStyle::Bold).into_font().color(&colour).pos(Pos::new(HPos::Left, VPos::Center))
}

/// Title above, caption below.
pub(super) fn frame<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    title: &str,
    caption: &str,
) -> Drawn<DB> {
    let (_, height) = area.dim_in_pixel();
    area.draw(&Text::new(title.to_owned(), (40, 44), bold(36, INK)))?;
    let below = i32::try_from(height).unwrap_or(i32::MAX) - 28;
    area.draw(&Text::new(caption.to_owned(), (40, below), text(18, FAINT)))
}

/// A line's sample and its name, one after the other, in rows from this height on.
pub(super) fn legend<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    mut y: i32,
    entries: &[(Look, &str)],
) -> Drawn<DB> {
    const SAMPLE: i32 = 64;
    const GAP: i32 = 40;
    let style = text(22, INK);
    let mut x = 40;
    for (look, name) in entries {
        let (width, _) = area.estimate_text_size(name, &style)?;
        let width = SAMPLE + 12 + i32::try_from(width).unwrap_or(0) + GAP;
        if x > 40 && x + width > i32::try_from(SIZE.0).unwrap_or(i32::MAX) {
            (x, y) = (40, y + 34);
        }
        stroke(area, vec![(x, y), (x + SAMPLE, y)], *look)?;
        area.draw(&Text::new((*name).to_owned(), (x + SAMPLE + 12, y), style.clone()))?;
        x += width;
    }
    Ok(())
}

/// A line on the bare picture.
fn stroke<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    points: Vec<(i32, i32)>,
    look: Look,
) -> Drawn<DB> {
    let style = shape(look);
    match look.dash {
        None => area.draw(&PathElement::new(points, style)),
        Some((dash, gap)) => area.draw(&DashedPathElement::new(points, dash, gap, style)),
    }
}

/// How a line of this look is drawn.
pub(super) fn shape(look: Look) -> ShapeStyle {
    ShapeStyle { color: look.colour.to_rgba(), filled: false, stroke_width: look.width }
}

/// A number on an axis: 1200, 12k, 3.5M.
pub(super) fn tick(number: f64) -> String {
    let (number, unit) = match number.abs() {
        1e6.. => (number / 1e6, "M"),
        1e4.. => (number / 1e3, "k"),
        _ => (number, ""),
    };
    let text = format!("{number:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_what_it_is_written_as() {
        assert_eq!(Format::of(Path::new("a/b.svg")).ok(), Some(Format::Svg));
        assert_eq!(Format::of(Path::new("b.PNG")).ok(), Some(Format::Png));
        for wrong in ["plot", "plot.gif", ".svg"] {
            let failure = Format::of(Path::new(wrong)).expect_err("neither");
            assert_eq!(failure.exit_code(), 2);
        }
    }

    #[test]
    fn ticks_are_short() {
        let ticks = [0.0, 0.5, 40.0, 1200.0, 20_000.0, 12_500.0, 3_500_000.0].map(tick);
        assert_eq!(ticks, ["0", "0.5", "40", "1200", "20k", "12.5k", "3.5M"]);
    }
}
