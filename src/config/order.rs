//! The order of links, and the shapes they may not have.

use std::collections::HashMap;

use super::Config;
use super::load::wrong;
use super::shape::Text;
use crate::endpoint::OnePlace;
use crate::error::{Error, Result};
use crate::model::{Link, Side, TableName};

/// Refuses links that form a ring over their tables: a record would come back to its own table as a
/// new one, for ever (rule 21), and two links on the same tables fight over every row (B12). A link of a table with itself is
/// the smallest ring; it is one where both sides lead to `one` place.
pub(super) fn forest(config: &Config, links: &[Link], one: Option<&OnePlace>) -> Result<()> {
    let mut tree: HashMap<Node, usize> = HashMap::new();
    for (i, link) in links.iter().enumerate() {
        let ends = nodes(link, one);
        let name = &config.links[i].0;
        if ends[0] == ends[1] {
            return Err(itself(config, name, link));
        }
        let [source, target] = ends.map(|end| tree.get(&end).copied());
        match (source, target) {
            (Some(a), Some(b)) if a == b => {
                let twin = links[..i].iter().find(|other| nodes(other, one).iter().all(|end| ends.contains(end)));
                let message = match twin {
                    Some(other) => format!("links `{}` and `{}` are on the same two tables", other.name, link.name),
                    None => format!("link `{}` closes a ring of links over the same tables", link.name),
                };
                return Err(wrong(&config.path, name, message));
            }
            (Some(a), Some(b)) => tree.values_mut().filter(|root| **root == b).for_each(|root| *root = a),
            _ => {}
        }
        let root = source.or(target).unwrap_or(i);
        for end in ends {
            tree.entry(end).or_insert(root);
        }
    }
    Ok(())
}

/// A table: of which side, unless both are in one place, with its schema and its name.
type Node<'a> = (Option<Side>, &'a str, &'a str);

fn nodes<'a>(link: &'a Link, one: Option<&'a OnePlace>) -> [Node<'a>; 2] {
    Side::BOTH.map(|side| {
        let TableName { schema, name } = &link.collection[side].table.name;
        match one.map(|one| one.whole(side, &link.collection[side].table.name)) {
            Some((schema, name)) => (None, schema, name),
            None => (Some(side), schema.as_str(), name.as_str()),
        }
    })
}

/// Refuses a link of a table with itself.
fn itself(config: &Config, name: &Text, link: &Link) -> Error {
    let [source, target] = Side::BOTH.map(|side| &config.endpoints[config.side[side]].name);
    let message = format!(
        "link `{}` links table `{}` with itself: endpoints `{source}` and `{target}` lead to the same database, and every record \
         would be created in it again and again; nothing was written",
        link.name, link.collection.source.table.name
    );
    wrong(&config.path, name, message)
        .hint(format!("give endpoint `{target}` the URL of the other database, or the link another table, then: twinrow check"))
}

/// Puts parents before children: behind every link a field goes through, which must be, and behind the
/// links of other tables a foreign key refers to, where that is possible. Of links that refer to each other in a ring one
/// goes first whose references may be empty: its records are written without them, and finished later (C15).
pub(super) fn parents_first(config: &Config, links: Vec<Link>) -> Result<Vec<Link>> {
    let must: Vec<Vec<usize>> = links.iter().enumerate().map(|(i, link)| via(i, link)).collect();
    let should: Vec<Vec<usize>> = links.iter().map(|link| referenced(link, &links)).collect();
    let mut order: Vec<usize> = Vec::with_capacity(links.len());
    while order.len() < links.len() {
        let mut waiting = (0..links.len()).filter(|i| !order.contains(i));
        let ready = |needs: &[Vec<usize>], i: usize| needs[i].iter().all(|parent| *parent == i || order.contains(parent));
        let next = waiting.clone().find(|i| ready(&must, *i) && ready(&should, *i));
        let ready = |i: &usize| ready(&must, *i);
        match next
            .or_else(|| waiting.clone().find(ready))
            .or_else(|| waiting.clone().find(|i| may_go_first(&links[*i], *i, &order)))
        {
            Some(next) => order.push(next),
            None => {
                let ring: Vec<_> = waiting.by_ref().map(|i| format!("`{}`", links[i].name)).collect();
                let first = order.len();
                let message = format!(
                    "the links {} refer to each other in a ring of `via`, and none of its columns takes NULL",
                    ring.join(", ")
                );
                let at = (0..links.len()).find(|i| !order.contains(i)).unwrap_or(first);
                return Err(wrong(&config.path, &config.links[at].0, message));
            }
        }
    }
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, i)| place[*i] = at);
    let mut sorted: Vec<(usize, Link)> = links.into_iter().enumerate().map(|(i, link)| (place[i], link)).collect();
    sorted.sort_by_key(|(at, _)| *at);
    Ok(sorted
        .into_iter()
        .map(|(_, mut link)| {
            for field in &mut link.fields {
                field.via = field.via.map(|parent| place[parent]);
            }
            link
        })
        .collect())
}

/// Whether whatever a link refers to among those that are not in order yet may be left empty at first.
fn may_go_first(link: &Link, own: usize, order: &[usize]) -> bool {
    let later = |parent: usize| parent != own && !order.contains(&parent);
    let empty = |at: usize| Side::BOTH.iter().all(|side| link.collection[*side].column(at).nullable);
    link.fields.iter().enumerate().all(|(at, field)| !field.via.is_some_and(later) || empty(at))
}

fn via(own: usize, link: &Link) -> Vec<usize> {
    link.fields.iter().filter_map(|field| field.via).filter(|parent| *parent != own).collect()
}

fn referenced(link: &Link, links: &[Link]) -> Vec<usize> {
    let refers =
        |side: Side, parent: &TableName| link.collection[side].table.foreign_keys.iter().any(|key| key.references == *parent);
    (0..links.len()).filter(|i| Side::BOTH.iter().any(|side| refers(*side, &links[*i].collection[*side].table.name))).collect()
}
