//! What SHOW GRANTS says: the only answer of the server's that counts roles, and rights that were taken back.

use super::catalog::quoted;

/// The rights of one account.
#[derive(Debug, Default)]
pub(super) struct Grants {
    list: Vec<Grant>,
    names: Names,
}

/// How this server reads the names in its grants.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names {
    /// `partial_revokes`: `_` and `%` in the name of a database are no wildcards.
    pub(super) literal: bool,
    /// `lower_case_table_names`: case does not count.
    pub(super) folded: bool,
    /// A grant on a database counts only under the database's very name, without an escape. So it is for triggers on
    /// MySQL whose definer has an active role, where the application uses the database they write to.
    pub(super) exact: bool,
}

#[derive(Debug, PartialEq)]
struct Grant {
    /// Each with its columns; none: all of them.
    rights: Vec<(String, Vec<String>)>,
    on: On,
    revoked: bool,
    grantable: bool,
}

#[derive(Debug, PartialEq)]
enum On {
    Server,
    Database(String),
    Table(String, String),
    Routine(String, String),
}

/// What a right is wanted on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Object {
    Server,
    Database(String),
    Table(String, String),
    Procedure(String, String),
}

impl Object {
    /// As a GRANT names it.
    pub(super) fn sql(&self) -> String {
        match self {
            Object::Server => "*.*".to_owned(),
            // In a grant on a database these two stand for any text.
            Object::Database(name) => format!("{}.*", quoted(name).replace('_', "\\_").replace('%', "\\%")),
            Object::Table(database, name) => format!("{}.{}", quoted(database), quoted(name)),
            Object::Procedure(database, name) => format!("procedure {}.{}", quoted(database), quoted(name)),
        }
    }

    fn database(&self) -> Option<&str> {
        match self {
            Object::Server => None,
            Object::Database(name) | Object::Table(name, _) | Object::Procedure(name, _) => Some(name),
        }
    }
}

impl Grants {
    /// From the lines of SHOW GRANTS; what is not about a right on something, a role for instance, is left out.
    pub(super) fn parse(lines: &[String], names: Names) -> Grants {
        Grants { list: lines.iter().filter_map(|line| grant(line)).collect(), names }
    }

    /// Whether the right is held on all of `on`, or on each of these columns of it.
    pub(super) fn allow(&self, right: &str, on: &Object, columns: &[String]) -> bool {
        if self.wholly(right, on) {
            return true;
        }
        let on_column = |column: &String| self.on_table(right, on).any(|columns| columns.contains(column));
        !columns.is_empty() && columns.iter().all(on_column)
    }

    /// Whether the right is held on some column, at least.
    pub(super) fn allow_some(&self, right: &str, on: &Object) -> bool {
        self.wholly(right, on) || self.on_table(right, on).next().is_some()
    }

    /// Whether the right may be handed on, everywhere.
    pub(super) fn may_grant(&self, right: &str) -> bool {
        self.list.iter().any(|grant| grant.grantable && grant.on == On::Server && grant.gives(right))
    }

    fn wholly(&self, right: &str, on: &Object) -> bool {
        let taken_back = |grant: &Grant| grant.revoked && on.database().is_some_and(|name| self.covers(&grant.on, name));
        let everywhere = self.list.iter().any(|grant| !grant.revoked && grant.on == On::Server && grant.gives(right))
            && !self.list.iter().any(|grant| taken_back(grant) && grant.gives(right));
        everywhere || self.list.iter().any(|grant| !grant.revoked && self.reaches(grant, on) && grant.gives(right))
    }

    /// Whether a grant on less than the server is on `on`, or on the database it is in.
    fn reaches(&self, grant: &Grant, on: &Object) -> bool {
        let same = |a: &(&String, &String), b: &(&String, &String)| self.equal(a.0, b.0) && self.equal(a.1, b.1);
        match (&grant.on, on) {
            (On::Table(database, name), Object::Table(d, n)) | (On::Routine(database, name), Object::Procedure(d, n)) => {
                same(&(database, name), &(d, n))
            }
            (granted, on) => on.database().is_some_and(|database| self.covers(granted, database)),
        }
    }

