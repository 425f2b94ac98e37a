use super::*;
use crate::squashfs::FileRange;

const SALT: [u8; 32] = [0x5a; 32];
const UUID: [u8; 16] = *b"0123456789abcdef";

/// Blocks that all differ.
fn data(blocks: usize) -> Vec<u8> {
    (0..blocks)
        .flat_map(|number| number.to_le_bytes().repeat(BLOCK_LEN / 8))
        .collect()
}

fn tree_of(data: &[u8]) -> (Vec<u8>, Verity) {
    let mut tree = Vec::new();
    let verity = build(data, SALT, UUID, &mut tree).unwrap();
    assert_eq!(tree.len() as u64, verity.len_bytes);
    (tree, verity)
}

#[test]
fn the_tree_of_300_blocks_keeps_its_bytes() {
    let (tree, verity) = tree_of(&data(300));
    // From `veritysetup format --salt 5a… --uuid 30313233-3435-3637-3839-616263646566` on the same bytes.
    let expected = "f20ed98dc72718ad58610770b8fa0dad87db81f27f32115f98918015ecae5336";
    assert_eq!(
        verity.root_hash.to_string(),
        expected,
        "devices with older images refuse this tree's layout"
    );
    assert_eq!(
        Sha256::of(&tree).to_string(),
        "23d13cf6ad7a9fc12b83460bbf22dc92e337c6b1905b41b284a00e19bdbc231c"
    );
    assert_eq!((tree.len(), verity.data_blocks), (5 * BLOCK_LEN, 300));
}

#[test]
fn what_was_built_is_verified_at_every_depth() {
    for blocks in [1, 2, 127, 128, 129, 128 * 128 + 1] {
        let data = data(blocks);
        let (tree, verity) = tree_of(&data);
        assert_eq!(
            verify(data.as_slice(), tree.as_slice(), &verity.root_hash).unwrap(),
            verity
        );
    }
}

#[test]
fn a_partition_may_be_larger_than_data_and_tree() {
    let (mut data, mut tree) = (data(200), Vec::new());
    let verity = build(&data, SALT, UUID, &mut tree).unwrap();
    data.resize(1 << 20, 1);
    tree.resize(1 << 20, 1);
    assert_eq!(verify(&data, &tree, &verity.root_hash).unwrap(), verity);
}

#[test]
fn the_first_changed_data_block_is_named() {
    let mut data = data(1000);
    let (tree, verity) = tree_of(&data);
    for block in [999, 500, 130] {
        data[block * BLOCK_LEN + 17] ^= 1;
        let error = verify(&data, &tree, &verity.root_hash).unwrap_err();
        let offset = block * BLOCK_LEN;
        let expected =
            format!("block {block} of the image (offset {offset}) does not match its digest in the hash tree");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn every_changed_byte_of_the_tree_is_found() {
    let data = data(300);
    let (tree, verity) = tree_of(&data);
    for (at, level) in [(1, 1), (2, 0), (3, 0), (4, 0)] {
        let mut changed = tree.clone();
        changed[at * BLOCK_LEN + 4095] ^= 1;
        let error = verify(&data, &changed, &verity.root_hash).unwrap_err();
        let VerityError::TreeBlock { block, level: found } = error else {
            panic!("{error}")
        };
        assert_eq!((block, found), (at as u64, level));
    }
}

#[test]
fn another_root_hash_fails_at_the_top() {
    let data = data(300);
    let (tree, _) = tree_of(&data);
    let error = verify(&data, &tree, &RootHash::from_bytes([0; 32])).unwrap_err();
    assert!(
        matches!(error, VerityError::TreeBlock { block: 1, level: 1 }),
        "{error}"
    );
}

#[test]
fn superblocks_of_other_trees_are_refused() {
    let data = data(2);
    let (tree, verity) = tree_of(&data);
    let refused = |at: usize, value: u8| {
        let mut changed = tree.clone();
        changed[at] = value;
        verify(&data, &changed, &verity.root_hash).unwrap_err().to_string()
    };
    assert_eq!(
        refused(0, b'V'),
        "the hash tree's superblock has no dm-verity signature"
    );
    assert_eq!(
        refused(12, 0),
        "the hash tree's superblock has a version or hash type other than 1"
    );
    assert_eq!(
        refused(35, b'5'),
        "the hash tree's superblock has another hash algorithm than sha256"
    );
    assert_eq!(
        refused(65, 2),
        "the hash tree's superblock has a block size other than 4096"
    );
    assert_eq!(
        refused(80, 8),
        "the hash tree's superblock has a salt that is not 32 bytes long"
    );
    assert_eq!(
        refused(79, 255),
        "the hash tree is for 18374686479671623682 blocks of 4096 bytes, but the image has only 8192 bytes"
    );
}

#[test]
fn torn_trees_and_odd_images_are_refused() {
    let data = data(300);
    let (tree, verity) = tree_of(&data);
    let torn = &tree[..4 * BLOCK_LEN];
    let error = verify(data.as_slice(), torn, &verity.root_hash).unwrap_err();
    assert!(
        matches!(
            error,
            VerityError::TreeTooShort {
                needed_bytes: 20_480,
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(
        verify(data.as_slice(), &tree[..100], &verity.root_hash),
        Err(VerityError::ReadTree { .. })
    ));
    for len in [0, 4095, 4097] {
        let error = build(&data[..len], SALT, UUID, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, VerityError::DataLength { .. }));
    }
}

#[test]
fn partition_ids_are_the_halves_of_the_root_hash_as_text() {
    let root: RootHash = "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
        .parse()
        .unwrap();
    let ids = root.partition_ids();
    assert_eq!(ids.root.to_string(), "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf");
    assert_eq!(ids.verity.to_string(), "b0b1b2b3-b4b5-b6b7-b8b9-babbbcbdbebf");
}

#[test]
fn a_range_of_a_file_is_hashed_like_its_bytes() {
    let data = data(64);
    let file = tempfile::tempfile().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &data, 12_345).unwrap();
    let range = FileRange::new(&file, 12_345, data.len() as u64);
    let mut tree = Vec::new();
    let verity = build(&range, SALT, UUID, &mut tree).unwrap();
    assert_eq!((tree, verity), tree_of(&data));
}
