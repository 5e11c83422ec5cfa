//! Apply for an app: no transaction, no fence, so every write stands on its own proof (rule 20).
//!
//! A create is noted as an intent before it is sent, under a key we chose: whatever happens to the answer,
//! a look tells. An update and a delete carry the version they were decided on: a lost answer shows at the
//! next read, as our own value. A decision about a record whose creation is not settled waits.

use super::Pipeline;
use super::apply::{Do, Fate, still_to_write, todo};
use super::batch::Batch;
use super::capture::Moment;
use super::conflicts::conflicts;
use super::intents::bases_sent;
use super::item::{Item, Slot};
use super::job::{Done, given_key};
use super::record::{Written, record};
use crate::endpoint::{Conditional, Edit, Edited, Endpoint, Looked, Outcome};
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Conflict, Intent, Key, KeyBytes, Link, Pair, Pos, Side, Value};
use crate::reconcile::Action;
use crate::state;

/// A noted create is sent within this time, or not at all: a process that was frozen in between finds its
/// intent expired.
const SEND_WITHIN_S: i64 = 30;

/// One item's write, ready to be sent.
struct Sending {
    at: usize,
    what: Do,
    edit: Edit,
    intent: Option<Intent>,
}

impl Sending {
    /// The values of a create.
    fn created(&self) -> Option<&[Value]> {
        match &self.what {
            Do::Create(values) => Some(values),
            Do::Update(_) | Do::Delete => None,
        }
    }
}

/// Where records are written.
#[derive(Clone, Copy)]
struct Place<'a> {
    link_at: usize,
    link: &'a Link,
    side: Side,
    app: &'a dyn Conditional,
}

impl Pipeline {
    /// As [`Pipeline::write_side`], for a side that is an app.
    pub(super) async fn write_app(
        &mut self,
        moment: &mut Moment,
        link_at: usize,
        side: Side,
        batch: &mut Batch,
        fates: &mut [Fate],
    ) -> Result<()> {
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        let endpoint = self.endpoints[link.endpoint[side]].clone();
        let app = conditional(&*endpoint)?;
        self.link_before_conflicts(link, side, batch, fates).await?;
        let all = still_to_write(side, batch, fates);
        for part in all.chunks(app.batch().max(1)) {
            let place = Place { link_at, link, side, app };
            self.write_part(moment, place, batch, part, fates).await.context(format!("link {}", link.name))?;
        }
        Ok(())
    }

    /// Twins that were just found are recorded as such before the app is told to overwrite one of them: whatever becomes of
    /// the answer, the conflict is that of a pair which the map knows when it is met again.
    async fn link_before_conflicts(&mut self, link: &Link, side: Side, batch: &mut Batch, fates: &mut [Fate]) -> Result<()> {
        let new = |item: &Item| item.linking && item.pair.as_ref().is_some_and(|pair| pair.ver == 0);
        let loses = |item: &Item| match item.decision.as_ref().map(|decision| &decision.action) {
            Some(Action::Update(update)) => update.losers[side] || update.stands,
            _ => false,
        };
        let chosen: Vec<usize> = still_to_write(side, batch, fates);
        let chosen: Vec<usize> = chosen.into_iter().filter(|at| new(&batch.items[*at]) && loses(&batch.items[*at])).collect();
        let linked = |at: &usize| Some(Pair { ver: 1, ..batch.items[*at].pair.clone()? });
        let pairs: Vec<Pair> = chosen.iter().filter_map(linked).collect();
        if pairs.is_empty() {
            return Ok(());
        }
        if !self.record_links(link, &pairs).await? {
            chosen.iter().for_each(|at| fates[*at] = Fate::Busy("one of the two has another twin by now".to_owned()));
            return Ok(());
        }
        for (at, pair) in chosen.into_iter().zip(pairs) {
            batch.items[at].pair = Some(pair);
            batch.items[at].linking = false;
        }
        Ok(())
    }

    /// Looks for matches, notes, sends, records.
    async fn write_part(
        &mut self,
        moment: &mut Moment,
        place: Place<'_>,
        batch: &mut Batch,
        part: &[usize],
        fates: &mut [Fate],
    ) -> Result<()> {
        let Place { link, side, .. } = place;
        let conflicts = conflicts(link, side, batch, part, fates);
        if !conflicts.is_empty() {
            self.write_pending(&conflicts).await?;
        }
        let sent = self.send_part(moment, place, batch, part, &conflicts, fates).await;
        // What has had no answer may have arrived; what was refused, or met another version, has overwritten nothing.
        let refused = |at: &usize| match &fates[*at] {
            Fate::Refused(_) => true,
            Fate::Busy(cause) => cause == CHANGED || cause == LATER,
            Fate::Open | Fate::Written => false,
        };
        let open = |at: &usize| fates[*at] != Fate::Written && !refused(at);
        let unheard: Vec<i64> = conflicts.iter().filter(|(at, _)| open(at)).map(|(_, conflict)| conflict.pair).collect();
        let void: Vec<(usize, Conflict)> = conflicts.into_iter().filter(|(at, _)| refused(at)).collect();
        self.drop_pending(false, &void, &[]).await?;
        self.unheard.extend(unheard);
        sent
    }