    fn covers(&self, granted: &On, database: &str) -> bool {
        let On::Database(pattern) = granted else { return false };
        if self.names.exact {
            return self.equal(pattern, database);
        }
        if self.names.literal {
            return self.equal(&pattern.replace('\\', ""), database);
        }
        let fold = |text: &str| if self.names.folded { text.to_lowercase() } else { text.to_owned() };
        let (pattern, database): (Vec<char>, Vec<char>) = (fold(pattern).chars().collect(), fold(database).chars().collect());
        like(&pattern, &database)
    }

    /// The columns of each grant of this right on some of a table's columns.
    fn on_table<'a>(&'a self, right: &'a str, on: &'a Object) -> impl Iterator<Item = &'a Vec<String>> {
        let grants = self.list.iter().filter(move |grant| matches!(grant.on, On::Table(..)) && self.reaches(grant, on));
        let rights = grants.flat_map(|grant| &grant.rights);
        rights.filter(move |(name, columns)| name == right && !columns.is_empty()).map(|(_, columns)| columns)
    }

    fn equal(&self, a: &str, b: &str) -> bool {
        if self.names.folded { a.to_lowercase() == b.to_lowercase() } else { a == b }
    }
}

impl Grant {
    fn gives(&self, right: &str) -> bool {
        self.rights.iter().any(|(name, columns)| columns.is_empty() && (name == right || name == "ALL PRIVILEGES"))
    }
}

/// `_` is any character, `%` any text, `\` takes the next one as it is.
fn like(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        (['%', rest @ ..], _) => (0..=text.len()).any(|from| like(rest, &text[from..])),
        (['\\', next, rest @ ..], [first, text @ ..]) => next == first && like(rest, text),
        (['_', rest @ ..], [_, text @ ..]) => like(rest, text),
        ([next, rest @ ..], [first, text @ ..]) => next == first && like(rest, text),
        (_, []) => false,
    }
}

