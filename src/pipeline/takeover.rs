//! Taking an integration over: fences, identity, numbers, the receipts of the process before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::columns::{self, Columns};
use super::{Door, Mode, Pipeline, forest, map, places, stopped};
use crate::endpoint::Endpoint;
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Both, Integration, Link, Side};
use crate::sql::{Cell, Cells, Fence, Session, Store, int, text};
use crate::state;

/// How long a process promises to be alive, in seconds; politeness only.
pub const LEASE_S: i64 = 15;

/// Ids of one epoch: 2^32 of them.
const EPOCH_BITS: u32 = 32;

pub(super) async fn take_over(
    integration: Integration,
    endpoints: Vec<Arc<dyn Endpoint>>,
    door: Arc<dyn Door>,
    holder: &str,
) -> Result<Pipeline> {
    let name = integration.name.clone();
    let home = home_of(&integration, &endpoints)?;
    // Before anything is taken: a refusal that left a trace would let the numbers catch up by trying again.
    check_identity(&integration, &endpoints, home).await?;
    forest::check(&integration, &endpoints).await?;
    let epoch = state::take_lease(&mut *home.session().await?, &name, holder, door.now() + LEASE_S).await?;
    let fence = Fence { integration: name.clone(), epoch };
    door.step("takeover.lease").await?;
    let taken = take_fences(integration, endpoints.clone(), door.clone(), fence).await;
    if taken.is_err() {
        // Nobody need wait for it; what went wrong is told, not that letting go did too.
        let _ = async { state::beat(&mut *home.session().await?, &name, epoch, 0).await }.await;
    }
    taken
}

fn home_of<'a>(integration: &Integration, endpoints: &'a [Arc<dyn Endpoint>]) -> Result<&'a dyn Store> {
    let home = endpoints[integration.home].store();
    home.ok_or_else(|| Error::new(Kind::Config, "an app can't hold the state").hint("name a database as `state:`"))
}

/// Everything after the lease.
async fn take_fences(
    mut integration: Integration,
    endpoints: Vec<Arc<dyn Endpoint>>,
    door: Arc<dyn Door>,
    fence: Fence,
) -> Result<Pipeline> {
    let epoch = fence.epoch;
    let home = home_of(&integration, &endpoints)?;
    // The state first: then no one but us can take the others.
    let mut order = vec![integration.home];
    order.extend((0..endpoints.len()).filter(|at| *at != integration.home));
    let (mut instances, mut fences) = (HashSet::new(), HashMap::new());
    for at in order {
        let Some(store) = endpoints[at].store() else { continue };
        let taken = take_fence(store, &fence, &*door, &mut instances).await;
        fences.insert(at, taken.context(format!("endpoint {}", integration.endpoints[at]))?);
        door.step("takeover.fence").await?;
    }
    forest::refuse_itself(&integration, &fence_rows(&integration, &endpoints).await?)?;
    forest::announce(&integration, &endpoints, &fence, &*door).await?;
    let columns = columns::look(&integration, &endpoints).await?;
    number_links(home, &fence, &mut integration, &columns, door.now()).await?;
    let stops = state::stops(&mut *home.session().await?, &fence.integration).await?;
    let mapped = map::known(&mut *home.session().await?, &fence.integration).await?;
    let stopped = stopped::known(&integration.links, stops);
    let still = stopped::still(&integration, &stopped);
    let numbers: HashSet<i64> = integration.links.iter().map(|link| link.number).collect();
    let mut pipeline = Pipeline {
        cursors: vec![None; integration.links.len()],
        midway: true,
        overlong: vec![Both::default(); integration.links.len()],
        clock: i64::MAX,
        compacted_at: 0,
        looked_at: 0,
        look_again: true,
        fences,
        relied: BTreeMap::new(),
        integration: Arc::new(integration),
        endpoints,
        door,
        last_id: epoch << EPOCH_BITS,
        cycle: epoch << EPOCH_BITS,
        fence,
        mode: Mode::Apply,
        left: HashSet::new(),
        absorbed: Vec::new(),
        braked: Vec::new(),
        halted: Vec::new(),
        doubted: Vec::new(),
        suspended: Vec::new(),
        hashed: HashMap::new(),
        releasing: false,
        refused: Vec::new(),
        blocked: Vec::new(),
        planned: Both::default(),
        foreseen: HashMap::new(),
        levels: 0,
        looks: 0,
        shown: false,
        supposed: Box::default(),
        has_work: true,
        waiting: numbers.clone(),
        holding: numbers.clone(),
        fit: HashMap::new(),
        undecided: HashSet::new(),
        unheard: HashSet::new(),
        unchecked: numbers,
        split_until: None,
        timings: super::Timings::default(),
        echoes: super::echo::Echoes::default(),
        survivors: super::survivors::Survivors::default(),
        restless: super::restless::Restless::default(),
        unsettled: super::intents::Unsettled::unknown(),
        comparing: HashSet::new(),
        closed_at: 0,
        still,
        stopped,
        columns,
        mapped,
        ahead: None,
        given_again: HashSet::new(),
        in_hand: None,
        away: Vec::new(),
        anew: false,
    };
    pipeline.absorb().await?;
    pipeline.resolve_intents().await?;
    pipeline.undecided = state::links_with_undecided(&mut *pipeline.home_session().await?, &pipeline.fence.integration).await?;
    Ok(pipeline)
}