    /// As [`Pipeline::write_part`], with the conflicts written down.
    async fn send_part(
        &mut self,
        moment: &mut Moment,
        place: Place<'_>,
        batch: &mut Batch,
        part: &[usize],
        conflicts: &[(usize, Conflict)],
        fates: &mut [Fate],
    ) -> Result<()> {
        let Place { link, side, app, .. } = place;
        let mut sendings: Vec<Sending> = Vec::with_capacity(part.len());
        for at in part {
            if let Some(what) = todo(&batch.items[*at], side) {
                sendings.extend(self.sending(link, side, app, *at, &batch.items[*at], what));
            }
        }
        self.door.step("app.begun").await?;
        match_again(moment, place, &mut sendings, fates).await?;
        look_at_given_keys(place, &mut sendings).await?;
        app.ready().await?;
        self.note(link, app, &sendings).await?;
        let edits: Vec<Edit> = sendings.iter().map(|sending| sending.edit.clone()).collect();
        let answers = match app.write(&link.collection[side], &edits).await {
            Ok(answers) => answers,
            Err(error) => {
                // Nothing was sent: nothing to look up.
                self.forget(&sendings).await?;
                return Err(error);
            }
        };
        self.door.step("app.sent").await?;
        self.settle(link, side, app, batch, sendings, answers, conflicts, fates).await
    }

    fn sending(&mut self, link: &Link, side: Side, app: &dyn Conditional, at: usize, item: &Item, what: Do) -> Option<Sending> {
        let key = item.key[side].as_ref().and_then(KeyBytes::decode);
        let version = match &item.slot[side] {
            Slot::Row(_, version) => version.clone(),
            Slot::None | Slot::Gone | Slot::Absent | Slot::Unreadable(_) => None,
        };
        let (edit, intent) = match &what {
            Do::Create(values) => {
                let intent = self.intent(link, side, item, values)?;
                let values = values.iter().cloned().enumerate().filter(|(field, _)| link.fields[*field].direction.writes(side));
                (Edit::Create { key: app.new_key(&intent.token), values: values.collect() }, Some(intent))
            }
            Do::Update(values) => (Edit::Update { key: key?, version, values: values.clone() }, None),
            Do::Delete => (Edit::Delete { key: key?, version }, None),
        };
        Some(Sending { at, what, edit, intent })
    }

    fn intent(&mut self, link: &Link, side: Side, item: &Item, values: &[Value]) -> Option<Intent> {
        let given = given_key(link, side);
        let given = given.map(|given| Key(given.iter().map(|field| values[*field].clone()).collect()));
        Some(Intent {
            id: self.next_id(),
            link: link.number,
            side,
            key: item.key[side.other()].clone()?,
            moved: item.pair.as_ref().map_or(item.todo.pos, |pair| pair.pos[side.other()]),
            gone: false,
            token: given.as_ref().map_or_else(|| self.door.instance(), Key::to_string),
            epoch: self.fence.epoch,
            deadline: self.door.now() + SEND_WITHIN_S,
            pos: Pos::default(),
            sent: bases_sent(link, side, item.slot[side.other()].row()?, values, &item.left_out),
        })
    }

