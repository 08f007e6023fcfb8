//! Looks after the description of the detector: reads its file again when it changes, asks the data
//! base now and then, and says when the description does not hold any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fathom_formats::detx::{Detector, DetxVersion};
use fathom_formats::km3net::DetectorId;
use fathom_kernel::{
    Alarm, Content, Event, Fetch, Location, Severity, Timestamp, without_passwords,
};
use jiff::SignedDuration;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::describe::{Described, describe, read_detx};
use super::page;
use crate::body::{World, has_children};
use crate::config::plan::{DetectorPlan, Plan};

/// Time between two looks at a file.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Time between two looks at the range of time for which a description holds.
const VALIDITY_EVERY: Duration = Duration::from_secs(60);

/// Who says that a description does not hold, where services say their alarms.
const SAYS: &str = "detector";

/// Longest wait for the data base: it makes large descriptions for each question anew.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// Time until the data base is asked again while its answers are of no use.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Follows the description that the plan in force names, for ever.
pub(crate) async fn follow(world: World) {
    let mut plans = world.plans.subscribe();
    // What was said of the place before is over some day as well.
    let (mut invalid_said, mut unread_said) = (None, [None; 2]);
    loop {
        let plan = plans.borrow_and_update().detector.clone();
        let plan = plan.unwrap_or_default();
        let is_other = |other: &Arc<Plan>| {
            let other = other.detector.as_ref();
            other.map_or(!plan.is_like(&DetectorPlan::default()), |o| {
                !o.is_like(&plan)
            })
        };
        let mut follower = Follower {
            invalid_said,
            ..Follower::new(world.clone(), plan.clone())
        };
        [follower.file.said, follower.page.said] = unread_said;
        tokio::select! {
            () = follower.run() => {}
            other = plans.wait_for(is_other) => if other.is_err() { return },
        }
        invalid_said = follower.invalid_said;
        unread_said = [follower.file.said, follower.page.said];
    }
}

/// One place of the description, or two.
struct Follower {
    world: World,
    plan: DetectorPlan,
    /// What the file says.
    ground: Option<Arc<Detector>>,
    /// The last good answer of the data base.
    answer: Option<Bytes>,
    file: Reading,
    page: Reading,
    /// When and of which detector it was said last that the description does not hold; `None` while
    /// it does.
    invalid_said: Option<(Instant, DetectorId)>,
}

/// How it goes with the reading of one place.
struct Reading {
    what: &'static str,
    /// Version that was read last, whether it was good or not; `None` when that failed.
    version: Option<String>,
    /// What is wrong.
    trouble: Option<String>,
    /// When it was said last that there is no newer description.
    said: Option<Instant>,
}

impl Reading {
    fn of(what: &'static str) -> Self {
        Self {
            what,
            version: None,
            trouble: None,
            said: None,
        }
    }

    /// Says what is wrong, once, and when it is not any more.
    fn told(&mut self, read: Result<Described, String>) -> Option<Arc<Detector>> {
        let what = self.what;
        match read {
            Ok((detector, warnings)) => {
                for warning in warnings {
                    warn!(what, warning, "the description of the detector is odd");
                }
                if self.trouble.take().is_some() {
                    info!(what, "the description of the detector can be read again");
                }
                Some(detector)
            }
            Err(error) => {
                if self.trouble.as_ref() != Some(&error) {
                    warn!(
                        what,
                        error, "no new description of the detector, the former one stays"
                    );
                    self.trouble = Some(error);
                }
                None
            }
        }
    }
}

impl Follower {
    fn new(world: World, plan: DetectorPlan) -> Self {
        Self {
            ground: plan.ground.clone(),
            answer: plan.kept.clone(),
            world,
            plan,
            file: Reading::of("detector file"),
            page: Reading::of("detector page"),
            invalid_said: None,
        }
    }

