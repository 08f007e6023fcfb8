//! The rules of the house, read from the manifests: who may depend on whom.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What all services share.
const FLOOR_0: [&str; 3] = ["fathom-formats", "fathom-hist", "fathom-kernel"];

/// Libraries that cost much to build: each in one crate, behind a feature of the root package.
const HEAVY: [&str; 7] = [
    "arrow",
    "async-nats",
    "hdf5-pure",
    "opentelemetry-otlp",
    "parquet",
    "rdkafka",
    "rusqlite",
];

/// Libraries too large, or too particular, for what every service is built with.
const NOT_ON_FLOOR_0: [&str; 8] = [
    "actix",
    "axum",
    "chrono",
    "chrono-tz",
    "nix",
    "openssl",
    "regex",
    "tower",
];

/// Licences that a library may have; of several in an `OR` one is enough.
const LICENCES: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];

/// Where the list of everything that the kernel needs is recorded.
const KERNEL_LIST: &str = "tests/tree/kernel.txt";

/// The whole workspace with all it depends on.
fn metadata() -> Metadata {
    let options = ["--frozen", "--filter-platform", "x86_64-unknown-linux-gnu"];
    let options = options.map(str::to_owned).to_vec();
    MetadataCommand::new()
        .other_options(options)
        .exec()
        .unwrap()
}

/// Our own crates under `services/`.
fn services(metadata: &Metadata) -> Vec<&Package> {
    let packages = metadata.workspace_packages();
    let services = packages.into_iter().filter(|p| p.name.as_str() != "fathom");
    services.collect()
}

/// Names of what a manifest asks for, tests apart.
fn normal(package: &Package) -> BTreeSet<&str> {
    let dependencies = package.dependencies.iter();
    let normal = dependencies.filter(|d| d.kind == DependencyKind::Normal);
    normal.map(|d| d.name.as_str()).collect()
}

/// Names of everything that a crate is built with.
fn whole_tree(metadata: &Metadata, crate_name: &str) -> BTreeSet<String> {
    let nodes = &metadata.resolve.as_ref().unwrap().nodes;
    let nodes: BTreeMap<_, _> = nodes.iter().map(|node| (&node.id, node)).collect();
    let names: BTreeMap<_, _> = metadata
        .packages
        .iter()
        .map(|p| (&p.id, p.name.as_str()))
        .collect();
    let start = names
        .iter()
        .find(|(_, name)| **name == crate_name)
        .unwrap()
        .0;
    let (mut seen, mut next) = (BTreeSet::new(), vec![*start]);
    while let Some(id) = next.pop() {
        for dependency in &nodes[id].deps {
            let is_normal = dependency
                .dep_kinds
                .iter()
                .any(|d| d.kind == DependencyKind::Normal);
            if is_normal && seen.insert(&dependency.pkg) {
                next.push(&dependency.pkg);
            }
        }
    }
    seen.into_iter().map(|id| names[id].to_owned()).collect()
}

#[test]
fn services_do_not_depend_on_each_other() {
    let metadata = metadata();
    for package in services(&metadata) {
        let ours = normal(package)
            .into_iter()
            .filter(|name| name.starts_with("fathom"));
        let sideways: Vec<_> = ours.filter(|name| !FLOOR_0.contains(name)).collect();
        assert!(
            sideways.is_empty(),
            "{} depends on {sideways:?}",
            package.name
        );
    }
}

#[test]
fn actors_are_known_to_the_root_package_only() {
    let metadata = metadata();
    for package in services(&metadata) {
        let actors = package
            .dependencies
            .iter()
            .find(|d| d.name.starts_with("actix"));
        assert!(actors.is_none(), "{} depends on {actors:?}", package.name);
    }
}

#[test]
fn formats_and_histograms_know_neither_tokio_nor_the_kernel() {
    let metadata = metadata();
    for name in ["fathom-formats", "fathom-hist"] {
        let tree = whole_tree(&metadata, name);
        for foreign in ["tokio", "fathom-kernel"] {
            assert!(!tree.contains(foreign), "{name} is built with {foreign}");
        }
    }
}

#[test]
fn a_heavy_dependency_is_in_one_service_behind_a_feature() {
    let metadata = metadata();
    let root = metadata.root_package().unwrap();
    for heavy in HEAVY {
        let users: Vec<_> = metadata
            .workspace_packages()
            .into_iter()
            .filter(|package| normal(package).contains(heavy))
            .map(|package| package.name.as_str())
            .collect();
        assert!(users.len() <= 1, "{heavy} is used by {users:?}");
        for user in users {
            assert!(
                !FLOOR_0.contains(&user) && user != "fathom",
                "{user} uses {heavy}"
            );
            let chosen = root.dependencies.iter().find(|d| d.name == user);
            assert!(
                chosen.is_none_or(|d| d.optional),
                "{user} is not behind a feature"
            );
        }
    }
}

#[test]
fn http_servers_are_in_the_root_package_and_in_web_only() {
    let metadata = metadata();
    for package in services(&metadata) {
        let normal = normal(package);
        let serves = normal.contains("axum") || normal.contains("tower");
        assert!(
            !serves || package.name.as_str() == "fathom-web",
            "{}",
            package.name
        );
    }
}

#[test]
fn the_ground_floor_stays_light() {
    let metadata = metadata();
    for name in FLOOR_0 {
        let tree = whole_tree(&metadata, name);
        let found: Vec<_> = NOT_ON_FLOOR_0
            .iter()
            .filter(|n| tree.contains(**n))
            .collect();
        assert!(found.is_empty(), "{name} is built with {found:?}");
    }
}

#[test]
fn the_kernel_needs_what_is_recorded() {
    let tree = whole_tree(&metadata(), "fathom-kernel");
    let found = tree
        .iter()
        .map(|name| format!("{name}\n"))
        .collect::<String>();
    if std::env::var_os("FATHOM_BLESS").is_some() {
        std::fs::write(KERNEL_LIST, &found).unwrap();
    }
    let recorded = std::fs::read_to_string(KERNEL_LIST).unwrap_or_default();
    let recorded: BTreeSet<String> = recorded.lines().map(str::to_owned).collect();
    let new: Vec<_> = tree.difference(&recorded).collect();
    let gone: Vec<_> = recorded.difference(&tree).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "every service is built with these: new {new:?}, gone {gone:?}; if that is meant, run \
         with FATHOM_BLESS=1"
    );
}

/// Tells whether a licence expression can be fulfilled by licences that are allowed.
fn is_allowed(licence: &str) -> bool {
    // Two operators and brackets, without anything inside of brackets that binds weaker.
    let words = |text: &str| text.trim().trim_matches(['(', ')']).trim().to_owned();
    let is_one = |text: &str| LICENCES.contains(&&*words(text));
    let any = |text: &str| {
        text.split(" OR ")
            .flat_map(|part| part.split('/'))
            .any(is_one)
    };
    licence.split(" AND ").all(any)
}

#[test]
fn libraries_come_from_the_registry_under_licences_that_are_allowed() {
    for allowed in [
        "MIT",
        "Unlicense/MIT",
        "(MIT OR GPL-3.0) AND ISC",
        "GPL-3.0 OR MIT",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", ""] {
        assert!(!is_allowed(refused), "{refused}");
    }
    let metadata = metadata();
    for package in &metadata.packages {
        let Some(source) = &package.source else {
            continue;
        };
        assert!(
            source.repr.starts_with("registry+"),
            "{} is from {source}",
            package.name
        );
        let licence = package.license.as_deref().unwrap_or_default();
        assert!(is_allowed(licence), "{} is under {licence:?}", package.name);
    }
}
