//! Images and hit maps pass with the columns that the other end does not have yet: a new version of a
//! long one costs one column. Both ends remember the last version that passed, in the order of the
//! messages.

use std::collections::HashMap;
use std::sync::Arc;

use fathom_kernel::Output;
use fathom_kernel::view::{Column, HitColumn, HitMap, Image, View};
use serde::{Deserialize, Serialize};

/// Most images and hit maps that both ends remember; further ones pass whole.
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
    /// Takes out of an image or hit map what the other end has, and remembers it.
    pub(super) fn shorten(&mut self, output: &Arc<Output>) -> (Arc<Output>, Option<Joins>) {
        let whole = (output.clone(), None);
        if !grows(&output.view) {
            return whole;
        }
        let Some(place) = place(&mut self.0, &output.name) else {
            return whole;
        };
        let former = place.replace(output.clone());
        let Some((view, joins)) = former.and_then(|former| shortened(&output.view, &former.view))
        else {
            return whole;
        };
        let short = Output {
            name: output.name.clone(),
            title: output.title.clone(),
            view,
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
        if !grows(&output.view) {
            return Some(output);
        }
        let mut place = place(&mut self.0, &output.name);
        let whole = match joins {
            Some(joins) => {
                let former = place.as_mut()?.take()?;
                let mut output = Arc::unwrap_or_clone(output);
                lengthen(&mut output.view, &former.view, joins)?;
                Arc::new(output)
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

/// A view that gets new columns at its end and loses old ones at its beginning.
trait Growing: Sized {
    type Column;

    fn columns(&self) -> &Vec<Arc<Self::Column>>;
    fn columns_mut(&mut self) -> &mut Vec<Arc<Self::Column>>;
    fn columns_max(&self) -> usize;
    /// Returns the same with only the columns after this one.
    fn after(&self, last: &Self::Column) -> Self;
}

impl Growing for Image {
    type Column = Column;

    fn columns(&self) -> &Vec<Arc<Column>> {
        &self.columns
    }

    fn columns_mut(&mut self) -> &mut Vec<Arc<Column>> {
        &mut self.columns
    }

    fn columns_max(&self) -> usize {
        self.columns_max as usize
    }

    fn after(&self, last: &Column) -> Self {
        self.newer_than(last.at_ms)
    }
}

impl Growing for HitMap {
    type Column = HitColumn;

    fn columns(&self) -> &Vec<Arc<HitColumn>> {
        &self.columns
    }

    fn columns_mut(&mut self) -> &mut Vec<Arc<HitColumn>> {
        &mut self.columns
    }

    fn columns_max(&self) -> usize {
        self.columns_max as usize
    }

    fn after(&self, last: &HitColumn) -> Self {
        self.newer_than(last.number)
    }
}

fn grows(view: &View) -> bool {
    matches!(view, View::Image(_) | View::HitMap(_))
}

/// Returns a view with only what is new in it, when it goes on where the former version ended.
fn shortened(view: &View, former: &View) -> Option<(View, Joins)> {
    match (view, former) {
        (View::Image(view), View::Image(former)) => {
            news(view, former).map(|(news, joins)| (View::Image(news), joins))
        }
        (View::HitMap(view), View::HitMap(former)) => {
            news(view, former).map(|(news, joins)| (View::HitMap(news), joins))
        }
        _ => None,
    }
}

fn news<G: Growing>(view: &G, former: &G) -> Option<(G, Joins)> {
    let columns = view.columns();
    let first = columns.first()?;
    let skip = former
        .columns()
        .iter()
        .position(|c| Arc::ptr_eq(c, first))?;
    let old = former.columns().iter().skip(skip);
    let keep = old.zip(columns);
    let keep = keep.take_while(|(old, new)| Arc::ptr_eq(old, new)).count();
    let last = columns.get(keep.checked_sub(1)?)?;
    let news = view.after(last);
    let fits = columns.len() <= view.columns_max();
    // Columns out of their order pass whole.
    let all = keep + news.columns().len() == columns.len();
    (fits && all).then_some((news, Joins { skip, keep }))
}

/// Puts the columns of the former version before those of a shortened one; `None` when they are not
/// there.
fn lengthen(view: &mut View, former: &View, joins: Joins) -> Option<()> {
    match (view, former) {
        (View::Image(view), View::Image(former)) => join(view, former, joins),
        (View::HitMap(view), View::HitMap(former)) => join(view, former, joins),
        _ => None,
    }
}

fn join<G: Growing>(view: &mut G, former: &G, joins: Joins) -> Option<()> {
    let kept = former.columns().get(joins.skip..)?.get(..joins.keep)?;
    if kept.len() + view.columns().len() > view.columns_max() {
        return None;
    }
    view.columns_mut().splice(..0, kept.iter().cloned());
    Some(())
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

    fn colours() -> Colours {
        Colours {
            map: "plasma".into(),
            low: 0.0,
            high: 1.0,
            log: false,
            under: None,
            over: None,
            missing: "grey".into(),
            label: String::new(),
        }
    }

    fn event(number: u64) -> Arc<HitColumn> {
        Arc::new(HitColumn {
            number,
            at_ms: 0,
            note: format!("event {number}"),
            rows: [3].into(),
            counts: [1].into(),
        })
    }

    fn hit_map(columns: &[Arc<HitColumn>], columns_max: u32) -> Arc<Output> {
        let map = HitMap {
            x_label: "event".into(),
            rows: 18,
            columns_max,
            row_labels: Vec::new(),
            columns: columns.to_vec(),
            marks: Vec::new(),
            colours: colours(),
        };
        Arc::new(Output::new("hitmap", "title", map))
    }

    fn image(columns: &[Arc<Column>]) -> Arc<Output> {
        let image = Image {
            rows: 1,
            column_s: 1.0,
            columns_max: 4,
            row_labels: Vec::new(),
            columns: columns.to_vec(),
            colours: colours(),
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
        let count = match &short.view {
            View::Image(image) => image.columns.len(),
            View::HitMap(map) => map.columns.len(),
            _ => panic!("no columns"),
        };
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

    #[test]
    fn a_hit_map_comes_out_whole_whatever_happened_to_its_events() {
        let c: Vec<_> = (0..9).map(event).collect();
        let (mut told, mut had) = (Told::default(), Had::default());
        for (columns, passed) in [
            (c[0..3].to_vec(), 3),
            (c[0..4].to_vec(), 1),
            (c[0..4].to_vec(), 0),
            (c[2..6].to_vec(), 2),
            // The monitor was restarted and counts again.
            (vec![event(0), event(1)], 2),
            (vec![], 0),
            (c[4..5].to_vec(), 1),
        ] {
            let output = hit_map(&columns, 4);
            let (whole, count) = pass(&mut told, &mut had, &output);
            assert_eq!(whole.as_ref(), Some(&output));
            assert_eq!(count, passed);
        }
    }

    #[test]
    fn a_new_event_of_a_long_hit_map_costs_little() {
        let mut columns: Vec<_> = (0..5_000).map(event).collect();
        let (mut told, mut had) = (Told::default(), Had::default());
        pass(&mut told, &mut had, &hit_map(&columns, 5_000));
        columns.remove(0);
        columns.push(event(5_000));
        let output = hit_map(&columns, 5_000);
        let (short, joins) = told.shorten(&output);
        let bytes = serde_json::to_vec(&*short).unwrap().len();
        assert!(bytes < 600, "{bytes}");
        assert_eq!(had.complete(short, joins), Some(output));
    }

    #[test]
    fn an_image_that_became_a_hit_map_passes_whole() {
        let mut map = hit_map(&[event(0)], 4).as_ref().clone();
        map.name = "image".into();
        let map = Arc::new(map);
        let (mut told, mut had) = (Told::default(), Had::default());
        pass(&mut told, &mut had, &image(&[column(0)]));
        assert_eq!(pass(&mut told, &mut had, &map), (Some(map), 1));
        let joins = Some(Joins { skip: 0, keep: 1 });
        assert!(had.complete(image(&[column(1)]), joins).is_none());
    }
}
