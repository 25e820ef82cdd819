//! The words that say what a number nearby is.

macro_rules! contexts {
    ($($(#[$doc:meta])* $name:ident: [$($word:literal),+ $(,)?]),+ $(,)?) => {
        /// What words nearby can say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Context { $($(#[$doc])* $name),+ }

        /// The words of each context: lower case, and `*` behind one that may go on. Where some have a space, names of members and
        /// variables have another sign or a capital letter.
        pub(super) const WORDS: &[(Context, &[&str])] = &[$((Context::$name, &[$($word),+])),+];
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
    Sweden: ["personnummer", "samordningsnummer", "swedish", "sweden", "personal number", "personal id",
        "person id", "national id"],
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
