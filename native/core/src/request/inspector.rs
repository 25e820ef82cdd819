//! Walks a request's body and notes what it says.

use crate::json::field_names::Key;
use crate::json::path::Path;
use crate::json::string::Decoded;
use crate::json::walker::{Fault, Text, Token, Walker};
use crate::pii::recognised::Texts;
use crate::pii::scrub::Scrubber;
use crate::request::endpoint::Endpoint;
use crate::request::facts::{Facts, STOPS_MAX, Verdict, flag};
use crate::request::field::{Field, count};
use crate::request::place::{Place, describes, is_label, is_prompt, stays};
use crate::request::question::Asking;
use crate::request::source::Source;
use crate::text::chars::char_count;
use crate::tier::classify::{Gatherer, is_code, tier};
use crate::tier::features::Features;

pub(crate) struct Inspector<'b> {
    body: &'b str,
    endpoint: Endpoint,
    walker: Walker<'b>,
    path: Path<Place>,
    pub scrubber: Scrubber<'b>,
    scratch: Decoded,
    pub facts: Facts,
    /// The first one in document order, which counts only if the rest of the body is JSON.
    pub refusal: Verdict,
    /// A bit for every [`Field`] seen.
    seen: u32,
    include_usage_seen: bool,
    thinking_disabled: bool,
    /// The document at hand.
    source: Source,
    /// Stop sequences so far.
    stops: u32,
    /// The top-level field at hand holds prompt text.
    prompt: bool,
    /// That field's name.
    root: Key,
    /// The last member's name.
    label: Option<Text>,
    /// What the conversation ends with.
    asking: Asking,
    /// Where the conversation's texts are, if anyone wants to know.
    pub gatherer: Option<Gatherer>,
    /// What a recogniser is asked about, if there is one.
    pub texts: Option<Texts>,
}

impl<'b> Inspector<'b> {
    pub fn new(body: &'b str, endpoint: Endpoint, scrubber: Scrubber<'b>) -> Self {
        Inspector {
            body,
            endpoint,
            walker: Walker::new(body.as_bytes()),
            path: Path::default(),
            scrubber,
            scratch: Decoded::default(),
            facts: Facts::default(),
            refusal: Verdict::Fine,
            seen: 0,
            include_usage_seen: false,
            thinking_disabled: false,
            source: Source::default(),
            stops: 0,
            prompt: false,
            root: Key::Other,
            label: None,
            asking: Asking::default(),
            gatherer: None,
            texts: None,
        }
    }

    pub fn walk(&mut self) -> Result<(), Fault> {
        while let Some(token) = self.walker.next_token()? {
            match token {
                Token::Key(text) => self.key(text),
                Token::ObjectEnd | Token::ArrayEnd => self.close(),
                _ => self.value(token),
            }
        }
        Ok(())
    }

    /// Puts the request in a tier, if it was gathered for that.
    pub fn classify(&mut self) -> Option<Features> {
        let features = self.gatherer.as_ref()?.features(self.body, &self.facts.asked());
        self.facts.flags |= (1 + tier(&features) as u32) << flag::TIER_SHIFT;
        self.facts.flags |= if is_code(&features) { flag::CODE } else { 0 };
        Some(features)
    }

    fn refuse(&mut self, verdict: Verdict) {
        if self.refusal == Verdict::Fine {
            self.refusal = verdict;
        }
    }

    fn key(&mut self, text: Text) {
        let key = Key::of(self.body, text, &mut self.scratch);
        self.path.set_key(key);
        match self.path.place() {
            Place::Root => self.root_key(key),
            Place::StreamOptions
                if key == Key::IncludeUsage && std::mem::replace(&mut self.include_usage_seen, true) =>
            {
                self.refuse(Verdict::Duplicate(Field::StreamOptions, self.walker.start()));
            }
            _ => {}
        }
        if self.walker.depth() > 1 {
            self.scrubber.look(text, None, false);
        }
        self.label = Some(text);
    }

