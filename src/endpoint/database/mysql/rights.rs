//! What this login may not do though it must, and what whoever the triggers run as may not (A36).
//!
//! The catalog of MySQL hides what a login has no right on: so this says what to grant, and what may be hidden.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{describe, schema_of};
use super::connection::{Connection, field_text};
use super::grants::{Grants, Names, Object};
use super::install::{capture_account, literal};
use super::log::Log;
use super::triggers::{Trigger, wanted};
use crate::endpoint::{Need, Rights};
use crate::error::{Error, Kind, Result};
use crate::model::{Table, TableName};

/// What the running login does to every table of ours.
const RUN: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];
/// What the installing login needs besides, on the database.
const INSTALL: [&str; 3] = ["CREATE", "ALTER", "DROP"];
/// Where a right is missing on more of our own tables than these, the database is named.
const NAMED_MAX: usize = 3;

const LOGIN: &str = "this login";

/// Who we are to the server.
pub(super) struct Login {
    /// `'twinrow'@'%'`.
    account: String,
    /// With the roles that are active.
    grants: Grants,
    /// What it may do as the definer of a trigger. MariaDB leaves roles out there, and MySQL does now and then.
    definer: Grants,
    names: Names,
    /// Triggers are for SUPER only (A37).
    trusts_nobody: bool,
    /// Triggers call a procedure.
    one_writer: bool,
}

impl Login {
    pub(super) async fn read(connection: &mut Connection) -> Result<Login> {
        let mut settings = BTreeMap::new();
        for row in connection.rows(sql!("login_settings"), Vec::new()).await? {
            settings.insert(field_text(&row, 0)?, field_text(&row, 1)?);
        }
        let on = |name: &str| settings.get(name).is_some_and(|value| value == "ON");
        let folded = settings.get("lower_case_table_names").is_some_and(|value| value != "0");
        let names = Names { literal: on("partial_revokes"), folded, exact: false };
        let grants = Grants::parse(&lines(connection, "show grants").await?, names);
        let account = account(connection).await?;
        // Asked by its name: of the current user the roles are shown too.
        let own = lines(connection, &format!("show grants for {account}")).await?;
        let exact = !connection.server.flavour.mariadb && has_role(&own);
        let definer = Grants::parse(&own, Names { exact, ..names });
        let trusts_nobody = on("log_bin") && !on("log_bin_trust_function_creators");
        let one_writer = connection.server.flavour.one_writer();
        Ok(Login { account, grants, definer, names, trusts_nobody, one_writer })
    }

    /// Who the triggers are created as: the account of their own where this login may create it, else itself.
    pub(super) fn capture(&self, database: &str) -> Option<String> {
        let any = ["SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"].iter().any(|right| self.may(right));
        let hand_on = ["SELECT", "INSERT", "TRIGGER"].into_iter().all(|right| self.grants.may_grant(right));
        (self.may("CREATE USER") && any && hand_on).then(|| capture_account(database))
    }

    fn may(&self, right: &str) -> bool {
        self.grants.allow(right, &Object::Server, &[])
    }

    /// Nobody sees a trigger of a table without TRIGGER, or a procedure without a right on it: what is not seen
    /// can't be told from what is not there.
    pub(super) fn refuse_blind(&self, triggers: &[&Trigger], procedure: Option<&Object>) -> Result<()> {
        let mut lacking = Lacking::default();
        for trigger in triggers {
            lacking.unless(self.grants.allow("TRIGGER", &trigger.on(), &[]), "TRIGGER", &trigger.on());
        }
        if let Some(procedure) = procedure {
            let seen = ["EXECUTE", "ALTER ROUTINE"].iter().any(|right| self.grants.allow(right, procedure, &[]));
            lacking.unless(seen, "EXECUTE", procedure);
        }
        lacking.refuse(&self.account)
    }

    fn to_be_trusted(&self, lacking: &mut Lacking) {
        if self.trusts_nobody && !self.may("SUPER") {
            lacking.unless(false, "SUPER", &Object::Server);
            lacking.trust = true;
        }
    }

    fn to_make_triggers(&self, triggers: &[Trigger], database: &str, lacking: &mut Lacking) {
        if !triggers.is_empty() {
            self.to_be_trusted(lacking);
        }
        let own = Object::Database(database.to_owned());
        let as_definer = self.capture(database).is_none();
        // The server gives EXECUTE to the maker of a procedure, if it does not hold it by a role.
        if as_definer && self.one_writer && self.grants.allow("EXECUTE", &own, &[]) {
            lacking.of_its_own(self, "EXECUTE", &own, &[]);
        }
        for trigger in triggers {
            lacking.unless(self.grants.allow("TRIGGER", &trigger.on(), &[]), "TRIGGER", &trigger.on());
            if as_definer {
                lacking.of_its_own(self, "TRIGGER", &trigger.on(), &[]);
                lacking.of_its_own(self, "INSERT", &own, &[]);
                for (on, columns) in trigger.reads() {
                    lacking.of_its_own(self, "SELECT", &on, &columns);
                }
            }
        }
    }
}

