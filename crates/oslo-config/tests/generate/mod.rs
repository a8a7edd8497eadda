//! Generates the cases of the differential test from seeds: declarations, files and environments.
//! `differential.rs` compares them.

use oslo_config::{OptDecl, OptionKind};

/// xorshift64*: good enough to choose cases, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap()
    }
    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound
    }
    /// Returns true with a probability of `percent`.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const KINDS: [OptionKind; 10] = [
    OptionKind::Str,
    OptionKind::Bool,
    OptionKind::Int,
    OptionKind::Float,
    OptionKind::Port,
    OptionKind::List,
    OptionKind::MultiStr,
    OptionKind::Dict,
    OptionKind::HostAddress,
    OptionKind::Uri,
];

const GROUPS: [&str; 4] = ["DEFAULT", "svc", "other", "Mixed"];
const NAMES: [&str; 6] = ["a", "b", "c", "state_path", "host-name", "svc"];

fn good_values(kind: OptionKind) -> &'static [&'static str] {
    match kind {
        OptionKind::Str | OptionKind::MultiStr => {
            &["x", "a b", "/var/lib/x", "", "é", "100%", "a,b", "it's", "\"q\" 'r'", "one"]
        }
        OptionKind::Bool => &["true", "FALSE", "on", "Off", "yes", "No", "1", "0"],
        OptionKind::Int => &["5", "-3", "+7", "0012", "1_000", "", "20", "2", "9007199254740993"],
        OptionKind::Float => &["1.5", "2", "1e3", "1e22", "-.5", "inf", "nan", "1.25e-7", "123456789.0"],
        OptionKind::Port => &["80", "0", "65535", "08080", ""],
        OptionKind::List => &["a,b", " a , b ,", "", ",", "a,,b", "one,two", "one", "a b, 'c'", ",x"],
        OptionKind::Dict => &["a:1", "b:2, a:1:2", "", "k,l:v", "x:", "'k':\"v\""],
        OptionKind::HostAddress => &["127.0.0.1", "::1", "localhost", "db.example.", "A-1.b", "::1.2.3.4"],
        OptionKind::Uri => {
            &["http://host/path", "https://u:p@[::1]:5000/v3?x=[1]#f", "a+b://h", "http://:80", "http://h\\x"]
        }
        _ => &[],
    }
}

const ODD_VALUES: [&str; 40] = [
    "maybe",
    "1.5.2",
    "0x10",
    "65536",
    "-1",
    "1__0",
    "_1",
    "99",
    "a:1,a:2",
    ":1",
    "a:1,b",
    "a b",
    "http://",
    "sqlite:///x",
    "http://h o",
    "http://1.2.3.999",
    "http://h/[x]",
    "http://@h",
    "1.2.3",
    "-host",
    "a_b",
    "fe80::1%eth0",
    "01.2.3.4",
    "1:2",
    "\"",
    "'",
    "'x\"",
    "\"\"",
    "'x'",
    "\" x \"",
    "[a]",
    "{a:1}",
    "infinity",
    "1e",
    "three",
    "\u{a0}x\u{a0}",
    "tRuE",
    "ſ",
    "http://h:123456",
    "a\tb",
];

const REFERENCES: [&str; 26] = [
    "$a",
    "${b}",
    "$c",
    "$state_path/x",
    "${svc.a}",
    "$svc.b",
    "${other.c}",
    "$host_name",
    "$$a",
    "\\$a",
    "$\\$a",
    "$5",
    "$",
    "${a",
    "${a-b}",
    "$svc",
    "$unknown",
    "${nogroup.x}",
    "${svc.unknown}",
    "$old_a",
    "${Mixed.a}",
    "${mixed.a}",
    "$A",
    "$a.",
    "${svc.state_path}",
    "$ſ",
];

