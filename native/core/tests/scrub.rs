//! What leaves in place of a body with personal data in it.

use sidegate_core::pii::document::scrub_document;
use sidegate_core::pii::kinds::KINDS;
use sidegate_core::pii::policy::{Action, Policy};
use sidegate_core::pii::recognised::Recognised;
use sidegate_core::request::endpoint::Endpoint;
use sidegate_core::request::facts::{Verdict, flag};
use sidegate_core::request::inspect::{Inspection, inspect, texts};
use sidegate_core::request::registers::{INSPECT_HEAD, Register, VALUE, values_max, write_inspection};
use sidegate_core::shared::digest::{hmac_sha256, sha256};

fn policy(action: Action) -> Policy {
    let actions: Vec<_> = ["email", "card"].map(|name| (name, action)).into();
    Policy::new(&actions, Vec::new(), &["noreply@anthropic.com"], b"secret").unwrap()
}

fn kind(name: &str) -> usize {
    KINDS.iter().position(|kind| kind.name == name).unwrap()
}

/// The placeholder of an address.
fn token(value: &str) -> String {
    policy(Action::Tokenise).replacement(kind("email") as u8, value, "acme", 0).unwrap()
}

fn look(body: &str, action: Action) -> Inspection {
    inspect(body.as_bytes(), Endpoint::Chat, &policy(action), "acme", &[], false, b"key", 100)
}

fn edited(body: &str, action: Action) -> String {
    let body = look(body, action).scrubbed.body.unwrap_or_else(|| body.into());
    String::from_utf8(body).unwrap()
}

#[test]
fn personal_data_is_replaced() {
    let body = r#"{"a@b.cc":"a@b.cc","model":"a@b.cc","x":[{"c\u0040d.ee":1,"signature":"a@b.cc","encrypted_content":["a@b.cc"]},
        "\n4111 1111 1111 1111\t a\u0040b\u002ecc noreply@anthropic.com"],"stream_options":{"include_usage":true},"user":"e@f.gg"}"#;
    let edited = r#"{"a@b.cc":"[EMAIL]","model":"a@b.cc","x":[{"[EMAIL]":1,"signature":"a@b.cc","encrypted_content":["a@b.cc"]},
        "\n[CARD]\t [EMAIL] noreply@anthropic.com"],"stream_options":{"include_usage":true},"user":"[EMAIL]"}"#;
    let inspection = look(body, Action::Redact);
    assert_eq!(
        inspection.scrubbed.body.as_deref().map(|body| std::str::from_utf8(body).unwrap()),
        Some(edited)
    );
    let mut registers = [0; INSPECT_HEAD + VALUE * 100];
    write_inspection(&inspection, &mut registers);
    let reg = |register: Register| registers[register as usize];
    let part = |start: Register| &edited[reg(start) as usize..registers[start as usize + 1] as usize];
    assert_eq!(
        (part(Register::ModelStart), part(Register::StreamOptionsStart)),
        ("a@b.cc", r#"{"include_usage":true}"#)
    );
    assert_eq!((reg(Register::FirstField), reg(Register::Values), reg(Register::Found)), (1, 0, 5));
    let count = |name: &str| registers[Register::Counts as usize + kind(name)];
    assert_eq!((count("email"), count("card")), (4, 1));
}

