//! Words with a part to play in questions, and phrases that stand for one word.

use std::sync::OnceLock;

use crate::search::fnv::Map;

/// Carries no content: articles, pronouns, auxiliaries.
pub const STOP: u16 = 1;
/// Belongs to how a question is put, not to what it asks: "tell", "way", "please".
pub const FRAME: u16 = 1 << 1;
/// Denies.
pub const NEGATION: u16 = 1 << 2;
/// Says when.
pub const TIME: u16 = 1 << 3;
/// Says of how much of a thing, or which of several, is spoken: "all", "only", "first".
pub const SCOPE: u16 = 1 << 4;
/// Relates what follows to the rest: "from", "without", "before".
pub const RELATION: u16 = 1 << 5;
/// Asks for permission or possibility.
pub const CAN: u16 = 1 << 6;
/// Asks for duty.
pub const MUST: u16 = 1 << 7;
/// Says that something is not as it should be.
pub const TROUBLE: u16 = 1 << 8;
/// Speaks of the asker.
pub const SELF: u16 = 1 << 9;
/// Speaks of others.
pub const OTHERS: u16 = 1 << 10;
/// Speaks of what has been.
pub const PAST: u16 = 1 << 11;
/// Speaks of what will be.
pub const FUTURE: u16 = 1 << 12;

/// Classes by words. A word of several stands in each.
const CLASSES: [(u16, &str); 13] = [
    (
        STOP,
        "a an the of to in on for at by is are be am was were been do does did done i me my mine we us our you \
         your it its he she they them their his her this that these those there here and or so would could \
         can may might will shall should must has have had having with as from if than then how what which who \
         whom whose when where why into about s t ve d m ll re not no im whats hows any some just too also own \
         myself yourself itself being let got get go going ones one re up out hi hey",
    ),
    (
        FRAME,
        "please tell show explain know help way ways step steps procedure process instruction instructions \
         like want need wish possible possibility thanks thank hello hi hey dear question wondering wonder \
         trying try understand find learn guide tip tips best right easiest good proper correct could anyone \
         anybody someone option able allowed permitted supposed go works work kindly quick quickly sorry bother \
         curious idea mean looking look see hear info information detail details actually really currently \
         exactly basically say call called thing things something anything else example method describe ok \
         okay well now regarding concerning cheers team support hope appreciate appreciated give provide take \
         happen happens happening occur occurs make folks guys pls wondered",
    ),
    (
        NEGATION,
        "not no never none nobody nothing neither nor without cannot unable hardly nowhere non except unless",
    ),
    (
        TIME,
        "today tomorrow yesterday now tonight currently week month year day morning evening night afternoon noon \
         midnight weekend weekday daily weekly monthly yearly annual annually hourly hour minute summer winter \
         spring autumn fall season semester term decade century early late earlier later soon ago already yet \
         still always sometimes often once twice temporarily permanently forever until since",
    ),
    (
        SCOPE,
        "all only every each any some most least more less first last next previous other another same both \
         either single multiple several many few entire whole half maximum minimum max min total average \
         highest lowest largest smallest biggest longest shortest cheapest fastest slowest newest oldest \
         latest earliest best worst extra additional new old own second third main local remote public \
         private free paid used personal shared current former future past again just even except including",
    ),
    (
        RELATION,
        "before after with without from to into between under over above below inside outside since until \
         till during against except for by per as than via at in on off up down out across behind beyond \
         among instead",
    ),
    (CAN, "can may could possible allowed permitted able possibility permit allow okay might"),
    (
        MUST,
        "must should need required mandatory obliged necessary have has require compulsory supposed ought",
    ),
    (
        TROUBLE,
        "fail fails failed failing failure error errors problem problems issue issues broken break wrong \
         stuck declined rejected denied refused blocked crash crashes down missing lost invalid trouble bug \
         unable cannot not won",
    ),
    (SELF, "i me my mine myself we us our ours"),
    (
        OTHERS,
        "you your he she they them their his her someone somebody anyone anybody else another other others \
         friend colleague child children kid kids wife husband son daughter mother father boss guest",
    ),
    (PAST, "was were did had been ago yesterday previous last former"),
    (FUTURE, "will shall going tomorrow next future upcoming soon"),
];

