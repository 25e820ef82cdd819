//! The breaker's transitions, case by case; `breaker.rs` has its properties.

use sidegate_core::resilience::breaker::{Admission, BadSettings, Breaker, Hint, Outcome, Settings, State};

fn settings(failures: u32, cooldown_ms: f64) -> Settings {
    Settings {
        failures,
        rate: 0.5,
        calls_min: 0,
        window_ms: 10_000.0,
        cooldown_ms,
        cooldown_max_ms: cooldown_ms,
        probe_max_ms: cooldown_ms,
        sources_min: 1,
    }
}

fn ticket(breaker: &mut Breaker, now_ms: f64) -> u32 {
    match breaker.admit(now_ms) {
        Admission::Ticket(ticket) | Admission::Probe(ticket) => ticket,
        Admission::OpenMs(ms) => panic!("open for {ms} ms"),
    }
}

fn reports_change(breaker: &mut Breaker, outcome: Outcome, now_ms: f64) -> bool {
    let ticket = ticket(breaker, now_ms);
    breaker.report(ticket, outcome, 0, now_ms)
}

fn opened_by(settings: Settings) -> Breaker {
    let mut breaker = Breaker::new(settings).unwrap();
    for _ in 0..settings.failures {
        reports_change(&mut breaker, Outcome::Failure, 0.0);
    }
    breaker
}

fn opened() -> Breaker {
    opened_by(settings(3, 30_000.0))
}

#[test]
fn opens_after_failures_in_a_row_only() {
    let mut breaker = Breaker::new(settings(3, 30_000.0)).unwrap();
    for outcome in [Outcome::Failure, Outcome::Failure, Outcome::Success, Outcome::Failure, Outcome::Failure]
    {
        assert!(!reports_change(&mut breaker, outcome, 0.0));
    }
    assert_eq!(breaker.state(0.0), State::Closed);
    assert!(reports_change(&mut breaker, Outcome::Failure, 0.0));
    assert_eq!(breaker.state(0.0), State::Open);
    assert_eq!(breaker.admit(10_000.0), Admission::OpenMs(20_000.0));
}

#[test]
fn opens_by_the_share_of_failures_once_there_are_enough_calls() {
    let by_rate = Settings { calls_min: 10, ..settings(1000, 30_000.0) };
    let mut breaker = Breaker::new(by_rate).unwrap();
    for i in 0..8 {
        let outcome = if i % 2 == 0 { Outcome::Failure } else { Outcome::Success };
        assert!(!reports_change(&mut breaker, outcome, 0.0));
    }
    assert!(!reports_change(&mut breaker, Outcome::Failure, 0.0), "nine calls are too few");
    assert!(reports_change(&mut breaker, Outcome::Failure, 0.0), "six of ten");
    let mut breaker = Breaker::new(by_rate).unwrap();
    for i in 0..100 {
        let outcome = if i % 5 > 2 { Outcome::Failure } else { Outcome::Success };
        assert!(!reports_change(&mut breaker, outcome, f64::from(i)), "two of five");
    }
    for i in 0..9 {
        assert!(!reports_change(&mut breaker, Outcome::Failure, 20_000.0), "{i}: the old ones are forgotten");
    }
    assert!(reports_change(&mut breaker, Outcome::Failure, 20_000.0));
}

#[test]
fn one_probe_decides() {
    let mut breaker = opened();
    assert_eq!(breaker.state(30_000.0), State::HalfOpen);
    let Admission::Probe(probe) = breaker.admit(30_000.0) else { panic!("no probe") };
    assert!(matches!(breaker.admit(30_001.0), Admission::OpenMs(_)));
    assert!(breaker.report(probe, Outcome::Failure, 0, 31_000.0));
    assert_eq!(breaker.admit(31_000.0), Admission::OpenMs(30_000.0));
    let probe = ticket(&mut breaker, 61_000.0);
    assert!(breaker.report(probe, Outcome::Success, 0, 61_500.0));
    assert_eq!(breaker.state(61_500.0), State::Closed);
}

