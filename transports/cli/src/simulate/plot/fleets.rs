//! Load, goodput and retries over time, all contenders in each.

use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::{Color as _, RGBColor};
use redial_sim::fleet::{Bin, Report};

use super::canvas::{self, Drawn, Format, Picture, SIZE, bold, frame, legend, shape, text, tick};
use super::style::{FAINT, GRID, INK, Look, SHADE, look};
use crate::simulate::fleets::Fleets;

/// Draws what was played, and answers the bytes of the file.
pub(in crate::simulate) fn fleets(fleets: &Fleets, format: Format) -> Result<Vec<u8>, String> {
    canvas::paint(&OverTime(fleets), format)
}

struct OverTime<'a>(&'a Fleets);

/// What one panel shows of a bin.
struct Panel {
    title: &'static str,
    of: fn(&Bin) -> u64,
    /// Whether the load that is offered is drawn beside it.
    offered: bool,
}

const PANELS: [Panel; 3] = [
    Panel { title: "load: requests sent each second", of: |bin| bin.attempts, offered: true },
    Panel {
        title: "goodput: calls that succeed each second",
        of: |bin| bin.succeeded,
        offered: true,
    },
    Panel { title: "retries each second", of: |bin| bin.retries, offered: false },
];

const OFFERED: Look = Look { colour: RGBColor(120, 120, 120), width: 2, dash: Some((2, 5)) };

/// The room for the axis of time, in pixels.
const AXIS: u32 = 62;

impl Picture for OverTime<'_> {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Drawn<DB> {
        let Self(fleets) = self;
        frame(area, &fleets.scenario.title, &fleets.caption())?;
        let names = fleets.reports.iter().enumerate();
        let mut entries: Vec<(Look, &str)> =
            names.map(|(number, report)| (look(number), report.name.as_str())).collect();
        if !fleets.offered().is_empty() {
            entries.push((OFFERED, "calls begun each second"));
        }
        legend(area, 98, &entries)?;
        let (width, height) = SIZE;
        let room = area.clone().shrink((20, 150), (width - 60, height - 150 - 56));
        // The last has the axis of time below it, and all are to be of one height.
        let height = (height - 150 - 56 - AXIS) / PANELS.len() as u32;
        let mut rest = room;
        for (index, panel) in PANELS.iter().enumerate() {
            let last = index + 1 == PANELS.len();
            let (area, below) = rest.split_vertically(if last { height + AXIS } else { height });
            self.panel(&area, panel, (index == 0, last))?;
            rest = below;
        }
        Ok(())
    }
}

impl OverTime<'_> {
    /// One panel; the first names what happens, the last has the axis of time.
    fn panel<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        panel: &Panel,
        (first, last): (bool, bool),
    ) -> Drawn<DB> {
        let Self(fleets) = self;
        let end = fleets.scenario.duration.as_secs_f64();
        let offered = if panel.offered { fleets.offered() } else { Vec::new() };
        let lines: Vec<Vec<(f64, f64)>> =
            fleets.reports.iter().map(|report| line(report, panel.of)).collect();
        let values = lines.iter().flatten().chain(&offered).map(|(_, value)| *value);
        let top = values.fold(1.0, f64::max) * 1.08;
        let mut chart = ChartBuilder::on(area)
            .margin_top(34)
            .margin_right(20)
            .x_label_area_size(if last { 6 + AXIS } else { 6 })
            .y_label_area_size(90)
            .build_cartesian_2d(0.0..end, 0.0..top)?;
        for (from, until, what) in fleets.scenario.windows() {
            let from = from.as_secs_f64();
            if from >= end {
                continue;
            }
            let corner = (until.as_secs_f64().min(end), top);
            let shade = Rectangle::new([(from, 0.0), corner], SHADE.filled());
            chart.draw_series([shade])?;
            if first {
                let name = Text::new(what, (from + end * 0.004, top * 0.92), text(18, FAINT));
                chart.draw_series([name])?;
            }
        }
        let ticks = |value: &f64| tick(*value);
        let times = |value: &f64| if last { tick(*value) } else { String::new() };
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(GRID.mix(0.0))
            .bold_line_style(GRID)
            .axis_style(FAINT)
            .x_labels(10)
            .y_labels(4)
            .label_style(text(20, INK))
            .x_label_formatter(&times)
            .y_label_formatter(&ticks);
        if last {
            mesh.x_desc("time in seconds").axis_desc_style(text(20, INK));
        }
        mesh.draw()?;
        draw(&mut chart, offered, OFFERED)?;
        for (look, line) in widest_first(lines) {
            draw(&mut chart, line, look)?;
        }
        area.draw(&Text::new(panel.title, (90, 16), bold(20, INK)))
    }
}

/// Lines with their looks, the widest first: what is drawn later must not hide them.
pub(super) fn widest_first(lines: Vec<Vec<(f64, f64)>>) -> Vec<(Look, Vec<(f64, f64)>)> {
    let lines = lines.into_iter().enumerate();
    let mut lines: Vec<_> = lines.map(|(number, line)| (look(number), line)).collect();
    lines.sort_by_key(|(look, _)| core::cmp::Reverse(look.width));
    lines
}

/// What a report counts each second, in the middles of its bins.
fn line(report: &Report, of: fn(&Bin) -> u64) -> Vec<(f64, f64)> {
    let bin = report.bin.as_secs_f64();
    let points = report.bins.iter().enumerate();
    points.map(|(index, counts)| ((index as f64 + 0.5) * bin, of(counts) as f64 / bin)).collect()
}

type Chart<'a, DB> = plotters::chart::ChartContext<
    'a,
    DB,
    plotters::coord::cartesian::Cartesian2d<
        plotters::coord::types::RangedCoordf64,
        plotters::coord::types::RangedCoordf64,
    >,
>;

/// A line over the chart.
pub(super) fn draw<DB: DrawingBackend>(
    chart: &mut Chart<'_, DB>,
    points: Vec<(f64, f64)>,
    look: Look,
) -> Drawn<DB> {
    match look.dash {
        None => chart.draw_series(LineSeries::new(points, shape(look)))?,
        Some((dash, gap)) => {
            chart.draw_series(DashedLineSeries::new(points, dash, gap, shape(look)))?
        }
    };
    Ok(())
}
