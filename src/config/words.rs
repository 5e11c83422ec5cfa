//! Names as people compare them: `tblCustomers`, `CUSTOMER` and `customer` are one name.

/// A name cut into lower-case words, each in the singular.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words(pub Vec<String>);

impl Words {
    /// At every change from lower to upper case and at everything that is no letter or digit.
    pub fn of(name: &str) -> Words {
        let mut words: Vec<String> = Vec::new();
        let (mut open, mut lower) = (false, false);
        for c in name.chars() {
            if !c.is_alphanumeric() {
                open = false;
                continue;
            }
            if !open || (lower && c.is_uppercase()) {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
            (open, lower) = (true, !c.is_uppercase());
        }
        words.iter_mut().for_each(singular);
        if words.len() > 1 && matches!(words[0].as_str(), "tbl" | "t" | "tb" | "col" | "fld") {
            words.remove(0);
        }
        Words(words)
    }

    /// All words in one.
    pub fn joined(&self) -> String {
        self.0.concat()
    }

    /// Without the words of the table it belongs to: `customer_name` in `customers` is `name`.
    pub fn within(&self, table: &Words) -> Words {
        let own = self.0.iter().filter(|word| !table.0.contains(word)).cloned().collect::<Vec<_>>();
        if own.is_empty() { self.clone() } else { Words(own) }
    }

    /// From 0 to 1.
    pub fn likeness(&self, other: &Words) -> f64 {
        let (a, b) = (self.joined(), other.joined());
        if a.is_empty() || b.is_empty() {
            return 0.0;
        }
        if a == b {
            return 1.0;
        }
        let shared = self.0.iter().filter(|word| other.0.contains(word)).count();
        let by_words = 2.0 * shared as f64 / (self.0.len() + other.0.len()) as f64;
        // Typing errors and other endings, in words long enough to tell.
        let by_letters = if a.len().min(b.len()) >= 5 && strsim::jaro_winkler(&a, &b) > 0.93 { 0.8 } else { 0.0 };
        by_words.max(by_letters)
    }
}

fn singular(word: &mut String) {
    let cut = match word.as_str() {
        w if w.len() < 4 || w.ends_with("ss") || w.ends_with("us") || w.ends_with("is") => return,
        w if w.ends_with("ies") => {
            word.truncate(word.len() - 3);
            word.push('y');
            return;
        }
        w if ["sses", "xes", "ches", "shes", "zes"].iter().any(|end| w.ends_with(end)) => 2,
        w if w.ends_with('s') => 1,
        _ => return,
    };
    word.truncate(word.len() - cut);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_underscores_and_plurals_do_not_count() {
        for (a, b) in [
            ("customers", "CUSTOMER"),
            ("tblOrderLines", "order_line"),
            ("e-mail", "email"),
            ("Companies", "company"),
            ("addresses", "Address"),
            ("boxes", "box"),
            ("FullName", "full name"),
            ("Straße", "STRASSE".replace("SS", "ß").as_str()),
        ] {
            assert_eq!(Words::of(a).likeness(&Words::of(b)), 1.0, "{a} {b}");
        }
    }

    #[test]
    fn other_names_are_other_names() {
        for (a, b) in [("status", "state"), ("id", "ip"), ("", "x"), ("--", "--"), ("created_at", "updated_by")] {
            assert!(Words::of(a).likeness(&Words::of(b)) < 0.6, "{a} {b}");
        }
        assert!(Words::of("name").likeness(&Words::of("full_name")) > 0.6);
    }

    #[test]
    fn a_column_may_repeat_its_table() {
        assert_eq!(Words::of("customer_name").within(&Words::of("Customers")), Words::of("name"));
        assert_eq!(Words::of("customer").within(&Words::of("Customers")), Words::of("customer"));
    }
}
