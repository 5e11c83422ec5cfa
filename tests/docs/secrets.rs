//! I10: no password and no row value in what is printed, whatever goes wrong and however much is logged.

use crate::program::{CONFIG, Ran, Scratch};
use crate::support::{self, Lab, mysql, postgres};

/// Stands in passwords.
const PASSWORD: &str = "s3cr3t-p4ssw0rd";
/// Stands in rows.
const VALUE: &str = "row-value-marker";

fn assert_silent(what: &str, ran: &Ran) {
    for marker in [PASSWORD, VALUE, "s3cr3t%2Dp4ssw0rd"] {
        for (stream, text) in [("output", &ran.out), ("errors and logs", &ran.err)] {
            assert!(!text.contains(marker), "{what}: {marker} in {stream}:\n{text}");
        }
    }
}

/// Runs a command as it is and with all logs there are, in both forms.
fn all_ways(scratch: &Scratch, args: &[&str], code: i32) {
    for more in [&[][..], &["-v"], &["-vv"], &["-vv", "--log-format", "json"], &["--json"]] {
        let args = [args, more].concat();
        let ran = scratch.run(&args);
        assert_silent(&args.join(" "), &ran);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
    }
}

#[test]
fn i10_passwords_stay_out_of_errors_about_the_configuration() {
    let urls = [
        format!("postgres://app:{PASSWORD}@127.0.0.1:1/shop"),
        format!("mysql://app:{PASSWORD}@127.0.0.1:1/shop"),
        format!("mariadb://app:{PASSWORD}@127.0.0.1:1/shop"),
        format!("postgre://app:{PASSWORD}@127.0.0.1:1/shop"),
        format!("postgres://app:{PASSWORD}@127.0.0.1:port/shop"),
        format!("mysql://app:{PASSWORD}@127.0.0.1:port/shop"),
        format!("postgres://app:{PASSWORD}@[::1/shop?sslmode=nonsense"),
        PASSWORD.to_owned(),
    ];
    for url in &urls {
        let scratch = Scratch::shop_and_crm();
        scratch.write("twinrow.yaml", &CONFIG.replace("sqlite:shop.db", url));
        for args in [&["check"][..], &["check", "-vv"], &["run", "--once"], &["status"]] {
            let ran = scratch.run(args);
            assert_ne!(ran.code, 0, "{ran:?}");
            assert_silent(&format!("{url}: {args:?}"), &ran);
        }
        let ran = scratch.run(&["--config", "b.yaml", "init", "--source", url, "--target", "sqlite:crm.db"]);
        assert_ne!(ran.code, 0, "{ran:?}");
        assert_silent(&format!("init {url}"), &ran);
    }
}

#[test]
fn i10_secrets_from_outside_stay_out_of_errors() {
    let scratch = Scratch::shop_and_crm();
    scratch.write("secret", PASSWORD);
    for (from, to) in [
        ("sqlite:shop.db", "postgres://app:${THE_PASSWORD}@127.0.0.1:1/shop"),
        ("sqlite:shop.db", "postgres://app:${file:secret}@127.0.0.1:1/shop"),
        ("sqlite:shop.db", "${THE_PASSWORD}"),
        ("source: shop\n", "source: shop\nfrist_sync: ${THE_PASSWORD}\n"),
    ] {
        scratch.write("twinrow.yaml", &CONFIG.replace(from, to));
        for args in [&["check"][..], &["run", "--once", "-vv"]] {
            let ran = crate::program::ran(scratch.command(args).env("THE_PASSWORD", PASSWORD).output().unwrap());
            assert_ne!(ran.code, 0, "{ran:?}");
            assert_silent(to, &ran);
        }
    }
}

