//! Images pass with the columns that the other end does not have yet: a new version of a long image
//! costs one column. Both ends remember the last version that passed, in the order of the messages.

use std::collections::HashMap;
use std::sync::Arc;

use fathom_kernel::Output;
use fathom_kernel::view::{Image, View};
use serde::{Deserialize, Serialize};

/// Most images that both ends remember; further ones pass whole.
const IMAGES_MAX: usize = 4096;

/// Which columns of the former version come before those of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Joins {
    skip: usize,
    keep: usize,
}

type Images = HashMap<String, Option<Arc<Output>>>;

/// What the other end has, in the eyes of the one that writes.
#[derive(Default)]
pub(super) struct Told(Images);

/// What came from the other end.
#[derive(Default)]
pub(super) struct Had(Images);

impl Told {
    /// Takes out of an image what the other end has, and remembers the image.
    pub(super) fn shorten(&mut self, output: &Arc<Output>) -> (Arc<Output>, Option<Joins>) {
        let whole = (output.clone(), None);
        let View::Image(image) = &output.view else {
            return whole;
        };
        let Some(place) = place(&mut self.0, &output.name) else {
            return whole;
        };
        let former = place.replace(output.clone());
        let Some((news, joins)) = former.and_then(|former| news(image, &former)) else {
            return whole;
        };
        let short = Output {
            name: output.name.clone(),
            title: output.title.clone(),
            view: View::Image(news),
            ..*output.as_ref()
        };
        (Arc::new(short), Some(joins))
    }

    /// Takes note that an output did not reach the other end.
    pub(super) fn forget(&mut self, name: &str) {
        if let Some(place) = self.0.get_mut(name) {
            *place = None;
        }
    }
}

impl Had {
    /// Makes an output whole again and remembers it; `None` when the columns it wants are not here.
    pub(super) fn complete(
        &mut self,
        output: Arc<Output>,
        joins: Option<Joins>,
    ) -> Option<Arc<Output>> {
        if !matches!(output.view, View::Image(_)) {
            return Some(output);
        }
        let mut place = place(&mut self.0, &output.name);
        let whole = match joins {
            Some(joins) => {
                let former = place.as_mut()?.take()?;
                Arc::new(joined(Arc::unwrap_or_clone(output), &former, joins)?)
            }
            None => output,
        };
        if let Some(place) = place {
            *place = Some(whole.clone());
        }
        Some(whole)
    }
}

/// Returns the place of an image, unless there is no room for it.
fn place<'a>(images: &'a mut Images, name: &str) -> Option<&'a mut Option<Arc<Output>>> {
    if !images.contains_key(name) {
        if images.len() >= IMAGES_MAX {
            return None;
        }
        images.insert(name.to_owned(), None);
    }
    images.get_mut(name)
}

/// Returns what is new in an image, when it goes on where the former version ended.
fn news(image: &Image, former: &Output) -> Option<(Image, Joins)> {
    let View::Image(former) = &former.view else {
        return None;
    };
    let first = image.columns.first()?;
    let skip = former.columns.iter().position(|c| Arc::ptr_eq(c, first))?;
    let old = former.columns.iter().skip(skip);
    let keep = old.zip(&image.columns);
    let keep = keep.take_while(|(old, new)| Arc::ptr_eq(old, new)).count();
    let last = image.columns.get(keep.checked_sub(1)?)?;
    let news = image.newer_than(last.at_ms);
    let fits = image.columns.len() <= image.columns_max as usize;
    // Columns out of their order pass whole.
    let all = keep + news.columns.len() == image.columns.len();
    (fits && all).then_some((news, Joins { skip, keep }))
}

fn joined(mut output: Output, former: &Output, joins: Joins) -> Option<Output> {
    let (View::Image(image), View::Image(former)) = (&mut output.view, &former.view) else {
        return None;
    };
    let kept = former.columns.get(joins.skip..)?.get(..joins.keep)?;
    if kept.len() + image.columns.len() > image.columns_max as usize {
        return None;
    }
    image.columns.splice(..0, kept.iter().cloned());
    Some(output)
}

