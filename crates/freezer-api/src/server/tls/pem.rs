//! Reads PEM files. An error names the line and explains what the file contains instead.

use memchr::memmem;
use tokio_rustls::rustls::pki_types::pem::{Error, PemObject, SectionKind};

/// Returns all items of one kind. `kind` is the noun for messages, such as `certificate`.
pub(super) fn items<T: PemObject>(pem: &[u8], kind: &str) -> Result<Vec<T>, String> {
    let mut found = Vec::new();
    for item in T::pem_slice_iter(pem) {
        found.push(item.map_err(|error| explain(pem, &error))?);
    }
    if found.is_empty() { Err(missing(pem, kind)) } else { Ok(found) }
}

fn explain(pem: &[u8], error: &Error) -> String {
    match broken_section(pem) {
        Some((line, label)) => format!(
            "line {line}: the section {label} that begins here is not complete, or not valid base64; copy the file again"
        ),
        None => format!("it is not valid PEM: {error}"),
    }
}

/// Describes a file without the expected content.
pub(super) fn missing(pem: &[u8], kind: &str) -> String {
    let labels: Vec<String> = labels(pem).map(|(_, label)| label).collect();
    if pem.trim_ascii().is_empty() {
        return format!("it is empty; it must contain a {kind} in PEM form");
    }
    if !labels.is_empty() {
        let labels = labels.join(", ");
        return format!("it contains no {kind}, only {labels}; name the file with the {kind}");
    }
    // A sequence of DER with a length of two bytes
    let is_der = pem.starts_with(&[0x30, 0x82]);
    let advice = if is_der {
        "it is in DER form; convert it, for example with `openssl x509 -inform DER` or `openssl pkey -inform DER`"
    } else {
        "name a file in PEM form, with lines such as -----BEGIN CERTIFICATE-----"
    };
    format!("it contains no {kind} in PEM form; {advice}")
}

/// Returns the labels of all sections with their lines.
fn labels(pem: &[u8]) -> impl Iterator<Item = (usize, String)> {
    let lines = pem.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
    lines.filter_map(|(number, line)| {
        let label = line.strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----")?;
        Some((number + 1, String::from_utf8_lossy(label).into_owned()))
    })
}

/// Returns the line and the label of the first section that cannot be read.
fn broken_section(pem: &[u8]) -> Option<(usize, String)> {
    let starts: Vec<usize> = memmem::find_iter(pem, b"-----BEGIN ").collect();
    let ends = starts.iter().skip(1).copied().chain([pem.len()]);
    let sections = starts.iter().zip(ends).map(|(start, end)| pem.get(*start..end).unwrap_or_default());
    let is_broken =
        |section: &[u8]| !matches!(AnySection::from_pem_slice(section), Ok(_) | Err(Error::NoItemsFound));
    let position = sections.into_iter().position(is_broken)?;
    labels(pem).nth(position)
}

/// Any section of a known kind. Other sections are skipped.
struct AnySection;

impl PemObject for AnySection {
    fn from_pem(_: SectionKind, _: Vec<u8>) -> Option<Self> {
        Some(AnySection)
    }
}
