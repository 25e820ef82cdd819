//! What leaves in place of a body with personal data in it.

use sidegate_core::pii::finder::Finder;
use sidegate_core::pii::kinds::{KINDS, KindSet};
use sidegate_core::request::endpoint::Endpoint;
use sidegate_core::request::facts::Verdict;
use sidegate_core::request::inspect::{Inspection, inspect};
use sidegate_core::request::registers::{INSPECT_HEAD, Register, values_max, write_inspection};
use sidegate_core::shared::digest::{hmac_sha256, sha256};

fn all() -> Finder {
    Finder::new(KindSet::ALL)
}

fn look(body: &str, endpoint: Endpoint) -> Inspection {
    inspect(body.as_bytes(), endpoint, &all(), false, b"key", 100)
}

#[test]
fn personal_data_is_replaced() {
    let body = r#"{"a@b.cc":"a@b.cc","model":"a@b.cc","x":[{"c\u0040d.ee":1,"signature":"a@b.cc","encrypted_content":["a@b.cc"]},
        "\n4111 1111 1111 1111\t[EMAIL_2] a\u0040b\u002ecc"],"stream_options":{"include_usage":true},"user":"e@f.gg"}"#;
    let edited = r#"{"a@b.cc":"[EMAIL_1]","model":"a@b.cc","x":[{"[EMAIL_3]":1,"signature":"a@b.cc","encrypted_content":["a@b.cc"]},
        "\n[CARD_1]\t[EMAIL_2] [EMAIL_1]"],"stream_options":{"include_usage":true},"user":"[EMAIL_4]"}"#;
    let inspection = look(body, Endpoint::Chat);
    assert_eq!(
        inspection.scrubbed.body.as_deref().map(|body| std::str::from_utf8(body).unwrap()),
        Some(edited)
    );
    let mut registers = [0; INSPECT_HEAD + 3 * 100];
    write_inspection(&inspection, &mut registers);
    let reg = |register: Register| registers[register as usize];
    let part = |start: Register| &edited[reg(start) as usize..registers[start as usize + 1] as usize];
    assert_eq!(
        (part(Register::ModelStart), part(Register::StreamOptionsStart)),
        ("a@b.cc", r#"{"include_usage":true}"#)
    );
    assert_eq!((reg(Register::FirstField), reg(Register::Values)), (1, 4));
    assert_eq!(registers[Register::Counts as usize..][..2], [4, 1]);
    let values: Vec<_> = registers[INSPECT_HEAD..INSPECT_HEAD + 12]
        .chunks(3)
        .map(|three| (three[0] >> 24, three[0] & 0xFF_FFFF, &body[three[1] as usize..three[2] as usize]))
        .collect();
    let expected =
        [(0, 1, "a@b.cc"), (0, 3, r"c\u0040d.ee"), (1, 1, "4111 1111 1111 1111"), (0, 4, "e@f.gg")];
    assert_eq!(values, expected);
    let none = inspect(body.as_bytes(), Endpoint::Chat, &Finder::default(), false, b"key", 100);
    assert_eq!((none.scrubbed.body, none.scrubbed.counts), (None, [0; KINDS.len()]));
}

#[test]
fn short_strings_and_keys_are_searched_too() {
    for (body, edited) in [
        (r#"{"x":"4111111111111111"}"#, r#"{"x":"[CARD_1]"}"#),
        (r#"{"x":"4222222222222"}"#, r#"{"x":"[CARD_1]"}"#),
        (r#"{"x":"\u0034222222222222"}"#, r#"{"x":"[CARD_1]"}"#),
        (r#"{"x":"\n4222222222222\n"}"#, r#"{"x":"\n[CARD_1]\n"}"#),
        (r#"{"x":{"a@b.cc":1}}"#, r#"{"x":{"[EMAIL_1]":1}}"#),
        (r#"{"x":[["a@b.cc"]]}"#, r#"{"x":[["[EMAIL_1]"]]}"#),
        (r#"{"x":"a\u0040b.cc"}"#, r#"{"x":"[EMAIL_1]"}"#),
    ] {
        let inspection = look(body, Endpoint::Messages);
        assert_eq!(inspection.scrubbed.body.as_deref(), Some(edited.as_bytes()), "{body}");
    }
}

#[test]
fn numbers_in_use_are_passed_over() {
    for (text, number) in [
        ("[EMAIL_2]", 1),
        ("[EMAIL_1]", 2),
        ("[EMAIL_1] [EMAIL_2]", 3),
        (r"\u005bEMAIL_1]", 2),
        (r"[EMAI\u004C_\u0031\u005d", 2),
        ("[EMAIL_01] [EMAIL_1 [EMAIL_] [CARD_1] [EMAIL_99999999999] EMAIL_1]", 1),
    ] {
        for body in [format!(r#"{{"x":"a@b.cc {text}"}}"#), format!(r#"{{"{text}":0,"y":{{"z":"a@b.cc"}}}}"#)]
        {
            let inspection = look(&body, Endpoint::Chat);
            assert_eq!(inspection.scrubbed.values[0].number, number, "{body}");
        }
    }
}

#[test]
fn there_is_room_for_so_many_values() {
    let body = r#"{"x":["a@b.cc","a@b.cc","c@d.ee"]}"#;
    let verdict = |values| inspect(body.as_bytes(), Endpoint::Chat, &all(), false, b"", values).verdict;
    assert_eq!(verdict(2), Verdict::Fine);
    assert_eq!(verdict(1), Verdict::TooManyValues(body.find("c@d").unwrap()));
    assert_eq!(values_max(0), 0);
    assert_eq!([0, 2, 3, 7].map(|more| values_max(INSPECT_HEAD + more)), [0, 0, 1, 2]);
}

#[test]
fn placeholders_in_a_body_cost_nothing() {
    // Each number is looked up, not searched for.
    let taken: String = (1..30_000).map(|number| format!("[EMAIL_{number}]")).collect();
    let values: Vec<String> = (0..1000).map(|number| format!("x{number}@b.cc")).collect();
    let body = format!(r#"{{"x":"{taken}","y":"{}"}}"#, values.join(" "));
    let inspection = inspect(body.as_bytes(), Endpoint::Chat, &all(), false, b"", 1000);
    assert_eq!(inspection.scrubbed.values[999].number, 30_999);
}

#[test]
fn digests_are_of_what_came_and_what_leaves() {
    let hex = |digest: &[u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // RFC 4231, test case 2, needs a body that is no JSON, so the functions are asked themselves.
    assert_eq!(
        hex(&hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let body = r#"{"x":"a@b.cc"}"#;
    let inspection = look(body, Endpoint::Chat);
    assert_eq!(inspection.digests[0], sha256(body.as_bytes()));
    let leaves = sha256(br#"{"x":"[EMAIL_1]"}"#);
    assert_eq!(inspection.digests[1], hmac_sha256(b"key", &leaves));
}