/// What an endpoint's fence row says.
pub(super) struct FenceRow {
    pub(super) epoch: i64,
    pub(super) n: i64,
    pub(super) instance: String,
    home_n: i64,
}

/// Takes the fence row of one database; waits for a write transaction of the process before. Returns the number
/// it had.
async fn take_fence(store: &dyn Store, fence: &Fence, door: &dyn Door, taken: &mut HashSet<String>) -> Result<i64> {
    let mut session = store.session().await?;
    let integration = Cell::Text(fence.integration.clone());
    session.execute("fence_insert", &[vec![integration.clone(), Cell::Text(door.instance())]]).await?;
    let missing = || Error::new(Kind::Tracking, "the fence row is missing").hint("twinrow install");
    let before = read_fence(&mut *session, &fence.integration).await?.ok_or_else(missing)?;
    // Two endpoints of one database share its row.
    if !taken.insert(before.instance) {
        return Ok(before.n);
    }
    if wait_for_writer(store, &[vec![integration, Cell::Int(fence.epoch)]]).await? == 0 {
        return Err(Error::new(Kind::Fenced, "another process has taken this integration over")
            .hint(format!("twinrow status   # shows who runs {}", fence.integration)));
    }
    Ok(before.n)
}

/// Takes an integration away from whoever runs it, to end it: its next write fails, and it learns that it was pushed aside.
/// Where it was installed and removed in part, what is left of it is taken.
pub async fn push_aside(integration: &str, home: &dyn Store, endpoints: &[&dyn Store], holder: &str) -> Result<()> {
    let epoch = match state::take_lease(&mut *home.session().await?, integration, holder, 0).await {
        Ok(epoch) => epoch,
        Err(error) if matches!(error.kind(), Kind::Schema | Kind::Tracking) => return Ok(()),
        Err(error) => return Err(error),
    };
    for store in endpoints {
        let taken = async {
            let set = [vec![Cell::Text(integration.to_owned()), Cell::Int(epoch)]];
            wait_for_writer(*store, &set).await
        };
        match taken.await {
            Err(error) if matches!(error.kind(), Kind::Schema | Kind::Tracking) => {}
            taken => taken.map(|_| ())?,
        }
    }
    Ok(())
}

/// How often, and how long at most, a take-over asks again while the process before it is still writing: longer than a
/// server lets a session stand still in a transaction, even where each of these questions is refused at once.
const ASK_AGAIN: Duration = Duration::from_millis(50);
const ASK_AT_MOST: u32 = 1_800;

/// Takes the fence row once the write transaction of the process before has ended; lock time-outs are short. Each time in
/// a session of its own: one that was cut off would refuse every further question as if somebody were still writing.
async fn wait_for_writer(store: &dyn Store, set: &[Cells]) -> Result<u64> {
    for _ in 1..ASK_AT_MOST {
        match store.session().await?.execute("fence_take", set).await {
            Err(error) if error.kind() == Kind::Retry => tokio::time::sleep(ASK_AGAIN).await,
            answer => return answer,
        }
    }
    store.session().await?.execute("fence_take", set).await
}

/// The fence row of a database; `None`: this integration never ran there.
pub(super) async fn read_fence(session: &mut dyn Session, integration: &str) -> Result<Option<FenceRow>> {
    let rows = session.query("fence_read", &[vec![Cell::Text(integration.to_owned())]]).await?;
    let Some([epoch, n, instance, home_n]) = rows.first().map(Vec::as_slice) else { return Ok(None) };
    Ok(Some(FenceRow { epoch: int(epoch)?, n: int(n)?, instance: text(instance)?.to_owned(), home_n: int(home_n)? }))
}

