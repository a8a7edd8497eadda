//! The cases of `tls.rs`: URLs and their expected results.

/// The server and the name by which it is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Its certificate is for 127.0.0.1.
    Right,
    /// Its certificate is for another name.
    Other,
    /// Its certificate has X.509 version 1 and the common name `localhost`. It is addressed by this name.
    Version1,
    /// The same server, addressed by its IP address.
    Version1ByAddress,
    /// Its certificate is self-signed, is marked as an authority, and is for `localhost` and 127.0.0.1.
    Authority,
    /// Its certificate has an unknown critical extension.
    Critical,
    /// Its key is only for RSA-PSS.
    Pss,
    /// It does not support TLS.
    Plain,
}

/// The result of a connection.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// The server reports that the connection is encrypted.
    Encrypted,
    /// The server reports a TCP connection in plain text.
    Plain,
    /// The connection uses the Unix socket, without encryption.
    Socket,
    /// The connection fails. This is part of the error message.
    Refused(&'static str),
}

/// The behaviour of PyMySQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Python {
    Same,
    /// It differs. The table in docs/database.md has a row about this.
    Differs,
    /// It cannot be tested because this is the URL of another driver.
    NotAsked,
}

#[derive(Debug)]
pub struct Case {
    pub host: Host,
    pub driver: &'static str,
    pub user: &'static str,
    pub parameters: &'static str,
    pub expected: Expected,
    pub python: Python,
}

const fn case(
    host: Host,
    user: &'static str,
    parameters: &'static str,
    expected: Expected,
    python: Python,
) -> Case {
    Case { host, driver: "mysql+pymysql", user, parameters, expected, python }
}

const fn client(
    driver: &'static str,
    host: Host,
    user: &'static str,
    parameters: &'static str,
    expected: Expected,
) -> Case {
    Case { host, driver, user, parameters, expected, python: Python::NotAsked }
}

use Expected::{Encrypted, Plain, Refused, Socket};
use Host::{Authority, Critical, Other, Pss, Right, Version1, Version1ByAddress};
use Python::{Differs, NotAsked, Same};

const NAME: Expected = Refused("is for other names: ");
const ISSUER: Expected = Refused("is not signed by an authority of ");
const NO_TLS: Expected = Refused("require TLS: enable it in the server");
const DENIED: Expected = Refused("whether the account requires TLS");
const MYSQLCLIENT: &str = "mysql+mysqldb";

