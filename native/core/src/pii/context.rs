//! Words that say what a number nearby is.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;
use std::sync::LazyLock;

use crate::shared::steps::step;
use crate::text::block::{BLOCK, Block, Common};

macro_rules! contexts {
    ($($(#[$doc:meta])* $name:ident: [$($word:literal),+ $(,)?]),+ $(,)?) => {
        /// What words nearby can say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Context { $($(#[$doc])* $name),+ }

        /// The words of each context: lower case, and `*` behind one that may go on.
        const WORDS: &[(Context, &[&str])] = &[$((Context::$name, &[$($word),+])),+];
    };
}

contexts! {
    /// A number of something that isn't a person's: an order, a build, a book.
    Other: ["order*", "invoice*", "tracking", "shipment", "serial", "isbn*", "issn", "imei", "ticket*", "ref", "reference",
        "transaction*", "hash", "uuid", "guid", "build", "version", "sku", "part", "batch", "session*", "trace*", "request*",
        "commit", "checksum", "ean", "upc", "gtin", "lot", "model", "case", "issue", "timestamp", "epoch", "offset",
        "bytes", "size", "nonce", "seed", "row", "line", "coordinates", "lat", "lon", "latitude", "longitude", "pid",
        "port", "item*", "product*", "article", "quote", "po", "rma", "job", "task", "run", "event", "message id",
        "msg", "span", "snowflake", "tweet", "video", "doi", "sequence", "seq", "id"],
    /// A payment card.
    Card: ["card*", "cc", "credit", "debit", "visa", "mastercard", "maestro", "amex", "american express", "discover",
        "diners", "jcb", "unionpay", "kreditkarte*", "karte", "carte", "tarjeta", "carta", "cart\u{e3}o", "pan", "cvv",
        "cvc", "expires", "expiry", "expiring"],
    /// A telephone.
    Phone: ["phone*", "tel", "telephone*", "telefon*", "mobile*", "mob", "cell*", "fax", "call*", "dial*", "desk", "sms",
        "whatsapp", "messages to", "text me", "reach me", "t\u{e9}l*", "m\u{f3}vil", "handy", "rufnummer", "hotline",
        "ring me", "landline", "pager", "voicemail", "contact number", "signal"],
    /// An internet address.
    Ip: ["ip", "ips", "ipv4", "ipv6", "host", "address", "client_ip", "client", "server", "gateway", "dns", "subnet"],
    /// A version, which looks like an address.
    Version: ["version*", "v", "ver", "release*", "build", "firmware", "driver", "chrome", "safari", "firefox", "upgrade*",
        "upgraded", "section", "chapter", "clause", "patch", "sdk", "package", "dependency"],
    /// A date of birth.
    Birth: ["born", "birth*", "birthday", "dob", "d.o.b", "date of birth", "geboren", "geburtsdatum", "geb", "n\u{e9}e",
        "n\u{e9}", "naissance", "nacido", "nacida", "nacimiento", "nato", "nata", "nascita", "nascimento", "urodzon*",
        "geboortedatum", "birthdate", "date_of_birth"],
    /// A postal code.
    Post: ["zip*", "postal", "postcode*", "post code", "postleitzahl", "plz", "code postal", "c\u{f3}digo postal", "cep",
        "pincode", "pin code", "postnummer"],
    /// A postal address.
    Address: ["address*", "apt", "suite", "street", "avenue", "road", "anschrift", "adresse", "direcci\u{f3}n"],
    /// A social security number of the US.
    Ssn: ["ssn", "ssns", "social security", "social sec", "soc sec", "ss#", "social"],
    /// A taxpayer number of the US.
    Itin: ["itin", "taxpayer", "tax id", "individual taxpayer"],
    /// A passport.
    Passport: ["passport*", "reisepass*", "passeport", "pasaporte", "passaporto"],
    /// A driver's licence.
    Licence: ["driver", "drivers", "driver's", "driving licence", "driving license", "licence", "license", "dl",
        "driverslicense", "f\u{fc}hrerschein*", "permis de conduire"],
    /// A bank routing number of the US.
    Routing: ["routing", "aba", "rtn", "transit", "wire"],
    /// A bank account.
    Account: ["account*", "acct", "konto*", "cuenta", "compte"],
    /// The British health service.
    Nhs: ["nhs", "national health", "health service", "patient"],
    /// British national insurance.
    Nino: ["national insurance", "nino", "ni number", "insurance number", "ni no"],
    /// Aadhaar, India.
    Aadhaar: ["aadhaar*", "aadhar*", "uidai", "uid"],
    /// Income tax, India.
    InPan: ["pan", "permanent account", "income tax"],
    /// Identity numbers of Spain.
    Spain: ["nif", "nie", "dni", "documento", "identidad", "spain", "spanish"],
    /// Identity numbers of Portugal.
    Portugal: ["nif", "contribuinte", "fiscal", "portugal", "portuguese"],
    /// PESEL, Poland.
    Poland: ["pesel", "poland", "polish", "polska"],
    /// Tax numbers of Germany.
    Germany: ["steuer*", "idnr", "steuer-id", "steuer-idnr", "identifikationsnummer", "tax id", "tin", "german*"],
    /// NIR, France.
    France: ["nir", "insee", "s\u{e9}curit\u{e9} sociale", "securite sociale", "vitale", "french", "france"],
    /// CPF and CNPJ, Brazil.
    Brazil: ["cpf", "cnpj", "cadastro", "brazil*", "brasil"],
    /// BSN, Netherlands.
    Netherlands: ["bsn", "burgerservicenummer", "sofi*", "dutch"],
    /// Personal numbers of Sweden.
    Sweden: ["personnummer", "samordningsnummer", "swedish", "sweden", "personal number"],
    /// Personal codes of Finland.
    Finland: ["hetu", "henkil\u{f6}tunnus", "finnish", "finland"],
    /// National numbers of Belgium.
    Belgium: ["rijksregister*", "registre national", "nrn", "belgian", "belgium", "national number"],
    /// Tax file numbers of Australia.
    Australia: ["tfn", "tax file", "australia*"],
    /// Social insurance numbers of Canada.
    Canada: ["sin", "social insurance", "canada", "canadian"],
    /// Resident numbers of South Korea.
    Korea: ["rrn", "resident registration", "korea*", "\u{c8fc}\u{bbfc}"],
    /// Identity numbers of South Africa.
    SouthAfrica: ["south africa*", "rsa id", "sa id", "identity number", "id number"],
    /// Identity numbers of Turkey.
    Turkey: ["tckn", "tc kimlik", "kimlik", "turkish", "t\u{fc}rkiye"],
    /// Personal numbers of Ireland.
    Ireland: ["pps", "ppsn", "personal public service", "irish"],
    /// A crypto wallet.
    Wallet: ["wallet*", "bitcoin", "btc", "ethereum", "eth", "address", "send to", "crypto*", "ripple", "xrp"],
    /// A place on the web.
    Site: ["website", "site", "domain*", "homepage", "blog", "url", "webpage", "host*"],
}

/// Some contexts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contexts(u64);

const _: () = assert!(WORDS.len() <= u64::BITS as usize);

impl Contexts {
    /// Those of either.
    #[must_use]
    pub fn or(self, other: Contexts) -> Contexts {
        Contexts(self.0 | other.0)
    }

    /// Whether this one is among them.
    pub fn has(self, context: Context) -> bool {
        self.0 & 1 << context as u32 != 0
    }
}

/// What a letter is in a key: its place in the alphabet, in either case, or one of four for those beyond ASCII. 0: no letter.
const LETTER: [u8; 256] = {
    let mut codes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        codes[byte] = match c {
            _ if c.is_ascii_alphabetic() => c & 31,
            0x80.. => 27 + (c & 3),
            _ => 0,
        };
        byte += 1;
    }
    codes
};

fn letter(text: &[u8], at: usize) -> usize {
    text.get(at).map_or(0, |&byte| usize::from(LETTER[usize::from(byte)]))
}

/// The first three letters of a word; of a shorter one, that it is.
#[inline(always)]
fn key(text: &[u8], at: usize) -> usize {
    let letter = |byte: u8| usize::from(LETTER[usize::from(byte)]);
    let [first, second, third] = match text[at..].first_chunk() {
        Some(bytes) => bytes.map(letter),
        None => [0, 1, 2].map(|more| text.get(at + more).map_or(0, |&byte| letter(byte))),
    };
    first << 10 | second << 5 | if second == 0 { 0 } else { third }
}

const KEYS: usize = 1 << 15;

struct Word {
    key: usize,
    text: &'static [u8],
    context: Context,
    /// More letters may follow.
    goes_on: bool,
}

struct Table {
    /// For 64 keys each, a bit for those that a word has, which most words of a text have none of; and how many lower keys
    /// there are.
    keys: [(u64, u16); KEYS / 64],
    /// For each key that a word has, where its words begin; and where the last ones end.
    first: Vec<u16>,
    /// By key.
    words: Vec<Word>,
}

impl Table {
    /// Whether a word has this key.
    #[inline(always)]
    fn has(&self, key: usize) -> bool {
        self.keys[key / 64 % self.keys.len()].0 >> (key % 64) & 1 != 0
    }

    /// The words with a key that some have.
    fn words(&self, key: usize) -> &[Word] {
        let (bits, lower) = self.keys[key / 64];
        let at = usize::from(lower) + (bits & !(u64::MAX << (key % 64))).count_ones() as usize;
        &self.words[usize::from(self.first[at])..usize::from(self.first[at + 1])]
    }
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let all = WORDS.iter().flat_map(|(context, words)| words.iter().map(|word| (*context, *word)));
    let mut words: Vec<Word> = all
        .map(|(context, word)| {
            let text = word.trim_end_matches('*').as_bytes();
            assert!(!word.ends_with('*') || text.len() >= 3, "{word}: a beginning has three letters");
            Word { key: key(text, 0), text, context, goes_on: word.ends_with('*') }
        })
        .collect();
    words.sort_by_key(|word| word.key);
    let mut keys = [(0_u64, 0); KEYS / 64];
    let mut first = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if at == 0 || words[at - 1].key != word.key {
            keys[word.key / 64].0 |= 1 << (word.key % 64);
            first.push(at as u16);
        }
    }
    first.push(words.len() as u16);
    let mut lower = 0;
    for (bits, count) in &mut keys {
        *count = lower;
        lower += bits.count_ones() as u16;
    }
    Table { keys, first, words }
});