#[test]
fn placeholders_lead_back_to_their_values() {
    let body = r#"{"x":["a@b.cc a\u0040b.cc","c@d.ee"],"y":{"e@f.gg":"c@d.ee"}}"#;
    let inspection = look(body, Action::Tokenise);
    let text = String::from_utf8(inspection.scrubbed.body.clone().unwrap()).unwrap();
    let [a, c, e] = ["a@b.cc", "c@d.ee", "e@f.gg"].map(token);
    assert_eq!(text, format!(r#"{{"x":["{a} {a}","{c}"],"y":{{"{e}":"{c}"}}}}"#));
    let mut registers = [0; INSPECT_HEAD + VALUE * 100];
    write_inspection(&inspection, &mut registers);
    let values: Vec<_> = registers[INSPECT_HEAD..INSPECT_HEAD + VALUE * 3]
        .chunks(VALUE)
        .map(|four| [&text[four[0] as usize..four[1] as usize], &body[four[2] as usize..four[3] as usize]])
        .collect();
    assert_eq!(values, [[a.as_str(), "a@b.cc"], [&c, "c@d.ee"], [&e, "e@f.gg"]]);
    // Another tenant's are others.
    let other =
        inspect(body.as_bytes(), Endpoint::Chat, &policy(Action::Tokenise), "b", &[], false, b"key", 100);
    assert!(!String::from_utf8(other.scrubbed.body.unwrap()).unwrap().contains(&a));
}

#[test]
fn what_looks_the_same_is_found() {
    for value in [
        "\u{ff14}111 1111 1111 1111",
        "4111\u{a0}1111\u{a0}1111\u{a0}1111",
        "41\u{200b}11111111111111",
        "4111\u{2011}1111\u{2011}1111\u{2011}1111",
        r"\uff14111111111111111",
        r"4111\u00201111\u00201111\u00201111",
    ] {
        let body = format!(r#"{{"x":"card {value}."}}"#);
        assert_eq!(edited(&body, Action::Redact), r#"{"x":"card [CARD]."}"#, "{value}");
    }
    // In the arguments of a tool call, which are JSON in JSON.
    let body = r#"{"arguments":"{\"to\":\"x\\n4111111111111111\\n\",\"cc\":\"a\\u0040b.cc\"}"}"#;
    let expected = r#"{"arguments":"{\"to\":\"x\\n[CARD]\\n\",\"cc\":\"[EMAIL]\"}"}"#;
    assert_eq!(edited(body, Action::Redact), expected);
}

#[test]
fn what_programs_escape_is_found_and_leaves_json() {
    // As Python writes the arguments of a tool call.
    let escaped =
        |name: &str| format!(r#"{{"x":"{{\"to\":\"{name}\",\"no\":\"\\u5361\\u53f74111111111111111\"}}"}}"#);
    let name = r"jos\\u00e9@b.cc";
    let expected = r#"{"x":"{\"to\":\"[EMAIL]\",\"no\":\"\\u5361\\u53f7[CARD]\"}"}"#;
    assert_eq!(edited(&escaped(name), Action::Redact), expected);
    // The same value as it is elsewhere, so it has one placeholder, and is restored.
    let body = escaped(name).replace(r#""x":"#, "\"w\":\"jos\u{e9}@b.cc\",\"x\":");
    let inspection = look(&body, Action::Tokenise);
    let text = String::from_utf8(inspection.scrubbed.body.unwrap()).unwrap();
    assert_eq!(text.matches(&token("jos\u{e9}@b.cc")).count(), 2, "{text}");
    let inspection = look(&escaped(name), Action::Tokenise);
    assert_eq!(inspection.scrubbed.values.len(), 2);
}

#[test]
fn short_strings_and_keys_are_searched_too() {
    for (body, expected) in [
        (r#"{"x":"4222222222222"}"#, r#"{"x":"[CARD]"}"#),
        (r#"{"x":"\u0034222222222222"}"#, r#"{"x":"[CARD]"}"#),
        (r#"{"x":{"a@b.cc":1}}"#, r#"{"x":{"[EMAIL]":1}}"#),
        (r#"{"x":[["a@b.cc"]]}"#, r#"{"x":[["[EMAIL]"]]}"#),
    ] {
        assert_eq!(edited(body, Action::Redact), expected, "{body}");
    }
}

/// A call of a tool and what it gave, with members that mean something else outside of these.
fn calls() -> [(Endpoint, String); 3] {
    let given = r#"{"signature":"Ann a@b.cc","name":"Bob c@d.ee","list":[{"url":"e@f.gg","encrypted_content":["a@b.cc"]}]}"#;
    let signed = r#""signature":"a@b.cc""#;
    [
        (
            Endpoint::Messages,
            format!(
                r#"{{"messages":[{{"role":"assistant","content":[{{"type":"thinking","thinking":"hm",{signed}}},
                {{"type":"tool_use","id":"t","name":"send","input":{given}}}]}}]}}"#
            ),
        ),
        (
            Endpoint::Generate,
            format!(
                r#"{{"contents":[{{"role":"model","parts":[{{"functionCall":{{"name":"send","args":{given}}},{signed}}},
                {{"function_response":{{"name":"send","response":{given}}}}}]}}]}}"#
            ),
        ),
        (
            Endpoint::Responses,
            format!(
                r#"{{"input":[{{"type":"reasoning",{signed}}}],"prompt":{{"id":"p","variables":{given}}}}}"#
            ),
        ),
    ]
}

