//! Boxes whose areas are sizes, as square as can be (Bruls, Huizing, van Wijk: "Squarified Treemaps", 2000).

/// A rectangle, in any unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    fn area(self) -> f64 {
        self.width * self.height
    }

    /// Cuts a row of this area off the longer side, and gives what is left.
    fn split(self, area: f64) -> (Self, Self) {
        if self.width >= self.height {
            let width = ratio(area, self.height).min(self.width);
            let row = Self { width, ..self };
            let rest = Self {
                x: self.x + width,
                width: self.width - width,
                ..self
            };
            (row, rest)
        } else {
            let height = ratio(area, self.width).min(self.height);
            let row = Self { height, ..self };
            let rest = Self {
                y: self.y + height,
                height: self.height - height,
                ..self
            };
            (row, rest)
        }
    }
}

fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

/// One rectangle for each of `sizes`, which are in falling order; together they fill `place`.
pub(super) fn squarify(sizes: &[u64], place: Rect) -> Vec<Rect> {
    let total: f64 = sizes.iter().map(|size| *size as f64).sum();
    let scale = ratio(place.area(), total);
    let areas: Vec<f64> = sizes.iter().map(|size| *size as f64 * scale).collect();
    let mut rects = Vec::with_capacity(areas.len());
    let mut left = place;
    let mut rest = areas.as_slice();
    while !rest.is_empty() {
        let side = left.width.min(left.height);
        let mut count = 1;
        while count < rest.len() && worst(&rest[..=count], side) <= worst(&rest[..count], side) {
            count += 1;
        }
        let (row, behind) = rest.split_at(count);
        let (strip, remaining) = left.split(row.iter().sum());
        rects.extend(fill(row, strip, left.width >= left.height));
        (left, rest) = (remaining, behind);
    }
    rects
}

/// How far the least square box of a row along `side` is from a square.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let thickness = ratio(sum, side);
    row.iter()
        .map(|area| {
            let length = ratio(*area, thickness);
            ratio(length, thickness).max(ratio(thickness, length))
        })
        .fold(0.0, f64::max)
}

fn fill(row: &[f64], strip: Rect, is_column: bool) -> Vec<Rect> {
    let sum: f64 = row.iter().sum();
    let mut done = 0.0;
    row.iter()
        .map(|area| {
            let (from, share) = (ratio(done, sum), ratio(*area, sum));
            done += area;
            match is_column {
                true => Rect {
                    y: strip.y + strip.height * from,
                    height: strip.height * share,
                    ..strip
                },
                false => Rect {
                    x: strip.x + strip.width * from,
                    width: strip.width * share,
                    ..strip
                },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Rect = Rect {
        x: 0.0,
        y: 0.0,
        width: 160.0,
        height: 90.0,
    };

    #[test]
    fn the_example_of_the_paper_is_laid_out_as_there() {
        let place = Rect {
            width: 6.0,
            height: 4.0,
            ..PLACE
        };
        let rects = squarify(&[6, 6, 4, 3, 2, 2, 1], place);
        let rounded: Vec<_> = rects
            .iter()
            .map(|rect| [rect.x, rect.y, rect.width, rect.height].map(|value| (value * 100.0).round() / 100.0))
            .collect();
        assert_eq!(rounded[0], [0.0, 0.0, 3.0, 2.0]);
        assert_eq!(rounded[1], [0.0, 2.0, 3.0, 2.0]);
        assert_eq!(rounded[2], [3.0, 0.0, 1.71, 2.33]);
        assert_eq!(rounded[3], [4.71, 0.0, 1.29, 2.33]);
    }

    proptest! {
        #[test]
        fn boxes_stay_inside_do_not_overlap_and_have_areas_in_proportion(
            mut sizes in proptest::collection::vec(0_u64..1 << 40, 1..40),
        ) {
            sizes.sort_by(|a, b| b.cmp(a));
            let rects = squarify(&sizes, PLACE);
            prop_assert_eq!(rects.len(), sizes.len());
            let total: f64 = sizes.iter().map(|size| *size as f64).sum();
            for (rect, size) in rects.iter().zip(&sizes) {
                prop_assert!(rect.x >= -1e-6 && rect.x + rect.width <= PLACE.width + 1e-6, "{:?}", rect);
                prop_assert!(rect.y >= -1e-6 && rect.y + rect.height <= PLACE.height + 1e-6, "{:?}", rect);
                if total > 0.0 {
                    let expected = *size as f64 / total * PLACE.area();
                    prop_assert!((rect.area() - expected).abs() < 1e-3, "{:?} {}", rect, expected);
                }
            }
            let overlap = |a: &Rect, b: &Rect| {
                let width = (a.x + a.width).min(b.x + b.width) - a.x.max(b.x);
                let height = (a.y + a.height).min(b.y + b.height) - a.y.max(b.y);
                width > 1e-6 && height > 1e-6
            };
            for (index, rect) in rects.iter().enumerate() {
                prop_assert!(!rects[..index].iter().any(|other| overlap(rect, other)));
            }
        }
    }
}