    fn root_key(&mut self, key: Key) {
        self.facts.fields += 1;
        self.root = key;
        self.prompt = is_prompt(self.endpoint, key);
        if let Some(field) = Field::of(self.endpoint, key) {
            let bit = 1 << field as u32;
            if self.seen & bit != 0 {
                self.refuse(Verdict::Duplicate(field, self.walker.start()));
            }
            self.seen |= bit;
        }
    }

    fn value(&mut self, token: Token) {
        let key = self.path.key();
        let place = self.path.place();
        match place {
            Place::Outside => self.document(token),
            Place::Root => self.root_value(key, token),
            Place::Other | Place::Messages | Place::Message | Place::Content | Place::Call | Place::Given => {
            }
            _ => self.detail(place, key, token),
        }
        match token {
            Token::String(text) => self.string(place, key, text),
            // What tools are given and give.
            Token::Number if self.prompt && !describes(self.endpoint, self.root) => {
                self.scrubber.look_at_number(self.walker.start()..self.walker.end(), self.label);
            }
            Token::ObjectStart => {
                let child = place.child(self.endpoint, key, false);
                if child == Place::Message {
                    self.asking.begin(self.endpoint);
                } else if child == Place::CacheControl {
                    self.facts.flags |= flag::CACHE_WRITE;
                }
                self.path.enter(child, false);
            }
            Token::ArrayStart => self.path.enter(place.child(self.endpoint, key, true), true),
            _ => {}
        }
    }

    fn document(&mut self, token: Token) {
        match token {
            Token::ObjectStart => self.facts.insert_at = self.walker.end(),
            _ => self.refuse(Verdict::NotAnObject(self.walker.start())),
        }
    }

    /// A top-level value.
    fn root_value(&mut self, key: Key, token: Token) {
        let chat = self.endpoint == Endpoint::Chat;
        if let Some(field) = Field::of(self.endpoint, key) {
            self.field(field, token);
        }
        if token == Token::Null {
            return;
        }
        match key {
            Key::ReasoningEffort | Key::Reasoning if token != Token::Bool(false) => {
                let none = matches!(token, Token::String(text) if self.spells(text, "none"));
                if !none {
                    self.facts.flags |= flag::REASONING;
                }
            }
            Key::OutputFormat if self.endpoint.is_anthropic() => self.facts.flags |= flag::STRUCTURED,
            // Speech as events; else its bytes come as they are.
            Key::StreamFormat if self.endpoint == Endpoint::Auxiliary => {
                if matches!(token, Token::String(text) if self.spells(text, "sse")) {
                    self.facts.flags |= flag::STREAM;
                }
            }
            Key::Images if self.endpoint == Endpoint::Embed => self.facts.flags |= flag::IMAGE,
            Key::Conversation | Key::Thread => self.facts.flags |= flag::CONTINUED,
            Key::Prompt | Key::CachedContent | Key::CachedContentSnake => self.asking.kept = true,
            Key::Background if token == Token::Bool(true) => self.facts.flags |= flag::BACKGROUND,
            Key::Temperature if token == Token::Number => self.sampled(),
            Key::InferenceGeo => {
                if matches!(token, Token::String(text) if self.spells(text, "us")) {
                    self.facts.flags |= flag::RESIDENT;
                }
            }
            Key::ServiceTier | Key::ServiceTierCamel | Key::Speed => {
                let mut spells = |word| matches!(token, Token::String(text) if self.spells(text, word));
                let priority = if spells("priority") { flag::PRIORITY } else { 0 };
                let fast = if spells("fast") { flag::FAST } else { 0 };
                self.facts.flags |= priority | fast;
            }
            Key::WebSearchOptions if chat => self.facts.flags |= flag::SERVER_TOOLS,
            _ => {}
        }
    }

