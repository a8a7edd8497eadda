//! Charts as SVG: the time of a poll by the number of jobs in the project, for both services.

use std::error::Error;
use std::fs;
use std::ops::Range;
use std::path::Path;

use plotters::prelude::*;

use crate::record::BenchRecord;
use crate::stats::median;
use crate::suite::{OWN, PEER};

const SIZE: (u32, u32) = (760, 440);
const FONT: &str = "sans-serif";

/// A curve with its name, colour and points (jobs, milliseconds).
struct Curve {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Writes the charts to a directory. A chart without results is skipped.
pub fn write_all(directory: &Path, records: &[BenchRecord]) -> Result<(), Box<dyn Error>> {
    let own =
        Curve { name: "this service", colour: RGBColor(0xb7, 0x41, 0x0e), points: points(records, OWN) };
    let peer = Curve {
        name: "freezer-api 19.0.0",
        colour: RGBColor(0x30, 0x69, 0x98),
        points: points(records, PEER),
    };
    let curves: Vec<Curve> = [own, peer].into_iter().filter(|curve| curve.points.len() > 1).collect();
    if curves.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    let text = svg("A scheduler's poll: median time of an answer", "jobs in the project", &curves)?;
    fs::write(directory.join("poll.svg"), text)?;
    Ok(())
}

/// Returns the median latency of polls over one connection, by the number of jobs.
fn points(records: &[BenchRecord], label: &str) -> Vec<(f64, f64)> {
    let polls = || {
        records.iter().filter(|record| {
            record.label == label
                && record.scenario == "poll"
                && record.engine == "MariaDB"
                && record.connections == 1
        })
    };
    let mut sizes: Vec<u64> = polls().map(|record| record.jobs).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let at = |size: u64| median(polls().filter(|record| record.jobs == size).filter_map(|record| record.p50));
    sizes.into_iter().filter_map(|size| Some((size as f64, at(size)?))).collect()
}

/// Returns the smallest range of powers of ten that contains all values.
fn decades(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let least = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
    let most = values.fold(0.0, f64::max).log10().ceil();
    10_f64.powf(least)..10_f64.powf(most.max(least + 1.0))
}

/// Draws the curves with logarithmic axes. A rising line is a time that grows with the size.
fn svg(title: &str, below: &str, curves: &[Curve]) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let all = || curves.iter().flat_map(|curve| curve.points.iter());
        let mut chart = ChartBuilder::on(&area)
            .caption(title, (FONT, 20))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(
                decades(all().map(|point| point.0)).log_scale(),
                decades(all().map(|point| point.1)).log_scale(),
            )?;
        chart
            .configure_mesh()
            .x_desc(below)
            .y_desc("milliseconds")
            .label_style((FONT, 14))
            .x_label_formatter(&|value| format!("{value:.0}"))
            .y_label_formatter(&|value| format!("{value}"))
            .light_line_style(WHITE)
            .draw()?;
        for curve in curves {
            let style = curve.colour.stroke_width(3);
            chart
                .draw_series(LineSeries::new(curve.points.iter().copied(), style))?
                .label(curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
            chart.draw_series(
                curve.points.iter().map(|point| Circle::new(*point, 5, curve.colour.filled())),
            )?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .border_style(BLACK.mix(0.3))
            .label_font((FONT, 15))
            .draw()?;
        area.present()?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::report::table::tests::record;

    fn poll(label: &str, jobs: u64, p50: f64) -> BenchRecord {
        let engine = "MariaDB".to_owned();
        BenchRecord { jobs, p50: Some(p50), connections: 1, engine, ..record(label, 1.0, 1.0) }
    }

    #[test]
    fn points_are_medians_by_size() {
        let records = [poll(OWN, 1_000, 3.0), poll(OWN, 100, 1.0), poll(OWN, 100, 9.0), poll(OWN, 100, 2.0)];
        assert_eq!(points(&records, OWN), [(100.0, 2.0), (1_000.0, 3.0)]);
        assert_eq!(points(&records, PEER), []);
    }

    #[test]
    fn axes_range_over_powers_of_ten() {
        assert_eq!(decades([0.5, 90.0].into_iter()), 0.1..100.0);
        assert_eq!(decades([100.0].into_iter()), 100.0..1_000.0);
    }

    #[test]
    fn a_chart_names_both_services() {
        let records =
            [poll(OWN, 100, 1.0), poll(OWN, 1_000, 1.1), poll(PEER, 100, 90.0), poll(PEER, 1_000, 900.0)];
        let directory = std::env::temp_dir().join(format!("freezer-bench-chart-{}", std::process::id()));
        write_all(&directory, &records).unwrap();
        let text = fs::read_to_string(directory.join("poll.svg"));
        fs::remove_dir_all(&directory).unwrap();
        let text = text.unwrap();
        assert!(
            text.starts_with("<svg") && text.contains("freezer-api 19.0.0") && text.contains("this service")
        );
    }
}
