//! Work and time of the contests, over the number of clients.

use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::Text;
use plotters::prelude::DrawingBackend;
use plotters::style::Color as _;
use redial_sim::contention::Algorithm;

use super::canvas::{self, Drawn, Format, Picture, SIZE, bold, frame, legend, text, tick};
use super::fleets::{draw, widest_first};
use super::style::{FAINT, GRID, INK, Look, look};
use crate::simulate::contests::{Contests, Point};

/// Draws what was played, and answers the bytes of the file.
pub(in crate::simulate) fn contests(
    contests: &Contests,
    format: Format,
) -> Result<Vec<u8>, String> {
    canvas::paint(&WorkAndTime(contests), format)
}

struct WorkAndTime<'a>(&'a Contests);

impl Picture for WorkAndTime<'_> {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Drawn<DB> {
        frame(area, Contests::TITLE, &self.0.caption())?;
        let entries: Vec<(Look, &str)> = Algorithm::ALL
            .iter()
            .enumerate()
            .map(|(number, algorithm)| (look(number), algorithm.name()))
            .collect();
        legend(area, 98, &entries)?;
        let (width, height) = SIZE;
        let room = area.clone().shrink((20, 150), (width - 60, height - 150 - 56));
        let (left, right) = room.split_horizontally((width - 60) / 2);
        self.panel(&left, "work: writes until all have succeeded", |point| point.writes)?;
        self.panel(&right, "seconds until all have succeeded", |point| point.completion_s)
    }
}

impl WorkAndTime<'_> {
    fn panel<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        title: &str,
        of: fn(&Point) -> f64,
    ) -> Drawn<DB> {
        let points = &self.0.points;
        let most = points.iter().map(|point| f64::from(point.clients)).fold(1.0, f64::max);
        let top = points.iter().map(of).fold(1.0, f64::max) * 1.08;
        let mut chart = ChartBuilder::on(area)
            .margin_top(40)
            .margin_right(20)
            .x_label_area_size(64)
            .y_label_area_size(90)
            .build_cartesian_2d(0.0..most, 0.0..top)?;
        let ticks = |value: &f64| tick(*value);
        chart
            .configure_mesh()
            .light_line_style(GRID.mix(0.0))
            .bold_line_style(GRID)
            .axis_style(FAINT)
            .x_labels(6)
            .y_labels(6)
            .label_style(text(20, INK))
            .x_label_formatter(&ticks)
            .y_label_formatter(&ticks)
            .x_desc("clients")
            .axis_desc_style(text(20, INK))
            .draw()?;
        let lines = Algorithm::ALL.into_iter().map(|algorithm| {
            let line = self.0.of(algorithm).map(|point| (f64::from(point.clients), of(point)));
            line.collect()
        });
        for (look, line) in widest_first(lines.collect()) {
            draw(&mut chart, line, look)?;
        }
        area.draw(&Text::new(title.to_owned(), (90, 18), bold(20, INK)))
    }
}
