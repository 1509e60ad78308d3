//! The bytes of a layer: every release on every machine writes the same.

use oci_image::{Digest, Entries};

use crate::written;

/// Makes words in an order that only looks like chance, so that there is something to compress.
fn words(count: usize) -> Vec<u8> {
    let words = [
        "import", "return", "class", "self", "value", "None", "(", "):\n",
    ];
    let mut state = 1_u32;
    let mut text = Vec::new();
    for _ in 0..count {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        let word = words[(state >> 16) as usize % words.len()];
        text.extend_from_slice(word.as_bytes());
        text.extend_from_slice(&state.to_le_bytes()[2..3]);
    }
    text
}

#[test]
fn the_digest_of_a_layer_is_that_of_its_form() {
    let mut entries = Entries::new();
    for (number, count) in [10, 1000, 100_000].into_iter().enumerate() {
        let path = format!("/opt/shop/module_{number}.py");
        entries.file(&path, 0o644, words(count)).expect("a file");
    }
    let (layer, bytes) = written(entries);
    assert_eq!(Digest::of(bytes), layer.digest);
    // Whoever changes this renames what earlier builds left: see `FORM` of build-fastapi-image.
    assert_eq!(
        layer.digest.as_str(),
        "sha256:99b7e5ef5647900afa4618e45d60541a5a0410cb4edb97bddf1fc7418f86747c"
    );
}
