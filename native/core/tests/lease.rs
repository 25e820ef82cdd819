//! A pod's lease of a shared limit, against answers made up by hand.
use sidegate_core::limits::decision::Decision;
use sidegate_core::limits::lease::Lease;
use sidegate_core::limits::terms::{Grant, Terms};

const TERMS: Terms =
    Terms { capacity: 100.0, supply: 10.0, share: 0.5, fair: 50.0, advance: 5.0, paced: false };

fn granted(lease: &mut Lease, hold: f64, now_ms: f64) {
    let report = lease.report(0.0, 2000.0, now_ms);
    let grant = Grant {
        window: 0.0,
        used: report.used,
        hold,
        until_ms: now_ms + 3000.0,
        pool: 100.0,
        shared_used: 0.0,
        leased: hold,
        frees_ms: 0.0,
        share: 0.5,
        fair: 50.0,
        advance: 5.0,
    };
    lease.grant(grant, report.want, now_ms);
}

fn spend(lease: &mut Lease, cost: f64, now_ms: f64) {
    lease.asked(cost, now_ms);
    lease.take(cost, false, now_ms);
}

#[test]
fn who_was_idle_is_let_through_at_once() {
    let mut lease = Lease::new(TERMS, 0.0);
    spend(&mut lease, 1.0, 0.0);
    granted(&mut lease, 10.0, 1000.0);
    // Idle: it asks for nothing, and gets nothing.
    granted(&mut lease, 0.0, 5000.0);
    assert_eq!(lease.ask(1.0, None, 5100.0), Decision::Go(0.0));
}

#[test]
fn who_asked_and_got_nothing_waits() {
    let mut lease = Lease::new(TERMS, 0.0);
    spend(&mut lease, 1.0, 0.0);
    granted(&mut lease, 0.0, 1000.0);
    assert!(matches!(lease.ask(1.0, None, 1100.0), Decision::Wait(_)));
}

#[test]
fn what_was_used_during_an_outage_is_debited() {
    let mut lease = Lease::new(TERMS, 0.0);
    granted(&mut lease, 10.0, 0.0);
    assert!(lease.leave() && !lease.leave());
    spend(&mut lease, 30.0, 3000.0);
    assert_eq!(lease.report(0.0, 2000.0, 5000.0).used, 30.0);
    granted(&mut lease, 10.0, 6000.0);
    assert!(lease.leave());
}
