//! What a build leaves behind beside the disk image: manifest, sums, SBOM.