#[test]
fn its_cooldown_grows_to_a_bound_and_starts_anew_after_good_days() {
    let mut breaker = opened_by(Settings { cooldown_max_ms: 100_000.0, ..settings(3, 30_000.0) });
    let mut now_ms = 30_000.0;
    for cooldown_ms in [60_000.0, 100_000.0, 100_000.0] {
        assert!(reports_change(&mut breaker, Outcome::Failure, now_ms));
        assert_eq!(breaker.admit(now_ms), Admission::OpenMs(cooldown_ms));
        now_ms += cooldown_ms;
    }
    assert!(reports_change(&mut breaker, Outcome::Success, now_ms));
    for _ in 0..3 {
        reports_change(&mut breaker, Outcome::Failure, now_ms + 50_000.0);
    }
    assert_eq!(breaker.admit(now_ms + 50_000.0), Admission::OpenMs(100_000.0), "it only flapped");
    now_ms += 150_000.0;
    assert!(reports_change(&mut breaker, Outcome::Success, now_ms));
    for _ in 0..3 {
        reports_change(&mut breaker, Outcome::Failure, now_ms + 100_000.0);
    }
    assert_eq!(breaker.admit(now_ms + 100_000.0), Admission::OpenMs(30_000.0));
}

#[test]
fn several_sources_have_to_fail() {
    let above = Settings { sources_min: 2, ..settings(3, 30_000.0) };
    let mut breaker = Breaker::new(above).unwrap();
    let mut fail = |source| {
        let ticket = ticket(&mut breaker, 0.0);
        breaker.report(ticket, Outcome::Failure, source, 0.0)
    };
    assert!((0..100).all(|_| !fail(7)), "one target is not the provider");
    assert!(fail(8));
    let mut breaker = Breaker::new(above).unwrap();
    for (source, outcome) in [(1, Outcome::Failure), (1, Outcome::Success), (2, Outcome::Failure)] {
        let ticket = ticket(&mut breaker, 0.0);
        assert!(!breaker.report(ticket, outcome, source, 0.0));
    }
    for _ in 0..100 {
        let ticket = ticket(&mut breaker, 0.0);
        assert!(!breaker.report(ticket, Outcome::Failure, 2, 0.0), "the first one is well");
    }
}

#[test]
fn an_abandoned_probe_lets_the_next_one_go() {
    let mut breaker = opened();
    let probe = ticket(&mut breaker, 30_000.0);
    assert!(!breaker.report(probe, Outcome::Abandoned, 0, 30_010.0), "it is still half-open");
    assert_eq!(breaker.state(30_010.0), State::HalfOpen);
    assert!(!breaker.report(probe, Outcome::Success, 0, 30_010.0), "it has had its say");
    let next = ticket(&mut breaker, 30_010.0);
    assert!(!breaker.report(probe, Outcome::Success, 0, 30_020.0), "an old ticket says nothing");
    assert!(breaker.report(next, Outcome::Success, 0, 30_020.0));
}

#[test]
fn a_probe_that_never_reports_is_given_up() {
    let mut breaker = opened_by(Settings { probe_max_ms: 600_000.0, ..settings(3, 30_000.0) });
    ticket(&mut breaker, 30_000.0);
    assert!(matches!(breaker.admit(629_999.0), Admission::OpenMs(_)));
    ticket(&mut breaker, 630_000.0);
}

#[test]
fn a_clock_that_runs_backwards_changes_nothing() {
    let mut breaker = opened();
    assert_eq!(breaker.admit(-3_600_000.0), Admission::OpenMs(30_000.0));
    assert_eq!(breaker.state(-3_600_000.0), State::Open);
    for now_ms in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(breaker.admit(now_ms), Admission::OpenMs(30_000.0));
    }
    let probe = ticket(&mut breaker, 30_000.0);
    assert!(breaker.report(probe, Outcome::Failure, 0, 5.0));
    assert_eq!(breaker.admit(59_999.5), Admission::OpenMs(1.0));
    ticket(&mut breaker, 60_000.0);
}

