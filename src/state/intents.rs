//! Creates under way where there are no transactions: noted before they are sent, so that an answer that
//! is lost can be looked up (rule 20).

use super::{key_cell, key_of, side_cell, side_of, text_cell};
use crate::error::{Error, Kind, Result};
use crate::model::{Intent, Link, Pos, decode_bases, encode_bases};
use crate::sql::{Cell, Session, bytes, int, text};

/// Notes creates of a link that are about to be sent.
pub async fn write_intents(session: &mut dyn Session, link: &Link, intents: &[Intent]) -> Result<()> {
    let set: Vec<_> = intents
        .iter()
        .map(|intent| {
            vec![
                Cell::Int(intent.id),
                Cell::Int(intent.link),
                side_cell(intent.side),
                key_cell(Some(&intent.key)),
                text_cell(&intent.token),
                Cell::Int(intent.epoch),
                Cell::Int(intent.deadline),
                Cell::Int(intent.pos.0),
                Cell::Bytes(encode_bases(link, &intent.sent)),
                Cell::Int(intent.moved.0),
            ]
        })
        .collect();
    session.execute("intent_write", &set).await?;
    Ok(())
}

/// The creates of a link whose outcome is not recorded.
pub async fn intents(session: &mut dyn Session, link: &Link) -> Result<Vec<Intent>> {
    let mut all = Vec::new();
    for row in session.query("intent_read", &[vec![Cell::Int(link.number)]]).await? {
        let [id, number, side, key, token, epoch, deadline, pos, sent, moved, gone] = row.as_slice() else {
            return Err(Error::new(Kind::Internal, "an intent has other columns than this version expects").hint("twinrow check"));
        };
        all.push(Intent {
            id: int(id)?,
            link: int(number)?,
            side: side_of(int(side)?),
            key: key_of(key)?.unwrap_or_default(),
            token: text(token)?.to_owned(),
            epoch: int(epoch)?,
            deadline: int(deadline)?,
            pos: Pos(int(pos)?),
            sent: decode_bases(link, bytes(sent)?.unwrap_or_default()),
            moved: Pos(int(moved)?),
            gone: int(gone)? != 0,
        });
    }
    all.sort_by_key(|intent| intent.id);
    Ok(all)
}

/// Notes what became of the records that these were made from.
pub async fn move_intents(session: &mut dyn Session, intents: &[Intent]) -> Result<()> {
    let moved = |intent: &Intent| {
        vec![Cell::Int(intent.id), key_cell(Some(&intent.key)), Cell::Int(intent.moved.0), Cell::Int(i64::from(intent.gone))]
    };
    session.execute("intent_move", &intents.iter().map(moved).collect::<Vec<_>>()).await?;
    Ok(())
}

/// Forgets intents whose outcome is recorded.
pub async fn delete_intents(session: &mut dyn Session, ids: &[i64]) -> Result<()> {
    let set: Vec<_> = ids.iter().map(|id| vec![Cell::Int(*id)]).collect();
    session.execute("intent_delete", &set).await?;
    Ok(())
}
