//! What a question asks for: a price, a date, a way, a cause.

use std::sync::OnceLock;

use crate::search::fnv::Map;

/// What is asked for, by the words that say so; two words in a row are joined by `_`.
const KINDS: [(&str, &str); KIND_COUNT] = [
    ("how many", "how_many number_of count amount quantity many headcount"),
    (
        "how much",
        "how_much how_expensive price prices cost costs fee fees charge charges pricing expensive rate worth \
         do_pay for_free free cheap tariff",
    ),
    (
        "how long",
        "how_long how_fast how_soon how_quickly duration how_much_time long_does lifespan length lasts last \
         minutes hours days weeks takes waiting_time take_to time_for",
    ),
    ("how often", "how_often how_frequently frequency schedule interval every_how times_a times_per"),
    (
        "how",
        "how_do how_to how_can way ways steps procedure process instructions guide method how_should how_is \
         walk tips help_me explain_how",
    ),
    (
        "when",
        "when date what_time what_day what_date what_year which_day which_date deadline until_when by_when due \
         earliest latest start starts begin begins end ends hours from_when",
    ),
    (
        "where",
        "where location venue place address which_street directions located in_which_city headquarters",
    ),
    ("who", "who whom whose which_person founder author inventor ceo person by_whom"),
    ("why", "why reason cause causes how_come what_makes explanation explain_why because"),
    ("what", "what which"),
    ("meaning", "meaning mean means define definition describe explain term what_are stand_for"),
    ("difference", "difference differ differs versus vs compare compared better unlike distinguish"),
    ("available", "available availability stock available_in soldout left in_stock sell offer have_any"),
    ("allowed", "can_i may_i allowed permitted possible okay ok permit lets able"),
    ("must", "must need_to have_to required mandatory necessary need obliged should"),
    (
        "trouble",
        "broken fails failed fail error problem problems issue wrong stuck declined rejected refused damaged \
         missing lost stolen not_work won't crash crashes slow doesn't",
    ),
    ("add", "create add new make insert setup register open begin start install subscribe order join enable"),
    (
        "remove",
        "remove delete cancel close terminate end stop erase drop unsubscribe uninstall disable leave quit kick \
         clear block",
    ),
    (
        "change",
        "change update edit modify rename replace switch move upgrade downgrade another different reset",
    ),
    ("see", "find see show view check look track status list locate"),
    ("good", "good best recommend recommendation suggest tip tips advice should_i worth ideas idea"),
    (
        "risk",
        "safe danger dangerous risk risks harm harmful poisonous toxic side_effects sideeffect bad hurt hurts",
    ),
    ("need", "equipment ingredients ingredient documents papers requirements gear buy"),
    (
        "contents",
        "included include includes cover covers coverage contain contains part_of features comes_with",
    ),
];

/// How many kinds there are.
pub const KIND_COUNT: usize = 24;

/// What words ask for: a bit for each kind.
pub fn asks<'a>(words: &[&'a str]) -> u32 {
    static BY_WORDS: OnceLock<Map<[&str; 3], u32>> = OnceLock::new();
    let by_words = BY_WORDS.get_or_init(|| {
        let mut all = Map::default();
        for (at, (_, phrases)) in KINDS.iter().enumerate() {
            for phrase in phrases.split_whitespace() {
                *all.entry(start(phrase.split('_'))).or_insert(0) |= 1 << at;
            }
        }
        all
    });
    let mut found = 0;
    for at in 0..words.len() {
        for count in 1..=(words.len() - at).min(3) {
            let key: [&'a str; 3] = start(words[at..at + count].iter().copied());
            found |= by_words.get(&key).copied().unwrap_or(0);
        }
    }
    found
}

/// The first three words, empty ones where there are fewer.
fn start<'a>(words: impl Iterator<Item = &'a str>) -> [&'a str; 3] {
    let mut three = [""; 3];
    three.iter_mut().zip(words).for_each(|(place, word)| *place = word);
    three
}

/// Names of the kinds.
pub const fn names() -> [&'static str; KIND_COUNT] {
    let mut names = [""; KIND_COUNT];
    let mut at = 0;
    while at < KIND_COUNT {
        names[at] = KINDS[at].0;
        at += 1;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_ask_for_something() {
        let kinds = |text: &str| {
            let bits = asks(&text.split(' ').collect::<Vec<_>>());
            (0..KIND_COUNT).filter(|at| bits >> at & 1 == 1).map(|at| KINDS[at].0).collect::<Vec<_>>()
        };
        assert_eq!(kinds("how much is it"), ["how much"]);
        assert_eq!(kinds("number of people"), ["how many"]);
        assert_eq!(kinds("where is the venue"), ["where"]);
    }
}
