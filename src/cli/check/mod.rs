//! `penstock check`: would these manifests and configurations work, without a cluster or a Redis.
//!
//! It is a function of files that gives a report: it prints nothing and ends nothing. What a trigger may be it
//! asks the server's own parser and rules.

mod acl;
mod manifest;
mod metadata;
mod object;
mod online;
mod report;
mod tls;
mod trigger;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use acl::acl;
pub use online::ask;
pub use report::{ConnectionNeeds, Finding, Report, Severity};

use crate::config::{Config, read_file, read_text};
use report::Reporter;

/// What cannot be checked without a configuration.
const WITHOUT_CONFIG: &str = "whether the connections exist, what they allow (namespaces, keys, databases, patterns), and whether \
     the server takes TLS; --config penstock.toml checks that too, and knows layouts of your own";

/// What a file is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileFormat {
    Manifest,
    Config,
}

/// Checks files: manifests (`.yaml`, `.yml`, `.json`, and `-` for standard input) and server
/// configurations (`.toml`). With a configuration, also whether it lets each trigger read what it
/// names.
#[must_use]
pub fn check(files: &[PathBuf], config: Option<&Config>) -> Report {
    let mut report = Report::default();
    for path in files {
        let mut reporter = report.file(&path.display().to_string());
        let Some(format) = format_of(path) else {
            reporter.problem("", "is neither .yaml, .yml, .json nor .toml");
            continue;
        };
        let text = if is_stdin(path) { read_text(io::stdin().lock()) } else { read_file(path) };
        match text {
            Ok(text) => check_text(&text, format, config, &mut reporter),
            Err(error) => reporter.problem("", error.to_string()),
        }
    }
    if config.is_none() {
        report.leaves_unchecked(WITHOUT_CONFIG);
    }
    report
}

/// Checks the text of one manifest as [`check`] does that of a file.
#[must_use]
pub fn check_manifest_text(text: &str, config: Option<&Config>) -> Report {
    let mut report = Report::default();
    check_manifest(text, config, &mut report.file("-"));
    report
}

/// Whether any of these files is read as a manifest.
#[must_use]
pub fn has_manifest(files: &[PathBuf]) -> bool {
    files.iter().any(|path| format_of(path) == Some(FileFormat::Manifest))
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn format_of(path: &Path) -> Option<FileFormat> {
    if is_stdin(path) {
        return Some(FileFormat::Manifest);
    }
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "yaml" | "yml" | "json" => Some(FileFormat::Manifest),
        "toml" => Some(FileFormat::Config),
        _ => None,
    }
}

fn check_text(
    text: &str,
    format: FileFormat,
    config: Option<&Config>,
    reporter: &mut Reporter<'_>,
) {
    match format {
        FileFormat::Manifest => check_manifest(text, config, reporter),
        FileFormat::Config => check_config(text, reporter),
    }
}

fn check_manifest(text: &str, config: Option<&Config>, reporter: &mut Reporter<'_>) {
    let (mut objects, mut concerned, mut broken) = (0, 0, false);
    let documents = manifest::documents(text);
    let workloads: Vec<_> = documents.iter().flatten().flat_map(manifest::workloads).collect();
    for (index, document) in documents.iter().enumerate() {
        let mut reporter = reporter.document(index + 1);
        match document {
            Err(error) => {
                broken = true;
                reporter.problem("", &error.message);
            }
            Ok(document) => {
                for object in manifest::objects(document) {
                    objects += 1;
                    let reporter = &mut reporter.object(&object.title);
                    let of_ours = object::check(&object, &workloads, config, reporter);
                    concerned += usize::from(of_ours);
                }
            }
        }
    }
    if objects == 0 && !broken {
        reporter.note("", "has no ScaledObject or ScaledJob of keda.sh/v1alpha1");
    } else if concerned == 0 && !broken {
        reporter.note("", "has no trigger of type external or external-push");
    }
}

fn check_config(text: &str, reporter: &mut Reporter<'_>) {
    match Config::parse(text, "") {
        Err(problems) => {
            for problem in problems.iter() {
                reporter.problem(&problem.path, &problem.what);
            }
        }
        Ok(config) if config.connections.is_empty() => {
            let what = "has no connection; --redis or PENSTOCK_REDIS must give one to the server";
            reporter.note("redis", what);
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests;
