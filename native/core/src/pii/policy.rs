//! What is looked for, and what becomes of it.

use std::collections::HashSet;

use crate::pii::custom::Custom;
use crate::pii::finder::Finder;
use crate::pii::kind_set::{KindId, KindSet};
use crate::pii::kinds::{KINDS, NAME_MAX, matchers};
use crate::shared::digest::hmac_sha256;

/// What becomes of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Nothing: it isn't looked for.
    #[default]
    Off,
    /// A placeholder takes its place, which is restored in the reply: `[EMAIL_7K2QXM]`.
    Tokenise,
    /// Its kind's name takes its place: `[EMAIL]`.
    Redact,
    /// All but its end is hidden: `****1111`.
    Mask,
    /// A keyed digest takes its place: `[EMAIL#5f2b9c01d4e7a683]`.
    Hash,
    /// It stays, and the request is refused.
    Block,
    /// It stays, and is counted.
    Report,
}

/// Most kinds that a configuration may add.
pub const CUSTOM_MAX: usize = 16;
/// Most kinds there are.
pub const KINDS_MAX: usize = KINDS.len() + CUSTOM_MAX;

/// Characters of a placeholder's code: none is taken for another.
const CODE: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code.
const CODE_LEN: usize = 6;

/// A kind that the configuration adds.
#[derive(Clone, Debug)]
pub struct CustomKind {
    /// As those of [`KINDS`].
    pub name: String,
    /// What finds its values.
    pub custom: Custom,
    /// What becomes of them.
    pub action: Action,
}

/// What is looked for, and what becomes of it. Made once for a configuration, used for every request.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Finds the values.
    pub finder: Finder,
    /// What becomes of each kind's values, by its number; those of the configuration behind the built-in ones.
    actions: Vec<Action>,
    /// Each kind's name in capitals.
    names: Vec<String>,
    /// Values that stay, in small letters.
    allowed: HashSet<String>,
    /// A bit for each length in bytes that one of them has; the highest for longer ones too.
    allowed_lengths: u128,
    key: Vec<u8>,
}

impl Policy {
    /// `actions`: of the built-in kinds by name; those not named are off. `allowed`: values that stay as they are, in any
    /// case. `key`: of the digests that placeholders are made of. Says what is wrong.
    pub fn new(
        actions: &[(&str, Action)],
        custom: Vec<CustomKind>,
        allowed: &[&str],
        key: &[u8],
    ) -> Result<Policy, String> {
        let mut policy = Policy {
            actions: vec![Action::Off; KINDS.len()],
            names: KINDS.iter().map(|kind| kind.name.to_ascii_uppercase()).collect(),
            allowed: allowed.iter().map(|value| value.to_lowercase()).collect(),
            allowed_lengths: allowed
                .iter()
                .fold(0, |lengths, value| lengths | length_bit(&value.to_lowercase())),
            key: key.to_vec(),
            ..Policy::default()
        };
        for (name, action) in actions {
            let at = KINDS.iter().position(|kind| kind.name == *name);
            let at = at.ok_or_else(|| format!("no such kind of personal data: {name}"))?;
            policy.actions[at] = match action {
                // Secrets are never restored.
                Action::Tokenise if KINDS[at].secret => Action::Redact,
                other => *other,
            };
        }
        if custom.len() > CUSTOM_MAX {
            return Err(format!("more than {CUSTOM_MAX} kinds of its own"));
        }
        let mut patterns = Vec::new();
        for CustomKind { name, custom, action } in custom {
            let name = name.to_ascii_uppercase();
            if name.is_empty() || name.len() > NAME_MAX || policy.names.contains(&name) {
                return Err(format!("the name {name} is taken or too long"));
            }
            if action != Action::Off {
                patterns.push((policy.actions.len() as KindId, custom));
            }
            policy.actions.push(action);
            policy.names.push(name);
        }
        let set = |all: usize, wanted: fn(Action) -> bool| {
            let those = (0..all).filter(|&at| wanted(policy.actions[at]));
            those.fold(KindSet::NONE, |set, at| set.with(at as KindId))
        };
        let on = set(KINDS.len(), |action| action != Action::Off);
        let reported = set(policy.actions.len(), |action| action == Action::Report);
        policy.finder = Finder::new(matchers(on), patterns).with_last(reported);
        Ok(policy)
    }

    /// What becomes of a kind's values.
    pub fn action(&self, kind: KindId) -> Action {
        self.actions[usize::from(kind)]
    }

