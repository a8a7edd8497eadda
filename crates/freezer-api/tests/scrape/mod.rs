//! Reads metrics in the text format of OpenMetrics. `documents.rs` has what is written about them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![allow(dead_code, reason = "each test program uses its own part")]

pub mod documents;

use std::collections::{BTreeMap, BTreeSet};

/// A sample: its labels and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// The metrics of one scrape.
#[derive(Debug, Default)]
pub struct Scrape {
    /// Types by the name of the metric, without the suffixes of samples.
    pub types: BTreeMap<String, String>,
    /// Samples by name.
    pub samples: BTreeMap<String, Vec<Sample>>,
}

impl Scrape {
    /// Parses a text. Fails if it breaks a rule of the format.
    pub fn parse(text: &str) -> Scrape {
        let mut scrape = Scrape::default();
        let body = text.strip_suffix("# EOF\n").expect("the mark of the end");
        for line in body.lines() {
            assert!(!line.is_empty(), "an empty line");
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a type");
                let before = scrape.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} is declared twice");
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').expect("a series and a value");
                let (name, labels) = labels(series);
                let sample = Sample { labels, value: value.parse().expect("a number") };
                assert!(scrape.family(&name).is_some(), "{name} has no type");
                scrape.samples.entry(name).or_default().push(sample);
            }
        }
        scrape
    }

    /// Returns the name and the type of the metric to which samples of this name belong.
    pub fn family(&self, sample: &str) -> Option<(&str, &str)> {
        ["", "_total", "_info", "_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            let (name, kind) = self.types.get_key_value(sample.strip_suffix(suffix)?)?;
            Some((name.as_str(), kind.as_str()))
        })
    }

    /// Returns the names of the labels of each metric, without `le`.
    pub fn labels(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, samples) in &self.samples {
            let names = samples.iter().flat_map(|sample| sample.labels.keys()).map(String::as_str);
            let (family, _) = self.family(name).expect("a type");
            found.entry(family).or_default().extend(names.filter(|name| *name != "le"));
        }
        found
    }

    /// Returns the sum of the samples of a name that have these labels. 0 if there are none.
    pub fn sum(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            wanted.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|found| found == value))
        };
        self.samples.get(name).into_iter().flatten().filter(has).map(|sample| sample.value).sum()
    }

    /// Returns the value of the only sample with these labels.
    #[track_caller]
    pub fn one(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let samples = self.samples.get(name).into_iter().flatten();
        let labels = wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found: Vec<f64> =
            samples.filter(|sample| sample.labels == labels).map(|sample| sample.value).collect();
        assert_eq!(found.len(), 1, "{name} {wanted:?}: {:?}", self.samples.get(name));
        found[0]
    }
}

fn labels(series: &str) -> (String, BTreeMap<String, String>) {
    let Some((name, rest)) = series.split_once('{') else { return (series.to_owned(), BTreeMap::new()) };
    let rest = rest.strip_suffix('}').expect("the end of the labels");
    // no value of ours contains a quote
    let mut parts = rest.split('"');
    let mut labels = BTreeMap::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let name = name.trim_start_matches(',').strip_suffix('=').expect("the name of a label");
        labels.insert(name.to_owned(), value.to_owned());
    }
    (name.to_owned(), labels)
}