/// Rows that are refused, held, in conflict, deleted, ambiguous: their keys are shown, their values never.
#[test]
fn i10_row_values_stay_out_of_logs() {
    let scratch = Scratch::shop_and_crm();
    scratch.sql("crm.db", &format!("create trigger refuse before insert on contacts when new.full_name like '%refused%' begin select raise(abort, '{VALUE}'); end"));
    scratch.sql(
        "shop.db",
        &format!(
            "insert into customer values (10, '{VALUE}', '{VALUE}-1', 1), (11, '{VALUE} dear', '{VALUE}-2', 5000),
             (12, '{VALUE} refused', '{VALUE}-3', 1), (13, '{VALUE}', '{VALUE}-4', '{VALUE} is no number')"
        ),
    );
    scratch.sql(
        "crm.db",
        &format!("insert into contacts (full_name, mail) values ('{VALUE} a', '{VALUE}-4'), ('{VALUE} b', '{VALUE}-4')"),
    );
    all_ways(&scratch, &["plan"], 0);
    all_ways(&scratch, &["run", "--once", "--approve"], 0);
    scratch.sql(
        "shop.db",
        &format!("update customer set name = '{VALUE} of the shop' where id = 10; delete from customer where id = 1"),
    );
    scratch.sql("crm.db", &format!("update contacts set full_name = '{VALUE} of the CRM' where mail = '{VALUE}-1'"));
    for args in
        [&["run", "--once"][..], &["status"], &["held"], &["conflicts"], &["pairs", "customers"], &["resync", "full"], &["check"]]
    {
        all_ways(&scratch, args, 0);
    }
    let held = scratch.done(&["held"]).out;
    assert!(held.contains("source 11") && held.contains("source 12"), "the bad ones are held: {held}");
    let conflicts = scratch.done(&["conflicts"]).out;
    let id = conflicts.lines().nth(1).and_then(|line| line.split(' ').next()).unwrap();
    assert!(scratch.done(&["conflicts", "show", id]).out.contains(VALUE), "this command is there to show them");
}

/// The servers quote values in their messages; ours don't.
async fn on_a_server(lab: &dyn Lab) {
    let scratch = Scratch::shop_and_crm();
    lab.user("create table contacts (id integer primary key, full_name varchar(200), mail varchar(200) unique, credit integer check (credit < 1000))").await;
    lab.user(&format!("insert into contacts values (1, 'x', '{VALUE}-taken', 1)")).await;
    let config = CONFIG.replace("sqlite:crm.db", &lab.url()).replace("    match: [email]\n", "    keys: copy\n");
    scratch.write("twinrow.yaml", &config.replace("credit: credit", "credit: {to: credit, lossy: fit}"));
    let rows =
        "delete from customer; insert into customer values (20, 'dear', 'MARK-a', 5000), (21, 'MARK taken', 'MARK-taken', 1),
        (22, 'no number', 'MARK-b', 'MARK'), (23, 'fine MARK', 'MARK-c', 1), (24, 'large', 'MARK-d', 99999999999)";
    scratch.sql("shop.db", &rows.replace("MARK", VALUE));
    all_ways(&scratch, &["run", "--once", "--approve"], 0);
    for args in [&["held"][..], &["status"], &["check"]] {
        all_ways(&scratch, args, 0);
    }
    let held = scratch.done(&["held"]).out;
    for key in ["20", "21", "22", "24"] {
        assert!(held.contains(&format!("source {key}: ")), "{key} is held: {held}");
    }
    assert_eq!(lab.user_rows("select count(*) from contacts where id = 23").await[0][0].as_deref(), Some("1"));
    // The password goes into no configuration.
    let mut url = url::Url::parse(&lab.url()).unwrap();
    let target = format!("crm={url}");
    let written = scratch.done(&["--config", "b.yaml", "init", "--source", "shop=sqlite:shop.db", "--target", &target]);
    let password = format!(":{}@", url.password().unwrap_or("none"));
    let file = std::fs::read_to_string(scratch.file("b.yaml")).unwrap();
    assert!(
        file.contains("${CRM_PASSWORD}") && !file.contains(&password) && !written.out.contains(&password),
        "{file}{written:?}"
    );
    // A login that is refused.
    url.set_password(Some(PASSWORD)).unwrap();
    scratch.write("twinrow.yaml", &config.replace(&lab.url(), url.as_str()));
    let refused = scratch.run(&["check", "-vv"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_silent("a refused login", &refused);
}

macro_rules! servers {
    ($($name:ident: $lab:expr,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let name = concat!(module_path!(), "::", stringify!($name));
                support::run(name, $lab.await, |lab| Box::pin(on_a_server(lab))).await;
            }
        )*
    };
}

servers! {
    i10_nothing_leaks_from_postgres: postgres::lab("TWINROW_TEST_POSTGRES18"),
    i10_nothing_leaks_from_mysql: mysql::mysql(),
    i10_nothing_leaks_from_mariadb: mysql::mariadb(),
}
