//! A pod's lease of a shared limit, against answers made up by hand.
use sidegate_core::limits::decision::Decision;
use sidegate_core::limits::lease::Lease;
use sidegate_core::limits::terms::{Grant, Terms};

const TERMS: Terms = Terms {
    capacity: 100.0,
    supply: 10.0,
    share: 0.5,
    fair: 50.0,
    advance: 5.0,
    paced: false,
    in_flight: false,
};

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
    let report = lease.report(0.0, 2000.0, 5000.0);
    assert_eq!((report.used, report.outage), (30.0, 30.0));
    granted(&mut lease, 10.0, 6000.0);
    assert_eq!(lease.report(0.0, 2000.0, 7000.0).outage, 0.0);
    assert!(lease.leave());
}

/// Answers a cost that Redis was asked for with nothing, and when something becomes free.
fn refused(lease: &mut Lease, cost: f64, frees_ms: f64, now_ms: f64) {
    let report = lease.report(cost, 2000.0, now_ms);
    let grant = Grant {
        window: 0.0,
        used: report.used,
        hold: report.keep,
        until_ms: now_ms + 3000.0,
        pool: 0.0,
        shared_used: 100.0,
        leased: 0.0,
        frees_ms,
        share: 0.5,
        fair: 50.0,
        advance: 5.0,
    };
    lease.grant(grant, report.want, now_ms);
}

#[test]
fn what_was_refused_is_not_asked_again_before_it_may_be_free() {
    for (frees_ms, again_ms) in [(1600.0, 1600.0), (9000.0, 2000.0)] {
        let mut lease = Lease::new(TERMS, 0.0);
        assert!(matches!(lease.ask(20.0, None, 900.0), Decision::Wait(_)));
        assert!(lease.asks(20.0, 900.0));
        refused(&mut lease, 20.0, frees_ms, 1000.0);
        assert_eq!(lease.ask(20.0, None, 1100.0), Decision::Wait(frees_ms - 1100.0));
        assert!(!lease.asks(20.0, again_ms - 1.0));
        assert!(lease.asks(20.0, again_ms));
    }
}

#[test]
fn a_limit_that_a_large_request_keeps_from_being_sliced_is_asked_by_all() {
    let mut lease = Lease::new(TERMS, 0.0);
    assert!(!lease.asks(1.0, 0.0));
    lease.asked(20.0, 0.0);
    granted(&mut lease, 0.0, 1000.0);
    spend(&mut lease, 1.0, 1050.0);
    assert!(matches!(lease.ask(1.0, None, 1100.0), Decision::Wait(_)));
    assert!(lease.asks(1.0, 1100.0));
    assert!(!lease.urgent);
}

#[test]
fn what_is_paced_comes_to_rest() {
    let mut lease = Lease::new(Terms { paced: true, ..TERMS }, 0.0);
    for second in 1_u32..=3 {
        let now_ms = f64::from(second) * 1000.0;
        lease.asked(10.0, now_ms);
        lease.take(10.0, true, now_ms);
        assert!(!lease.urgent);
        granted(&mut lease, 0.0, now_ms);
        lease.settle(10.0, 7.0);
        // Of what was used before the last report nothing is told any more.
        assert_eq!(lease.spent(), 7.0);
    }
    let report = lease.report(0.0, 2000.0, 7000.0);
    assert_eq!((report.used, report.acked, report.want), (21.0, 21.0, 0.0));
    granted(&mut lease, 0.0, 7000.0);
    assert!(lease.at_rest(7000.0) && lease.idle());
    assert_eq!((lease.spent(), lease.held(7000.0)), (0.0, 0.0));
}

#[test]
fn no_more_is_left_than_the_limit_has() {
    let mut lease = Lease::new(TERMS, 0.0);
    assert_eq!(lease.left(0.0), 100.0);
    spend(&mut lease, 2.0, 0.0);
    lease.take(1.0, true, 0.0);
    assert_eq!(lease.left(0.0), 97.0);
}