/// A database whose fence went backwards was restored from a backup; one with another instance is a
/// copy or another database. Either way nothing may be inferred from it (rule 17).
///
/// Read in an order in which a process that is still writing can't look like a backup: first what the state
/// remembers of the endpoints, then the endpoints, then the state's own numbers.
pub async fn check_identity(integration: &Integration, endpoints: &[Arc<dyn Endpoint>], home: &dyn Store) -> Result<()> {
    let name = &integration.name;
    let known = if_there(state::seen(&mut *home.session().await?, name).await)?.unwrap_or_default();
    let fences = fence_rows(integration, endpoints).await?;
    let mut session = home.session().await?;
    let lease = if_there(state::read_lease(&mut *session, name).await)?.flatten();
    if lease.is_none() && known.is_empty() {
        return refuse_without_state(integration, endpoints, &fences).await;
    }
    let epoch = lease.map_or(0, |lease| lease.epoch);
    let home_n = if_there(read_fence(&mut *session, name).await)?.flatten().map_or(0, |row| row.n);
    for ((endpoint, now), at) in integration.endpoints.iter().zip(&fences).zip(endpoints) {
        let before = known.iter().find(|(name, ..)| name == endpoint).filter(|_| at.store().is_some());
        let problem = match (now, before) {
            (Some(now), _) if now.home_n > home_n || now.epoch > epoch => {
                "the database that holds the state is older than this endpoint remembers: it was restored from a backup"
            }
            (Some(now), Some((_, instance, _))) if *instance != now.instance => OTHER_DATABASE,
            (None, Some(_)) => OTHER_DATABASE,
            (Some(now), Some((_, _, n))) if now.n < *n => RESTORED,
            _ => continue,
        };
        return Err(refused(endpoint, &format!("{problem}; {UNTOUCHED}")));
    }
    let remembered: Vec<String> = known.into_iter().map(|(_, instance, _)| instance).collect();
    places::check(&mut *session, integration, &fences, &remembered).await
}

/// What was read of our own tables; `None`: they are not there.
fn if_there<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(error) if matches!(error.kind(), Kind::Schema | Kind::Tracking) => Ok(None),
        read => read.map(Some),
    }
}

/// A database knows that it was written for this integration, and the one that is to hold the state knows nothing of it: the
/// state is somewhere else, or gone. This is no first run.
async fn refuse_without_state(
    integration: &Integration,
    endpoints: &[Arc<dyn Endpoint>],
    fences: &[Option<FenceRow>],
) -> Result<()> {
    let (name, names, home) = (&integration.name, &integration.endpoints, &integration.endpoints[integration.home]);
    let Some(at) = fences.iter().position(|row| row.as_ref().is_some_and(|row| row.epoch > 0)) else { return Ok(()) };
    for (other, endpoint) in names.iter().zip(endpoints) {
        let Some(store) = endpoint.store().filter(|_| other != home) else { continue };
        if if_there(state::read_lease(&mut *store.session().await?, name).await)?.flatten().is_some() {
            let why = format!("the state of {name} is in endpoint {other}, and the configuration names this one; {UNTOUCHED}");
            let next = format!("put `state: {other}` into the configuration");
            return Err(Error::new(Kind::Identity, why).context(format!("endpoint {home}")).hint(next));
        }
    }
    let why = format!(
        "the state of {name} is gone from it, which endpoint {} remembers: it was restored from a backup without Twinrow's \
         tables, or is another database; {UNTOUCHED}",
        names[at]
    );
    Err(refused(home, &why))
}

/// The fence row of each endpoint; `None`: an app, or this integration never ran there.
pub(super) async fn fence_rows(integration: &Integration, endpoints: &[Arc<dyn Endpoint>]) -> Result<Vec<Option<FenceRow>>> {
    let mut rows = Vec::with_capacity(endpoints.len());
    for (endpoint, name) in endpoints.iter().zip(&integration.endpoints) {
        let Some(store) = endpoint.store() else {
            rows.push(None);
            continue;
        };
        let row = async { read_fence(&mut *store.session().await?, &integration.name).await };
        rows.push(if_there(row.await).context(format!("endpoint {name}"))?.flatten());
    }
    Ok(rows)
}

