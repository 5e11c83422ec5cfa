//! The two applications: each writes its own database and knows nothing of Twinrow.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, params};

/// The shop numbers from 1; `vip` is a number.
const SHOP: &str = "
create table customer (
  id integer primary key autoincrement,
  name text not null,
  email text not null,
  phone text,
  vip integer not null default 0
);
create table purchase (
  id integer primary key autoincrement,
  customer_id integer not null references customer (id) on delete cascade,
  article text not null,
  cents integer not null
);";

/// The CRM numbers from 5001 and 90001, and takes no deal above a million.
const CRM: &str = "
create table contacts (
  contact_no integer primary key autoincrement,
  full_name text not null,
  mail_address text not null,
  telephone text,
  is_vip integer not null default 0,
  notes text not null default ''
);
create table deals (
  deal_no integer primary key autoincrement,
  contact_no integer not null references contacts (contact_no) on delete cascade,
  subject text not null,
  amount_cents integer not null check (amount_cents <= 100000000)
);
insert into sqlite_sequence (name, seq) values ('contacts', 5000), ('deals', 90000);";

const FIRST: [&str; 12] = ["Ada", "Bo", "Chiara", "Dev", "Emil", "Fatou", "Grace", "Hiro", "Ines", "Jun", "Kofi", "Lena"];
const LAST: [&str; 10] = ["Abel", "Bauer", "Costa", "Diop", "Eriksen", "Ferro", "Gupta", "Hansen", "Ito", "Jansen"];
const ARTICLES: [&str; 8] = ["lamp", "chair", "desk", "shelf", "rug", "mirror", "clock", "plant"];

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The source.
    Shop,
    /// The target.
    Crm,
}

impl Who {
    fn file(self) -> &'static str {
        match self {
            Who::Shop => "shop.db",
            Who::Crm => "crm.db",
        }
    }
}

/// What one application did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    pub created: u64,
    pub updated: u64,
    pub deleted: u64,
}

/// Creates both databases: 200 customers in the shop, 150 in the CRM, 100 of them the same people.
pub fn found(dir: &Path) -> rusqlite::Result<()> {
    let mut shop = connect(&dir.join(Who::Shop.file()))?;
    let tx = shop.transaction()?;
    tx.execute_batch(SHOP)?;
    for n in 0..200 {
        let (name, email) = person(n);
        tx.execute("insert into customer (name, email, phone) values (?1, ?2, ?3)", params![name, email, phone(n)])?;
        tx.execute(
            "insert into purchase (customer_id, article, cents) values (last_insert_rowid(), ?1, ?2)",
            params![ARTICLES[n % ARTICLES.len()], 1000 + n as i64],
        )?;
    }
    tx.commit()?;
    let mut crm = connect(&dir.join(Who::Crm.file()))?;
    let tx = crm.transaction()?;
    tx.execute_batch(CRM)?;
    for n in 100..250 {
        let (name, email) = person(n);
        // The CRM writes e-mail addresses its own way.
        let email = format!(" {}", email.to_uppercase());
        tx.execute("insert into contacts (full_name, mail_address) values (?1, ?2)", params![name, email])?;
    }
    tx.commit()
}

fn person(n: usize) -> (String, String) {
    let (first, last) = (FIRST[n % FIRST.len()], LAST[n / FIRST.len() % LAST.len()]);
    (format!("{first} {last}"), format!("{}.{}.{n}@example.org", first.to_lowercase(), last.to_lowercase()))
}

fn phone(n: usize) -> String {
    format!("+45 {:02} {:02} {:02} {:02}", n % 100, n * 7 % 100, n * 13 % 100, n * 31 % 100)
}

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// Starts an application on a thread of its own; it works until `closing`.
pub fn open_for_business(who: Who, dir: &Path, closing: Arc<AtomicBool>) -> JoinHandle<rusqlite::Result<Done>> {
    let path: PathBuf = dir.join(who.file());
    std::thread::spawn(move || {
        let mut day = Day {
            who,
            connection: connect(&path)?,
            dice: Dice(if who == Who::Shop { 7 } else { 11 }),
            done: Done::default(),
            n: 0,
        };
        while !closing.load(Ordering::SeqCst) {
            day.one_customer()?;
            std::thread::sleep(Duration::from_millis(day.dice.below(12)));
        }
        day.closing_time()?;
        Ok(day.done)
    })
}