/// Phrases that stand for one word, longer ones before those they begin with.
const PHRASES: &str = "\
    do you open and close: hours; at the same time: simultaneous; get in touch with: contact; \
    get in contact with: contact; you open and close: hours; get rid of: remove; in place of: instead; \
    out of stock: soldout; free of charge: free; at no charge: free; a lot of: many; on my own: myself; \
    get in touch: contact; get hold of: contact; get through to: contact; take care of: care; \
    put on hold: pause; do away with: remove; back to front: backwards; at the moment: now; \
    ahead of time: beforehand; on the phone: phone; over the phone: phone; on the internet: online; \
    over the internet: online; on the web: online; single sign on: sso; out of date: outdated; \
    out of order: broken; log me in: login; sign me up: register; get a refund: refund; \
    get in contact: contact; in contact with: contact; reach out to: contact; hours of operation: hours; \
    hours of business: hours; hours of opening: hours; are you open: hours; you are open: hours; \
    means of payment: payment; forms of payment: payment; kinds of payment: payment; ways to pay: payment; \
    ways of paying: payment; ways of payment: payment; get paid back: refund; terms of use: terms; \
    terms of service: terms; free of cost: free; at no cost: free; a second time: again; by means of: with; \
    close to me: nearby; does not work: broken; is not working: broken; did not work: broken; \
    no longer works: broken; stopped working: broken; not working: broken; turn on: enable; \
    switch on: enable; turn off: disable; switch off: disable; shut down: stop; call off: cancel; \
    send back: return; give back: return; bring back: return; sign up: register; sign in: login; \
    log in: login; log on: login; log into: login; sign into: login; sign out: logout; log out: logout; \
    log off: logout; sign off: logout; set up: setup; money back: refund; paid back: refund; \
    pay back: repay; pay off: repay; take back: undo; sold out: soldout; in stock: available; \
    for free: free; no charge: free; credit card: creditcard; debit card: debitcard; gift card: giftcard; \
    gift voucher: giftcard; check in: checkin; check out: checkout; two factor: 2fa; two step: 2fa; \
    second factor: 2fa; tax return: taxes; give up: cancel; no longer: not; any more: not; \
    at once: simultaneous; as well: also; instead of: instead; come from: origin; look after: care; \
    put off: postpone; find out: find; pick up: collect; fill up: fill; due date: deadline; \
    phone number: number; by mistake: mistake; by accident: mistake; side effects: sideeffect; \
    side effect: sideeffect; right now: now; right away: now; straight away: now; by phone: phone; \
    opening hours: hours; opening times: hours; business hours: hours; office hours: hours; \
    working hours: hours; customer service: support; customer support: support; customer care: support; \
    tech support: support; help desk: helpdesk; come back: return; go back: return; bring down: reduce; \
    cut down: reduce; cut back: reduce; go up: rise; went up: rise; throw away: discard; \
    throw out: discard; put up: mount; look for: search; look up: search; hand in: submit; \
    hand over: transfer; fill in: complete; fill out: complete; take out: remove; move out: leave; \
    turn down: reject; run out: expire; runs out: expire; go off: spoil; gone off: spoiled; \
    gone bad: spoiled; go bad: spoil; work out: calculate; give away: donate; take part: join; \
    cut off: disconnect; opt out: unsubscribe; opt in: subscribe; back up: backup; roll back: revert; \
    free trial: trial; trial period: trial; user name: username; pass word: password; pass code: password; \
    e mail: email; e mails: emails; wi fi: wifi; web site: website; web page: page; expiry date: expiry; \
    expiration date: expiry; shelf life: lifespan; life span: lifespan; last name: surname; \
    family name: surname; zip code: postcode; postal code: postcode; post code: postcode; \
    parking lot: parking; parking space: parking; parking spaces: parking; car park: parking; \
    boarding card: boardingpass; boarding pass: boardingpass; hand luggage: carryon; hand baggage: carryon; \
    cabin bag: carryon; make sure: ensure; get back: recover; got back: recover; got lost: lost; \
    release date: release; comes out: release; come out: release; take place: happen; takes place: happen; \
    second hand: used; day off: leave; time off: leave; annual leave: vacation; pass on: forward; \
    kick out: remove; shut off: disable; power off: disable; power on: enable; switched on: enable; \
    switched off: disable; turned on: enable; turned off: disable; turning on: enable; \
    turning off: disable; switching on: enable; switching off: disable; start up: start; \
    start over: restart; start again: restart; speed up: accelerate; how come: why; what for: why; \
    due to: because; because of: because; next to: beside; at least: minimum; at most: maximum; \
    in total: total; per cent: percent; per day: daily; per week: weekly; per month: monthly; \
    per year: yearly; every day: daily; every week: weekly; every month: monthly; every year: yearly; \
    each day: daily; each week: weekly; each month: monthly; each year: yearly; used up: empty; \
    set off: start; carry out: execute; carried out: execute; swap out: replace; signed up: register; \
    signing up: register; logging in: login; signing in: login; logged in: login; logged out: logout; \
    signed in: login; locked out: lockout; checked in: checkin; checking in: checkin; \
    checked out: checkout; checking out: checkout; gave back: return; given back: return; \
    giving back: return; sent back: return; sending back: return; bringing back: return; \
    be refunded: refund; opening hour: hours; open hours: hours; business times: hours; \
    payment methods: payment; payment options: payment; payment types: payment; payment method: payment; \
    payment option: payment; real person: human; live agent: human; human being: human; live person: human; \
    mailing list: newsletter; job openings: jobs; open positions: jobs; credit cards: creditcard; \
    debit cards: debitcard; gift cards: giftcard; gift vouchers: giftcard; call centre: support; \
    call center: support; help line: support; customer services: support; without paying: free; \
    once more: again; once again: again; in advance: beforehand; near me: nearby; not work: broken";