#[test]
fn what_nobody_knows_when_it_is_free_is_not_asked_for_with_each_request() {
    for (in_flight, pause_ms) in [(false, 1000.0), (true, 100.0)] {
        let mut lease = Lease::new(Terms { in_flight, ..TERMS }, 0.0);
        assert!(matches!(lease.ask(20.0, None, 900.0), Decision::Wait(_)));
        refused(&mut lease, 20.0, 0.0, 1000.0);
        assert!(!lease.asks(20.0, 999.0 + pause_ms));
        assert!(lease.asks(20.0, 1000.0 + pause_ms));
        // Less may fit.
        assert!(lease.asks(19.0, 1001.0));
    }
}

#[test]
fn of_several_that_were_refused_together_each_counts() {
    let mut lease = Lease::new(TERMS, 0.0);
    lease.asked(20.0, 900.0);
    refused(&mut lease, 60.0, 0.0, 1000.0);
    assert!(!lease.asks(20.0, 1001.0));
}

#[test]
fn what_is_in_flight_is_wanted_as_long_as_it_lasts() {
    let mut lease = Lease::new(Terms { in_flight: true, supply: 0.0, ..TERMS }, 0.0);
    granted(&mut lease, 10.0, 0.0);
    for second in 1_u32..=20 {
        let now_ms = f64::from(second) * 1000.0;
        for _ in 0..10 {
            lease.asked(1.0, now_ms);
            lease.take(1.0, true, now_ms);
        }
        assert_eq!(lease.report(0.0, 2000.0, now_ms).demand, 10.0);
        for _ in 0..10 {
            lease.settle(1.0, 0.0);
        }
    }
    granted(&mut lease, 0.0, 20_100.0);
    for _ in 0..5 {
        assert!(matches!(lease.ask(1.0, None, 20_500.0), Decision::Wait(_)));
    }
    assert!(lease.report(0.0, 2000.0, 21_000.0).demand > 2.0);
}

#[test]
fn who_was_told_that_nothing_is_left_counts_on_its_own_part_of_what_comes_back() {
    // Four pods: a part of what comes back is 2.5 a second.
    let mut lease = Lease::new(Terms { fair: 25.0, ..TERMS }, 0.0);
    lease.asked(1.0, 0.0);
    let report = lease.report(0.0, 2000.0, 5000.0);
    let grant = Grant {
        window: 0.0,
        used: report.used,
        hold: 0.0,
        until_ms: 8000.0,
        pool: 0.0,
        shared_used: 100.0,
        leased: 0.0,
        frees_ms: 0.0,
        share: 0.25,
        fair: 25.0,
        advance: 2.5,
    };
    lease.grant(grant, report.want, 5000.0);
    assert_eq!(report.want, 0.0);
    assert!(matches!(lease.ask(1.0, None, 5700.0), Decision::Wait(_)));
    assert!(lease.urgent);
    assert_eq!(lease.ask(1.0, None, 5800.0), Decision::Go(0.0));
}

#[test]
fn who_asks_again_is_let_through_at_once_though_a_request_is_still_in_flight() {
    let mut lease = Lease::new(TERMS, 0.0);
    lease.asked(1.0, 0.0);
    lease.take(1.0, true, 0.0);
    granted(&mut lease, 5.0, 500.0);
    assert_eq!(lease.ask(1.0, None, 600.0), Decision::Go(0.0));
    // Idle: it asks for nothing but what is in flight.
    granted(&mut lease, 1.0, 5000.0);
    assert_eq!(lease.ask(1.0, None, 5100.0), Decision::Go(0.0));
    lease.take(1.0, true, 5100.0);
    // No more than the advance before the grant is here.
    for _ in 0..4 {
        assert_eq!(lease.ask(1.0, None, 5200.0), Decision::Go(0.0));
        lease.take(1.0, true, 5200.0);
    }
    assert!(matches!(lease.ask(1.0, None, 5300.0), Decision::Wait(_)));
    assert!(lease.urgent);
}
