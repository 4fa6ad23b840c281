//! Proof files: round trip, verification, strictness.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use proptest::prelude::*;

use super::*;
use crate::proof::build::{inclusion_proof, root};
use crate::testing::{FUZZ_ITERATIONS, MemoryTree, hostile_bytes, leaves, signer};

const ORIGIN: &str = "archive.example/ledger";

fn proof_of(index: u64, size: u64) -> TlogProof {
    let mut tree = MemoryTree::new(leaves(size));
    let checkpoint = Checkpoint::new(ORIGIN, size, root(size, &mut tree).unwrap());
    let note = checkpoint.sign(&signer(ORIGIN, 1)).unwrap();
    let hashes = inclusion_proof(index, size, &mut tree).unwrap();
    TlogProof { extra: None, index, hashes, checkpoint: Note::parse(note.as_bytes()).unwrap() }
}

fn keys() -> Vec<VerifierKey> {
    vec![signer(ORIGIN, 1).verifier_key().clone()]
}

#[test]
fn file_has_the_specified_lines() {
    let mut proof = proof_of(2, 3);
    proof.extra = Some(b"extra".to_vec());
    let hash = proof.hashes[0].to_base64();
    let expected = format!("c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\nindex 2\n{hash}\n\n{}", proof.checkpoint);
    assert_eq!(proof.to_string(), expected);
    assert_eq!(TlogProof::parse(expected.as_bytes()), Ok(proof));
}

#[test]
fn proof_verifies_for_its_leaf_and_key_only() {
    let leaves = leaves(20);
    for index in 0..20 {
        let file = proof_of(index, 20).to_string();
        let proof = TlogProof::parse(file.as_bytes()).unwrap();
        assert_eq!(proof.verify(leaves[index as usize], &keys()).unwrap().size, 20);
        let wrong_leaf = proof.verify(leaves[(index as usize + 1) % 20], &keys());
        assert!(matches!(wrong_leaf, Err(TlogProofError::Proof(ProofError::RootMismatch { .. }))));
        let wrong_key = [signer(ORIGIN, 2).verifier_key().clone()];
        assert!(matches!(proof.verify(leaves[0], &wrong_key), Err(TlogProofError::Checkpoint(_))));
    }
}

#[test]
fn malformed_files_are_refused() {
    let file = proof_of(2, 3).to_string();
    let hash = proof_of(2, 3).hashes[0].to_base64();
    let too_many = format!("{hash}\n").repeat(PROOF_HASHES_MAX + 1);
    for broken in [
        String::new(),
        file.replace("@v1", "@v2"),
        file.replace("@v1\n", "@v1\r\n"),
        file.replace("index 2\n", ""),
        file.replace("index 2", "index 02"),
        file.replace("index 2", "index"),
        file.replace("index 2", "Index 2"),
        file.replace("index", "extra \nindex"),
        file.replace("index", "extra AA\nindex"),
        file.replace("index", "extra AA==\nextra AA==\nindex"),
        file.replace("index 2", "index 2\nindex 2"),
        file.replace(&hash, &hash[..40]),
        file.replace(&hash, &too_many),
        file.replace(ORIGIN, ""),
        file.replace("\n\n", "\n"),
        format!("\n{file}"),
        format!("{file}\n"),
    ] {
        assert!(TlogProof::parse(broken.as_bytes()).is_err(), "accepted {broken:?}");
    }
    let large = TlogProofError::TooLarge { found: PROOF_FILE_BYTES_MAX + 1 };
    assert_eq!(TlogProof::parse(&vec![b'a'; PROOF_FILE_BYTES_MAX + 1]), Err(large));
}

/// Harness: any bytes are refused or write back unchanged, without a panic.
fn what_parses_writes_back(bytes: &[u8]) {
    if let Ok(proof) = TlogProof::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
    }
}

#[test]
fn fuzz_proof_file() {
    bolero::check!().with_iterations(FUZZ_ITERATIONS).for_each(what_parses_writes_back);
}

proptest! {
    #[test]
    fn what_parses_as_a_proof_file_writes_back(bytes in hostile_bytes(
        vec![proof_of(2, 3).to_string(), proof_of(0, 1).to_string()],
        &["\n", "\n\n", HEADER, "extra ", "index ", "AA==", "0", "1", " ", "a", "\u{2014} "],
    )) {
        what_parses_writes_back(&bytes);
    }
}