    /// A top-level value of a field whose type is checked.
    fn field(&mut self, field: Field, token: Token) {
        let (start, end) = (self.walker.start(), self.walker.end());
        let facts = &mut self.facts;
        let mut valid = field.accepts(token);
        match (field, token) {
            (Field::Model, Token::String(text)) => {
                facts.model = Some((text.start, text.end));
                facts.flags |= if text.escaped() { flag::MODEL_ESCAPED } else { 0 };
            }
            (Field::Stream, Token::Bool(true)) => facts.flags |= flag::STREAM,
            // The end of an object follows when it closes.
            (Field::StreamOptions, _) => facts.stream_options = Some((start, end)),
            (Field::MaxTokens | Field::MaxCompletionTokens | Field::N, Token::Number) => {
                let count = count(&self.body[start..end]);
                valid = count.is_some();
                *match field {
                    Field::MaxTokens => &mut facts.max_tokens,
                    Field::N => &mut facts.n,
                    _ => &mut facts.max_completion_tokens,
                } = count;
            }
            _ => {}
        }
        if !valid {
            self.refuse(Verdict::WrongType(field, start));
        }
    }

    /// A value inside one of the containers that have a meaning of their own.
    fn detail(&mut self, place: Place, key: Key, token: Token) {
        let text = if let Token::String(text) = token { Some(text) } else { None };
        let spells = |this: &mut Self, words: &[&str]| {
            text.is_some_and(|text| words.iter().any(|word| this.spells(text, word)))
        };
        let set = match (place, key) {
            (Place::StreamOptions, Key::IncludeUsage) if token == Token::Bool(true) => flag::INCLUDE_USAGE,
            (Place::ResponseFormat, Key::Type) if spells(self, &["json_schema", "json_object"]) => {
                flag::STRUCTURED
            }
            (Place::OutputConfig, Key::Format) if token != Token::Null => flag::STRUCTURED,
            (Place::Thinking, Key::Type) => {
                self.thinking_disabled = spells(self, &["disabled"]);
                0
            }
            (Place::Tools, _) => flag::TOOLS,
            (Place::Tool, key) if self.endpoint == Endpoint::Generate => {
                let own = matches!(key, Key::FunctionDeclarations | Key::FunctionDeclarationsSnake);
                if own || token == Token::Null { 0 } else { flag::SERVER_TOOLS }
            }
            (Place::Generation, _) => self.generation(key, token),
            (Place::Stops, _) => {
                self.stops += 1;
                if self.stops > STOPS_MAX {
                    self.refuse(Verdict::TooManyStops(self.walker.start()));
                }
                0
            }
            (Place::CacheControl, Key::Ttl) if spells(self, &["1h"]) => flag::CACHE_HOUR,
            (Place::Blob, Key::MimeType | Key::MimeTypeSnake) => {
                flag::of_media(text.map_or("", |text| &self.body[text.start..text.end]))
            }
            (Place::Tool, Key::Type) if token != Token::Null && !spells(self, &["custom", "function"]) => {
                flag::SERVER_TOOLS
            }
            (Place::Part, Key::Type) if spells(self, &["image_url", "image", "input_image"]) => flag::IMAGE,
            (Place::Part, Key::Type) if spells(self, &["input_audio"]) => flag::FILE | flag::AUDIO,
            (Place::Part, Key::Type) if spells(self, &["input_file", "file", "document"]) => flag::FILE,
            _ => 0,
        };
        self.facts.images += usize::from(set & flag::IMAGE != 0);
        self.facts.flags |= set;
    }

