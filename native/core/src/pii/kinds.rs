//! The kinds of personal data: a row for each, in the order of the numbers that cross the boundary.

mod bank;
mod card;
mod code;
mod email;
mod europe;
mod ids;
mod named;
mod network;
mod passwords;
pub mod personal;
mod phone;
mod phone_codes;
mod private_key;
mod secret_rows;
mod secrets;
mod united_kingdom;
mod united_states;
mod wallet;
mod world;

use crate::pii::kind_set::{KindId, KindSet};
use crate::pii::matcher::Matcher;

/// A kind of personal data. Everything that is said of kinds, here and in JavaScript, is said from its row.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// In the configuration, logs and metrics, and in capitals in placeholders: lower case letters, digits and `_`.
    pub name: &'static str,
    /// One of it, within a sentence: `an e-mail address`.
    pub one: &'static str,
    /// Several, at a sentence's beginning: `E-mail addresses`.
    pub several: &'static str,
    /// A credential, which is never restored.
    pub secret: bool,
    /// Replaced unless configured otherwise.
    pub on: bool,
    /// Found by an external recogniser only.
    pub recognised: bool,
    /// What finds it.
    pub matcher: Matcher,
}

const fn kind(name: &'static str, one: &'static str, several: &'static str, matcher: Matcher) -> Kind {
    Kind { name, one, several, secret: false, on: true, recognised: false, matcher }
}

impl Kind {
    const fn secret(self) -> Kind {
        Kind { secret: true, ..self }
    }

    const fn off(self) -> Kind {
        Kind { on: false, ..self }
    }

    const fn recognised(self) -> Kind {
        Kind { recognised: true, ..self }
    }
}