    async fn run(&mut self) {
        let every = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut looks, mut validity) = (every(LOOK_EVERY), every(VALIDITY_EVERY));
        let mut questions = every(self.plan.every);
        loop {
            // Only the ticks are raced; what follows is awaited to its end.
            tokio::select! {
                _ = looks.tick(), if self.plan.file.is_some() => self.look().await,
                _ = questions.tick(), if self.plan.url.is_some() => {
                    self.ask().await;
                    if self.page.trouble.is_some() {
                        questions.reset_after(ASK_AGAIN.min(self.plan.every));
                    }
                }
                _ = validity.tick() => {}
            }
            self.watch_validity();
            self.watch_reading();
        }
    }

    /// Reads the file if it changed.
    async fn look(&mut self) {
        let Some(path) = self.plan.file.clone() else {
            return;
        };
        let name = path.display().to_string();
        let fetch = Fetch {
            known: self.file.version.clone(),
            ..wish(Location::File(path))
        };
        let read = match self.world.reach.fetch(fetch).await.content {
            Ok(Content::Unchanged) => return,
            Ok(Content::Bytes(bytes, version)) => {
                self.file.version = version;
                parsed(move || read_detx(&name, &bytes)).await
            }
            Err(error) => {
                // Read anew when it is there again, even if it did not change meanwhile.
                self.file.version = None;
                Err(error.to_string())
            }
        };
        let Some(ground) = self.file.told(read) else {
            return;
        };
        self.ground = Some(ground.clone());
        match self.answer.clone() {
            None => self.publish(ground).await,
            // What the data base says goes over the file, but a table needs the file's geometry.
            Some(page) if Detector::is_table(&page) => self.describe(page).await,
            Some(_) => {}
        }
    }

    /// Asks the data base for what is new.
    async fn ask(&mut self) {
        let Some(url) = self.plan.url.clone() else {
            return;
        };
        let fetch = Fetch {
            known: self.page.version.clone(),
            ..wish(Location::Http(url))
        };
        match self.world.reach.fetch(fetch).await.content {
            Ok(Content::Unchanged) => {}
            Ok(Content::Bytes(bytes, version)) => {
                self.page.version = version;
                self.describe(bytes).await;
            }
            Err(error) => {
                self.page.version = None;
                self.page.told(Err(error.to_string()));
            }
        }
    }

    /// Takes an answer of the data base; a bad one changes nothing.
    async fn describe(&mut self, page: Bytes) {
        let url = self.plan.url.as_deref().unwrap_or_default();
        let (name, id) = (without_passwords(url).into_owned(), self.plan.id);
        let (ground, bytes) = (self.ground.clone(), page.clone());
        let read = parsed(move || describe(&name, &bytes, id, ground.as_deref())).await;
        let Some(detector) = self.page.told(read) else {
            return;
        };
        if self.answer.as_ref() != Some(&page) {
            self.keep(page.clone()).await;
        }
        self.answer = Some(page);
        self.publish(detector).await;
    }

    async fn keep(&self, bytes: Bytes) {
        let Some(page) = self.plan.page.clone() else {
            return;
        };
        let saved = parsed(move || {
            let saved = page.save(&bytes);
            saved.map_err(|error| format!("{}: {error}", page.path().display()))
        });
        if let Err(error) = saved.await {
            warn!(
                error,
                "the description of the detector is not kept for an outage"
            );
        }
    }

    /// Lets all services go by a description.
    async fn publish(&mut self, detector: Arc<Detector>) {
        if self.world.feed.now().as_ref() == Some(&detector) {
            return;
        }
        // Children get it as text.
        if has_children(&self.world.plans.borrow()) {
            let text = detector.clone();
            let text = parsed(move || Ok(text.to_detx(DetxVersion::V5))).await;
            if let Ok(text) = text {
                self.world.detector.send_replace(Some(text.into()));
            }
        }
        let (id, modules) = (detector.id.0, detector.modules().len());
        if self.world.feed.publish(detector) {
            info!(id, modules, "there is a new description of the detector");
        }
    }

    /// Says when the description ceases to hold, again and again while it does not, and when it holds
    /// again.
    fn watch_validity(&mut self) {
        let Some(detector) = self.world.feed.now() else {
            return;
        };
        let now = self.world.clock.now();
        let is_valid = detector.is_valid_at(now.as_duration().as_secs_f64());
        // What was said of the detector before is over when there is another.
        if let Some((_, id)) = self.invalid_said.take_if(|(_, id)| *id != detector.id) {
            let text = format!("detector {id} is not described any more");
            self.say("detector_invalid", format!("detector {id}"), false, text);
        }
        let was_valid = self.invalid_said.is_none();
        let is_due = |(said, _): (Instant, DetectorId)| said.elapsed() >= VALIDITY_EVERY;
        if is_valid == was_valid && !self.invalid_said.is_some_and(is_due) {
            return;
        }
        self.invalid_said = (!is_valid).then(|| (Instant::now(), detector.id));
        let text = validity_text(&detector, is_valid);
        if is_valid != was_valid {
            match is_valid {
                true => info!("{text}"),
                false => warn!("{text}"),
            }
        }
        let subject = format!("detector {}", detector.id);
        self.say("detector_invalid", subject, !is_valid, text);
    }

    /// Says of each place that it cannot be read and the former description stays, again and again while
    /// that is so, and when it can be read again.
    fn watch_reading(&mut self) {
        let instead = match self.world.feed.now() {
            Some(_) => "the former description of the detector stays",
            None => "there is no description of the detector",
        };
        let mut news = Vec::new();
        for place in [&mut self.file, &mut self.page] {
            let is_due = |said: Instant| said.elapsed() >= VALIDITY_EVERY;
            match &place.trouble {
                Some(error) if place.said.is_none_or(is_due) => {
                    place.said = Some(Instant::now());
                    news.push((place.what, true, format!("{instead}: {error}")));
                }
                None if place.said.take().is_some() => {
                    let text = "the description of the detector can be read again".to_owned();
                    news.push((place.what, false, text));
                }
                _ => {}
            }
        }
        for (what, firing, text) in news {
            self.say("detector_unreadable", what.to_owned(), firing, text);
        }
    }

    fn say(&self, rule: &str, subject: String, firing: bool, text: String) {
        self.world.bus.publish(Event::Alarm(Alarm {
            service: SAYS.to_owned(),
            rule: rule.to_owned(),
            subject,
            severity: Severity::Warning,
            firing,
            text,
            at: self.world.clock.now(),
        }));
    }
}

fn validity_text(detector: &Detector, is_valid: bool) -> String {
    let time = |utc_s: f64| {
        let time = SignedDuration::try_from_secs_f64(utc_s).map(Timestamp::from_duration);
        match time {
            Ok(Ok(time)) => format!("{time:.0}"),
            // Far off, as those who write no end have it.
            Ok(Err(_)) | Err(_) => "ever".to_owned(),
        }
    };
    let holds = match is_valid {
        true => "holds",
        false => "does not hold now, only",
    };
    let id = detector.id.0;
    match detector.validity {
        Some(validity) => format!(
            "the description of detector {id} {holds} from {} until {}",
            time(validity.from_s),
            time(validity.until_s)
        ),
        None => format!("the description of detector {id} {holds} at any time"),
    }
}

fn wish(from: Location) -> Fetch {
    Fetch {
        bytes_max: usize::try_from(page::BYTES_MAX).unwrap_or(usize::MAX),
        timeout: ANSWER_MAX,
        ..Fetch::new("detector", from)
    }
}

/// Does work that takes long, off the pool.
async fn parsed<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(error.to_string()))
}
