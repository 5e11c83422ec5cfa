//! The next batch is looked up while one is written: its pairs in the map, and with them the rows of both sides.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use super::Pipeline;
use super::capture::Moment;
use super::item::Item;
use crate::endpoint::{Endpoint, Keys};
use crate::error::{Error, Kind, Result};
use crate::model::{Both, Integration, Key, KeyBytes, Link, Pair, Side};
use crate::state;

/// What the map says about the keys of a batch: the pairs that hold them.
type Answer = Arc<HashMap<(Side, KeyBytes), Option<Pair>>>;

/// The map was asked before the batches since were written. Nobody else changes it while this process holds the fence, so what
/// is not about their records still stands.
pub(super) struct Ahead {
    link: i64,
    /// `None` where it could not be asked; it is asked again when it is needed.
    answer: Shared<BoxFuture<'static, Option<Answer>>>,
    /// The keys of the records that were in hand since.
    touched: HashSet<(Side, KeyBytes)>,
}

impl Pipeline {
    /// The databases may look up the next batch now. What lies between is on other connections.
    pub(super) fn look_ahead(&mut self, moment: &mut Moment) {
        let Some((at, keys)) = moment.next.take() else { return };
        let (integration, home) = (Arc::clone(&self.integration), Arc::clone(&self.endpoints[self.integration.home]));
        let link = &integration.links[at];
        let asked = ask(Arc::clone(&integration), home, at, keys.clone());
        let answer = async move { asked.await.ok() }.boxed().shared();
        for side in Side::BOTH {
            let (window, place) = moment.window(at, link, side);
            window.ahead(place, keys_of(side, keys[side].clone(), answer.clone()));
        }
        self.ahead = Some(Ahead { link: link.number, answer, touched: HashSet::new() });
    }

    /// Ends when the map has answered about the next batch.
    pub(super) fn looked_ahead(&self) -> impl Future<Output = ()> + use<> {
        let answer = self.ahead.as_ref().map(|ahead| ahead.answer.clone());
        async move {
            if let Some(answer) = answer {
                answer.await;
            }
        }
    }

    /// These records were written, or may have been.
    pub(super) fn touch(&mut self, items: &[Item]) {
        let Some(ahead) = &mut self.ahead else { return };
        for item in items {
            for side in Side::BOTH {
                let pair = item.pair.as_ref().map(|pair| (&pair.key[side], &pair.former[side]));
                let keys =
                    [item.key[side].as_ref(), pair.and_then(|(key, _)| key.as_ref()), pair.and_then(|(_, key)| key.as_ref())];
                ahead.touched.extend(keys.into_iter().flatten().map(|key| (side, key.clone())));
            }
        }
    }

    /// Takes out of `keys` what need not be asked, and returns the pairs that hold them.
    pub(super) async fn known_ahead(&self, link: &Link, side: Side, keys: &mut Vec<KeyBytes>) -> Vec<Pair> {
        let Some(ahead) = self.ahead.as_ref().filter(|ahead| ahead.link == link.number) else { return Vec::new() };
        let Some(answer) = ahead.answer.clone().await else { return Vec::new() };
        let mut pairs = Vec::new();
        keys.retain(|key| {
            let name = (side, key.clone());
            let Some(pair) = answer.get(&name).filter(|pair| ahead.stands(&name, pair.as_ref())) else { return true };
            pairs.extend(pair.clone());
            false
        });
        pairs
    }
}

impl Ahead {
    /// Whether nothing has touched what the map said about a key.
    fn stands(&self, name: &(Side, KeyBytes), pair: Option<&Pair>) -> bool {
        let its = |side: Side| Some((side, pair?.key[side].clone()?));
        !self.touched.contains(name) && !Side::BOTH.into_iter().filter_map(its).any(|name| self.touched.contains(&name))
    }
}

/// Asks the map about the keys of a link.
async fn ask(integration: Arc<Integration>, home: Arc<dyn Endpoint>, at: usize, keys: Both<Vec<KeyBytes>>) -> Result<Answer> {
    let store = home.store().ok_or_else(|| Error::new(Kind::Internal, "the state is in an endpoint that holds none"))?;
    let mut session = store.session().await?;
    let mut answer: HashMap<(Side, KeyBytes), Option<Pair>> = HashMap::new();
    for side in Side::BOTH {
        let pairs = state::by_key(&mut *session, &integration.links[at], side, &keys[side]).await?;
        answer.extend(keys[side].iter().map(|key| ((side, key.clone()), None)));
        answer.extend(pairs.into_iter().filter_map(|pair| Some(((side, pair.key[side].clone()?), Some(pair)))));
    }
    Ok(Arc::new(answer))
}

/// The keys of the rows that a batch will want on a side: its own, and its pairs'.
fn keys_of(side: Side, own: Vec<KeyBytes>, answer: Shared<BoxFuture<'static, Option<Answer>>>) -> Keys {
    async move {
        let answer = answer.await.unwrap_or_default();
        let twins =
            answer.iter().filter(|((named, _), _)| *named != side).filter_map(|(_, pair)| pair.as_ref()?.key[side].as_ref());
        let mut all: Vec<&KeyBytes> = own.iter().chain(twins).collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter().filter_map(KeyBytes::decode).collect::<Vec<Key>>()
    }
    .boxed()
}