/// Waits for an application to close.
pub fn close(business: JoinHandle<rusqlite::Result<Done>>) -> rusqlite::Result<Done> {
    business.join().unwrap_or(Err(rusqlite::Error::InvalidQuery))
}

/// A small fixed sequence: the demo is the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

struct Day {
    who: Who,
    connection: Connection,
    dice: Dice,
    done: Done,
    n: usize,
}

impl Day {
    fn one_customer(&mut self) -> rusqlite::Result<()> {
        self.n += 1;
        match self.dice.below(100) {
            0..30 => self.new_customer(),
            30..60 => self.new_purchase(),
            60..85 => self.change_customer(),
            85..97 => self.change_purchase(),
            _ => self.remove_purchase(),
        }
    }

    fn new_customer(&mut self) -> rusqlite::Result<()> {
        let side = if self.who == Who::Shop { 10_000 } else { 20_000 };
        let (name, email) = person(side + self.n);
        self.done.created += 1;
        let sql = match self.who {
            Who::Shop => "insert into customer (name, email, phone) values (?1, ?2, ?3)",
            Who::Crm => "insert into contacts (full_name, mail_address, telephone) values (?1, ?2, ?3)",
        };
        self.connection.execute(sql, params![name, email, phone(self.n)]).map(drop)
    }

    fn new_purchase(&mut self) -> rusqlite::Result<()> {
        let article = ARTICLES[self.n % ARTICLES.len()];
        // Now and then something so dear that the CRM refuses it: it is held, and stops nothing else.
        let dear = self.who == Who::Shop && self.n % 400 == 3;
        let cents = if dear { 250_000_000 } else { 500 + self.dice.below(90_000) as i64 };
        self.done.created += 1;
        let sql = match self.who {
            Who::Shop => {
                "insert into purchase (customer_id, article, cents)
                 select id, ?1, ?2 from customer order by abs(id * 7919 % 1009 - ?3) limit 1"
            }
            Who::Crm => {
                "insert into deals (contact_no, subject, amount_cents)
                 select contact_no, ?1, ?2 from contacts order by abs(contact_no * 7919 % 1009 - ?3) limit 1"
            }
        };
        self.connection.execute(sql, params![article, cents, self.dice.below(1009) as i64]).map(drop)
    }

    /// Both sides prefer the same few customers: these are the conflicts.
    fn change_customer(&mut self) -> rusqlite::Result<()> {
        let favourite = 101 + self.dice.below(8) as usize;
        self.done.updated += 1;
        let (sql, email) = match self.who {
            Who::Shop => ("update customer set phone = ?1, vip = 1 - vip where email = ?2 collate nocase", person(favourite).1),
            Who::Crm => ("update contacts set telephone = ?1 where trim(mail_address) = ?2 collate nocase", person(favourite).1),
        };
        let phone = phone(self.n * if self.who == Who::Shop { 3 } else { 5 });
        self.connection.execute(sql, params![phone, email]).map(drop)
    }

    fn change_purchase(&mut self) -> rusqlite::Result<()> {
        let (low, sql) = match self.who {
            Who::Shop => (1, "update purchase set cents = ?1 where id = ?2"),
            Who::Crm => (90_001, "update deals set subject = subject || '+' where deal_no = ?2 and ?1 > 0"),
        };
        self.done.updated += 1;
        self.connection.execute(sql, params![1000 + self.n as i64, low + self.dice.below(200) as i64]).map(drop)
    }

    fn remove_purchase(&mut self) -> rusqlite::Result<()> {
        let (low, sql) = match self.who {
            Who::Shop => (1, "delete from purchase where id = ?1"),
            Who::Crm => (90_001, "delete from deals where deal_no = ?1"),
        };
        let id = low + self.dice.below(200) as i64;
        self.done.deleted += self.connection.execute(sql, params![id])? as u64;
        Ok(())
    }

    /// The last thing each side does is to change the very same customer.
    fn closing_time(&mut self) -> rusqlite::Result<()> {
        self.done.updated += 1;
        let (name, sql) = match self.who {
            Who::Shop => ("Ada Lovelace (shop)", "update customer set name = ?1 where email = ?2 collate nocase"),
            Who::Crm => ("Ada King (crm)", "update contacts set full_name = ?1 where trim(mail_address) = ?2 collate nocase"),
        };
        self.connection.execute(sql, params![name, person(120).1]).map(drop)
    }
}
