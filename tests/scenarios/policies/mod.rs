//! What users were promised, in their words.

mod backlog;
mod brake;
mod cascades;
mod conflicts;
mod copied;
mod damage;
mod deletes;
mod first_sync;
mod held;
mod keys;
mod large;
mod logins;
mod promised;
mod rights;
mod set_off;
mod several;
mod stopped;
mod tracking;
mod uninstall;
