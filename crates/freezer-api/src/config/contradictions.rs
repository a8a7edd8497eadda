//! Warnings about pairs of options of which one keeps the other from having its effect. A warning names both.

use ::oslo_config::{Config, OptDecl, Origin};

use super::declarations;

/// An option that should not be larger than another one.
struct OrderedOptions {
    smaller: (&'static str, &'static str),
    larger: (&'static str, &'static str),
    /// The effect if it is.
    effect: &'static str,
    /// Whether the default of the first option counts, too. Otherwise an operator who lowers the second one gets no warning.
    with_default: bool,
}

const PAIRS: &[OrderedOptions] = &[
    OrderedOptions {
        smaller: ("api", "body_idle_timeout"),
        larger: ("api", "body_timeout"),
        effect: "a pause is never so long, because the whole body must arrive earlier",
        with_default: true,
    },
    OrderedOptions {
        smaller: ("api", "max_searches_per_project"),
        larger: ("api", "max_searches"),
        effect: "one project can use the searches of all projects, and never reaches its own limit",
        with_default: false,
    },
    OrderedOptions {
        smaller: ("api", "max_connections_per_peer"),
        larger: ("api", "max_connections"),
        effect: "one address can use all connections, and never reaches its own limit",
        with_default: false,
    },
    OrderedOptions {
        smaller: ("database", "statement_timeout"),
        larger: ("api", "request_timeout"),
        effect: "no statement of a request runs so long, because the request ends earlier",
        with_default: false,
    },
    OrderedOptions {
        smaller: ("oslo_middleware", "max_request_body_size"),
        larger: ("api", "max_waiting_bytes"),
        effect: "a request with a large body is answered with 503 while others wait",
        with_default: false,
    },
    OrderedOptions {
        smaller: ("api", "max_page_bytes"),
        larger: ("api", "max_answer_bytes"),
        effect: "a page can need more memory than all answers together may",
        with_default: false,
    },
];

/// Returns a warning for each pair that does not fit. `connections` is the size of the pool of the database.
pub(super) fn remarks(config: &Config, connections: usize) -> Vec<String> {
    let found = PAIRS.iter().filter_map(|pair| remark(config, pair));
    found.chain(more_searches_than_connections(config, connections)).collect()
}

fn remark(
    config: &Config,
    OrderedOptions { smaller, larger, effect, with_default }: &OrderedOptions,
) -> Option<String> {
    let (small, large) = (value(config, *smaller)?, value(config, *larger)?);
    if small.number <= large.number || !(small.is_set || (*with_default && large.is_set)) {
        return None;
    }
    let show =
        |(group, name): (&str, &str), value: &OptionNumber| format!("[{group}] {name} = {}", value.number);
    let (small_shown, large_shown) = (show(*smaller, &small), show(*larger, &large));
    // The message begins with an option that is set, so that it gets its file and line.
    Some(match small.is_set {
        true => format!(
            "{small_shown}: larger than {large_shown}: {effect}; lower the first, or raise the second"
        ),
        false => format!(
            "{large_shown}: smaller than {small_shown}: {effect}; raise the first, or lower the second"
        ),
    })
}

/// The searches of all projects use at most half of the connections.
fn more_searches_than_connections(config: &Config, connections: usize) -> Option<String> {
    let most = (connections / 2).max(1);
    let searches = value(config, ("api", "max_searches"))?;
    let is_more = usize::try_from(searches.number).is_ok_and(|number| number > most);
    (is_more && searches.is_set).then(|| {
        format!(
            "[api] max_searches = {}: searches use at most {most}, half of the connections of [database] max_pool_size and \
             max_overflow; lower it, or raise these",
            searches.number
        )
    })
}

struct OptionNumber {
    number: i64,
    /// Whether it is not the default.
    is_set: bool,
}

/// Returns the value of a declared number. Invalid values are reported elsewhere.
fn value(config: &Config, (group, name): (&str, &str)) -> Option<OptionNumber> {
    let named = |option: &&OptDecl| option.group == group && option.name == name;
    let option = declarations().into_iter().find(named)?;
    let is_set = !matches!(config.origin(option), None | Some(Origin::Default));
    Some(OptionNumber { number: config.int(option).ok()??, is_set })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn remarks(text: &str) -> Vec<String> {
        super::remarks(&Config::from_text("f", text).unwrap().declare(&declarations()), 55)
    }

    #[test]
    fn every_option_of_a_pair_exists() {
        let config = Config::from_text("f", "").unwrap().declare(&declarations());
        for pair in PAIRS {
            let small = value(&config, pair.smaller).unwrap();
            assert!(small.number <= value(&config, pair.larger).unwrap().number, "{:?}", pair.smaller);
        }
    }

    #[test]
    fn options_that_contradict_each_other_cause_one_warning() {
        for (text, begin, other) in [
            (
                "[api]\nbody_idle_timeout = 90",
                "[api] body_idle_timeout = 90: larger than",
                "[api] body_timeout = 60",
            ),
            (
                "[api]\nbody_timeout = 20",
                "[api] body_timeout = 20: smaller than",
                "[api] body_idle_timeout = 30",
            ),
            ("[api]\nbody_timeout = 20\nbody_idle_timeout = 21", "[api] body_idle_timeout = 21", "= 20"),
            ("[api]\nmax_searches_per_project = 9", "[api] max_searches_per_project = 9", "max_searches = 8"),
            (
                "[api]\nmax_connections_per_peer = 9\nmax_connections = 8",
                "[api] max_connections_per_peer",
                "= 8",
            ),
            ("[database]\nstatement_timeout = 31", "[database] statement_timeout = 31", "request_timeout"),
            (
                "[api]\nmax_page_bytes = 2000000\nmax_answer_bytes = 1048576",
                "[api] max_page_bytes",
                "1048576",
            ),
            (
                "[oslo_middleware]\nmax_request_body_size = 9\n[api]\nmax_waiting_bytes = 8",
                "[oslo_middleware] max_request_body_size = 9: larger than",
                "[api] max_waiting_bytes = 8",
            ),
            ("[api]\nmax_searches = 28", "[api] max_searches = 28: searches use at most 27", "max_pool_size"),
        ] {
            let found = remarks(text);
            assert!(found.len() == 1 && found[0].starts_with(begin), "{text}: {found:?}");
            assert!(found[0].contains(other), "{found:?}");
        }
        for text in [
            "",
            "[api]\nbody_idle_timeout = 60",
            "[api]\nmax_searches = 1",
            "[api]\nrequest_timeout = 5",
            // Deployment tools set it for services without such a limit.
            "[database]\npool_timeout = 60",
            "[api]\nmax_connections = 3",
            "[api]\nmax_searches = 27",
            "[database]\nmax_pool_size = 1\nmax_overflow = 0",
        ] {
            assert_eq!(remarks(text), Vec::<String>::new(), "{text}");
        }
    }
}