    /// A value of Gemini's `generationConfig`; gives the flag it sets.
    fn generation(&mut self, key: Key, token: Token) -> u32 {
        let (start, end) = (self.walker.start(), self.walker.end());
        match (key, token) {
            (
                Key::MaxOutputTokensCamel
                | Key::MaxOutputTokens
                | Key::CandidateCount
                | Key::CandidateCountSnake,
                Token::Number,
            ) => {
                let count = count(&self.body[start..end]);
                if count.is_none() {
                    self.refuse(Verdict::WrongType(Field::GenerationConfig, start));
                }
                *match key {
                    Key::MaxOutputTokensCamel | Key::MaxOutputTokens => &mut self.facts.max_tokens,
                    _ => &mut self.facts.n,
                } = count;
                0
            }
            (Key::ResponseMimeType, Token::String(text)) if self.spells(text, "application/json") => {
                flag::STRUCTURED
            }
            (Key::ResponseSchema | Key::ResponseJsonSchema, Token::ObjectStart) => {
                self.prompt = true;
                flag::STRUCTURED
            }
            (Key::ThinkingConfig, Token::ObjectStart) => flag::REASONING,
            (Key::Temperature, Token::Number) => {
                self.sampled();
                0
            }
            _ => 0,
        }
    }

    /// A temperature stands here.
    fn sampled(&mut self) {
        let raw = &self.body[self.walker.start()..self.walker.end()];
        if raw.parse::<f64>().is_ok_and(|value| value > 0.0) {
            self.facts.flags |= flag::SAMPLED;
        }
    }

    /// Notes what the conversation ends with.
    pub fn note_question(&mut self) {
        let Some(text) = self.asking.question else { return };
        self.facts.question = Some((text.start, text.end));
        let personal = self.scrubber.found_within(text.start..text.end);
        self.facts.flags |= self.asking.flags(text, personal, &self.facts);
    }

    fn close(&mut self) {
        match self.path.leave() {
            Place::StreamOptions => {
                self.facts.flags |= flag::STREAM_OPTIONS;
                if let Some((_, end)) = &mut self.facts.stream_options {
                    *end = self.walker.end();
                }
            }
            Place::Message => {
                self.asking.end();
                self.gatherer.iter_mut().for_each(Gatherer::end_message);
            }
            Place::Source => self.source = Source::default(),
            Place::Thinking if !std::mem::take(&mut self.thinking_disabled) => {
                self.facts.flags |= flag::REASONING;
            }
            _ => {}
        }
    }

    fn string(&mut self, place: Place, key: Key, text: Text) {
        // Each text of a batch to be embedded names its model again.
        let named = key == Key::Model && self.endpoint == Endpoint::Generate;
        let given = place == Place::Given;
        let read = place == Place::Source && self.source.reads(key, &self.body[text.start..text.end]);
        if self.prompt && (given || read || !is_label(key) && !place.is_options() && !named) {
            let raw = &self.body[text.start..text.end];
            self.facts.text_spans += 1;
            self.facts.text_bytes += text.bytes();
            self.facts.text_chars += char_count(raw.as_bytes()) - text.saved_chars;
            self.gatherer.iter_mut().for_each(|gatherer| gatherer.text(self.root, text));
            // Tools are described by the app; a schema couldn't be followed with other words in it.
            let described = describes(self.endpoint, self.root);
            if let Some(texts) = self.texts.as_mut().filter(|_| !described) {
                texts.add(self.scrubber.looked(), raw, text.escaped());
            }
        } else if place == Place::Message
            && key == Key::Role
            && let Some(gatherer) = &mut self.gatherer
        {
            gatherer.role(&self.body[text.start..text.end]);
        }
        self.asking.string((self.endpoint, self.body), place, key, self.walker.depth(), text);
        let model = place == Place::Root && key == Key::Model;
        if !model && !stays(place, key) {
            self.scrubber.look(text, self.label, given);
        }
    }

    fn spells(&mut self, text: Text, word: &str) -> bool {
        // An escape takes at most six bytes for one.
        if text.end - text.start > 6 * word.len() {
            return false;
        }
        let raw = &self.body[text.start..text.end];
        if text.escaped() { self.scratch.decode(raw) == word } else { raw == word }
    }
}
