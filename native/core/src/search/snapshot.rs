//! An index as records, which a snapshot keeps while no process runs.

use crate::search::index::Index;
use crate::search::vector::Vector;
use crate::shared::records::{Rest, push};

impl Index {
    /// Takes entries out as records for a snapshot, of each owner the longest unused first, until these have so many bytes;
    /// empty if none are left.
    pub fn drain(&mut self, bytes_max: usize) -> Vec<u8> {
        let mut records = Vec::new();
        while records.len() < bytes_max {
            let Some((owner, entry, ())) = self.order.pop_oldest() else { break };
            let Some(place) = self.places.remove(&entry) else { continue };
            if let Some(Some(scope)) = self.scopes.get(place.scope as usize) {
                let (row, vector) =
                    (scope.flat.row(place.row as usize), scope.flat.vector(place.row as usize));
                push(&mut records, |out| {
                    out.extend_from_slice(&owner.to_le_bytes());
                    out.extend_from_slice(&scope.key);
                    out.extend_from_slice(&entry.to_le_bytes());
                    out.extend(vector.parts.iter().map(|&part| part as u8));
                    out.extend_from_slice(row.text.as_bytes());
                });
            }
            self.take(place);
        }
        records
    }

    /// Stores what was drained from an index of as many dimensions. False, and the rest left out: it isn't that.
    pub fn fill(&mut self, records: &[u8]) -> bool {
        let mut rest = Rest(records);
        while !rest.0.is_empty() {
            if rest.record().and_then(|record| self.adopt(record)).is_none() {
                return false;
            }
        }
        true
    }

    fn adopt(&mut self, mut record: Rest<'_>) -> Option<()> {
        let (owner, key) = (record.u32()?, record.array()?);
        let entry = u64::from_le_bytes(record.array()?);
        let parts: Box<[i8]> = record.take(self.dimensions)?.iter().map(|&part| part as i8).collect();
        let text = std::str::from_utf8(record.0).ok()?;
        parts.iter().find(|&&part| part != 0)?;
        self.keep(owner, key, entry, text, &Vector::of_parts(parts));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::table::DIMENSIONS;

    fn vector(text: &str) -> Vector {
        Vector::of_text(text).unwrap()
    }

    fn find(index: &mut Index, scope: &str, text: &str) -> Vec<u64> {
        let found = index.find(scope.as_bytes(), text, &vector(text), 4);
        found.iter().map(|candidate| candidate.entry).collect()
    }

    #[test]
    fn what_was_drained_fills_another() {
        let mut index = Index::new(1 << 20, DIMENSIONS);
        let texts = ["How do I reset my password?", "Where are you?", "Is it open on Sunday?"];
        (0..3).for_each(|at| {
            let (scope, text) = (if at == 2 { "b" } else { "a" }, texts[at as usize]);
            assert!(index.insert(0, scope.as_bytes(), at, text, &vector(text)));
        });
        assert_eq!(find(&mut index, "a", texts[0])[0], 0);
        let mut records = index.drain(1);
        records.extend(index.drain(1 << 20));
        assert!(index.is_empty() && index.drain(1).is_empty() && index.bytes() == 0);
        for length in 0..records.len() {
            Index::new(1 << 20, DIMENSIONS).fill(&records[..length]);
        }
        assert!(!Index::new(1 << 20, 64).fill(&records[..60]));
        assert!(index.fill(&records));
        assert_eq!((find(&mut index, "a", texts[0])[0], find(&mut index, "b", texts[2])), (0, vec![2]));
        assert_eq!(index.text(1), Some(texts[1]));
        // The longest unused goes first, as before.
        index.set(index.bytes() - 1);
        assert_eq!([0, 1, 2].map(|entry| index.text(entry).is_some()), [true, false, true]);
    }
}
