//! Tests of URLs and their parameters.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::tls::{Roots, TlsMode, TrustAnchor};

fn mysql(url: &str) -> MySqlUrl {
    match DatabaseUrl::parse(url) {
        Ok(DatabaseUrl::MySql(url)) => url,
        other => panic!("{url}: {other:?}"),
    }
}

fn refused(url: &str) -> UrlError {
    DatabaseUrl::parse(url).unwrap_err()
}

#[test]
fn a_url_of_the_python_service_is_parsed() {
    let u = mysql(
        "mysql+pymysql://fre%40zer:p%2Fw%3A@db.example:3307/freezer?charset=utf8mb4&ssl_ca=/etc/ca.pem",
    );
    assert_eq!((u.user.as_str(), u.password.as_deref()), ("fre@zer", Some("p/w:")));
    assert_eq!((u.host.as_str(), u.port, u.database.as_str()), ("db.example", 3307, "freezer"));
    assert_eq!(u.tls.ca.unwrap().path, PathBuf::from("/etc/ca.pem"));
    assert_eq!(u.tls.trust, [TrustAnchor { roots: Roots::Named, host_name: true }]);
}

#[test]
fn a_password_needs_no_escapes_except_for_an_ambiguous_at_sign() {
    for (password, written) in [
        ("p/w", "p/w"),
        ("p?w", "p?w"),
        ("p:w", "p:w"),
        ("/?:/?:", "/?:/?:"),
        ("p@w", "p@w"),
        ("@@", "@@"),
        ("p@:w", "p@:w"),
        ("p/w", "p%2Fw"),
        ("100%", "100%"),
        ("p%zz", "p%zz"),
        ("p+w#", "p+w#"),
        ("[p]", "[p]"),
        ("", ""),
    ] {
        for host in ["db.example", "[::1]", "192.0.2.1:3307", "[fe80::1]:3307"] {
            let u = mysql(&format!("mysql+pymysql://user:{written}@{host}/freezer?charset=utf8"));
            assert_eq!(u.password.as_deref(), Some(password), "{written} at {host}");
            assert!(host.contains(&u.host), "{host}: {}", u.host);
            assert_eq!((u.user.as_str(), u.database.as_str()), ("user", "freezer"), "{written} at {host}");
        }
    }
    // SQLAlchemy reads a host and a database with an @ in it.
    assert_eq!(refused("mysql://u:p@s/s@h/d"), UrlError::Ambiguous);
}

#[test]
fn users_hosts_and_ports_are_parsed_like_in_sqlalchemy() {
    let u = mysql("mysql://user@tenant:p@h/d");
    assert_eq!((u.user.as_str(), u.password.as_deref(), u.host.as_str()), ("user@tenant", Some("p"), "h"));
    let u = mysql("mysql://user@tenant@h:/d");
    assert_eq!((u.user.as_str(), u.password, u.host.as_str(), u.port), ("user@tenant", None, "h", 3306));
    let u = mysql("mysql+pymysql://u:p@/d?unix_socket=/run/my%20sql.sock");
    assert_eq!((u.host.as_str(), u.socket), ("localhost", Some(PathBuf::from("/run/my sql.sock"))));
    let u = mysql("mariadb+pymysql://:@/?user=u&password=p&host=h&port=3307&database=d");
    assert_eq!((u.user, u.password, u.host, u.port), ("u".into(), Some("p".into()), "h".into(), 3307));
}

