//! Words that exclude one another: whatever else two questions share, one that has some of one kind and one that has some
//! of another ask for different things.

use std::sync::OnceLock;

use crate::search::fnv::Map;

/// A line for each opposition, its kinds apart by bars. Only kinds that never stand for one another where a question is put
/// in other words, which is counted in the pairs of `bench/cache`: what one buys, a shop sells, and who is older than
/// another, that one is younger than.
const EXCLUSIVE: [&str; 79] = [
    "increase increases increasing raise raises raising higher boost|decrease decreases decreasing reduce reduces \
     reducing lower lowers lowering",
    "encrypt encryption encrypting encrypted|decrypt decryption decrypting decrypted",
    "similar similarity similarities alike|differ differs different difference differences distinguish",
    "deposit deposits depositing|withdraw withdrawal withdrawals withdrawing",
    "upload uploads uploading uploaded|download downloads downloading downloaded",
    "import imports importing imported|export exports exporting exported",
    "compress compressing zip zipping|decompress decompressing unzip unzipping",
    "encode encoding encoded|decode decoding decoded",
    "serialize serializing serialise|deserialize deserializing deserialise",
    "install installing installation|uninstall uninstalling",
    "subscribe subscribing|unsubscribe unsubscribing",
    "lock locking|unlock unlocking",
    "mute muting|unmute unmuting",
    "activate activating activation enable enabling|deactivate deactivating deactivation disable disabling",
    "connect connecting|disconnect disconnecting",
    "attach attaching|detach detaching",
    "login|logout",
    "add adding|remove removing delete deleting",
    "push pushing|pull pulling",
    "begin begins beginning start starts starting|end ends ending finish finishes",
    "maximum max|minimum min",
    "best|worst",
    "oldest|newest youngest",
    "largest biggest|smallest tiniest",
    "longest|shortest",
    "highest|lowest",
    "fastest quickest|slowest",
    "cheapest|priciest dearest",
    "long lengthy|short brief",
    "early earlier|late later",
    "sad tragic gloomy|funny happy cheerful humorous amusing",
    "poem poems haiku limerick|story stories tale tales|essay essays|song songs lyrics|joke jokes|letter letters|\
     speech speeches",
    "revenue income earnings|expense expenses spending",
    "profit profits|loss losses",
    "cause causes|cure cures treatment treatments remedy remedies|symptom symptoms|diagnosis diagnoses",
    "credit creditcard|debit debitcard",
    "inbound incoming|outbound outgoing",
    "horizontal horizontally|vertical vertically",
    "ascending|descending",
    "domestic|international foreign",
    "indoor indoors|outdoor outdoors",
    "male|female",
    "win winning won|lose losing",
    "private|public",
    "legal|illegal",
    "limited|unlimited",
    "bus buses coach coaches|train trains|plane planes flight flights|taxi taxis cab|ferry ferries|tram trams",
    "weekday weekdays|weekend weekends",
    "breakfast|lunch|dinner supper",
    "online|offline",
    "manually manual|automatically automatic",
    "temporarily temporary|permanently permanent",
    "advantage advantages benefit benefits pros|disadvantage disadvantages drawback drawbacks cons",
    "birth born|death died",
    "visa visas|passport passports",
    "freeze freezing|thaw thawing defrost defrosting",
    "pack packing|unpack unpacking",
    "load loading|unload unloading",
    "plug|unplug",
    "hire hiring|dismiss dismissing",
    "approve approving approval|deny denying",
    "pause pausing|resume resuming",
    "shorten shortens shortening|lengthen lengthens lengthening",
    "entrance|exit",
    "sunrise|sunset",
    "mother mom mum|father dad",
    "brother|sister",
    "husband|wife",
    "gross|net",
    "single|double|triple",
    "vegan|vegetarian",
    "petrol|diesel|electric",
    "android|iphone ios",
    "restore restoring recover recovering|remove removing delete deleting",
    "confirm confirming confirmed confirmation|cancel cancelling canceling cancelled canceled cancellation",
    "call calling phone|email emails",
    "print printing|scan scanning",
    "boil boiled|fry fried|bake baked|grill grilled|steam steamed",
    "red|blue|green|yellow|black|white|pink|purple|brown|orange",
];

/// Kinds of exclusive words: the number of their line, and a bit for each kind.
pub fn kinds_of(word: &str) -> &'static [(u8, u16)] {
    static KINDS: OnceLock<Map<&str, Vec<(u8, u16)>>> = OnceLock::new();
    let all = KINDS.get_or_init(|| {
        let mut all: Map<&str, Vec<(u8, u16)>> = Map::default();
        for (line, number) in EXCLUSIVE.iter().zip(0u8..) {
            for (kind, bit) in line.split('|').zip(0u16..) {
                kind.split_whitespace()
                    .for_each(|word| all.entry(word).or_default().push((number, 1 << bit)));
            }
        }
        all
    });
    all.get(word).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stands_once_in_a_line() {
        for line in EXCLUSIVE {
            let mut words: Vec<&str> = line.split('|').flat_map(str::split_whitespace).collect();
            let count = words.len();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), count, "{line}");
            assert!((2..=16).contains(&line.split('|').count()), "{line}");
        }
        assert_eq!(kinds_of("encrypt").len(), 1);
        assert!(kinds_of("house").is_empty());
    }
}
