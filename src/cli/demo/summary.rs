//! What came of it, read from both files afresh: whole tables, joined on what the businesses know, never
//! on the identity map.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// A person by e-mail address; a purchase by its buyer, article and price.
type People = BTreeMap<String, (i64, String, Option<String>, i64)>;
type Sales = BTreeMap<(String, String, i64), u64>;

pub struct Summary {
    shop: (People, Sales),
    crm: (People, Sales),
    doubled: usize,
    held: Vec<(String, String)>,
    conflicts: i64,
}

pub fn read(dir: &Path) -> rusqlite::Result<Summary> {
    let open = |file: &str| Connection::open_with_flags(dir.join(file), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let (shop, crm) = (open("shop.db")?, open("crm.db")?);
    let mut doubled = 0;
    let shop_side = (
        people(&shop, "select id, name, email, phone, vip from customer", &mut doubled)?,
        sales(&shop, "select c.email, p.article, p.cents from purchase p join customer c on c.id = p.customer_id")?,
    );
    let crm_side = (
        people(&crm, "select contact_no, full_name, mail_address, telephone, is_vip from contacts", &mut doubled)?,
        sales(
            &crm,
            "select c.mail_address, d.subject, d.amount_cents from deals d join contacts c on c.contact_no = d.contact_no",
        )?,
    );
    let held = crm
        .prepare("select l.name, w.cause from twinrow_work w join twinrow_link l on l.number = w.link order by w.since")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let conflicts = crm.query_row("select count(*) from twinrow_conflict where kept = 1", [], |row| row.get(0))?;
    Ok(Summary { shop: shop_side, crm: crm_side, doubled, held, conflicts })
}

fn people(connection: &Connection, sql: &str, doubled: &mut usize) -> rusqlite::Result<People> {
    let mut people = People::new();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let email: String = row.get(2)?;
        let person = (row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?);
        *doubled += usize::from(people.insert(email.trim().to_lowercase(), person).is_some());
    }
    Ok(people)
}

fn sales(connection: &Connection, sql: &str) -> rusqlite::Result<Sales> {
    let mut sales = Sales::new();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let email: String = row.get(0)?;
        *sales.entry((email.trim().to_lowercase(), row.get(1)?, row.get(2)?)).or_default() += 1;
    }
    Ok(sales)
}

impl Summary {
    /// People that differ in anything but their number.
    fn different_people(&self) -> usize {
        let same = |a: &(i64, String, Option<String>, i64), b: &(i64, String, Option<String>, i64)| {
            (&a.1, &a.2, a.3) == (&b.1, &b.2, b.3)
        };
        let (shop, crm) = (&self.shop.0, &self.crm.0);
        let missing = crm.keys().filter(|email| !shop.contains_key(*email)).count();
        missing + shop.iter().filter(|(email, person)| !crm.get(*email).is_some_and(|other| same(person, other))).count()
    }

    /// Sales that only one side has.
    fn different_sales(&self) -> u64 {
        let (shop, crm) = (&self.shop.1, &self.crm.1);
        let more =
            |a: &Sales, b: &Sales| -> u64 { a.iter().map(|(sale, n)| n.saturating_sub(b.get(sale).copied().unwrap_or(0))).sum() };
        more(shop, crm) + more(crm, shop)
    }

    /// Both sides agree but for what is held, nothing is doubled.
    pub fn is_good(&self) -> bool {
        self.different_people() == 0 && self.doubled == 0 && self.different_sales() == self.held.len() as u64
    }

    /// What is held is not agreed on.
    fn verdict(&self) -> String {
        match (self.is_good(), self.held.len()) {
            (false, _) => "The two sides DIFFER.".to_owned(),
            (true, 0) => "Both sides agree.".to_owned(),
            (true, held) => format!("Both sides agree, but for the {held} held."),
        }
    }

    pub fn print(&self, dir: &Path) {
        say!("Read afresh from both files:");
        say!(
            "  people     {:>5} in the shop, {:>5} in the CRM, {} differ, {} doubled",
            self.shop.0.len(),
            self.crm.0.len(),
            self.different_people(),
            self.doubled
        );
        let count = |sales: &Sales| sales.values().sum::<u64>();
        say!(
            "  purchases  {:>5} in the shop, {:>5} in the CRM, {} differ ({} held)",
            count(&self.shop.1),
            count(&self.crm.1),
            self.different_sales(),
            self.held.len()
        );
        say!("  conflicts  {:>5} kept: the shop's value won, the CRM's can be read", self.conflicts);
        for (link, cause) in self.held.iter().take(3) {
            say!("  held       in {link}: {cause}");
        }
        if let Some((email, shop, crm)) = self.shop.0.iter().find_map(|(email, shop)| Some((email, shop, self.crm.0.get(email)?)))
        {
            say!("  for example {email}: customer {} = contact {}, \"{}\"", shop.0, crm.0, shop.1);
        }
        say!("");
        say!("{}", self.verdict());
        say!("");
        say!("Explore what it left:");
        for command in ["status", "pairs customers", "conflicts", "held", "run --once"] {
            say!("  twinrow --config {}/twinrow.yaml {command}", dir.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_not_agreed_on() {
        let sale = |article: &str| (("ada@example.org".to_owned(), article.to_owned(), 5), 1);
        let summary = |shop: &[&str], held: usize| Summary {
            shop: (People::new(), shop.iter().map(|article| sale(article)).collect()),
            crm: (People::new(), Sales::from([sale("lamp")])),
            doubled: 0,
            held: vec![("purchases".to_owned(), "refused".to_owned()); held],
            conflicts: 0,
        };
        assert_eq!(summary(&["lamp"], 0).verdict(), "Both sides agree.");
        assert_eq!(summary(&["lamp", "desk"], 1).verdict(), "Both sides agree, but for the 1 held.");
        assert_eq!(summary(&["lamp", "desk"], 0).verdict(), "The two sides DIFFER.");
    }
}