/// `'twinrow'@'%'`, for a GRANT.
pub(super) async fn account(connection: &mut Connection) -> Result<String> {
    match connection.rows(sql!("login_account"), Vec::new()).await?.first() {
        Some(row) => Ok(format!("{}@{}", literal(&field_text(row, 0)?), literal(&field_text(row, 1)?))),
        None => Err(Error::new(Kind::Internal, "the server does not say who we are")),
    }
}

/// Whether there is a line that gives a role, and not a right on something.
fn has_role(lines: &[String]) -> bool {
    lines.iter().any(|line| line.starts_with("GRANT `"))
}

async fn lines(connection: &mut Connection, sql: &str) -> Result<Vec<String>> {
    connection.text_rows(sql).await?.iter().map(|row| field_text(row, 0)).collect()
}

/// Rights that are missing, by what they are missing on.
#[derive(Default)]
struct Lacking {
    rights: BTreeMap<Object, BTreeSet<String>>,
    /// Held, but only by way of a role.
    by_role: BTreeMap<Object, BTreeSet<String>>,
    /// Instead of SUPER a setting will do.
    trust: bool,
}

impl Lacking {
    fn unless(&mut self, held: bool, right: &str, on: &Object) {
        if !held {
            self.rights.entry(on.clone()).or_default().insert(right.to_owned());
        }
    }

    fn of_its_own(&mut self, login: &Login, right: &str, on: &Object, columns: &[String]) {
        if !login.grants.allow(right, on, columns) {
            self.unless(false, right, on);
        } else if !login.definer.allow(right, on, columns) {
            self.by_role.entry(on.clone()).or_default().insert(right.to_owned());
        }
    }

    /// A line for each thing rights are missing on, with the statement that grants them.
    fn lines(&self, who: &str, account: &str) -> Vec<String> {
        let line = |on: String, rights: &BTreeSet<String>, why: &str| {
            let rights = rights.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("{who} lacks {rights} on {on}{why}: grant {} on {on} to {account}", rights.to_lowercase())
        };
        let mut lines: Vec<String> = self.rights.iter().map(|(on, rights)| line(on.sql(), rights, "")).collect();
        if let (true, Some(line)) = (self.trust, lines.first_mut()) {
            // The server comes first.
            line.push_str(", or: set global log_bin_trust_function_creators = 1");
        }
        let why = " of its own, and not by a role (triggers run as this login, without its roles)";
        lines.extend(self.by_role.iter().map(|(on, rights)| line(on.sql().replace('\\', ""), rights, why)));
        lines
    }

    fn refuse(&self, account: &str) -> Result<()> {
        let lines = self.lines(LOGIN, account);
        if lines.is_empty() {
            return Ok(());
        }
        Err(Error::new(Kind::Denied, lines.join("; ")).hint("grant that, as docs/grants.md lists it, then: twinrow check"))
    }
}

impl Lacking {
    /// Many of our own tables are granted as a whole.
    fn gather(&mut self, database: &str) {
        let ours = |on: &Object| matches!(on, Object::Table(of, name) if of == database && name.starts_with("twinrow_"));
        for right in RUN.into_iter().chain(["DROP"]) {
            let lacks = |on: &Object, rights: &BTreeSet<String>| ours(on) && rights.contains(right);
            if self.rights.iter().filter(|(on, rights)| lacks(on, rights)).count() > NAMED_MAX {
                self.rights.iter_mut().filter(|(on, _)| ours(on)).for_each(|(_, rights)| _ = rights.remove(right));
                self.unless(false, right, &Object::Database(database.to_owned()));
            }
        }
        self.rights.retain(|_, rights| !rights.is_empty());
    }
}

/// Before anything is changed: a trigger that its definer may not run stops the application, and one that can't be
/// made leaves half an installation (A36, A37).
pub(super) async fn refuse_install(connection: &mut Connection, triggers: &[Trigger]) -> Result<()> {
    if triggers.is_empty() {
        return Ok(());
    }
    let login = Login::read(connection).await?;
    let mut lacking = Lacking::default();
    login.to_make_triggers(triggers, &connection.server.database, &mut lacking);
    lacking.refuse(&login.account)
}

