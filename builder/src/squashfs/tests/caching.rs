//! Cached blocks: the same bytes, fewer reads.

use super::*;

#[test]
fn threads_and_caches_do_not_change_a_byte() {
    let mut tree = sample();
    for number in 0..40 {
        put(
            &mut tree,
            &format!("large/{number}"),
            file(b"0123456789 ".repeat(20_000 + number)),
        );
    }
    let cache = MemoryCache::default();
    let in_pool = |threads: usize, cache: &dyn BlockCache| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| image_of(&tree, &SMALL, cache))
    };
    let (reference, _) = in_pool(1, &NoCache);
    let (first, cold) = in_pool(5, &cache);
    let (second, warm) = in_pool(3, &cache);
    assert!(reference == first && reference == second);
    assert_eq!(
        (cold.stats.cached_batches, warm.stats.cached_batches),
        (0, warm.stats.batches)
    );
}

#[test]
fn a_full_cache_spares_reading_the_files() {
    let host = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(host.path(), b"content ".repeat(10_000)).unwrap();
    let mut tree = Tree::new();
    put(
        &mut tree,
        "f",
        Content::File(FileData::from_host_file(host.path()).unwrap()),
    );
    let cache = MemoryCache::default();
    let (first, _) = image_of(&tree, &SMALL, &cache);
    host.as_file().set_len(0).unwrap();
    assert!(image_of(&tree, &SMALL, &cache).0 == first);
    let error = write(&tree, &SMALL, &NoCache, &mut Cursor::new(Vec::new())).unwrap_err();
    assert_eq!(error.to_string(), "cannot read 4096 bytes at offset 0 of /f");
}

#[test]
fn settings_that_change_blocks_have_their_own_cache_entries() {
    let (tree, cache) = (sample(), MemoryCache::default());
    image_of(&tree, &SMALL, &cache);
    for other in [
        Settings { level: 4, ..SMALL },
        Settings {
            block_size: 8192,
            ..SMALL
        },
    ] {
        assert_eq!(image_of(&tree, &other, &cache).1.stats.cached_batches, 0);
    }
    let later = Settings { timestamp: 1, ..SMALL };
    let stats = image_of(&tree, &later, &cache).1.stats;
    assert_eq!(stats.cached_batches, stats.batches);
}

struct Altering(MemoryCache);

impl BlockCache for Altering {
    fn get(&self, key: &Sha256) -> Option<Vec<u8>> {
        let mut value = self.0.get(key)?;
        value[0] ^= 1;
        Some(value)
    }

    fn put(&self, key: &Sha256, value: &[u8]) {
        self.0.put(key, value);
    }
}

struct Torn(MemoryCache);

impl BlockCache for Torn {
    fn get(&self, key: &Sha256) -> Option<Vec<u8>> {
        let value = self.0.get(key)?;
        Some(value[..value.len() / 9].to_vec())
    }

    fn put(&self, key: &Sha256, value: &[u8]) {
        self.0.put(key, value);
    }
}

#[test]
fn altered_and_torn_cache_entries_are_misses() {
    let tree = sample();
    let reference = bytes_of(&tree, &SMALL);
    for cache in [
        &Altering(MemoryCache::default()) as &dyn BlockCache,
        &Torn(MemoryCache::default()),
    ] {
        for _ in 0..2 {
            let (bytes, image) = image_of(&tree, &SMALL, cache);
            assert!(bytes == reference);
            assert_eq!(image.stats.cached_batches, 0);
        }
    }
}

#[test]
fn a_changed_overlay_leaves_the_blocks_of_packages_cached() {
    let with_overlay = |text: &str| {
        let mut tree = sample();
        for number in 0..200 {
            put(
                &mut tree,
                &format!("usr/share/{number}"),
                file(noise(3000 + number, number as u64)),
            );
        }
        let node = Node {
            stat: Stat::root(0o644),
            content: file(text.as_bytes()),
            origin: Origin::Overlay("site".into()),
        };
        tree.insert(path("etc/site.conf"), node).unwrap();
        tree
    };
    let cache = MemoryCache::default();
    image_of(&with_overlay("one"), &SMALL, &cache);
    let stats = image_of(&with_overlay("something longer"), &SMALL, &cache).1.stats;
    assert_eq!(stats.cached_batches, stats.batches - 1);
}
