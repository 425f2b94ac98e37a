set shell := ["sh", "-eu", "-c"]

# The processor that images are built for: `./just arch=aarch64 build`.
arch := "x86_64"
image := "edge-" + arch
dist := justfile_directory() / "target/dist"
skerry := dist / "bin/skerry"

# Show the recipes.
default:
    @just --list --unsorted

# Build the image, start a control plane, join, run a pod and look at it: what Skerry is, in one command.
[group('core')]
demo *args: build
    {{ skerry }} build {{ image }}
    SKERRY={{ skerry }} cargo run --quiet --release --locked -p skerry-qemu-tests --bin demo -- --arch={{ arch }} {{ args }}

# Build the tool and the programs that go into images: target/dist is ready to run and to pack.
[group('core')]
build:
    rustup target add {{ arch }}-unknown-linux-musl >/dev/null 2>&1 || true
    cargo build --release --locked -p skerry-builder
    cargo build --profile image --locked -p skerry-firstboot --target {{ arch }}-unknown-linux-musl
    mkdir -p {{ dist }}/bin {{ dist }}/lib/skerry/{{ arch }}
    install target/release/skerry {{ dist }}/bin/skerry
    install target/{{ arch }}-unknown-linux-musl/image/skerry-init target/{{ arch }}-unknown-linux-musl/image/skerry-node target/{{ arch }}-unknown-linux-musl/image/skerry-pause {{ dist }}/lib/skerry/{{ arch }}/

# Boot the image and attach the terminal to its console.
[group('core')]
run *args: build
    {{ skerry }} build {{ image }}
    {{ skerry }} run {{ image }} {{ args }}

# All tests: unit, golden, foreign judges, reproducibility, boots in QEMU.
[group('check')]
test: check unit build e2e

# Formatting, lints, licences.
[group('check')]
check:
    cargo fmt --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    if command -v cargo-deny >/dev/null 2>&1; then cargo fetch --locked --quiet && cargo deny --offline check licenses bans sources; else echo "skipped: cargo deny is not installed (cargo install cargo-deny)"; fi

# Tests that need no virtual machine.
[group('check')]
unit:
    cargo test --locked -p skerry-builder -p skerry-firstboot
    cargo test --locked -p skerry-qemu-tests --lib

# Builds and boots real images.
[group('e2e')]
e2e:
    SKERRY={{ skerry }} cargo test --locked -p skerry-qemu-tests --tests -- --nocapture --test-threads 2

# Images for 64-bit ARM and its boards: boot, join, foreign judges. Not in `test`: programs and components are built anew.
[group('e2e')]
arm: build
    {{ just_executable() }} arch=aarch64 build
    SKERRY={{ skerry }} cargo test --locked -p skerry-qemu-tests --test arm --test boards --test same_bytes -- --nocapture

# What is asked for in great numbers: power cuts at random moments, by a seed that repeats them.
[group('e2e')]
soak seed="1" cuts="20": build
    SKERRY={{ skerry }} SKERRY_SEED={{ seed }} SKERRY_CUTS={{ cuts }} cargo test --locked -p skerry-qemu-tests --test join -- --nocapture power_cut::
    SKERRY={{ skerry }} SKERRY_SEED={{ seed }} SKERRY_LONELY_CUTS={{ cuts }} cargo test --locked -p skerry-qemu-tests --test standing_alone -- --nocapture power_cut::

# Measure what docs/figures.md states, and print it as a table.
[group('release')]
bench: build
    cargo build --release --locked -p skerry-qemu-tests --bin figures
    # Not by `cargo run`, which becomes the program it runs: the compiler's memory would count as the builds'.
    SKERRY={{ skerry }} target/release/figures

# Feed the readers with hostile input for a while.
[group('check')]
fuzz target seconds="60":
    cargo fuzz run --fuzz-dir builder/fuzz {{ target }} -- -max_total_time={{ seconds }}

# Pack what `build` leaves.
[group('release')]
dist: build
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C {{ dist }} -czf target/skerry-{{ arch }}.tar.gz bin lib

# Regenerate what is derived from the code.
[group('release')]
generate: build
    {{ skerry }} generate schema > images/definition.schema.json
