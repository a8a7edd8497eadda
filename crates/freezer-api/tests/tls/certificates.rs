//! Certificates for these tests: two authorities, servers and a client.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// An authority and a server certificate of X.509 version 1, created as in MariaDB's manual. The common name of the
/// server is `localhost`.
const VERSION_1: [(&str, &str); 3] = [
    ("version-1-ca.pem", include_str!("../../../freezer-store/tests/certificates/version-1-ca.pem")),
    ("version-1-server.pem", include_str!("../../../freezer-store/tests/certificates/version-1-server.pem")),
    ("version-1-server.key", include_str!("../../../freezer-store/tests/certificates/version-1-server.key")),
];

/// Servers with self-signed certificates that openssl created: one is marked as an authority, one has an unknown
/// critical extension, and one has a key that is only for RSA-PSS.
const OWN: [(&str, &str); 6] = [
    ("authority-server.pem", include_str!("../../../freezer-store/tests/certificates/authority-server.pem")),
    ("authority-server.key", include_str!("../../../freezer-store/tests/certificates/authority-server.key")),
    ("critical-server.pem", include_str!("../../../freezer-store/tests/certificates/critical-server.pem")),
    ("critical-server.key", include_str!("../../../freezer-store/tests/certificates/critical-server.key")),
    ("pss-server.pem", include_str!("../../../freezer-store/tests/certificates/pss-server.pem")),
    ("pss-server.key", include_str!("../../../freezer-store/tests/certificates/pss-server.key")),
];

/// File name of that authority in a directory of `openssl rehash`.
const VERSION_1_HASH: &str = "acad28f3.0";

/// A directory of certificates and keys, which is removed when it is dropped.
pub struct Certificates(PathBuf);

impl Certificates {
    pub fn make() -> Certificates {
        let directory = std::env::temp_dir().join(format!("fz-{}-certificates", std::process::id()));
        for hashed in ["hashed", "empty"] {
            std::fs::create_dir_all(directory.join(hashed)).unwrap();
        }
        let made = Certificates(directory);
        let authority = authority("an authority of tests");
        made.write("ca.pem", &authority.pem());
        made.write("other-ca.pem", &self::authority("another authority").pem());
        made.write("both-ca.pem", &format!("{}{}", self::authority("a third").pem(), authority.pem()));
        made.signed("right", "127.0.0.1", &authority);
        made.signed("other", "db.example", &authority);
        made.signed("client", "client", &authority);
        let client =
            ["client.pem", "client.key"].map(|name| std::fs::read_to_string(made.0.join(name)).unwrap());
        made.write("client-both.pem", &client.concat());
        made.write("no-certificate.pem", "not a certificate\n");
        for (name, text) in VERSION_1.into_iter().chain(OWN) {
            made.write(name, text);
        }
        for ca in ["ca", "other-ca"] {
            let path = made.0.join(format!("{ca}.pem"));
            made.write(&format!("{ca}.cnf"), &format!("[client]\nssl-ca = {}\n", path.display()));
        }
        made.write(&format!("hashed/{VERSION_1_HASH}"), VERSION_1[0].1);
        made
    }

    fn signed(&self, file: &str, name: &str, authority: &CertifiedIssuer<'_, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, authority).unwrap();
        self.write(&format!("{file}.pem"), &certificate.pem());
        self.write(&format!("{file}.key"), &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}