/// What a word is, and begins.
#[derive(Default)]
struct Known {
    classes: u16,
    /// The phrases that begin with it: all their words, and what they stand for.
    phrases: Vec<(Vec<&'static str>, &'static str)>,
}

fn known(word: &str) -> Option<&'static Known> {
    static KNOWN: OnceLock<Map<&str, Known>> = OnceLock::new();
    let all = KNOWN.get_or_init(|| {
        let mut all: Map<&str, Known> = Map::default();
        for (class, words) in CLASSES {
            words.split_whitespace().for_each(|word| all.entry(word).or_default().classes |= class);
        }
        for (phrase, stands_for) in PHRASES.split(';').filter_map(|entry| entry.split_once(':')) {
            let words: Vec<&str> = phrase.split_whitespace().collect();
            all.entry(words[0]).or_default().phrases.push((words, stands_for.trim()));
        }
        all
    });
    all.get(word)
}

/// Classes of a word, or'ed together.
pub fn classes(word: &str) -> u16 {
    known(word).map_or(0, |known| known.classes)
}

/// How many of the words make a phrase, and the word it stands for.
pub fn phrase(words: &[&str]) -> Option<(usize, &'static str)> {
    let phrases = &known(words.first()?)?.phrases;
    let found = phrases.iter().find(|(phrase, _)| words.starts_with(phrase));
    found.map(|(phrase, stands_for)| (phrase.len(), *stands_for))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_classes() {
        assert_eq!(classes("the"), STOP);
        assert_eq!(classes("not"), STOP | NEGATION | TROUBLE);
        assert_eq!(classes("house"), 0);
    }

    #[test]
    fn phrases_are_found_where_they_begin() {
        assert_eq!(phrase(&["get", "rid", "of", "it"]), Some((3, "remove")));
        assert_eq!(phrase(&["turn", "off"]), Some((2, "disable")));
        assert_eq!(phrase(&["turn"]), None);
        assert_eq!(phrase(&["no", "longer", "works"]), Some((3, "broken")));
    }
}