pub const CASES: &[Case] = &[
    // No parameters: the connection is encrypted if the server supports it.
    case(Right, "any", "", Encrypted, Same),
    case(Other, "any", "", Encrypted, Same),
    case(Version1, "any", "", Encrypted, Same),
    case(Right, "encrypted", "", Encrypted, Same),
    case(Host::Plain, "any", "", Plain, Same),
    case(Right, "certified", "", DENIED, Same),
    case(Right, "odd", "", Encrypted, Same),
    // Blank values are ignored.
    case(Right, "any", "ssl_ca=&ssl_verify_cert=&unix_socket=", Encrypted, Same),
    case(Host::Plain, "any", "ssl_ca=&ssl_key=&ssl_cert=&ssl_disabled&ssl_capath=", Plain, Same),
    // The system's authorities.
    case(Right, "any", "ssl_verify_cert=true", ISSUER, Same),
    case(Right, "any", "ssl_verify_cert=1", ISSUER, Same),
    case(Right, "any", "ssl_verify_cert=Yes", ISSUER, Same),
    case(Right, "any", "ssl_verify_cert=required", ISSUER, Same),
    case(Right, "any", "ssl_verify_cert=on", ISSUER, Differs),
    case(Right, "any", "ssl_verify_identity=true", ISSUER, Same),
    case(Right, "any", "ssl_verify_identity=false", ISSUER, Same),
    case(Version1, "any", "ssl_verify_cert=true", ISSUER, Same),
    case(Host::Plain, "any", "ssl_verify_cert=true", NO_TLS, Same),
    case(Right, "any", "ssl_verify_cert=maybe", Refused("ssl_verify_cert=maybe cannot be used"), Differs),
    // TLS is required, but nothing is verified.
    case(Other, "any", "ssl_verify_cert=false", Encrypted, Same),
    case(Host::Plain, "any", "ssl_verify_cert=false", NO_TLS, Same),
    case(Other, "any", "ssl_verify_cert=false&ssl_ca={dir}/other-ca.pem", Encrypted, Same),
    case(Other, "any", "ssl_check_hostname=true", Encrypted, Same),
    case(Host::Plain, "any", "ssl_check_hostname=true", NO_TLS, Same),
    case(Host::Plain, "any", "ssl_check_hostname=false", NO_TLS, Same),
    case(Other, "any", "ssl_key={dir}/client.key", Encrypted, Same),
    case(Host::Plain, "any", "ssl_key={dir}/client.key", NO_TLS, Same),
    case(Other, "any", "ssl_cipher=ECDHE-ECDSA-AES256-GCM-SHA384", Encrypted, Same),
    case(Other, "any", "ssl_cipher=HIGH:!aNULL", Encrypted, Same),
    case(Host::Plain, "any", "ssl_cipher=HIGH", NO_TLS, Same),
    case(Right, "any", "ssl_cipher=none-such", Refused("ssl_cipher=none-such cannot be used"), Same),
    // Client certificates.
    case(Right, "certified", "ssl_cert={dir}/client.pem&ssl_key={dir}/client.key", Encrypted, Same),
    case(Right, "certified", "ssl_cert={dir}/client-both.pem", Encrypted, Same),
    case(Other, "certified", "ssl_cert={dir}/client-both.pem", Encrypted, Same),
    case(Right, "certified", "ssl_ca={dir}/ca.pem&ssl_cert={dir}/client-both.pem", Encrypted, Same),
    case(Host::Plain, "any", "ssl_cert={dir}/client-both.pem", NO_TLS, Same),
    case(Right, "certified", "ssl_ca={dir}/ca.pem", DENIED, Same),
    // An authority: the chain and the host name are verified.
    case(Right, "any", "ssl_ca={dir}/ca.pem", Encrypted, Same),
    case(Right, "encrypted", "ssl_ca={dir}/ca.pem", Encrypted, Same),
    case(Right, "any", "ssl_ca={dir}/both-ca.pem", Encrypted, Same),
    case(Other, "any", "ssl_ca={dir}/ca.pem", NAME, Same),
    case(Right, "any", "ssl_ca={dir}/other-ca.pem", ISSUER, Same),
    case(Host::Plain, "any", "ssl_ca={dir}/ca.pem", NO_TLS, Same),
    case(Right, "any", "ssl_ca={dir}/ca.pem&ssl_check_hostname=true", Encrypted, Same),
    case(Other, "any", "ssl_ca={dir}/ca.pem&ssl_check_hostname=True", NAME, Same),
    case(Other, "any", "ssl_ca={dir}/ca.pem&ssl_check_hostname=false", Encrypted, Same),
    case(Other, "any", "ssl_ca={dir}/ca.pem&ssl_check_hostname=0", Encrypted, Same),
    case(Right, "any", "ssl_ca={dir}/other-ca.pem&ssl_check_hostname=false", ISSUER, Same),
    case(Host::Plain, "any", "ssl_ca={dir}/ca.pem&ssl_check_hostname=false", NO_TLS, Same),
    // The server's own certificate is the authority.
    case(Right, "any", "ssl_ca={dir}/right.pem", Encrypted, NotAsked),
    case(Right, "any", "ssl_ca={dir}/other.pem", ISSUER, Same),
    // A certificate that is marked as an authority, a critical extension, a key for RSA-PSS.
    case(Authority, "any", "", Encrypted, Same),
    case(Authority, "any", "ssl_verify_cert=false", Encrypted, Same),
    case(Authority, "any", "ssl_ca={dir}/authority-server.pem", Encrypted, Same),
    case(Authority, "any", "ssl_ca={dir}/authority-server.pem&ssl_check_hostname=false", Encrypted, Same),
    case(Authority, "any", "ssl_ca={dir}/ca.pem", ISSUER, Same),
    case(Authority, "any", "ssl_verify_cert=true", ISSUER, Same),
    case(Critical, "any", "", Encrypted, Same),
    case(Critical, "encrypted", "ssl_check_hostname=false", Encrypted, Same),
    case(Critical, "any", "ssl_ca={dir}/critical-server.pem", Refused("critical extension"), Same),
    case(Pss, "any", "", Encrypted, Same),
    case(Pss, "encrypted", "ssl_verify_cert=false", Encrypted, Same),
    case(Pss, "any", "ssl_ca={dir}/pss-server.pem", Encrypted, Same),
    case(Pss, "any", "ssl_ca={dir}/ca.pem", ISSUER, Same),
    // An authority in an option file.
    case(Right, "any", "read_default_file={dir}/ca.cnf", Encrypted, Same),
    case(Other, "any", "read_default_file={dir}/ca.cnf", NAME, Same),
    case(Other, "any", "read_default_file={dir}/ca.cnf&ssl_check_hostname=false", Encrypted, Same),
    case(Right, "any", "read_default_file={dir}/other-ca.cnf", ISSUER, Same),
    case(Right, "any", "read_default_file={dir}/other-ca.cnf&ssl_check_hostname=false", ISSUER, Same),
    case(Right, "any", "read_default_file={dir}/other-ca.cnf&ssl_verify_cert=false", Encrypted, Same),
    case(Right, "any", "read_default_file={dir}/other-ca.cnf&ssl_ca={dir}/ca.pem", Encrypted, Same),
    case(Host::Plain, "any", "read_default_file={dir}/ca.cnf", NO_TLS, Same),
    case(Host::Plain, "any", "read_default_file={dir}/ca.cnf&ssl_verify_cert=false", NO_TLS, Same),
    case(Right, "any", "read_default_file={dir}/ca.cnf&ssl_disabled=true", Plain, Same),
    // Certificates of version 1, and common names.
    case(Version1, "any", "ssl_ca={dir}/version-1-ca.pem", Encrypted, Same),
    case(Version1ByAddress, "any", "ssl_ca={dir}/version-1-ca.pem", NAME, Same),
    case(Version1ByAddress, "any", "ssl_ca={dir}/version-1-ca.pem&ssl_check_hostname=no", Encrypted, Same),
    case(Version1, "any", "ssl_ca={dir}/ca.pem", ISSUER, Same),
    case(Version1, "any", "ssl_capath={dir}/hashed", Encrypted, Same),
    case(Version1ByAddress, "any", "ssl_capath={dir}/hashed", NAME, Same),
    case(Right, "any", "ssl_capath={dir}/hashed", ISSUER, Same),
    case(Right, "any", "ssl_capath={dir}/empty", Refused("ssl_capath="), Same),
    case(Host::Plain, "any", "ssl_capath={dir}/hashed", NO_TLS, Same),
    // With these parameters, PyMySQL ignores the authority.
    case(Right, "any", "ssl_ca={dir}/ca.pem&ssl_verify_cert=true", Encrypted, Differs),
    case(Other, "any", "ssl_ca={dir}/ca.pem&ssl_verify_cert=true", NAME, Same),
    case(Right, "any", "ssl_ca={dir}/other-ca.pem&ssl_verify_cert=true", ISSUER, Same),
    case(Right, "any", "ssl_ca={dir}/ca.pem&ssl_verify_identity=true", Encrypted, Differs),
    case(Other, "any", "ssl_ca={dir}/ca.pem&ssl_verify_identity=true", NAME, Same),
    case(Other, "any", "ssl_ca={dir}/ca.pem&ssl_verify_identity=false", Encrypted, Differs),
    // TLS is disabled.
    case(Right, "any", "ssl_disabled=true", Plain, Same),
    case(Right, "any", "ssl_disabled=1", Plain, Same),
    case(Right, "any", "ssl_disabled=true&ssl_ca={dir}/no-such.pem", Plain, Same),
    case(Right, "encrypted", "ssl_disabled=true", Refused("whether the account requires TLS"), Same),
    case(Right, "any", "ssl_disabled=false", Encrypted, Differs),
    case(Other, "any", "ssl_disabled=false&ssl_ca={dir}/ca.pem", NAME, Differs),
    // Files that cannot be used.
    case(Right, "any", "ssl_ca={dir}/no-such.pem", Refused("no-such.pem: No such file"), Same),
    case(
        Right,
        "any",
        "ssl_ca={dir}/no-certificate.pem",
        Refused("no-certificate.pem: contains no certificate"),
        Same,
    ),
    case(Right, "any", "ssl_cert={dir}/no-such.pem", Refused("ssl_cert="), Same),
    case(Right, "any", "ssl_cert={dir}/client.pem&ssl_key={dir}/no-such.key", Refused("ssl_key="), Same),
    case(
        Right,
        "any",
        "ssl_cert={dir}/client.pem&ssl_key={dir}/right.key",
        Refused("is not the key of"),
        Same,
    ),
    case(Right, "any", "ssl_cert={dir}/client.pem", Refused("contains no private key"), Same),
    case(Right, "any", "ssl_capath={dir}/no-such", Refused("ssl_capath="), Same),
    // Parameters that are unknown or repeated.
    case(Right, "any", "ssl_verify=true", Refused("unknown parameter ssl_verify for PyMySQL"), Same),
    case(Right, "any", "sslmode=require", Refused("unknown parameter sslmode"), Same),
    case(Right, "any", "SSL_CA={dir}/ca.pem", Refused("unknown parameter SSL_CA"), Same),
    case(Right, "any", "ssl=true", Refused("unknown parameter ssl "), Same),
    case(Right, "any", "tls_version=1.3", Refused("unknown parameter tls_version"), Same),
    case(Right, "any", "ssl_mode=REQUIRED", Refused("unknown parameter ssl_mode for PyMySQL"), Same),
    case(Right, "any", "ssl_ca={dir}/ca.pem&ssl_ca={dir}/ca.pem", Refused("more than once"), Same),
    // Unix sockets.
    case(Right, "any", "unix_socket={socket}&ssl_disabled=true", Socket, Same),
    case(Host::Plain, "any", "unix_socket={socket}", Socket, Same),
    case(Host::Plain, "any", "unix_socket={socket}&ssl_ca={dir}/ca.pem", NO_TLS, Same),
    case(Right, "encrypted", "unix_socket={socket}", Encrypted, Same),
    case(Right, "any", "unix_socket={socket}&ssl_ca={dir}/ca.pem", Encrypted, Same),
    case(Other, "any", "unix_socket={socket}&ssl_ca={dir}/ca.pem", NAME, Same),
    // mysqlclient.
    client(MYSQLCLIENT, Right, "any", "", Encrypted),
    client(MYSQLCLIENT, Right, "any", "ssl_mode=DISABLED", Plain),
    client(MYSQLCLIENT, Host::Plain, "any", "ssl_mode=PREFERRED", Plain),
    client(MYSQLCLIENT, Right, "any", "ssl_mode=PREFERRED", Encrypted),
    client(MYSQLCLIENT, Other, "any", "ssl_mode=PREFERRED&ssl_ca={dir}/ca.pem", Encrypted),
    client(MYSQLCLIENT, Right, "any", "ssl_mode=PREFERRED&ssl_ca={dir}/other-ca.pem", ISSUER),
    client(MYSQLCLIENT, Host::Plain, "any", "ssl_mode=PREFERRED&ssl_ca={dir}/ca.pem", Plain),
    client(MYSQLCLIENT, Right, "any", "ssl_mode=REQUIRED&ssl_ca={dir}/other-ca.pem", ISSUER),
    client(MYSQLCLIENT, Other, "encrypted", "ssl_mode=REQUIRED", Encrypted),
    client(MYSQLCLIENT, Host::Plain, "any", "ssl_mode=REQUIRED", NO_TLS),
    client(MYSQLCLIENT, Other, "any", "ssl_mode=VERIFY_CA&ssl_ca={dir}/ca.pem", Encrypted),
    client(MYSQLCLIENT, Right, "any", "ssl_mode=VERIFY_CA&ssl_ca={dir}/other-ca.pem", ISSUER),
    client(MYSQLCLIENT, Right, "any", "ssl_mode=VERIFY_CA", ISSUER),
    client(MYSQLCLIENT, Right, "any", "ssl_mode=VERIFY_IDENTITY&ssl_ca={dir}/ca.pem", Encrypted),
    client(MYSQLCLIENT, Other, "any", "ssl_mode=VERIFY_IDENTITY&ssl_ca={dir}/ca.pem", NAME),
    client(
        MYSQLCLIENT,
        Other,
        "any",
        "ssl_mode=VERIFY_IDENTITY&ssl_ca={dir}/ca.pem",
        Refused("the certificate of 127.0.0.1 is for other names: db.example; use a name of the certificate"),
    ),
    client(
        MYSQLCLIENT,
        Other,
        "any",
        "ssl_mode=VERIFY_IDENTITY&ssl_ca={dir}/ca.pem",
        Refused("accept every name with ssl_mode=VERIFY_CA"),
    ),
    client(MYSQLCLIENT, Host::Plain, "any", "ssl_mode=VERIFY_IDENTITY", NO_TLS),
    client(MYSQLCLIENT, Right, "any", "ssl_mode=SOMETIMES", Refused("ssl_mode=SOMETIMES cannot be used")),
    client(MYSQLCLIENT, Other, "any", "ssl_ca={dir}/ca.pem", NAME),
    client(MYSQLCLIENT, Right, "any", "ssl_verify_cert=true", Refused("unknown parameter ssl_verify_cert")),
    client("mysql", Other, "any", "ssl_mode=verify_ca&ssl_ca={dir}/ca.pem", Encrypted),
    client("mysql", Right, "any", "ssl_mode=REQUIRED&ssl_disabled=true", Refused("cannot be combined")),
    client("mariadb", Right, "any", "ssl_verify_cert=true", ISSUER),
];