/// ``GRANT SELECT (`id`), INSERT ON `shop`.`customer` TO `ann`@`%` WITH GRANT OPTION``.
fn grant(line: &str) -> Option<Grant> {
    let revoked = line.starts_with("REVOKE ");
    let mut rest = line.strip_prefix("GRANT ").or_else(|| line.strip_prefix("REVOKE "))?;
    let mut rights = Vec::new();
    loop {
        let end = rest.find(['(', ',']).into_iter().chain(rest.find(" ON ")).min()?;
        let (name, after) = rest.split_at(end);
        let (columns, after) = if let Some(list) = after.strip_prefix('(') { columns(list)? } else { (Vec::new(), after) };
        rights.push((name.trim().to_owned(), columns));
        if let Some(object) = after.strip_prefix(" ON ") {
            rest = object;
            break;
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
    let grantable = rest.ends_with("WITH GRANT OPTION");
    Some(Grant { rights, on: object(rest)?, revoked, grantable })
}

fn object(text: &str) -> Option<On> {
    if text.starts_with("*.*") {
        return Some(On::Server);
    }
    let routine = text.strip_prefix("PROCEDURE ");
    let (database, rest) = name(routine.unwrap_or(text))?;
    let rest = rest.strip_prefix('.')?;
    if rest.starts_with('*') {
        return Some(On::Database(database));
    }
    let (name, _) = name(rest)?;
    Some(if routine.is_some() { On::Routine(database, name) } else { On::Table(database, name) })
}

/// Names up to the bracket that closes, and what comes after it.
fn columns(mut rest: &str) -> Option<(Vec<String>, &str)> {
    let mut columns = Vec::new();
    loop {
        let (column, after) = name(rest)?;
        columns.push(column);
        match after.strip_prefix(')') {
            Some(after) => return Some((columns, after)),
            None => rest = after.strip_prefix(',')?.trim_start(),
        }
    }
}

/// A quoted name, and what comes after it.
fn name(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('`')?;
    let mut name = String::new();
    loop {
        let end = rest.find('`')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('`') {
            Some(after) => rest = after,
            None => return Some((name, rest)),
        }
        name.push('`');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(lines: &[&str], names: Names) -> Grants {
        Grants::parse(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), names)
    }

    fn table(database: &str, name: &str) -> Object {
        Object::Table(database.to_owned(), name.to_owned())
    }

    #[test]
    fn rights_on_server_database_table_and_column() {
        let held = grants(
            &[
                "GRANT PROCESS, CREATE USER ON *.* TO `ann`@`%` IDENTIFIED BY PASSWORD '*0' WITH GRANT OPTION",
                "GRANT SELECT, TRIGGER ON `shop`.* TO `ann`@`%`",
                "GRANT UPDATE (`name`, `a``b`), DELETE ON `crm`.`contact` TO `ann`@`%`",
                "GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE `crm`.`p` TO `ann`@`%`",
                "GRANT ALL PRIVILEGES ON `own`.* TO `ann`@`%`",
                "GRANT `role`@`%` TO `ann`@`%`",
                "GRANT PROXY ON ''@'' TO 'root'@'localhost' WITH GRANT OPTION",
                "SET DEFAULT ROLE `role` FOR `ann`@`%`",
            ],
            Names::default(),
        );
        assert!(held.allow("PROCESS", &Object::Server, &[]) && held.may_grant("PROCESS") && !held.may_grant("SELECT"));
        assert!(held.allow("SELECT", &table("shop", "t"), &[]) && !held.allow("SELECT", &table("shops", "t"), &[]));
        assert!(!held.allow("INSERT", &table("shop", "t"), &[]));
        let (contact, some) =
            (table("crm", "contact"), |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert!(held.allow("DELETE", &contact, &[]) && !held.allow("UPDATE", &contact, &[]));
        assert!(held.allow("UPDATE", &contact, &some(&["name", "a`b"])) && !held.allow("UPDATE", &contact, &some(&["mail"])));
        assert!(held.allow_some("UPDATE", &contact) && !held.allow_some("INSERT", &contact));
        assert!(held.allow("EXECUTE", &Object::Procedure("crm".into(), "p".into()), &[]));
        assert!(!held.allow("EXECUTE", &Object::Procedure("crm".into(), "q".into()), &[]));
        assert!(held.allow("CREATE", &Object::Database("own".into()), &[]));
    }

    #[test]
    fn names_of_databases_are_patterns() {
        let like = |pattern: &str, database: &str, names: Names| {
            let line = format!("GRANT SELECT ON `{pattern}`.* TO `ann`@`%`");
            grants(&[&line], names).allow("SELECT", &Object::Database(database.to_owned()), &[])
        };
        let plain = Names::default();
        let (literal, exact) = (Names { literal: true, ..plain }, Names { exact: true, ..plain });
        assert!(like("shop_%", "shop_eu", plain) && like("shop_%", "shop1", plain) && !like("shop_%", "shop", plain));
        assert!(like("a\\_b", "a_b", plain) && !like("a\\_b", "axb", plain));
        assert!(like("a_b", "a_b", literal) && like("a\\_b", "a_b", literal) && !like("a_b", "axb", literal));
        assert!(like("a_b", "a_b", exact) && !like("a\\_b", "a_b", exact) && !like("a%", "a_b", exact));
        assert!(like("Shop", "shop", Names { folded: true, ..plain }) && !like("Shop", "shop", plain));
    }

    #[test]
    fn what_was_taken_back_is_not_held() {
        let held = grants(
            &["GRANT SELECT, INSERT ON *.* TO `ann`@`%`", "REVOKE INSERT ON `crm`.* FROM `ann`@`%`"],
            Names { literal: true, ..Names::default() },
        );
        assert!(held.allow("INSERT", &table("shop", "t"), &[]) && !held.allow("INSERT", &table("crm", "t"), &[]));
        assert!(held.allow("SELECT", &table("crm", "t"), &[]));
    }
}