fn value(random: &mut Random, kind: OptionKind, odd: bool) -> String {
    let base = match random.below(if odd { 12 } else { 4 }) {
        0..=3 => random.pick(good_values(kind)).to_owned(),
        4 | 5 => {
            let any = random.pick_kind();
            random.pick(good_values(any)).to_owned()
        }
        6 | 7 => random.pick(&ODD_VALUES).to_owned(),
        8 => random.pick(&REFERENCES).to_owned(),
        9 => format!("{}{}", random.pick(&REFERENCES), random.pick(good_values(kind))),
        10 => format!("{}{}", random.pick(good_values(kind)), random.pick(&REFERENCES)),
        _ => format!("{}{}", random.pick(&REFERENCES), random.pick(&REFERENCES)),
    };
    match random.below(12) {
        0 if odd => format!("\"{base}\""),
        1 if odd => format!("'{base}"),
        _ => base,
    }
}

impl Random {
    fn pick_kind(&mut self) -> OptionKind {
        self.pick(&KINDS)
    }
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// Generates declarations with different names. If the name of an option has a hyphen, its deprecated names
/// are never used in references, because oslo.config does not replace such references (a deliberate
/// difference).
fn declarations(random: &mut Random) -> Vec<OptDecl> {
    let mut decls: Vec<OptDecl> = Vec::new();
    while decls.len() < 2 || random.chance(75) {
        let (group, name) = (random.pick(&GROUPS), random.pick(&NAMES));
        // An option that has the name of a group cannot be read.
        if (group, name) == ("DEFAULT", "svc")
            || decls.iter().any(|decl| decl.group == group && decl.name == name)
        {
            continue;
        }
        let kind = random.pick_kind();
        let mut decl = OptDecl::new(group, name, kind);
        decl.choices = match (kind, random.chance(15)) {
            (OptionKind::Str, true) => &["one", "a b", ""],
            (OptionKind::List, true) => &["a", "b", "one", "a,b"],
            (OptionKind::Int, true) => &["5", "20", "-3"],
            _ => &[],
        };
        if matches!(kind, OptionKind::Int | OptionKind::Float) && decl.choices.is_empty() && random.chance(30)
        {
            decl.min = Some(2);
            decl.max = random.chance(50).then_some(20);
        }
        if kind == OptionKind::Port && random.chance(30) {
            decl.min = Some(80);
        }
        let unlimited = decl.choices.is_empty() && decl.min.is_none();
        decl.default = match random.below(5) {
            0 | 1 if unlimited => Some(random.pick(good_values(kind))),
            2 => Some(random.pick(&["$a", "${svc.a}", "$b", "${state_path}/x", "$old_a"])),
            _ => None,
        };
        let old = ["old_a", "old-b", "a", "b"];
        decl.deprecated = match (random.below(6), group) {
            (0..3, _) if name == "host-name" => &[("OLD", "old-h"), ("OLD", "x")],
            (0, _) => Vec::leak(vec![("DEFAULT", random.pick(&old))]),
            (1, _) => Vec::leak(vec![("", random.pick(&old)), ("DEFAULT", "older")]),
            (2, "svc" | "other") => Vec::leak(vec![("DEFAULT", ""), ("OLD", "x")]),
            _ => &[],
        };
        decl.required = random.chance(4);
        decls.push(decl);
    }
    decls
}

fn header(random: &mut Random) -> String {
    let group = match random.below(12) {
        0 => random.pick(&["default", "Svc", "OTHER", "mixed", " svc ", "[x]", "OLD"]),
        _ => random.pick(&GROUPS),
    };
    format!("[{group}]{}", random.pick(&["", "", " ", "\t"]))
}

fn text(random: &mut Random, decls: &[OptDecl]) -> String {
    let mut lines = Vec::new();
    if !random.chance(2) {
        lines.push(header(random));
    }
    for _ in 0..random.below(12) {
        // Most lines are assignments of declared options, below the right header.
        let line = match random.below(1000) {
            0..600 => {
                let decl = decls[random.below(decls.len())];
                let old = decl.deprecated.first().map_or("old_a", |(_, name)| name);
                let key = if random.chance(85) { decl.key() } else { old.to_owned() };
                if random.chance(70) {
                    lines.push(format!("[{}]", decl.group));
                }
                assignment(random, &key, decl.kind)
            }
            600..750 => {
                let key = random.pick(&["a", "b", "old_a", "old-b", "old_b", "older", "x", "A"]);
                let kind = random.pick_kind();
                assignment(random, key, kind)
            }
            750..840 => header(random),
            840..900 => random.pick(&["# c = d", "; [x]", "#", "", "  ", "\t"]).to_owned(),
            900..970 => {
                // Only after an assignment. Otherwise almost every file would be rejected.
                if lines.last().is_some_and(|line| line.contains('=') && !line.contains(['[', '#'])) {
                    format!("{}{}", random.pick(&[" ", "\t", "    "]), value_any(random))
                } else {
                    String::new()
                }
            }
            970..980 => random.pick(&["junk", "= x", ": x", "[svc", "[]", " stray", "["]).to_owned(),
            _ => format!("{}={}", random.pick(&["a b", "\u{a0}a", "é", "a.b"]), value_any(random)),
        };
        lines.push(line);
    }
    let end = random.pick(&["\n", "\n", "\n", "\n", "\r\n", "\r"]);
    let mut text = lines.join(end);
    if random.chance(70) {
        text.push_str(end);
    }
    text
}

fn value_any(random: &mut Random) -> String {
    let kind = random.pick_kind();
    value(random, kind, true)
}

fn assignment(random: &mut Random, key: &str, kind: OptionKind) -> String {
    let sign = random.pick(&[" = ", " = ", "=", ":", ": ", " ="]);
    format!("{key}{sign}{}", value(random, kind, true))
}

/// A configuration and the options to read from it.
pub struct Case {
    pub seed: u64,
    /// Files, in ascending order of priority.
    pub texts: Vec<String>,
    pub env: Vec<(String, String)>,
    pub decls: Vec<OptDecl>,
}

/// Generates the case of a seed.
pub fn case(seed: u64) -> Case {
    // Similar seeds would produce similar sequences.
    let mut random = Random((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let decls = declarations(&mut random);
    let texts = (0..random.below(3) + 1).map(|_| text(&mut random, &decls)).collect();
    let mut env = Vec::new();
    for decl in &decls {
        // oslo.config makes one value of every character for a multi-valued option.
        if random.chance(6) && decl.kind != OptionKind::MultiStr {
            let name = format!("OS_{}__{}", decl.group.to_uppercase(), decl.key().to_uppercase());
            env.push((name, value(&mut random, decl.kind, true)));
        }
    }
    Case { seed, texts, env, decls }
}

/// Generates declarations for a sample file: no hyphens in help texts, no deprecated group without a name,
/// and a sample default only if oslo.config accepts it as text.
pub fn sampled(seed: u64) -> Vec<OptDecl> {
    let mut random = Random((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut decls = declarations(&mut random);
    for decl in &mut decls {
        decl.deprecated = if random.chance(30) { &[("OLD", "x"), ("", "y")] } else { &[] };
        decl.advanced = random.chance(20);
        decl.required = false;
        let words = random.below(40);
        let mut help = String::new();
        for _ in 0..words {
            help.push_str(random.pick(&[
                "word",
                "a",
                "configuration",
                " ",
                "two  blanks",
                "\n",
                "\n\n",
                "end.",
                "http://averylongwordthatfitsnoline.example/averylongwordthatfitsnoline/averylongword",
            ]));
            help.push_str(random.pick(&[" ", " ", " ", ", ", "\n    "]));
        }
        decl.help = leak(help);
        if decl.kind == OptionKind::Str && random.chance(20) {
            decl.sample_default = Some(random.pick(&["", " x ", "/path", "a\nb"]));
        }
        // oslo.config does not print the choices of a list's items.
        decl.choices = if decl.kind == OptionKind::List { &[] } else { decl.choices };
        // oslo.config prints a list as declared, but would quote a text.
        if matches!(decl.kind, OptionKind::List | OptionKind::Dict) {
            decl.default = None;
        }
    }
    decls
}