#[test]
fn whatever_a_tool_is_given_and_gives_is_searched() {
    for (endpoint, body) in calls() {
        let found = inspect(body.as_bytes(), endpoint, &policy(Action::Redact), "", &[], false, b"key", 100);
        let scrubbed = String::from_utf8(found.scrubbed.body.unwrap()).unwrap();
        let given = r#"{"signature":"Ann [EMAIL]","name":"Bob [EMAIL]","list":[{"url":"[EMAIL]","encrypted_content":["[EMAIL]"]}]}"#;
        assert!(scrubbed.contains(given), "{scrubbed}");
        // What the provider signed stays.
        assert!(scrubbed.contains(r#""signature":"a@b.cc""#), "{scrubbed}");
        let asked: Vec<String> = texts(body.as_bytes(), endpoint).into_iter().map(|text| text.text).collect();
        let asked = asked.join("|");
        assert!(asked.contains("Ann a@b.cc|Bob c@d.ee|e@f.gg"), "{asked}");
        assert!(!asked.contains("send") && !asked.contains("tool_use"), "{asked}");
    }
}

#[test]
fn each_action_has_its_effect() {
    let body = r#"{"x":"4111 1111 1111 1111"}"#;
    assert_eq!(edited(body, Action::Mask), r#"{"x":"****1111"}"#);
    for action in [Action::Off, Action::Block, Action::Report] {
        let inspection = look(body, action);
        assert!(inspection.scrubbed.body.is_none());
        assert_eq!(inspection.scrubbed.counts.iter().sum::<u32>(), u32::from(action != Action::Off));
    }
}

#[test]
fn there_is_room_for_so_many_values() {
    let body = r#"{"x":["a@b.cc","a@b.cc","c@d.ee"]}"#;
    let verdict = |values| {
        inspect(body.as_bytes(), Endpoint::Chat, &policy(Action::Tokenise), "", &[], false, b"", values)
            .verdict
    };
    assert_eq!(verdict(2), Verdict::Fine);
    assert_eq!(verdict(1), Verdict::TooManyValues(body.find("c@d").unwrap()));
    assert_eq!(values_max(0), 0);
    assert_eq!([0, 3, 4, 9].map(|more| values_max(INSPECT_HEAD + more)), [0, 0, 1, 2]);
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
    let inspection = look(body, Action::Redact);
    assert_eq!(inspection.digests[0], sha256(body.as_bytes()));
    let leaves = sha256(br#"{"x":"[EMAIL]"}"#);
    assert_eq!(inspection.digests[1], hmac_sha256(b"key", &leaves));
}

/// A body, and what a recogniser finds in it: each of these names.
fn recognised(body: &str, names: &[(&str, &str)], actions: &[(&str, Action)]) -> Inspection {
    let policy = Policy::new(actions, Vec::new(), &["Bob"], b"secret").unwrap();
    let found = texts(body.as_bytes(), Endpoint::Chat).into_iter().flat_map(|text| {
        let values = names.iter().flat_map(|&(name, is)| {
            let starts: Vec<_> = text.text.match_indices(name).map(|(start, _)| start).collect();
            starts.into_iter().map(move |start| (kind(is) as u8, start..start + name.len()))
        });
        let string = text.string;
        values.map(move |(kind, range)| Recognised { string, kind, range }).collect::<Vec<_>>()
    });
    let found: Vec<_> = found.collect();
    inspect(body.as_bytes(), Endpoint::Chat, &policy, "acme", &found, false, b"key", 100)
}

fn leaving(inspection: &Inspection) -> &str {
    std::str::from_utf8(inspection.scrubbed.body.as_deref().unwrap()).unwrap()
}

#[test]
fn what_a_recogniser_finds_is_replaced_like_any_other_value() {
    let body = r#"{"messages":[{"role":"user","name":"Ann","content":"\u00c9 \ud83d\ude00 Ann, Bob, a@b.cc"},
        {"content":"\uff21nn\u200b Li"},{"tool_calls":[{"function":{"arguments":"{\"who\":\"A\\u006en Li\"}"}}]}],
        "user":"Ann","tools":[{"description":"Ann"}]}"#;
    let names = [("Ann Li", "person"), ("Ann", "person"), ("Bob", "person")];
    let actions = [("person", Action::Redact), ("email", Action::Redact)];
    let expected = r#"{"messages":[{"role":"user","name":"Ann","content":"\u00c9 \ud83d\ude00 [PERSON], Bob, [EMAIL]"},
        {"content":"[PERSON]"},{"tool_calls":[{"function":{"arguments":"{\"who\":\"[PERSON]\"}"}}]}],
        "user":"Ann","tools":[{"description":"Ann"}]}"#;
    let inspection = recognised(body, &names, &actions);
    assert_eq!(leaving(&inspection), expected);
    assert_eq!(inspection.scrubbed.counts[kind("person")], 3);
    let off = recognised(body, &names, &[("email", Action::Redact)]);
    assert!(leaving(&off).contains("Ann, Bob, [EMAIL]"));
}

