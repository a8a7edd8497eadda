//! Certificates, keys and revocation lists for these tests.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};

/// An authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM form.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Identity {
    /// Writes both files. Each takes the place of the former one at once.
    pub fn put(&self, directory: &Path, name: &str) {
        put(&directory.join(format!("{name}.pem")), &self.certificate);
        put(&directory.join(format!("{name}.key")), &self.key);
    }
}

/// Replaces a file at once.
pub fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let issuer = CertifiedIssuer::self_signed(authority_params(name), KeyPair::generate().unwrap());
        Authority(issuer.unwrap())
    }

    /// Creates an intermediate authority.
    pub fn intermediate(&self, name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::signed_by(authority_params(name), key, &self.0).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Creates a certificate of a server on loopback.
    pub fn server(&self) -> Identity {
        self.server_with(KeyPair::generate().unwrap(), |_| ())
    }

    pub fn server_with(&self, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params =
            CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "freezer.example");
        change(&mut params);
        self.sign(&params, &key)
    }

    /// Creates a certificate of a client.
    pub fn client(&self, name: &str, serial: u64, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        self.sign(&params, &KeyPair::generate().unwrap())
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Identity {
        let certificate = params.signed_by(key, &self.0).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Creates a revocation list with these certificates, which should be replaced in this year.
    pub fn revoked(&self, serials: &[u64], until: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// Makes a certificate that has expired.
pub fn expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 1);
}

/// Returns a key in the form of its algorithm: PKCS#1 or SEC1.
pub fn traditional(key: &KeyPair, label: &str) -> String {
    let pkcs8 = key.serialize_der();
    let (_, content) = element(&pkcs8);
    let (version, _) = element(content);
    let (algorithm, _) = element(&content[version..]);
    let (_, inner) = element(&content[version + algorithm..]);
    pem(label, inner)
}

/// Returns the length of the first element of DER, and its content.
fn element(der: &[u8]) -> (usize, &[u8]) {
    let (length, header) = match der[1] {
        short @ 0..=0x7f => (usize::from(short), 2),
        long => {
            let bytes = usize::from(long & 0x7f);
            (der[2..2 + bytes].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), 2 + bytes)
        }
    };
    (header + length, &der[header..header + length])
}

/// Returns a section of a PEM file.
pub fn pem(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (number, three) in der.chunks(3).enumerate() {
        if number % 16 == 0 {
            text.push('\n');
        }
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= three.len() { char::from(DIGITS[index as usize]) } else { '=' });
        }
    }
    format!("-----BEGIN {label}-----{text}\n-----END {label}-----\n")
}

/// Returns the path of a file in a directory as text.
pub fn at(directory: &Path, name: &str) -> String {
    PathBuf::from(directory).join(name).display().to_string()
}