#[test]
fn the_number_of_slashes_makes_a_sqlite_path_absolute() {
    let path = |url| match DatabaseUrl::parse(url).unwrap() {
        DatabaseUrl::Sqlite { path } => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(path("sqlite:///freezer.db"), PathBuf::from("freezer.db"));
    assert_eq!(path("sqlite:////var/lib/f@b:1.db?timeout=5"), PathBuf::from("/var/lib/f@b:1.db"));
    assert_eq!(DatabaseUrl::parse("sqlite://"), Err(UrlError::InMemory));
    // As in SQLAlchemy.
    for url in [
        "sqlite://freezer.db",
        "sqlite://host/freezer.db",
        "sqlite://u:secret@host/freezer.db?x=1",
        "sqlite://:memory:",
    ] {
        let error = DatabaseUrl::parse(url).unwrap_err();
        assert_eq!(error, UrlError::SqliteHost, "{url}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[test]
fn errors_name_the_part_and_the_escapes_and_never_show_the_password() {
    for (url, expected) in [
        ("freezer.db", UrlError::NoScheme),
        ("mysql+pymysql//u:secret@h/d", UrlError::NoScheme),
        ("mysql+pymysql:/u:secret://x@h/d", UrlError::NoScheme),
        ("oracle://u:secret@h/d", UrlError::Engine("oracle".into())),
        ("mysql://u:secret@h/", UrlError::Missing("database name")),
        ("mysql://u:secret@h", UrlError::Missing("database name")),
        ("mysql://h/d", UrlError::Missing("user name")),
        ("mysql://u:secret@h:0/d", UrlError::Port),
        ("mysql://u:secret@h:99999/d", UrlError::Port),
        ("mysql://u:secret@::1/d", UrlError::Port),
        ("mysql://u:sec:secret/d", UrlError::Port),
        ("mysql://u:s@ecret/secret@h/d", UrlError::Ambiguous),
        ("mysql://u:%ff-secret@h/d", UrlError::Encoding("password")),
    ] {
        let error = refused(url);
        assert_eq!(error, expected, "{url}");
        let shown = error.to_string();
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("%40") || matches!(error, UrlError::Engine(_)), "{shown}");
    }
    let shown = format!("{:?}", DatabaseUrl::parse("mysql://u:secret@[::1]:3306/d").unwrap());
    assert_eq!(shown, "mysql://u@[::1]:3306/d");
    for blank in ["", " \t", "''", "\" \""] {
        let error = refused(blank);
        assert_eq!(error, UrlError::Empty, "{blank:?}");
        assert!(error.to_string().starts_with("it is empty; write "), "{error}");
    }
}

#[test]
fn unused_parameters_are_reported() {
    let u = mysql(
        "mysql+pymysql://u:p@h/d?charset=utf8&read_timeout=5&chraset=utf8&init_command=SET%20x=1&connect_timeout=7&\
         ssl_check_hostname=true",
    );
    assert_eq!(u.connect_timeout, Some(Duration::from_secs(7)));
    let ignored: Vec<_> =
        u.ignored.iter().map(|parameter| (parameter.name.as_str(), parameter.effect)).collect();
    assert_eq!(
        ignored,
        [
            ("charset", Effect::Needless),
            ("read_timeout", Effect::Missing),
            ("chraset", Effect::Unknown),
            ("init_command", Effect::Missing),
            ("ssl_check_hostname", Effect::Alone("ssl_ca or ssl_capath")),
        ]
    );
    assert_eq!(
        refused("mysql://u:p@h/d?connect_timeout=0").to_string(),
        "the parameter connect_timeout=0 cannot be used: expected a number of seconds from 1 to 31536000"
    );
}

#[test]
fn additional_parameters_count_like_those_of_the_url() {
    let parse = |url, more| DatabaseUrl::parse_with(url, more);
    let Ok(DatabaseUrl::MySql(u)) = parse("mysql+pymysql://u:p@h/d", "ssl_ca=/a&connect_timeout=3") else {
        panic!("refused")
    };
    assert_eq!((u.tls.mode, u.connect_timeout), (TlsMode::Required, Some(Duration::from_secs(3))));
    let twice = parse("mysql+pymysql://u:p@h/d?ssl_ca=/a", "ssl_ca=/b");
    assert_eq!(twice, Err(UrlError::Repeated("ssl_ca".into())));
}

#[test]
fn an_option_file_completes_the_url() {
    let file = std::env::temp_dir().join(format!("fz-{}-my.cnf", std::process::id()));
    let text = "[client]\nuser=other\n\n# TLS\n[freezer]\nuser = 'from file'\npassword=\"se=cret\"\nhost: db\n\
                ssl_ca = /etc/ca.pem\nssl-cipher=HIGH\n[mysqld]\nssl-ca=/no\n";
    std::fs::write(&file, text).unwrap();
    let query = format!("read_default_file={}&read_default_group=freezer", file.display());
    let u = mysql(&format!("mysql+pymysql:///d?{query}"));
    assert_eq!(
        (u.user.as_str(), u.password.as_deref(), u.host.as_str()),
        ("from file", Some("se=cret"), "db")
    );
    assert_eq!((u.tls.mode, u.tls.trust.len()), (TlsMode::Required, 1));
    let u = mysql(&format!("mysql+pymysql://u:p@h/d?ssl_ca=/mine.pem&ssl_check_hostname=false&{query}"));
    assert_eq!((u.user.as_str(), u.password.as_deref(), u.host.as_str()), ("u", Some("p"), "h"));
    assert_eq!(u.tls.ca.unwrap().path, PathBuf::from("/mine.pem"));
    assert_eq!(u.tls.trust, [TrustAnchor { roots: Roots::Named, host_name: false }]);
    // Parameters of the URL apply in addition to an authority of the file.
    let trust = |parameters: &str| mysql(&format!("mysql+pymysql://u:p@h/d?{query}&{parameters}")).tls.trust;
    let named = |host_name| TrustAnchor { roots: Roots::Named, host_name };
    assert_eq!(trust(""), [named(true)]);
    assert_eq!(trust("ssl_check_hostname=false"), [named(false)]);
    assert_eq!(trust("ssl_verify_cert=false"), []);
    assert_eq!(trust("ssl_verify_cert=true").len(), 2);
    let u = mysql(&format!("mysql+pymysql://u:p@h/d?{query}&ssl_check_hostname=false&ssl_verify_cert=true"));
    let remarks: Vec<_> = u.ignored.iter().map(|found| (found.name.as_str(), found.effect)).collect();
    assert_eq!(remarks, [("ssl_verify_cert", Effect::Widening)]);
    assert_eq!(
        mysql(&format!("mysql+mysqldb://u:p@h/d?{query}&ssl_mode=PREFERRED")).tls.mode,
        TlsMode::Preferred
    );
    assert_eq!(mysql(&format!("mysql+pymysql://u:p@h/d?{query}&ssl_disabled=1")).tls.mode, TlsMode::Disabled);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(mysql(&format!("mysql+pymysql://u:p@h/d?{query}")).tls.mode, TlsMode::Preferred);
}

#[test]
fn a_url_can_contain_a_list_of_servers() {
    for (authority, expected) in [
        ("db1,db2", &[("db1", 3306), ("db2", 3306)][..]),
        ("db1:3307,db2", &[("db1", 3307), ("db2", 3306)]),
        ("db1,10.0.0.2:3308,db3:3309", &[("db1", 3306), ("10.0.0.2", 3308), ("db3", 3309)]),
        ("db1", &[("db1", 3306)]),
    ] {
        let url = format!("mysql+pymysql://freezer:secret@{authority}/freezer?charset=utf8");
        let Ok(DatabaseUrl::MySql(url)) = DatabaseUrl::parse(&url) else { panic!("{authority}") };
        let mut servers = vec![(url.host.as_str(), url.port)];
        servers.extend(url.others.iter().map(|(host, port)| (host.as_str(), *port)));
        assert_eq!(servers, expected, "{authority}");
    }
    for wrong in ["db1,,db2", "db1,db2:0", "db1:x,db2", ",db1"] {
        let url = format!("mysql+pymysql://freezer:secret@{wrong}/freezer");
        let error = DatabaseUrl::parse(&url).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    let url = DatabaseUrl::parse("mysql://freezer:secret@db1,db2:3307/freezer").unwrap();
    assert_eq!(url.to_string(), "mysql://freezer@db1:3306,db2:3307/freezer");
    let url = DatabaseUrl::parse("mysql+pymysql://freezer@[2001:db8::1]:3307/freezer").unwrap();
    assert_eq!(url.to_string(), "mysql://freezer@[2001:db8::1]:3307/freezer");
}

#[test]
fn a_key_without_a_certificate_is_reported() {
    let effects = |query: &str| {
        let url = mysql(&format!("mysql+pymysql://u:p@h/d?{query}"));
        url.ignored.into_iter().map(|parameter| (parameter.name, parameter.effect)).collect::<Vec<_>>()
    };
    assert_eq!(effects("ssl_key=/k"), [("ssl_key".to_owned(), Effect::Alone("ssl_cert"))]);
    assert_eq!(effects("ssl_key=/k&ssl_cert="), [("ssl_key".to_owned(), Effect::Alone("ssl_cert"))]);
    assert_eq!(effects("ssl_key=/k&ssl_cert=/c"), []);
    assert_eq!(effects("ssl_cert=/c"), []);
    assert_eq!(effects("ssl_key_password=x"), [("ssl_key_password".to_owned(), Effect::KeyPassword)]);
    let missing = effects("read_default_file=/nonexistent/my.cnf");
    assert_eq!(missing, [("read_default_file".to_owned(), Effect::MissingFile)]);
    // The key can be in the option file, and the certificate in the URL.
    let path = std::env::temp_dir().join(format!("fz-key-{}.cnf", std::process::id()));
    std::fs::write(&path, "[client]\nssl-key = /k\n").unwrap();
    let file = format!("read_default_file={}", path.display());
    let name = format!("ssl-key in {}", path.display());
    assert_eq!(effects(&file), [(name, Effect::Alone("ssl_cert"))]);
    assert_eq!(effects(&format!("{file}&ssl_cert=/c")), []);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn parameters_of_sqlite_are_reported_and_uris_are_rejected() {
    let found = |url: &str, more: &str| {
        let found = DatabaseUrl::sqlite_parameters(url, more).into_iter();
        found.map(|parameter| (parameter.name, parameter.effect)).collect::<Vec<_>>()
    };
    assert_eq!(found("sqlite:////f.db", ""), []);
    assert_eq!(found("sqlite:////f.db?timeout=", " "), []);
    assert_eq!(
        found("sqlite:////f.db?timeout=30&mode=ro", "cache=shared"),
        [
            ("timeout".to_owned(), Effect::Needless),
            ("mode".to_owned(), Effect::Missing),
            ("cache".to_owned(), Effect::Missing)
        ]
    );
    for (url, more) in [
        ("sqlite:///file:x?uri=true", ""),
        ("sqlite:///file:x?mode=ro&uri=1", ""),
        ("sqlite:////f.db", "uri=True"),
    ] {
        let error = DatabaseUrl::parse_with(url, more).unwrap_err();
        assert_eq!(error.parameter(), Some("uri"));
        assert!(error.to_string().contains("write the path of the file"), "{error}");
    }
    for url in ["sqlite:///file:x?mode=ro", "sqlite:////f.db?uri=false", "sqlite:////f.db?uri="] {
        DatabaseUrl::parse(url).unwrap();
    }
}