/// All kinds. Where values of two overlap, they are one of the kind listed first: an address that holds a card number is
/// an address.
#[rustfmt::skip]
pub const KINDS: [Kind; 49] = [
    kind("private_key", "a private key", "Private keys", private_key::MATCHER).secret(),
    kind("url_credentials", "a link with a password", "Links and connection strings with a password", secrets::CREDENTIALS).secret(),
    kind("jwt", "a JSON web token", "JSON web tokens", secrets::JWT).secret(),
    kind("api_key", "an API key", "API keys and tokens", secrets::API_KEY).secret(),
    kind("password", "a password", "Passwords, keys and tokens that are called so", passwords::PASSWORD).secret(),
    kind("email", "an e-mail address", "E-mail addresses", email::MATCHER),
    kind("iban", "a bank account number", "Bank account numbers (IBAN)", bank::IBAN),
    kind("card", "a payment card number", "Payment card numbers", card::MATCHER),
    kind("us_ssn", "a US social security number", "US social security numbers", united_states::SSN),
    kind("us_itin", "a US taxpayer number", "US individual taxpayer numbers", united_states::ITIN),
    kind("us_routing", "a US bank routing number", "US bank routing numbers", bank::ROUTING),
    kind("driver_licence", "a driver's licence", "Driver's licences", united_states::LICENCE),
    kind("passport", "a passport number", "Passport numbers", united_states::PASSPORT),
    kind("uk_nhs", "an NHS number", "UK NHS numbers", united_kingdom::NHS),
    kind("uk_nino", "a UK national insurance number", "UK national insurance numbers", united_kingdom::NINO),
    kind("ie_pps", "an Irish PPS number", "Irish PPS numbers", united_kingdom::PPS),
    kind("es_nif", "a Spanish NIF or NIE", "Spanish NIF and NIE", europe::ES_NIF),
    kind("pt_nif", "a Portuguese NIF", "Portuguese NIF", europe::PT_NIF),
    kind("it_fiscal_code", "an Italian codice fiscale", "Italian codici fiscali", europe::IT_FISCAL),
    kind("pl_pesel", "a Polish PESEL", "Polish PESEL numbers", europe::PL_PESEL),
    kind("de_tax_id", "a German tax number", "German tax numbers (IdNr)", europe::DE_TAX),
    kind("fr_nir", "a French NIR", "French NIR", europe::FR_NIR),
    kind("nl_bsn", "a Dutch BSN", "Dutch BSN", europe::NL_BSN),
    kind("se_personal_number", "a Swedish personal number", "Swedish personal numbers", europe::SE_PERSON),
    kind("fi_personal_code", "a Finnish personal code", "Finnish personal codes", europe::FI_HETU),
    kind("be_national_number", "a Belgian national number", "Belgian national numbers", europe::BE_NATIONAL),
    kind("ch_ahv", "a Swiss AHV number", "Swiss AHV numbers", europe::CH_AHV),
    kind("tr_identity", "a Turkish identity number", "Turkish identity numbers", europe::TR_KIMLIK),
    kind("br_cpf", "a Brazilian CPF", "Brazilian CPF", world::BR_CPF),
    kind("br_cnpj", "a Brazilian CNPJ", "Brazilian CNPJ of companies", world::BR_CNPJ),
    kind("in_aadhaar", "an Aadhaar number", "Indian Aadhaar numbers", world::IN_AADHAAR),
    kind("in_pan", "an Indian PAN", "Indian permanent account numbers", world::IN_PAN),
    kind("cn_resident", "a Chinese resident number", "Chinese resident numbers", world::CN_RESIDENT),
    kind("kr_resident", "a South Korean resident number", "South Korean resident numbers", world::KR_RESIDENT),
    kind("sg_nric", "a Singaporean NRIC", "Singaporean NRIC and FIN", world::SG_NRIC),
    kind("au_tfn", "an Australian tax file number", "Australian tax file numbers", world::AU_TFN),
    kind("ca_sin", "a Canadian social insurance number", "Canadian social insurance numbers", world::CA_SIN),
    kind("mx_curp", "a Mexican CURP", "Mexican CURP", world::MX_CURP),
    kind("za_id", "a South African identity number", "South African identity numbers", world::ZA_ID),
    kind("wallet", "the address of a crypto wallet", "Addresses of crypto wallets", wallet::MATCHER),
    kind("mac", "a MAC address", "MAC addresses", network::MAC),
    kind("ip", "an IP address", "IP addresses", network::IP),
    kind("birth_date", "a date of birth", "Dates of birth", personal::BIRTH),
    kind("phone", "a phone number", "Phone numbers", phone::MATCHER),
    kind("person", "a person's name", "Names of people", Matcher::NONE).recognised(),
    kind("location", "a place or an address", "Places and addresses", Matcher::NONE).recognised(),
    kind("organisation", "an organisation's name", "Names of organisations", Matcher::NONE).recognised(),
    kind("postal_code", "a postal code", "Postal codes", personal::POST),
    kind("domain", "the host of a link", "Hosts of links", network::DOMAIN).off(),
];

/// How long a kind's name may be, in bytes.
pub const NAME_MAX: usize = 24;

const _: () = assert!(KINDS.len() <= KindSet::MAX);

