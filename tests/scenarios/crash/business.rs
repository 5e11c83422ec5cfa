//! What both sides do, and how each calls it.

use crate::support::Lab;

/// The names of one side.
pub struct Names {
    pub parents: &'static str,
    pub children: &'static str,
    /// Generated key, business key, two fields.
    pub parent: [&'static str; 4],
    /// Generated key, business key, two fields, reference.
    pub child: [&'static str; 5],
    /// Where its keys begin.
    pub first: u32,
}

/// Both sides, source first.
pub const SIDES: [Names; 2] = [
    Names {
        parents: "customer",
        children: "orders",
        parent: ["id", "email", "name", "phone"],
        child: ["id", "code", "note", "memo", "customer_id"],
        first: 1,
    },
    Names {
        parents: "contact",
        children: "deal",
        parent: ["contact_no", "mail", "full_name", "telephone"],
        child: ["deal_no", "ref", "remark", "extra", "contact_no"],
        first: 500_000,
    },
];

/// The links, in the configuration.
pub const LINKS: &str = "
  customers:
    source: customer
    target: contact
    match: [email]
    fields: {email: mail, name: full_name, phone: telephone}
    conflict: merge
    safety: mirror
    brake: {deletes: off}
  orders:
    source: orders
    target: deal
    match: [code]
    fields:
      code: ref
      note: remark
      memo: extra
      customer_id: {to: contact_no, via: customers}
    conflict: CONFLICT
    safety: mirror
    brake: {deletes: off}
";

/// Parents that both sides use and nobody deletes.
pub const HOT: usize = 8;

impl Names {
    /// The tables, with the rows both sides had before they were linked, and some of their own.
    pub async fn create(&self, lab: &dyn Lab, own: char) {
        let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
        let [id, email, name, phone] = self.parent;
        // No unique constraint: a double must be possible to be found.
        lab.user(&format!("create table {} ({id} {key}, {email} {text} not null, {name} {text}, {phone} {text})", self.parents))
            .await;
        lab.user(&format!("create index {0}_by_{email} on {0} ({email})", self.parents)).await;
        let [id, code, note, memo, parent] = self.child;
        lab.user(&format!(
            "create table {} ({id} {key}, {code} {text} not null unique, {note} {text}, {memo} {text}, {parent} bigint not null, \
             foreign key ({parent}) references {} ({}))",
            self.children, self.parents, self.parent[0]
        ))
        .await;
        let [id, email, ..] = self.parent;
        let first = self.first;
        lab.user(&format!("insert into {} ({id}, {email}) values ({first}, 'first')", self.parents)).await;
        lab.user(&format!("delete from {} where {email} = 'first'", self.parents)).await;
        let hot = (0..HOT).map(|n| format!("('hot-{n}')"));
        let own = (0..40).map(|n| format!("('{own}-old-{n}')"));
        let values: Vec<String> = hot.chain(own).collect();
        lab.user(&format!("insert into {} ({email}) values {}", self.parents, values.join(", "))).await;
    }

    /// Business key, both fields of every parent.
    pub fn all_parents(&self) -> String {
        let [_, email, name, phone] = self.parent;
        format!("select {email}, {name}, {phone} from {} order by {email}", self.parents)
    }

    /// Business key, both fields and the parent's business key of every child.
    pub fn all_children(&self) -> String {
        let [_, code, note, memo, parent] = self.child;
        let [id, email, ..] = self.parent;
        format!(
            "select c.{code}, c.{note}, c.{memo}, p.{email} from {} c join {} p on p.{id} = c.{parent} order by c.{code}",
            self.children, self.parents
        )
    }
}
