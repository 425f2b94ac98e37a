//! How long each image of the project takes to build, and how large it is: the table of docs/boards.md.

use std::path::Path;
use std::process::Command;

use skerry_builder::arch::Arch;
use skerry_qemu_tests::image::{Image, has_programs_for, locked_images, repository, skerry};

use super::{NAME, RUNS, Run, data_bytes, len, measured, median, megabytes, times};

/// The command that prints only this table.
pub const COMMAND: &str = "images";

/// Builds all images by turns, so that what else the machine does meets each of them, and prints a row for each.
pub fn print() {
    let folder = repository().join("target/figures-images");
    let names: Vec<_> = [Arch::X86_64, Arch::Aarch64]
        .into_iter()
        .filter(|arch| has_programs_for(*arch))
        .flat_map(locked_images)
        .collect();
    let mut runs: Vec<Vec<Run>> = names.iter().map(|_| Vec::new()).collect();
    // The first round fetches and unpacks what is not there yet.
    for round in 0..=RUNS {
        for (name, runs) in names.iter().zip(&mut runs) {
            let run = build(name, &folder.join(name));
            runs.extend((round > 0).then_some(run));
        }
    }
    let medians: Vec<_> = runs.into_iter().map(median).collect();
    let usual = names.iter().zip(&medians).find(|(name, _)| *name == NAME);
    let usual = usual.map(|(_, run)| run.wall.as_secs_f64());
    println!("\n| image | build | of {NAME} | download | flash | kernel image | root |\n|---|---|---|---|---|---|---|");
    for (name, run) in names.into_iter().zip(medians) {
        let ratio = usual.map_or_else(String::new, |usual| {
            format!("{:.0} %", 100.0 * run.wall.as_secs_f64() / usual)
        });
        let folder = folder.join(&name);
        let image = Image { name, folder };
        let [download, kernel, root] = ["raw.zst", "efi", "root"].map(|ending| megabytes(len(&image, ending)));
        let flash = megabytes(data_bytes(&image));
        println!(
            "| `{}` | {} | {ratio} | {download} | {flash} | {kernel} | {root} |",
            image.name,
            times(&run)
        );
    }
    std::fs::remove_dir_all(&folder).expect("it was made a moment ago");
}

fn build(name: &str, out: &Path) -> Run {
    let mut command = Command::new(skerry());
    command
        .args(["build", name, "--no-block-cache", "--out"])
        .arg(out)
        .current_dir(repository());
    measured(&mut command)
}