/// A word of a context in a text.
struct Hit {
    start: usize,
    end: usize,
    contexts: Contexts,
}

/// The words of contexts that begin in a part of a text.
fn scan(text: &[u8], part: Range<usize>, mut found: impl FnMut(Hit)) {
    let table = &*TABLE;
    // A word that is cut is none, and neither are letters behind a digit.
    let cut = |byte: u8| byte.is_ascii_digit() || LETTER[usize::from(byte)] != 0;
    let mut goes_on = part.start > 0 && cut(text[part.start - 1]);
    for from in part.clone().step_by(BLOCK) {
        step();
        let block = Block::first(Common::default(), &text[from..]);
        let letters = (block.letters() | block.high()).bits();
        let joined = letters | block.between(b'0', b'9').bits();
        let mut starts = letters & !(joined << 1 | u64::from(goes_on));
        goes_on = joined >> (BLOCK - 1) != 0;
        while starts != 0 {
            step();
            let at = from + starts.trailing_zeros() as usize;
            if at >= part.end {
                return;
            }
            starts &= starts - 1;
            let key = key(text, at);
            if !table.has(key) {
                continue;
            }
            for word in table.words(key) {
                let end = at + word.text.len();
                let same = text.get(at..end).is_some_and(|text| text.eq_ignore_ascii_case(word.text));
                if same && (word.goes_on || letter(text, end) == 0) {
                    found(Hit { start: at, end, contexts: Contexts(1 << word.context as u32) });
                }
            }
        }
    }
}

