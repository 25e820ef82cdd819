//! Times the core without JavaScript: `cargo run --release --example timings`.

use std::hint::black_box;
use std::time::Instant;

use sidegate_core::json::walker::Walker;
use sidegate_core::pii::kinds::KINDS;
use sidegate_core::pii::policy::{Action, Policy};
use sidegate_core::reply::read::{Dialect, read};
use sidegate_core::reply::sse::Scanner;
use sidegate_core::request::endpoint::Endpoint;
use sidegate_core::request::inspect::inspect;
use sidegate_core::shared::digest::{hmac_sha256, sha256};

/// The fastest of several rounds, in ns a call.
fn time(name: &str, calls: u32, mut work: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..9 {
        let start = Instant::now();
        (0..calls).for_each(|_| work());
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(calls));
    }
    println!("{name:<28} {best:>10.0} ns");
}

fn body(messages: usize, lines: usize) -> String {
    let content = r"The quick brown fox jumps over the lazy dog, 42 times.\n".repeat(lines);
    let message = format!(r#"{{"role":"user","content":"{content}"}}"#);
    format!(r#"{{"model":"gpt-4o","max_tokens":500,"messages":[{}]}}"#, vec![message; messages].join(","))
}

fn main() {
    for (name, body) in [("1 KB", body(2, 8)), ("100 KB", body(40, 44))] {
        let bytes = body.as_bytes();
        let calls = (20_000_000 / bytes.len()) as u32;
        println!("{name}: {} bytes", bytes.len());
        time("utf-8", calls, || assert!(std::str::from_utf8(black_box(bytes)).is_ok()));
        time("walk", calls, || {
            let mut walker = Walker::new(black_box(bytes));
            while let Ok(Some(token)) = walker.next_token() {
                black_box(token);
            }
        });
        time("sha-256", calls, || {
            black_box(sha256(black_box(bytes)));
        });
        time("hmac", calls, || {
            black_box(hmac_sha256(b"key", black_box(bytes)));
        });
        for (name, action) in [("nothing", Action::Off), ("all", Action::Tokenise)] {
            let actions: Vec<_> = KINDS.iter().map(|kind| (kind.name, action)).collect();
            let policy = Policy::new(&actions, Vec::new(), &[], b"key").expect("all kinds are known");
            time(&format!("inspect, scrub {name}"), calls, || {
                black_box(inspect(black_box(bytes), Endpoint::Chat, &policy, "", &[], false, b"key", 4096));
            });
        }
    }
    let data = r#"{"id":"chatcmpl-9","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":" hello"},"finish_reason":null}]}"#;
    let event = format!("data: {data}\n\n");
    println!("event: {} bytes", event.len());
    time("walk", 100_000, || {
        let mut walker = Walker::new(black_box(data.as_bytes()));
        while let Ok(Some(token)) = walker.next_token() {
            black_box(token);
        }
    });
    time("read", 100_000, || {
        black_box(read(black_box(data), Dialect::OpenAi)).ok();
    });
    let mut scanner = Scanner::new(Dialect::OpenAi, true, 1 << 20);
    time("push", 100_000, || {
        black_box(scanner.push(black_box(event.as_bytes())));
    });
}