#[cfg(test)]
mod tests {
    use fathom_kernel::view::{Colours, Column};

    use super::*;

    fn column(at_ms: i64) -> Arc<Column> {
        Arc::new(Column {
            at_ms,
            values: [at_ms as f32].into(),
            overlay: Box::default(),
        })
    }

    fn image(columns: &[Arc<Column>]) -> Arc<Output> {
        let image = Image {
            rows: 1,
            column_s: 1.0,
            columns_max: 4,
            row_labels: Vec::new(),
            columns: columns.to_vec(),
            colours: Colours {
                map: "plasma".into(),
                low: 0.0,
                high: 1.0,
                log: false,
                under: None,
                over: None,
                missing: "grey".into(),
                label: String::new(),
            },
            overlay_threshold: 1.0,
            overlay_colour: "red".into(),
            overlay_label: String::new(),
        };
        Arc::new(Output::new("image", "title", image))
    }

    /// Passes an output as the wire does; returns what comes out and how many columns went over.
    fn pass(told: &mut Told, had: &mut Had, output: &Arc<Output>) -> (Option<Arc<Output>>, usize) {
        let (short, joins) = told.shorten(output);
        let json = serde_json::to_string(&*short).unwrap();
        let short: Output = serde_json::from_str(&json).unwrap();
        let View::Image(image) = &short.view else {
            panic!("no image")
        };
        let count = image.columns.len();
        (had.complete(Arc::new(short), joins), count)
    }

    #[test]
    fn an_image_comes_out_whole_whatever_happened_to_its_columns() {
        let c: Vec<_> = (0..9).map(column).collect();
        let (mut told, mut had) = (Told::default(), Had::default());
        for (columns, passed) in [
            (c[0..2].to_vec(), 2),
            (c[0..3].to_vec(), 1),
            (c[0..3].to_vec(), 0),
            // The oldest goes, the newest comes.
            (c[1..5].to_vec(), 2),
            (c[2..6].to_vec(), 1),
            // The last column was made anew.
            (vec![c[2].clone(), c[3].clone(), c[4].clone(), column(5)], 1),
            // Nothing in common.
            (vec![column(7), column(8)], 2),
            (vec![], 0),
            (c[0..1].to_vec(), 1),
        ] {
            let output = image(&columns);
            let (whole, count) = pass(&mut told, &mut had, &output);
            assert_eq!(whole.as_ref(), Some(&output));
            assert_eq!(count, passed);
        }
    }

    #[test]
    fn after_a_loss_the_image_passes_whole() {
        let c: Vec<_> = (0..4).map(column).collect();
        let (mut told, mut had) = (Told::default(), Had::default());
        pass(&mut told, &mut had, &image(&c[0..2]));
        let _lost = told.shorten(&image(&c[0..3]));
        told.forget("image");
        let output = image(&c);
        assert_eq!(pass(&mut told, &mut had, &output), (Some(output), 4));
    }

    #[test]
    fn columns_that_are_not_here_are_refused() {
        let had = |columns: &[Arc<Column>]| {
            let mut had = Had::default();
            had.complete(image(columns), None);
            had
        };
        let c: Vec<_> = (0..4).map(column).collect();
        let joins = |skip, keep| Some(Joins { skip, keep });
        assert!(Had::default().complete(image(&c), joins(0, 1)).is_none());
        for (skip, keep) in [(0, 3), (3, 0), (usize::MAX, 1), (1, usize::MAX)] {
            let refused = had(&c[0..2]).complete(image(&c[2..3]), joins(skip, keep));
            assert!(refused.is_none(), "{skip} {keep}");
        }
        // More than the image may have.
        assert!(had(&c).complete(image(&c), joins(0, 4)).is_none());
    }
}