/// How far before a value its context may be, in bytes.
const WINDOW: usize = 64;
/// How much of a label is read, in bytes: it is read again for each text that it names, such as those of a list.
const LABEL_MAX: usize = 256;

/// The words of contexts in one text, looked up where someone asks, and once only.
pub struct Nearby<'t> {
    text: &'t [u8],
    label: &'t [u8],
    named: OnceCell<Contexts>,
    hits: RefCell<Hits>,
}

#[derive(Default)]
struct Hits {
    /// In the order of the text; old ones are dropped.
    last: Vec<Hit>,
    /// The text before is looked through, as far as it is near what was asked about.
    scanned: usize,
}

/// Most bytes that are looked at one by one first.
const SHORT_MAX: usize = 8;

/// Hits from which on those that are too far away are dropped.
const HITS_MAX: usize = 32;

impl<'t> Nearby<'t> {
    /// `label`: what the text is called, such as the JSON member's name.
    pub fn new(text: &'t str, label: &'t str) -> Self {
        Nearby {
            text: text.as_bytes(),
            label: label.as_bytes(),
            named: OnceCell::new(),
            hits: RefCell::default(),
        }
    }

    /// What the text is called.
    pub fn label(&self) -> &'t [u8] {
        self.label
    }

    /// What the label says.
    pub fn named(&self) -> Contexts {
        *self.named.get_or_init(|| {
            let mut found = Contexts::default();
            scan(self.label, 0..self.label.len().min(LABEL_MAX), |hit| found = found.or(hit.contexts));
            found
        })
    }

    /// What the words shortly before a place say. Places must be asked about in the order of the text.
    pub fn before(&self, at: usize) -> Contexts {
        let start = at.saturating_sub(WINDOW);
        let Hits { last, scanned } = &mut *self.hits.borrow_mut();
        if last.len() >= HITS_MAX {
            last.retain(|hit| hit.start >= start);
        }
        if *scanned < at {
            let new = start.max(*scanned)..at;
            // Between two numbers there is often nothing to read.
            if new.len() > SHORT_MAX || new.clone().any(|at| letter(self.text, at) != 0) {
                scan(self.text, new, |hit| last.push(hit));
            }
            *scanned = at;
        }
        let near = last.iter().rev().take_while(|hit| hit.start >= start).filter(|hit| hit.end <= at);
        near.fold(Contexts::default(), |found, hit| found.or(hit.contexts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_and_in_any_case() {
        let has = |text: &str, context| Nearby::new(text, "").before(text.len()).has(context);
        assert!(has("My ZIP code is", Context::Post) && has("zipcode:", Context::Post));
        assert!(has("user_ssn", Context::Ssn) && has("Social Security Number", Context::Ssn));
        assert!(!has("a3dl7", Context::Licence) && has("dl7", Context::Licence));
        assert!(!has("unzip it", Context::Post) && !has("escape", Context::Post) && !has("", Context::Post));
    }

    #[test]
    fn a_word_counts_shortly_before_a_place() {
        let text = format!("zip {} 1 and 2", "x".repeat(70));
        let nearby = Nearby::new(&text, "date_of_birth");
        assert!(nearby.named().has(Context::Birth) && !nearby.named().has(Context::Post));
        for (place, near) in [(2, false), (3, true), (60, true), (64, true), (65, false)] {
            assert_eq!(nearby.before(place).has(Context::Post), near, "{place}");
        }
    }

    #[test]
    fn a_long_name_is_read_at_its_beginning() {
        let named = |label: &str, context| Nearby::new("", label).named().has(context);
        for len in [LABEL_MAX - 2, LABEL_MAX - 1] {
            assert!(named(&format!("{} zip code", "-".repeat(len - 1)), Context::Post), "{len}");
        }
        // No part of a word is one: `card` would be.
        assert!(!named(&format!("{} cardinal", "\u{e9}".repeat(LABEL_MAX)), Context::Card));
        assert!(!named(&format!("{} panel", "-".repeat(LABEL_MAX - 4)), Context::Card));
    }
}
