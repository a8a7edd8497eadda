//! Sets the commit of the source for the first lines of the log: that of the variable `FREEZER_COMMIT`, or of the git repository.
//! A source without both, such as a tarball, has none.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=FREEZER_COMMIT");
    let given = std::env::var("FREEZER_COMMIT").ok().filter(|commit| is_commit(commit));
    let commit = given.or_else(commit_of_repository).unwrap_or_default();
    println!("cargo:rustc-env=FREEZER_BUILT_FROM={commit}");
}

/// Returns the commit of the repository whose root is the workspace. The source may lie in the repository of another project.
fn commit_of_repository() -> Option<String> {
    let workspace = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR")?).join("../..").canonicalize().ok()?;
    let root = Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
    if root != workspace {
        return None;
    }
    // builds of developers are not repeated for each commit
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    }
    git(&["rev-parse", "--short=12", "HEAD"]).filter(|commit| is_commit(commit))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}

fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
