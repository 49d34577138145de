//! Pictures: SVG and PNG from the same drawing, fit for a slide.
//!
//! Contenders differ in dash and darkness as well as in colour, so that a grey print can be read.

mod canvas;
mod contests;
mod fleets;
mod style;

pub(super) use self::canvas::Format;
pub(super) use self::contests::contests;
pub(super) use self::fleets::fleets;
