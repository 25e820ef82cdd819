//! Vectors of texts: the sum of their tokens', brought to bytes.

use crate::search::kernel::{add, dot, largest, to_bytes};
use crate::search::spelling::each_word;
use crate::search::table::{DIMENSIONS, table};

/// A vector as it is stored and compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    /// Its direction; the largest part is 127 or -127.
    pub parts: Box<[i8]>,
    /// One divided by the length of `parts`.
    pub scale: f32,
}

impl Vector {
    /// Brings numbers to bytes. `None` if they are all 0, or one of them is no number.
    pub fn from_numbers(numbers: &[f32]) -> Option<Vector> {
        let largest = largest(numbers).filter(|&largest| largest > 0.0)?;
        Some(Vector::of_parts(to_bytes(numbers, largest)))
    }

    /// The vector of parts, of which one at least isn't 0.
    pub fn of_parts(parts: Box<[i8]>) -> Vector {
        Vector { scale: 1.0 / (dot(&parts, &parts) as f32).sqrt(), parts }
    }

    /// The cosine of both, which have as many dimensions.
    pub fn cosine(&self, other: &Vector) -> f32 {
        dot(&self.parts, &other.parts) as f32 * self.scale * other.scale
    }

    /// The vector of tokens. `None` if there are none.
    pub fn of_pieces(pieces: &[u16]) -> Option<Vector> {
        match pieces {
            [] => None,
            // A token's own row is as `from_numbers` would make it.
            [one] => Some(Vector::of_parts(table().row(*one).0.iter().map(|&part| part as i8).collect())),
            _ => Vector::from_numbers(&sum(pieces)),
        }
    }

    /// The vector of a text. `None` if it has no known word.
    pub fn of_text(text: &str) -> Option<Vector> {
        let mut pieces = Vec::new();
        each_word(text, |word| {
            table().pieces(word, &mut pieces);
        });
        Vector::of_pieces(&pieces)
    }
}

/// The sum of tokens' vectors.
pub fn sum(pieces: &[u16]) -> [f32; DIMENSIONS] {
    let mut sum = [0f32; DIMENSIONS];
    for &id in pieces {
        let (row, scale) = table().row(id);
        add(&mut sum, row.iter().map(|&part| f32::from(part as i8)), scale);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &str, b: &str) -> f32 {
        let (a, b) = (Vector::of_text(a).unwrap(), Vector::of_text(b).unwrap());
        a.cosine(&b)
    }

    #[test]
    fn like_texts_lie_near_one_another() {
        assert!(cosine("How do I reset my password?", "how do i reset my password") > 0.95);
        let near = cosine("How do I reset my password?", "I forgot my password, how can I get a new one?");
        let far = cosine("How do I reset my password?", "What is the weather in Paris tomorrow?");
        assert!(near > far + 0.2, "{near} {far}");
    }

    #[test]
    fn nothing_has_no_vector() {
        assert_eq!(Vector::of_text(""), None);
        assert_eq!(Vector::of_text("\u{1F9FF}"), None);
        assert_eq!(Vector::from_numbers(&[0.0; 4]), None);
        assert_eq!(Vector::from_numbers(&[1.0, f32::NAN]), None);
        assert_eq!(Vector::from_numbers(&[1.0, f32::INFINITY]), None);
    }
}
