//! What users were promised, in their words.

mod backlog;
mod brake;
mod cascades;
mod compare;
mod composite;
mod conflicts;
mod copied;
mod damage;
mod deletes;
mod engines;
mod first_sync;
mod generated;
mod held;
mod keys;
mod large;
mod logins;
mod promised;
mod renamed;
mod replaced;
mod rights;
mod set_off;
mod several;
mod stopped;
mod told;
mod tracking;
mod uninstall;
