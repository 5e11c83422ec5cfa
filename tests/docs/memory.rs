//! What the program needs of the machine.

use crate::program::{Scratch, TWINROW, ran};

/// Of records that together take more than the memory there is, all arrive: those that are waiting are not in memory.
#[test]
fn large_values_need_no_more_memory_than_a_few_of_them() {
    let scratch = Scratch::shop_and_crm();
    scratch.done(&["run", "--once"]);
    // 160 MB of text.
    let rows = "with recursive n(i) as (select 10 union all select i + 1 from n where i < 49)
                insert into customer select i, hex(randomblob(2000000)), 'c' || i || '@example.org', 1 from n;";
    scratch.sql("shop.db", rows);
    scratch
        .sql("shop.db", "delete from customer where id = 1; update customer set name = hex(randomblob(2000000)) where id = 2;");
    let plain = scratch.command(&[]);
    let mut limited = std::process::Command::new("prlimit");
    limited.args(["--as=400000000", TWINROW, "run", "--once"]).current_dir(scratch.path());
    for (name, _) in plain.get_envs() {
        limited.env_remove(name);
    }
    let ran = ran(limited.stdin(std::process::Stdio::null()).output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    let sizes = "select count(*) || ' ' || sum(length(full_name) = 4000000) from contacts";
    assert_eq!(scratch.value("crm.db", sizes), "Text(\"42 41\")");
}
