//! Scripts about a full compare under which something changes: what it has passed is compared again.

use std::sync::Arc;

use twinrow::sql::Cell;

use crate::database::Y;
use crate::scripts::{S, Script, T, TABLE, quiet};
use crate::session::number;

/// The part of a compare that goes through the pairs.
const PAIRS: Cell = Cell::Int(2);

/// A compare is under way that has passed every pair there is now, as the process that was ended left it.
fn pass_all_pairs(script: &mut Script) {
    let mut world = script.0.world();
    let home = world.home();
    let own = Arc::make_mut(&mut world.databases[home].own);
    let (id, link) = own.pair.values().next_back().map(|pair| (number(&pair[0]), pair[1].clone())).expect("a pair");
    let after = Cell::Bytes(id.to_be_bytes().to_vec());
    own.scan.insert(vec![link.clone()], vec![link, PAIRS, after, Cell::Int(0)]);
}

#[test]
fn a27_a_table_is_emptied_behind_a_compare() {
    let mut script = Script::new(quiet());
    script.twins();
    pass_all_pairs(&mut script);
    script.user(S, |statement, world| statement.truncate(world, TABLE));
    script.ends_well();
}

#[test]
fn a_compare_starts_over_when_the_configuration_changes_under_it() {
    let mut script = Script::new(quiet());
    let [s, _] = script.twins();
    script.0.world().setup.mapped = false;
    script.update(S, s, Y);
    script.sync();
    pass_all_pairs(&mut script);
    script.0.world().setup.mapped = true;
    script.sync();
    let both = [script.rows(S)[0][Y], script.rows(T)[0][Y]];
    assert_eq!(both[0], both[1], "the field is back, and so is what was written meanwhile");
    script.ends_well();
}