#[test]
fn a_name_that_touches_another_value_is_replaced_with_it() {
    let body = r#"{"messages":[{"content":"see www.ann.example.com and ann.li@b.cc"}]}"#;
    let names = [("ann.example", "person"), ("ann.li", "person")];
    let actions = [("person", Action::Redact), ("domain", Action::Report), ("email", Action::Redact)];
    let inspection = recognised(body, &names, &actions);
    assert_eq!(leaving(&inspection), r#"{"messages":[{"content":"see [PERSON] and [EMAIL]"}]}"#);
}

#[test]
fn a_question_with_a_name_in_it_is_known_as_personal() {
    let personal = |question: &str| {
        let body = format!(
            r#"{{"messages":[{{"role":"system","content":"Ann"}},{{"role":"user","content":"{question}"}}]}}"#
        );
        let inspection = recognised(&body, &[("Ann", "person")], &[("person", Action::Report)]);
        inspection.facts.flags & flag::QUESTION_PERSONAL != 0
    };
    assert!(personal("Who is Ann?"));
    assert!(!personal("Who is he?"));
}

#[test]
fn secrets_in_structured_arguments_are_known_by_their_names() {
    let secrets = Policy::new(&[("password", Action::Redact)], Vec::new(), &[], b"").unwrap();
    let scrubbed = |body: &str, endpoint| {
        let inspection = inspect(body.as_bytes(), endpoint, &secrets, "", &[], false, b"", 100);
        inspection.scrubbed.body.map(|body| String::from_utf8(body).unwrap())
    };
    let given = r#"{"password":"hunter2!x","login":{"API key":"a1b2c3d4e5f6g7h8"},"authorization":"Bearer 9f8e7d6c5b4a39281706",
        "nextPageToken":"CDIQAA1234567890abcd","secret":"none","username":"ann_smith1985"}"#;
    let cut = r#"{"password":"[PASSWORD]","login":{"API key":"[PASSWORD]"},"authorization":"Bearer [PASSWORD]",
        "nextPageToken":"CDIQAA1234567890abcd","secret":"none","username":"ann_smith1985"}"#;
    let anthropic = r#"{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b","input":GIVEN}]}]}"#;
    let gemini = r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"a","args":GIVEN}},
        {"functionResponse":{"name":"a","response":GIVEN}}]}]}"#;
    for (body, endpoint) in [(anthropic, Endpoint::Messages), (gemini, Endpoint::Generate)] {
        let expected = body.replace("GIVEN", cut);
        assert_eq!(scrubbed(&body.replace("GIVEN", given), endpoint), Some(expected));
    }
    // What the API itself is given, it needs: the credentials of a server of tools, for one.
    let server =
        r#"{"mcp_servers":[{"url":"https://a.de","authorization_token":"a1b2c3d4e5f6g7h8"}],"messages":[]}"#;
    assert_eq!(scrubbed(server, Endpoint::Messages), None);
    // A reply's are known, too.
    let reply = anthropic.replace("GIVEN", given);
    let reply = scrub_document(reply.as_bytes(), &secrets, "").unwrap().body.unwrap();
    assert_eq!(String::from_utf8(reply).unwrap(), anthropic.replace("GIVEN", cut));
}

#[test]
fn the_credentials_of_servers_of_tools_stay() {
    let secrets = Policy::new(&[("api_key", Action::Redact)], Vec::new(), &[], b"").unwrap();
    let scrubbed = |body: &str, endpoint| {
        let inspection = inspect(body.as_bytes(), endpoint, &secrets, "", &[], false, b"", 100);
        inspection.scrubbed.body.map_or(body.into(), |body| String::from_utf8(body).unwrap())
    };
    let key = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    let responses = r#"{"tools":[{"type":"mcp","authorization":KEY,"headers":{"X-Key":KEY},"server_description":CUT}],
        "metadata":{"authorization":CUT,"headers":{"x":CUT}},"input":[{"type":"x","authorization":CUT}]}"#;
    let messages = r#"{"mcp_servers":[{"url":"https://a.de","authorization_token":KEY,"name":CUT}],
        "metadata":{"authorization_token":CUT},"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a",
        "name":"b","input":{"authorization_token":CUT,"headers":{"x":CUT}}}]}]}"#;
    for (body, endpoint) in [(responses, Endpoint::Responses), (messages, Endpoint::Messages)] {
        let body = body.replace("KEY", &format!("{key:?}"));
        let sent = body.replace("CUT", &format!("{key:?}"));
        assert_eq!(scrubbed(&sent, endpoint), body.replace("CUT", "\"[API_KEY]\""));
    }
}