    /// The intents, before anything is sent; and not sent if they expired meanwhile.
    async fn note(&mut self, link: &Link, app: &dyn Conditional, sendings: &[Sending]) -> Result<()> {
        let intents: Vec<Intent> = sendings.iter().filter_map(|sending| sending.intent.clone()).collect();
        if intents.is_empty() {
            return Ok(());
        }
        for intent in &intents {
            self.unsettled.add(intent, &app.new_key(&intent.token));
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::write_intents(&mut *tx, link, &intents).await?;
        tx.commit().await?;
        self.door.step("app.noted").await?;
        if intents.iter().any(|intent| intent.deadline < self.door.now()) {
            return Err(Error::new(Kind::Retry, "this process was stopped for too long between a note and its write"));
        }
        Ok(())
    }

    async fn forget(&mut self, sendings: &[Sending]) -> Result<()> {
        let ids: Vec<i64> = sendings.iter().filter_map(|sending| Some(sending.intent.as_ref()?.id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::delete_intents(&mut *tx, &ids).await?;
        tx.commit().await
    }

    /// What became of each: pairs for what is done, the intents of what is certain go, in one transaction.
    #[allow(clippy::too_many_arguments)] // The parts of one step of `write_part`.
    async fn settle(
        &mut self,
        link: &Link,
        side: Side,
        app: &dyn Conditional,
        batch: &mut Batch,
        sendings: Vec<Sending>,
        answers: Vec<Edited>,
        conflicts: &[(usize, Conflict)],
        fates: &mut [Fate],
    ) -> Result<()> {
        let (mut written, mut certain) = (Vec::new(), Vec::new());
        for (sending, answer) in sendings.into_iter().zip(answers) {
            let Sending { at, what, edit, intent } = sending;
            let created = intent.is_some();
            match answer.outcome {
                Outcome::Done(key) => {
                    let done = Done { at, what, key: Some(key.encode()), stored: answer.stored, pos: answer.pos };
                    written.push(self.pair_after(link, side, &batch.items[at], done));
                }
                Outcome::Rejected(cause) => fates[at] = Fate::Refused(cause),
                // Our own key is taken: by a create of ours whose answer was lost on the way.
                Outcome::Stale if created && matches!(edit, Edit::Create { .. }) => {
                    fates[at] = Fate::Busy("it may have been created already".to_owned());
                    continue;
                }
                Outcome::Stale => fates[at] = Fate::Busy(CHANGED.to_owned()),
                Outcome::Later => fates[at] = Fate::Busy(LATER.to_owned()),
                Outcome::Unknown => {
                    fates[at] = Fate::Busy("the answer to its write was lost".to_owned());
                    continue;
                }
            }
            certain.extend(intent);
        }
        match self.record_app(link, &written, &certain, conflicts).await {
            Ok(()) => {}
            // What was created is looked up by its intent, what was updated is found equal.
            Err(error) if error.kind() == Kind::Stale => {
                written.iter().for_each(|written| fates[written.at] = Fate::Busy(error.message().to_owned()));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        for intent in &certain {
            self.unsettled.remove(intent, &app.new_key(&intent.token));
        }
        written.into_iter().for_each(|written| written.settle(&mut batch.items, fates));
        Ok(())
    }

    /// Those pairs whose conflict is pending though nobody heard of its write: by now it is known what became of the record.
    pub(super) fn heard<'a>(&self, pairs: impl Iterator<Item = &'a Pair>) -> Vec<i64> {
        pairs.map(|pair| pair.id).filter(|id| self.unheard.contains(id)).collect()
    }

    async fn record_app(
        &mut self,
        link: &Link,
        written: &[Written],
        certain: &[Intent],
        conflicts: &[(usize, Conflict)],
    ) -> Result<()> {
        let ids: Vec<i64> = certain.iter().map(|intent| intent.id).collect();
        let done = |at: &usize| written.iter().any(|written| written.at == *at);
        let kept: Vec<Vec<u8>> = conflicts.iter().filter(|(at, _)| done(at)).map(|(_, conflict)| conflict.id.clone()).collect();
        if written.is_empty() && ids.is_empty() {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        record(&mut *tx, link, written.iter().map(|written| &written.pair)).await?;
        if !written.is_empty() {
            self.note_map(&mut *tx, link).await?;
        }
        state::keep_conflicts(&mut *tx, &kept).await?;
        let heard = self.heard(written.iter().map(|written| &written.pair));
        state::absorb_conflicts(&mut *tx, &heard).await?;
        state::delete_intents(&mut *tx, &ids).await?;
        tx.commit().await?;
        self.unheard.retain(|pair| !heard.contains(pair));
        self.door.step("app.recorded").await
    }
}

/// The causes of what an app did not write.
const CHANGED: &str = "the record changed meanwhile";
const LATER: &str = "the app asks for time";

/// "No match" is a condition of a create (rule 13). Nothing can be locked here: it is looked up again as late as can be.
async fn match_again(moment: &mut Moment, place: Place<'_>, sendings: &mut Vec<Sending>, fates: &mut [Fate]) -> Result<()> {
    let rule: Vec<_> = place.link.matching.iter().map(|rule| (rule.field, rule.normal)).collect();
    let values = |values: &[Value]| rule.iter().map(|(field, _)| values[*field].clone()).collect();
    let asked: Vec<(usize, Vec<Value>)> =
        sendings.iter().filter_map(|sending| Some((sending.at, values(sending.created()?)))).collect();
    if rule.is_empty() || asked.is_empty() {
        return Ok(());
    }
    let (at, wanted): (Vec<usize>, Vec<Vec<Value>>) = asked.into_iter().unzip();
    let (window, collection) = moment.window(place.link_at, place.link, place.side);
    for (at, appeared) in at.into_iter().zip(window.appeared(collection, &rule, &wanted).await?) {
        if appeared {
            fates[at] = Fate::Busy("a matching record appeared meanwhile".to_owned());
            sendings.retain(|sending| sending.at != at);
        }
    }
    Ok(())
}

/// A key that is brought along may have been another record's before: the sign of that one's end is none of this one's.
async fn look_at_given_keys(place: Place<'_>, sendings: &mut [Sending]) -> Result<()> {
    let Place { link, side, app, .. } = place;
    let mut created: Vec<&mut Intent> = sendings.iter_mut().filter_map(|sending| sending.intent.as_mut()).collect();
    if created.is_empty() || given_key(link, side).is_none() {
        return Ok(());
    }
    let keys: Vec<Key> = created.iter().map(|intent| app.new_key(&intent.token)).collect();
    for (intent, looked) in created.iter_mut().zip(app.look(&link.collection[side], &keys).await?) {
        if let Looked::Deleted(pos) = looked {
            intent.pos = pos;
        }
    }
    Ok(())
}

fn conditional(endpoint: &dyn Endpoint) -> Result<&dyn Conditional> {
    endpoint.conditional().ok_or_else(|| Error::new(Kind::Internal, "this endpoint writes in transactions"))
}