pub(super) const OTHER_DATABASE: &str = "this is not the database the state was built with";
pub(super) const RESTORED: &str = "this database is older than the state remembers: it was restored from a backup";

const UNTOUCHED: &str = "nothing was read or written";

const WAY_ON: &str = "see docs/guarantees.md, \"restored and cloned databases\"";

pub(super) fn refused(endpoint: &str, problem: &str) -> Error {
    Error::new(Kind::Identity, problem).context(format!("endpoint {endpoint}")).hint(WAY_ON)
}

/// A database was put back under a running process: its fence is an earlier process's.
pub(super) fn restored_meanwhile(fenced: &Error) -> Error {
    let why = format!("{fenced}; but the state knows of none: this database was restored from a backup");
    Error::new(Kind::Identity, why).hint(WAY_ON)
}

/// Gives links and fields the numbers under which the state knows them, and new ones to new ones.
async fn number_links(
    home: &dyn Store,
    fence: &Fence,
    integration: &mut Integration,
    columns: &[Columns],
    now: i64,
) -> Result<()> {
    let mut tx = home.begin(fence).await?;
    let known = state::links(&mut *tx, &fence.integration).await?;
    let settings = state::settings(&mut *tx, &fence.integration).await?;
    for (link, columns) in integration.links.iter_mut().zip(columns) {
        let before = known.iter().find(|(name, ..)| *name == link.name);
        let (number, mut fields) = match before {
            Some((_, number, fields)) => (*number, serde_json::from_str::<Vec<String>>(fields).unwrap_or_default()),
            None => (state::next_link_number(&mut *tx).await?, Vec::new()),
        };
        link.number = number;
        let known_fields = fields.clone();
        columns::note(&mut *tx, fence, link, &settings, columns, &mut fields, now).await?;
        number_fields(link, &mut fields);
        if before.is_none() || fields != known_fields {
            let fields = serde_json::json!(fields).to_string();
            state::write_link(&mut *tx, &fence.integration, &link.name, number, &fields).await?;
        }
    }
    tx.commit().await
}

/// A field's number is its place in the list of all mappings this link ever had.
fn number_fields(link: &mut Link, known: &mut Vec<String>) {
    for field in &mut link.fields {
        let at = known.iter().position(|name| *name == field.name).unwrap_or_else(|| {
            known.push(field.name.clone());
            known.len() - 1
        });
        field.number = u16::try_from(at).unwrap_or(u16::MAX);
    }
}

/// How many receipts are absorbed in one transaction.
const RECEIPTS: i64 = 2_000;

impl Pipeline {
    /// Absorbs the receipts of writes that committed though nobody heard of it. Before any log is read.
    pub(super) async fn absorb(&mut self) -> Result<()> {
        for (at, endpoint) in self.endpoints.clone().iter().enumerate() {
            if at == self.integration.home {
                continue;
            }
            let Some(store) = endpoint.store() else { continue };
            let mut after = i64::MIN;
            loop {
                let mut session = store.session().await?;
                let receipts = state::read_receipts(&mut *session, &self.fence.integration, after, RECEIPTS).await?;
                let number = self.number(&mut *session).await?;
                self.relied.insert(at, number);
                drop(session);
                let Some((last, _)) = receipts.last() else { break };
                after = *last;
                let mut tx = self.home()?.begin(&self.fence).await?;
                state::absorb_found(&mut *tx, &receipts).await?;
                self.remember(&mut *tx).await?;
                tx.commit().await?;
                self.door.step("absorb.recorded").await?;
                self.absorbed.extend(receipts.iter().map(|(n, _)| (at, *n)));
                if receipts.len() < RECEIPTS as usize {
                    break;
                }
            }
        }
        self.relied.clear();
        self.sweep().await?;
        self.forget_absorbed(&[]).await
    }

    /// Conflicts that were written down for a write that never happened. Between databases only: what an
    /// app did is known later.
    async fn sweep(&mut self) -> Result<()> {
        let database = |link: &&Link| Side::BOTH.into_iter().all(|side| self.endpoints[link.endpoint[side]].store().is_some());
        let links: Vec<i64> = self.integration.links.iter().filter(database).map(|link| link.number).collect();
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::sweep_conflicts(&mut *tx, &links).await?;
        if links.len() < self.integration.links.len() {
            self.unheard = state::pairs_with_pending(&mut *tx, &self.fence.integration).await?;
        }
        tx.commit().await
    }
}