    /// Whether a value is one of those that stay.
    pub fn allows(&self, value: &str) -> bool {
        // Small letters of ASCII are as long as capital ones.
        let possible = !value.is_ascii() || self.allowed_lengths & length_bit(value) != 0;
        possible && self.allowed.contains(&value.to_lowercase())
    }

    /// What takes a value's place; `None`: it stays. `scope`: whose it is; another's has another placeholder.
    /// `attempt`: counts up where two values would have the same.
    pub fn replacement(&self, kind: KindId, value: &str, scope: &str, attempt: usize) -> Option<String> {
        let name = &self.names[usize::from(kind)];
        match self.action(kind) {
            Action::Off | Action::Block | Action::Report => None,
            Action::Tokenise => {
                let digest = self.digest(name, value, scope);
                let code = &digest[attempt * CODE_LEN..][..CODE_LEN];
                let code: String = code.iter().map(|byte| char::from(CODE[usize::from(byte & 31)])).collect();
                Some(format!("[{name}_{code}]"))
            }
            Action::Redact => Some(format!("[{name}]")),
            Action::Mask => {
                let shown = if value.chars().count() >= 12 { 4 } else { 0 };
                let end: Vec<char> = value.chars().filter(|c| c.is_alphanumeric()).collect();
                Some(format!("****{}", end[end.len().saturating_sub(shown)..].iter().collect::<String>()))
            }
            Action::Hash => {
                let digest = self.digest(name, value, scope);
                let hex: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
                Some(format!("[{name}#{hex}]"))
            }
        }
    }

    /// How often [`Policy::replacement`] can be asked for another one.
    pub const ATTEMPTS_MAX: usize = 32 / CODE_LEN;

    fn digest(&self, name: &str, value: &str, scope: &str) -> [u8; 32] {
        // With lengths before, no two lists of parts are the same text.
        let mut message = Vec::with_capacity(scope.len() + name.len() + value.len() + 8);
        for part in [scope, name] {
            message.extend((part.len() as u32).to_be_bytes());
            message.extend(part.as_bytes());
        }
        message.extend(value.as_bytes());
        hmac_sha256(&self.key, &message)
    }
}

fn length_bit(value: &str) -> u128 {
    1 << value.len().min(127)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(action: Action) -> Policy {
        Policy::new(&[("card", action), ("jwt", action)], Vec::new(), &["X@y.zz"], b"key").unwrap()
    }

    #[test]
    fn each_action_has_its_form() {
        let card = KINDS.iter().position(|kind| kind.name == "card").unwrap() as KindId;
        let becomes = |action| policy(action).replacement(card, "4111 1111 1111 1111", "acme", 0);
        assert_eq!(becomes(Action::Redact).as_deref(), Some("[CARD]"));
        assert_eq!(becomes(Action::Mask).as_deref(), Some("****1111"));
        let token = becomes(Action::Tokenise).unwrap();
        assert!(token.starts_with("[CARD_") && token.len() == 13, "{token}");
        let hash = becomes(Action::Hash).unwrap();
        assert!(hash.starts_with("[CARD#") && hash.len() == 23, "{hash}");
        for action in [Action::Off, Action::Block, Action::Report] {
            assert_eq!(becomes(action), None);
        }
    }

    #[test]
    fn placeholders_differ_by_tenant_kind_value_and_key() {
        let tokens = policy(Action::Tokenise);
        let token = |kind, value, scope| tokens.replacement(kind, value, scope, 0);
        let card = KINDS.iter().position(|kind| kind.name == "card").unwrap() as KindId;
        assert_eq!(token(card, "1", "a"), token(card, "1", "a"));
        assert_ne!(token(card, "1", "a"), token(card, "1", "b"));
        assert_ne!(token(card, "1", "a"), token(card, "2", "a"));
        let other = Policy::new(&[("card", Action::Tokenise)], Vec::new(), &[], b"other").unwrap();
        assert_ne!(token(card, "1", "a"), other.replacement(card, "1", "a", 0));
    }

    #[test]
    fn secrets_have_no_placeholder_and_what_is_allowed_stays() {
        let jwt = KINDS.iter().position(|kind| kind.name == "jwt").unwrap() as KindId;
        assert_eq!(policy(Action::Tokenise).action(jwt), Action::Redact);
        assert!(policy(Action::Mask).allows("x@Y.zz") && !policy(Action::Mask).allows("x@y.z"));
        assert!(Policy::new(&[("shoe size", Action::Mask)], Vec::new(), &[], b"").is_err());
    }
}