#[test]
fn settings_change_and_the_state_stays() {
    let good = settings(3, 30_000.0);
    let bad = [
        Settings { failures: 0, ..good },
        Settings { cooldown_ms: -1.0, ..good },
        Settings { cooldown_ms: f64::NAN, ..good },
        Settings { cooldown_max_ms: f64::INFINITY, ..good },
        Settings { cooldown_max_ms: 1.0, ..good },
        Settings { rate: 0.0, ..good },
        Settings { rate: 1.1, ..good },
        Settings { window_ms: 0.0, ..good },
        Settings { probe_max_ms: f64::NAN, ..good },
        Settings { sources_min: 0, ..good },
        Settings { sources_min: 65, ..good },
    ];
    for settings in bad {
        assert_eq!(Breaker::new(settings).err(), Some(BadSettings));
        assert_eq!(opened().set(settings), Err(BadSettings));
    }
    let mut breaker = opened();
    assert_eq!(breaker.set(settings(1, 40_000.0)), Ok(()));
    assert_eq!(breaker.admit(20_000.0), Admission::OpenMs(10_000.0), "the cooldown that runs stays");
    assert!(reports_change(&mut breaker, Outcome::Failure, 30_000.0));
    assert_eq!(breaker.admit(30_000.0), Admission::OpenMs(40_000.0));
    let mut breaker = Breaker::new(settings(3, 0.0)).unwrap();
    let old = ticket(&mut breaker, 0.0);
    assert!(!breaker.report(old, Outcome::Failure, 0, 0.0));
    breaker.set(settings(1, 0.0)).unwrap();
    assert_eq!(breaker.state(0.0), State::Closed);
    assert!(breaker.report(old, Outcome::Failure, 0, 0.0));
    assert_eq!(breaker.state(0.0), State::HalfOpen, "no cooldown at all");
}

#[test]
fn a_hint_makes_one_failure_enough_and_opens_nothing() {
    let mut breaker = Breaker::new(settings(3, 30_000.0)).unwrap();
    breaker.hint(Hint::Down, 0.5, 0.0);
    assert_eq!(breaker.state(0.0), State::Closed);
    assert!(!reports_change(&mut breaker, Outcome::Success, 0.0));
    assert!(reports_change(&mut breaker, Outcome::Failure, 29_999.0));
    let mut breaker = Breaker::new(settings(3, 30_000.0)).unwrap();
    breaker.hint(Hint::Down, 0.5, 0.0);
    assert!(!reports_change(&mut breaker, Outcome::Failure, 30_000.0), "it is forgotten");
    breaker.hint(Hint::Down, 0.5, 30_000.0);
    breaker.hint(Hint::Up, 0.5, 30_001.0);
    assert!(!reports_change(&mut breaker, Outcome::Failure, 30_002.0), "it was taken back");
}

#[test]
fn hints_move_probes_and_never_further_than_its_own_look() {
    let mut breaker = opened();
    breaker.hint(Hint::Down, 0.0, 10_000.0);
    assert_eq!(breaker.admit(10_000.0), Admission::OpenMs(15_000.0));
    breaker.hint(Hint::Down, 1.0, 20_000.0);
    assert_eq!(breaker.admit(20_000.0), Admission::OpenMs(30_000.0));
    for i in 2..6 {
        breaker.hint(Hint::Down, 1.0, f64::from(i) * 10_000.0);
    }
    assert_eq!(breaker.admit(59_999.0), Admission::OpenMs(1.0), "twice the largest cooldown");
    let mut breaker = opened();
    breaker.hint(Hint::Up, 0.5, 10_000.0);
    assert_eq!(breaker.state(10_000.0), State::Open);
    breaker.hint(Hint::Up, 0.0, 10_000.0);
    assert_eq!(breaker.admit(10_000.0), Admission::OpenMs(1_500.0), "the first one counts");
    ticket(&mut breaker, 11_500.0);
    for hint in [Hint::Up, Hint::Down] {
        breaker.hint(hint, f64::NAN, 12_000.0);
        assert_eq!(breaker.state(12_000.0), State::HalfOpen);
    }
}