/// Refuses what this login lacks a right for.
pub(super) async fn refuse(connection: &mut Connection, needs: &[(&str, Object)]) -> Result<()> {
    let login = Login::read(connection).await?;
    let mut lacking = Lacking::default();
    for (right, on) in needs {
        lacking.unless(login.grants.allow(right, on, &[]), right, on);
    }
    // MariaDB trusts nobody to drop a trigger either.
    if connection.server.flavour.mariadb && needs.iter().any(|(right, _)| *right == "TRIGGER") {
        login.to_be_trusted(&mut lacking);
    }
    lacking.gather(&connection.server.database);
    lacking.refuse(&login.account)
}

/// See [`Tracking::rights`](crate::endpoint::Tracking::rights).
pub(super) async fn rights(connection: &mut Connection, needs: &[Need]) -> Result<Rights> {
    let login = Login::read(connection).await?;
    let database = connection.server.database.clone();
    let names: Vec<TableName> = needs.iter().map(|need| need.table.clone()).collect();
    let tables = describe(connection, Some(&names)).await?;
    let triggers = wanted(connection, &tables).await?;
    let mut lacking = Lacking::default();
    for need in needs {
        on_table(&login, need, &database, &mut lacking);
    }
    let warnings = unseen(connection, &login, needs, &mut lacking).await?;
    if needs.iter().any(|need| need.install) {
        let own = Object::Database(database.clone());
        let routine = if connection.server.flavour.one_writer() { &["CREATE ROUTINE"][..] } else { &[] };
        for right in RUN.iter().chain(&INSTALL).chain(routine) {
            lacking.unless(login.grants.allow(right, &own, &[]), right, &own);
        }
        login.to_make_triggers(&triggers, &database, &mut lacking);
    } else {
        on_own(connection, &login, &tables, &triggers, &mut lacking).await?;
    }
    let mut missing = lacking.lines(LOGIN, &login.account);
    missing.extend(definers(connection, login.names, &triggers).await?);
    Ok(Rights { missing, warnings })
}

/// What is done with a synced table.
fn on_table(login: &Login, need: &Need, database: &str, lacking: &mut Lacking) {
    let on = Object::Table(schema_of(&need.table, database).to_owned(), need.table.name.clone());
    lacking.unless(login.grants.allow("SELECT", &on, &need.columns), "SELECT", &on);
    for right in ["INSERT", "UPDATE"].into_iter().filter(|_| need.write) {
        lacking.unless(login.grants.allow_some(right, &on), right, &on);
    }
    lacking.unless(!need.delete || login.grants.allow("DELETE", &on, &[]), "DELETE", &on);
}

/// What is done with our own tables, and seen of our triggers, day by day.
async fn on_own(
    connection: &mut Connection,
    login: &Login,
    tables: &[Table],
    triggers: &[Trigger],
    lacking: &mut Lacking,
) -> Result<()> {
    let database = connection.server.database.clone();
    for table in super::present::own(connection).await? {
        let on = Object::Table(database.clone(), table);
        for right in RUN {
            lacking.unless(login.grants.allow(right, &on, &[]), right, &on);
        }
    }
    lacking.gather(&database);
    for trigger in triggers {
        lacking.unless(login.grants.allow("TRIGGER", &trigger.on(), &[]), "TRIGGER", &trigger.on());
    }
    if connection.server.flavour.one_writer() {
        for table in tables {
            let on = Object::Procedure(database.clone(), Log::of(table, &database).name);
            lacking.unless(login.grants.allow("EXECUTE", &on, &[]), "EXECUTE", &on);
        }
    }
    Ok(())
}

