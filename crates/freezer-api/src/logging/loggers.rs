//! Loggers by their dotted names, as in Python's logging: the settings for a line are those of its logger, or
//! of the nearest parent.

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::config::{Logger, OWN};

/// Names of this service's crates in freezer-api 19.0.0, whose loggers a configuration contains.
const PYTHON_NAMES: [(&str, &str); 2] =
    [("freezer_store", "freezer_api"), ("keystone_auth", "keystonemiddleware")];

/// The loggers of a configuration.
pub(crate) struct Loggers(pub(crate) Vec<Logger>);

impl Loggers {
    /// Returns the loggers that apply to a name, the nearest first.
    fn applicable<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Logger> {
        let parents = |name: &'a str| {
            std::iter::successors(Some(name), |name| name.rsplit_once('.').map(|(parent, _)| parent))
        };
        let there = PYTHON_NAMES.iter().filter(move |(own, _)| name.split('.').next() == Some(own));
        let names = parents(name).chain(there.map(|(_, theirs)| *theirs)).chain(std::iter::once(""));
        names.filter_map(|name| self.0.iter().find(|logger| logger.name == name))
    }

    /// Returns the lowest level that is written.
    pub(crate) fn level(&self, name: &str) -> LevelFilter {
        self.applicable(name).find_map(|logger| logger.level).unwrap_or(LevelFilter::WARN)
    }

    /// Returns the handlers of a logger as indexes, without duplicates.
    pub(crate) fn handlers(&self, name: &str) -> Vec<usize> {
        let mut handlers: Vec<usize> = Vec::new();
        for logger in self.applicable(name) {
            handlers.extend(logger.handlers.iter().filter(|at| !handlers.contains(at)).collect::<Vec<_>>());
            if !logger.propagate {
                break;
            }
        }
        handlers
    }

    /// Returns a filter for events that no logger writes. It may accept too many, because it compares
    /// prefixes of names instead of whole parts.
    pub(crate) fn filter(&self) -> Targets {
        let named = self.0.iter().filter(|logger| !logger.name.is_empty());
        let named = named.filter_map(|logger| Some((logger.name.replace('.', "::"), logger.level?)));
        Targets::new()
            .with_default(self.level(""))
            .with_targets(OWN.map(|name| (name, self.level(name))))
            .with_targets(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logger(name: &str, level: Option<LevelFilter>, handlers: &[usize], propagate: bool) -> Logger {
        Logger { name: name.to_owned(), level, handlers: handlers.to_vec(), propagate }
    }

    #[test]
    fn a_logger_inherits_from_its_parents() {
        let loggers = Loggers(vec![
            logger("", Some(LevelFilter::WARN), &[0], true),
            logger("freezer_api", Some(LevelFilter::INFO), &[1, 0], true),
            logger("freezer_api.api", None, &[2], true),
            logger("freezer_api.quiet", Some(LevelFilter::ERROR), &[3], false),
            logger("freezer", Some(LevelFilter::TRACE), &[4], true),
        ]);
        for (name, level, handlers) in [
            ("hyper.proto", LevelFilter::WARN, vec![0]),
            ("freezer_api", LevelFilter::INFO, vec![1, 0]),
            ("freezer_api.api.v2", LevelFilter::INFO, vec![2, 1, 0]),
            ("freezer_api.quiet.x", LevelFilter::ERROR, vec![3]),
            ("freezer_store.tx", LevelFilter::INFO, vec![1, 0]),
            ("freezer_api_else", LevelFilter::WARN, vec![0]),
            ("keystone_auth", LevelFilter::WARN, vec![0]),
        ] {
            assert_eq!((loggers.level(name), loggers.handlers(name)), (level, handlers), "{name}");
        }
    }
}