/// What finds each kind of these numbers.
pub fn matchers(kinds: KindSet) -> Vec<(KindId, Matcher)> {
    kinds.ids().map(|id| (id, KINDS[usize::from(id)].matcher)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::{Finder, Finding, Search};

    #[test]
    fn rows_are_well_formed() {
        for (at, kind) in KINDS.iter().enumerate() {
            let plain = |text: &str, letter: fn(&u8) -> bool| {
                text.bytes().all(|byte| letter(&byte) || byte.is_ascii_digit() || byte == b'_')
                    && text.as_bytes().first().is_some_and(letter)
            };
            assert!(plain(kind.name, u8::is_ascii_lowercase), "{}", kind.name);
            assert!(kind.name.len() <= NAME_MAX, "{}", kind.name);
            for other in &KINDS[..at] {
                assert_ne!(kind.name, other.name);
            }
            assert_eq!(kind.matcher.anchors.is_empty(), kind.recognised, "{}", kind.name);
        }
    }

    fn find<'t>(text: &'t str, names: &[&str]) -> Vec<(&'static str, &'t str)> {
        let mut search = Search::default();
        let kinds = KINDS.iter().enumerate().filter(|(_, kind)| names.contains(&kind.name));
        let kinds = kinds.fold(KindSet::NONE, |set, (id, _)| set.with(id as KindId));
        Finder::new(matchers(kinds), Vec::new()).find(text, "", &mut search);
        let name = |kind| KINDS[usize::from(kind)].name;
        search.found.into_iter().map(|Finding { kind, range }| (name(kind), &text[range])).collect()
    }

    #[test]
    fn finds_several_kinds_in_order() {
        let text = "4111111111111111 a@b.cc 5555555555554444, c@d.ee";
        let all = [
            ("card", "4111111111111111"),
            ("email", "a@b.cc"),
            ("card", "5555555555554444"),
            ("email", "c@d.ee"),
        ];
        assert_eq!(find(text, &["email", "card"]), all);
        assert_eq!(find(text, &["email"]), [all[1], all[3]]);
        assert_eq!(find(text, &["card"]), [all[0], all[2]]);
        assert_eq!(find(text, &[]), []);
    }

    #[test]
    fn values_that_overlap_are_one() {
        let both = ["email", "card"].as_slice();
        let text = "4111111111111111@b.cc 5555555555554444";
        assert_eq!(find(text, both), [("email", "4111111111111111@b.cc"), ("card", "5555555555554444")]);
        let text = "a@4111111111111111.cc, c@d.ee";
        assert_eq!(find(text, both), [("email", "a@4111111111111111.cc"), ("email", "c@d.ee")]);
        // Begun before the address, it is part of it: nothing of either stays.
        assert_eq!(find("5555 5555 5555 4444@b.cc", both), [("email", "5555 5555 5555 4444@b.cc")]);
    }

    #[test]
    fn near_misses_take_linear_time() {
        let all = (0..KINDS.len()).fold(KindSet::NONE, |set, id| set.with(id as KindId));
        let finder = Finder::new(matchers(all), Vec::new());
        let near_misses = [
            "@",
            "a@",
            "a@b.",
            "://",
            "://a:b@",
            "http://a:b@c",
            "www.",
            "www.a",
            "=",
            ":",
            "password=",
            "password: a1",
            "-----BEGIN ",
            "-----BEGIN PRIVATE KEY",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY----- a\n",
            "http://a:1/@",
            "eyJ",
            "eyJhbGciOiJIUzI1NiIs.",
            "ghp_",
            "sk-",
            "sk-ant-a.",
            ".sk-a",
            "AKIAAAAAAAAAAAAAAAA.",
            "4",
            "4 ",
            "4-",
            "4.",
            "4/",
            "4)",
            "4 (",
            "+4",
            "4111 1111 ",
            "GB82 WEST ",
            "GB82",
            "1.2.3.",
            "00:1A:",
            "a1:",
            "::1",
            "born 1 ",
            "zip 1 ",
            "ssn 123-45-",
            "call 1",
            "x1",
            "1x1 ",
            "a1 ",
            "a1-",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb ",
            "bc1q",
            "0x71C7656EC7ab88b098defB751B7401B5f6d8976F ",
            "\u{e4}1",
            "1\u{e4}",
        ];
        for near_miss in near_misses {
            let mut search = Search::default();
            let mut steps = |len: usize| {
                let text = near_miss.repeat(len / near_miss.len());
                crate::shared::steps::count(|| finder.find(&text, "", &mut search))
            };
            let (short, long) = (steps(50_000), steps(100_000));
            assert!(long <= 2 * short + short / 10 + 1000, "{near_miss}: {short} and {long} steps");
            assert!(long <= 100 * 100_000, "{near_miss}: {long} steps");
        }
    }
}
