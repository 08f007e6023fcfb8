//! The ligier beside a raw TCP fan-out and beside NATS, Redis and ZeroMQ, in one run on one machine:
//!
//! ```text
//! apt-get install nats-server redis-server libzmq3-dev     # those that are absent are skipped by name
//! cargo bench -p fathom-ligier --bench brokers              # all cases, about four minutes
//! cargo bench -p fathom-ligier --bench brokers -- six       # one tag to all | six tags | pace | stalled
//! cargo bench -p fathom-ligier --bench brokers -- six 5000  # bodies of that size only
//! ```
//!
//! Every broker runs in a process of its own. Producer and subscribers are the same program for all of
//! them: blocks of messages made in advance, sent over one connection; subscribers that let the kernel
//! throw the bytes away. `us/delivery` is the processor time of the broker alone. The figures of one
//! case are the medians of rounds in which the brokers take turns, since the machine may not be ours
//! alone: compare columns, not runs.
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod dialect;
mod load;
mod pace;
mod server;

use std::time::Duration;

use load::{Outcome, Traffic};
use server::{SERVE, Server};

const SIX: &[&str] = &["IO_MONIT", "IO_EVT", "IO_SUM", "IO_TSSN", "IO_TSL1", "MSG"];
const BODIES: [usize; 4] = [200, 5_000, 100_000, 1_000_000];
const SUBSCRIBERS: [usize; 3] = [1, 10, 50];
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(700);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, name, options] = arguments.as_slice()
        && serve == SERVE
    {
        return server::serve(name, options);
    }
    let words = arguments.iter().filter(|word| !word.starts_with('-'));
    let (sizes, chosen): (Vec<&String>, Vec<&String>) =
        words.partition(|word| word.parse::<usize>().is_ok());
    let is_chosen = |case: &str| chosen.is_empty() || chosen.iter().any(|c| case.contains(*c));
    let is_size = |size: &usize| sizes.is_empty() || sizes.iter().any(|s| **s == size.to_string());
    let bodies: Vec<usize> = BODIES.into_iter().filter(is_size).collect();
    let ours = Server::ligier("");
    let peers = Server::peers();
    if is_chosen("one tag to all") {
        one_tag(&ours, &peers, &bodies);
    }
    if is_chosen("six tags") {
        six_tags(&ours, &peers, &bodies);
    }
    drop(ours);
    if is_chosen("pace") {
        pace::at_ten_times(&peers);
    }
    drop(peers);
    if is_chosen("stalled") {
        pace::beside_a_stalled_one();
    }
}

fn one_tag(ours: &Server, peers: &[Server], bodies: &[usize]) {
    println!("\n== one tag to all subscribers");
    let raw = Server::raw();
    for &body_bytes in bodies {
        for subscribers in SUBSCRIBERS {
            let traffic = Traffic {
                body_bytes,
                tags: &["IO_EVT"],
                wanted: vec![vec!["IO_EVT"]; subscribers],
            };
            let servers = [ours, &raw].into_iter().chain(peers);
            compare(&traffic, &servers.collect::<Vec<_>>());
        }
    }
}

fn six_tags(ours: &Server, peers: &[Server], bodies: &[usize]) {
    println!("\n== six mixed tags, 12 subscribers that want two of them each");
    for &body_bytes in bodies {
        let traffic = Traffic {
            body_bytes,
            tags: SIX,
            wanted: (0..12)
                .map(|n| vec![SIX[n % 6], SIX[(n + 1) % 6]])
                .collect(),
        };
        let servers: Vec<&Server> = [ours].into_iter().chain(peers).collect();
        compare(&traffic, &servers);
    }
}

/// Runs one case with every broker in turn; the first one is compared with the others.
fn compare(traffic: &Traffic, servers: &[&Server]) {
    let mut outcomes: Vec<Vec<Outcome>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (server, outcomes) in servers.iter().zip(&mut outcomes) {
            outcomes.push(load::run(server, traffic, ROUND));
        }
    }
    let subscribers = traffic.wanted.len();
    println!("{:>8} B to {subscribers}", traffic.body_bytes);
    let medians: Vec<Outcome> = outcomes.into_iter().map(median).collect();
    for (server, outcome) in servers.iter().zip(&medians) {
        println!(
            "  {:<8} {:>11.0} deliveries/s  {:>6.2} GB/s  {:>8.3} us/delivery  x{:.2} rate  x{:.2} cpu",
            server.name,
            outcome.per_second(),
            outcome.gigabytes_per_second(),
            outcome.cpu_us(),
            medians[0].per_second() / outcome.per_second(),
            medians[0].cpu_us() / outcome.cpu_us(),
        );
    }
}

fn median(mut outcomes: Vec<Outcome>) -> Outcome {
    outcomes.sort_by(|a, b| a.per_second().total_cmp(&b.per_second()));
    outcomes[outcomes.len() / 2]
}