/// Whoever our triggers run as must be there and may do what they do, or the application can't write (A36). What this
/// login may not know of others it does not say.
async fn definers(connection: &mut Connection, names: Names, triggers: &[Trigger]) -> Result<Vec<String>> {
    let (database, one_writer) = (connection.server.database.clone(), connection.server.flavour.one_writer());
    let installed = super::present::seen(connection, &[]).await?.triggers;
    let mut by_definer: BTreeMap<&str, Vec<&Trigger>> = BTreeMap::new();
    for trigger in triggers {
        if let Some(found) = installed.iter().find(|installed| installed.is(trigger)) {
            by_definer.entry(&found.definer).or_default().push(trigger);
        }
    }
    let mut problems = Vec::new();
    for (definer, triggers) in by_definer {
        let account = quoted_account(definer);
        let known = grants_of(connection, &account, names).await?;
        let theirs = match &known {
            Known::Grants(grants) => grants,
            Known::Missing => {
                problems.push(format!("{account}, which the triggers run as, is missing: the application can't write"));
                continue;
            }
            Known::Hidden => continue,
        };
        let mut lacking = Lacking::default();
        for trigger in triggers {
            let mut need = |right: &str, on: &Object, columns: &[String]| {
                lacking.unless(theirs.allow(right, on, columns), right, on);
            };
            need("TRIGGER", &trigger.on(), &[]);
            need("INSERT", &Object::Table(database.clone(), trigger.log.clone()), &[]);
            if one_writer {
                need("EXECUTE", &Object::Procedure(database.clone(), trigger.log.clone()), &[]);
            }
            for (on, columns) in trigger.reads() {
                need("SELECT", &on, &columns);
            }
        }
        let who = format!("{account}, which the triggers run as, and without which right the application can't write,");
        problems.extend(lacking.lines(&who, &account));
    }
    Ok(problems)
}

/// Those of these definers that are no accounts any more.
pub(super) async fn lost(connection: &mut Connection, definers: BTreeSet<String>) -> Result<BTreeSet<String>> {
    let mut lost = BTreeSet::new();
    for definer in definers {
        if matches!(grants_of(connection, &quoted_account(&definer), Names::default()).await?, Known::Missing) {
            lost.insert(definer);
        }
    }
    Ok(lost)
}

/// What this login may know of another one.
enum Known {
    Grants(Grants),
    Missing,
    Hidden,
}

async fn grants_of(connection: &mut Connection, account: &str, names: Names) -> Result<Known> {
    match lines(connection, &format!("show grants for {account}")).await {
        Ok(lines) => Ok(Known::Grants(Grants::parse(&lines, names))),
        Err(error) if error.kind() == Kind::Schema => Ok(Known::Missing),
        Err(error) if error.kind() == Kind::Denied => Ok(Known::Hidden),
        Err(error) => Err(error),
    }
}

/// `twinrow@%`, as the catalog names an account, for a statement.
fn quoted_account(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    format!("{}@{}", literal(user), literal(host))
}

/// What this login does not see and does without. Of tables whose rows go along with deleted ones, and which are known
/// to be there, it must be able to tell whether they do (rule 18).
async fn unseen(connection: &mut Connection, login: &Login, needs: &[Need], lacking: &mut Lacking) -> Result<Vec<String>> {
    let database = connection.server.database.clone();
    let mut warnings = Vec::new();
    let processes = login.may("PROCESS");
    let locks = Object::Database("performance_schema".to_owned());
    if !processes || !connection.server.flavour.mariadb && !login.grants.allow("SELECT", &locks, &[]) {
        let statement = super::open::grant(connection, &login.account);
        warnings.push(format!(
            "this login may not see who holds a transaction open, nor that a table without AUTO_INCREMENT was truncated: {statement}"
        ));
    }
    for need in needs.iter().filter(|need| need.delete) {
        let schema = schema_of(&need.table, &database);
        let mut children = super::reach::children(connection, &need.table).await?;
        // InnoDB spells other names in an encoding of its own.
        let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let mut sure = login.grants.allow("SELECT", &Object::Database(schema.to_owned()), &[]);
        if processes && plain(schema) && plain(&need.table.name) {
            let all = innodb_children(connection, schema, &need.table.name).await?;
            sure |= all.iter().all(|(schema, name)| plain(schema) && plain(name));
            children.extend(all);
        }
        if !sure {
            warnings.push(format!(
                "a table this login has no right on may refer to {} with ON DELETE CASCADE, and a delete would take rows there \
                 along unseen: grant select on {} to {}",
                need.table,
                Object::Database(schema.to_owned()).sql(),
                login.account
            ));
        }
        for (schema, name) in children.into_iter().filter(|(schema, name)| plain(schema) && plain(name)) {
            let on = Object::Table(schema, name);
            lacking.unless(login.grants.allow_some("SELECT", &on), "SELECT", &on);
        }
    }
    Ok(warnings)
}

/// As InnoDB knows them: whoever has PROCESS is shown all.
async fn innodb_children(connection: &mut Connection, schema: &str, name: &str) -> Result<Vec<(String, String)>> {
    let mariadb = connection.server.flavour.mariadb;
    let sql = if mariadb { sql!("catalog_children_mariadb") } else { sql!("catalog_children_mysql") };
    let rows = connection.rows(sql, vec![schema.into(), name.into()]).await?;
    rows.iter().map(|row| Ok((field_text(row, 0)?, field_text(row, 1)?))).collect()
}
