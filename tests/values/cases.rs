//! The table: which value, from which column, becomes what in which other column.
//!
//! A column is the letters of its engines (Postgres, Mysql, mAriadb, Sqlite) and its type there. Each case
//! runs between all its `from` and all its `to` columns, for the pairs of engines that have them.

/// What becomes of a value on the other side.
#[derive(Clone, Debug, PartialEq)]
pub enum Becomes {
    /// It is stored as this.
    Is(String),
    /// It is not written, and the cause names the field.
    Held,
}

/// Values that take the same way.
pub struct Case {
    /// The row of `docs/types.md` it proves.
    pub row: &'static str,
    pub from: &'static [&'static str],
    pub to: &'static [&'static str],
    /// The field says `lossy: fit`.
    pub fit: bool,
    /// The field says `direction: to_target`.
    pub one_way: bool,
    pub values: Vec<(String, Becomes)>,
}

impl Case {
    fn same(mut self, values: &[&str]) -> Case {
        self.values.extend(values.iter().map(|value| ((*value).to_owned(), Becomes::Is((*value).to_owned()))));
        self
    }

    fn held(mut self, values: &[&str]) -> Case {
        self.values.extend(values.iter().map(|value| ((*value).to_owned(), Becomes::Held)));
        self
    }

    fn is(mut self, values: &[(&str, &str)]) -> Case {
        self.values.extend(values.iter().map(|(value, is)| ((*value).to_owned(), Becomes::Is((*is).to_owned()))));
        self
    }

    /// There is no way back: the configuration would refuse to look for one.
    fn one_way(mut self) -> Case {
        self.one_way = true;
        self
    }

    fn fit(mut self) -> Case {
        self.fit = true;
        self
    }
}

fn case(row: &'static str, from: &'static [&'static str], to: &'static [&'static str]) -> Case {
    Case { row, from, to, fit: false, one_way: false, values: Vec::new() }
}

/// Every case.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in [integers, decimals, floats, texts, labels, bytes, dates, moments, spellings, documents, anything, own_types] {
        cases.extend(family());
    }
    cases
}

const BIGINT: &[&str] = &["P bigint", "MA bigint", "S INTEGER"];
const UNSIGNED: &[&str] = &["MA bigint unsigned"];
const BOOLEAN: &[&str] = &["P boolean", "S BOOLEAN"];
const WHOLE: &[&str] = &["P smallint", "MA tinyint(1)", "S INTEGER"];
const DECIMAL: &[&str] = &["P numeric(38,10)", "MA decimal(38,10)"];
const WIDEST: &[&str] = &["P numeric", "MA decimal(65,30)"];
const PRICE: &[&str] = &["P numeric(5,2)", "MA decimal(5,2)"];
const NUMBER: &[&str] = &["S NUMERIC", "S DECIMAL(38,10)"];
const DOUBLE: &[&str] = &["P double precision", "MA double", "S REAL"];
const SINGLE: &[&str] = &["P real", "MA float"];
const TEXT: &[&str] = &["P text", "MA text character set utf8mb4", "S TEXT"];
const LONG_TEXT: &[&str] = &["P text", "MA longtext character set utf8mb4", "S TEXT"];
const BYTES: &[&str] = &["P bytea", "MA longblob", "S BLOB"];
const DATE: &[&str] = &["P date", "MA date", "S DATE"];
const TIME: &[&str] = &["P time", "MA time(6)", "S TIME"];
const DATETIME: &[&str] = &["P timestamp", "MA datetime(6)", "S DATETIME"];
const SECONDS: &[&str] = &["P timestamp(0)", "MA datetime"];
const INSTANT: &[&str] = &["P timestamptz", "MA timestamp(6)", "S TIMESTAMPTZ"];
const UUID: &[&str] = &["P uuid", "A uuid", "S UUID"];
const LABELS: &[&str] = &["P mood", "MA enum('sad','ok','it''s')"];
const NO_TYPE: &[&str] = &["S"];

/// 2^53, and the first integer a double has not.
const EXACT: &str = "9007199254740992";
const INEXACT: &str = "9007199254740993";
const DIGITS_38: &str = "1234567890123456789012345678.0123456789";
const DIGITS_65: &str = "12345678901234567890123456789012345.012345678901234567890123456789";

fn integers() -> Vec<Case> {
    const ROW: &str = "integer → integer";
    vec![
        case(ROW, BIGINT, BIGINT).same(&["0", "-1", "2", "9223372036854775807", "-9223372036854775808"]),
        case(ROW, UNSIGNED, UNSIGNED).same(&["0", "9223372036854775808", "18446744073709551615"]),
        case(ROW, UNSIGNED, BIGINT).same(&["0", "9223372036854775807"]).held(&["9223372036854775808", "18446744073709551615"]),
        case(ROW, BIGINT, UNSIGNED).same(&["9223372036854775807"]).held(&["-1"]),
        case(ROW, BIGINT, &["P smallint", "MA smallint"]).same(&["32767", "-32768"]).held(&["32768", "-32769"]),
        case(ROW, BIGINT, &["P integer", "MA int"]).same(&["2147483647"]).held(&["2147483648"]),
        // No tinyint(1) is taken for a boolean (D8).
        case(ROW, BIGINT, &["MA tinyint(1)"]).same(&["2", "-1", "127"]).held(&["300"]),
        case(ROW, &["MA tinyint(1)", "P smallint"], BIGINT).same(&["2", "-1", "127"]),
        case(ROW, &["MA mediumint", "MA int", "P integer"], BIGINT).same(&["8388607", "-8388608"]),
        case(ROW, &["MA year"], BIGINT).same(&["1901", "2155"]),
        case(ROW, BIGINT, &["MA year"]).same(&["1901", "2155"]).held(&["1900", "2156", "0"]),
        case(ROW, &["MA bit(1)"], BIGINT).same(&["0", "1"]),
        case(ROW, BIGINT, &["MA bit(8)"]).same(&["0", "255"]).held(&["256", "-1"]),
        case(ROW, &["MA bit(64)"], UNSIGNED).same(&["18446744073709551615"]),
        case(ROW, &["P oid"], BIGINT).same(&["4294967295"]),
        // 32767 is no rounding of 32768 (D25).
        case(ROW, BIGINT, &["P smallint", "MA smallint"]).fit().held(&["32768", "-32769"]),
        case("boolean → boolean", BOOLEAN, BOOLEAN).same(&["true", "false"]),
        case("boolean ↔ integer", BOOLEAN, WHOLE).is(&[("true", "1"), ("false", "0")]),
        case("boolean ↔ integer", WHOLE, BOOLEAN).is(&[("1", "true"), ("0", "false")]).held(&["2", "-1"]),
    ]
}

fn decimals() -> Vec<Case> {
    const ROW: &str = "decimal → decimal";
    const BOTH: &str = "integer ↔ decimal";
    const SQLITE: &str = "decimal → SQLite's `NUMERIC`";
    vec![
        case(ROW, DECIMAL, DECIMAL).same(&[DIGITS_38, "0.0000000001", "-9999999999999999999999999999.9999999999", "1.10"]),
        case(ROW, DECIMAL, WIDEST).same(&[DIGITS_38, "-0.0000000001"]),
        case(ROW, WIDEST, WIDEST).same(&[DIGITS_65, "-0.000000000000000000000000000001", "1.1"]),
        case(ROW, &["P numeric"], &["MA decimal(65,30)"])
            .held(&["123456789012345678901234567890123456", "0.0000000000000000000000000000001"]),
        case(ROW, &["P numeric"], &["P numeric"]).same(&["0.0000000000000000000000000000001", "1e100", "-1.50"]),
        case(ROW, DECIMAL, PRICE).same(&["1.01", "-999.99"]).held(&["1.005", "1000", "999.995"]),
        case(ROW, DECIMAL, PRICE)
            .fit()
            .is(&[("1.005", "1.01"), ("-1.005", "-1.01"), ("1.0049999999", "1.00")])
            .held(&["1000", "999.995"]),
        // What neither a 64-bit integer nor a double holds (D7).
        case(SQLITE, WIDEST, NUMBER).same(&["1.1", "-0.3", "123456789012.345", "9223372036854775807", "0.000001"]).held(&[
            "12345678901234567890.12",
            "0.12345678901234567890",
            "9223372036854775808",
        ]),
        case(SQLITE, DECIMAL, NUMBER).same(&["1.10"]).held(&[DIGITS_38]),
        case(SQLITE, WIDEST, NUMBER).fit().is(&[("12345678901234567890.12", "12345678901234567000")]),
        case(SQLITE, NUMBER, NUMBER).same(&["1.1", "9223372036854775807", "0.30000000000000004"]),
        case(ROW, NUMBER, WIDEST).same(&["1.1", "9223372036854775807", "0.30000000000000004", "-5"]),
        case(ROW, PRICE, &["S DECIMAL(5,2)"]).same(&["1.01", "-999.99", "1.10"]),
        case(ROW, &["S DECIMAL(5,2)"], PRICE).same(&["1.01", "-999.99"]).held(&["1.005", "1000"]),
        case(BOTH, BIGINT, WIDEST).same(&["9223372036854775807", "-9223372036854775808"]),
        case(BOTH, BIGINT, NUMBER).same(&["9223372036854775807", "-9223372036854775808"]),
        case(BOTH, UNSIGNED, WIDEST).same(&["18446744073709551615"]),
        case(BOTH, UNSIGNED, &["S NUMERIC"]).held(&["18446744073709551615"]),
        case(BOTH, WIDEST, BIGINT)
            .is(&[("9223372036854775807", "9223372036854775807"), ("-5.0", "-5")])
            .held(&["1.5", "9223372036854775808"]),
        case(BOTH, WIDEST, BIGINT)
            .fit()
            .is(&[("1.5", "2"), ("2.5", "3"), ("-2.5", "-3"), ("0.4", "0")])
            .held(&["9223372036854775808"]),
        case(BOTH, &["S NUMERIC"], BIGINT).same(&["9223372036854775807"]).held(&["1.5"]),
    ]
}

fn floats() -> Vec<Case> {
    const ROW: &str = "float → float";
    const SPECIAL: &str = "NaN, infinity → float";
    vec![
        case(ROW, DOUBLE, DOUBLE).same(&["0.1", "5e-324", "1.7976931348623157e308", "16777217", "-0.5", "1e15"]),
        case(ROW, &["P double precision", "M double"], &["P double precision", "M double"]).same(&["-0.0"]),
        case(ROW, &["P double precision", "M double"], &["A double", "S REAL"]).held(&["-0.0"]),
        case(ROW, SINGLE, SINGLE).same(&["0.1", "16777216", "3.4028235e38", "1e-38"]),
        // A single is widened, not read again from its digits (D6).
        case(ROW, SINGLE, DOUBLE).is(&[("0.1", "0.10000000149011612"), ("16777216", "16777216")]),
        case("double → single", DOUBLE, SINGLE).same(&["0.5", "16777216"]).held(&["0.1", "16777217", "1e300"]),
        case("double → single", DOUBLE, SINGLE).fit().is(&[("0.1", "0.1"), ("16777217", "16777216")]).held(&["1e300"]),
        case("integer → float", BIGINT, DOUBLE).same(&[EXACT, "-1"]).held(&[INEXACT]),
        case("integer → float", BIGINT, SINGLE).same(&["16777216"]).held(&["16777217"]),
        case("integer → float", BIGINT, DOUBLE).fit().is(&[(INEXACT, EXACT)]),
        case("decimal → float", WIDEST, DOUBLE).same(&["0.1", "123456789.012345"]).held(&["0.1234567890123456789"]),
        case("decimal → float", WIDEST, DOUBLE).fit().is(&[("0.1234567890123456789", "0.12345678901234568")]),
        case("float → integer", DOUBLE, BIGINT).same(&["5", "-9007199254740992"]).held(&["0.5", "1e300"]),
        case("float → integer", &["P double precision", "M double"], BIGINT).held(&["-0.0"]),
        case("float → integer", DOUBLE, BIGINT).fit().is(&[("0.5", "1"), ("-2.5", "-3")]).held(&["1e300"]),
        case("float → decimal", DOUBLE, DECIMAL).same(&["0.1", "-2.5"]).held(&["1e300", "0.12345678901"]),
        case("float → decimal", DOUBLE, DECIMAL).fit().is(&[("0.12345678901", "0.123456789")]).held(&["1e300"]),
        case("float → decimal", SINGLE, DECIMAL).same(&["0.1"]),
        case(SPECIAL, &["P double precision"], &["P double precision", "P real"]).same(&["NaN", "inf", "-inf"]),
        case(SPECIAL, &["P double precision", "P real"], &["MA double", "MA float"]).held(&["NaN", "inf", "-inf"]),
        case(SPECIAL, &["P double precision"], &["S REAL"]).held(&["NaN", "inf", "-inf"]),
        case(SPECIAL, &["S REAL"], &["P double precision", "S REAL"]).same(&["inf", "-inf"]),
        case(SPECIAL, &["S REAL"], &["MA double"]).held(&["inf"]),
        case(SPECIAL, &["P double precision", "S REAL"], DECIMAL).held(&["inf"]),
    ]
}

const FAMILY: &str = "👨‍👩‍👧";
const NFC: &str = "\u{e9}";
const NFD: &str = "e\u{301}";

fn texts() -> Vec<Case> {
    const ROW: &str = "text → text";
    const PADDED: &str = "text → padded text";
    const SHORT: &[&str] = &["P varchar(3)", "MA varchar(3) character set utf8mb4"];
    const BASIC: &[&str] = &["MA text character set utf8mb3"];
    const LATIN: &[&str] = &["MA text character set latin1"];
    const ASCII: &[&str] = &["MA text character set ascii"];
    const CHAR: &[&str] = &["P char(5)", "MA char(5) character set utf8mb4"];
    let plain = [
        "",
        " ",
        "a  ",
        "  a",
        "\t\r\n",
        "ann",
        "Ann",
        "ANN",
        "STRASSE",
        "straße",
        NFC,
        NFD,
        FAMILY,
        "🍺",
        "it's",
        "\\",
        "\\'",
        "\"",
        "%_",
        "${x}",
        "null",
        "\u{feff}",
        "\u{10ffff}",
        "\u{202e}abc",
    ];
    vec![
        case(ROW, TEXT, TEXT).same(&plain),
        case(ROW, &["MA text character set utf8mb4", "S TEXT"], &["MA text character set utf8mb4", "S TEXT"])
            .same(&["a\0b", "\0"]),
        case(ROW, &["MA text character set utf8mb4", "S TEXT"], &["P text", "P varchar(9)"]).held(&["a\0b", "\0"]),
        case(ROW, &["MA text character set utf8mb4", "S TEXT"], &["P text"]).fit().is(&[("a\0b", "a\u{fffd}b")]),
        case(ROW, TEXT, SHORT).same(&["abc", "äöü", "🍺🍺🍺", "a  ", ""]).held(&["abcd", FAMILY, "abc "]),
        case(ROW, TEXT, SHORT).fit().is(&[("abcdefghij", "abc"), ("abc ", "abc"), ("🍺🍺🍺🍺", "🍺🍺🍺")]),
        case(ROW, SHORT, TEXT).same(&["abc", "äöü", "a  ", ""]),
        // SQLite's lengths are words only.
        case(ROW, TEXT, &["S VARCHAR(3)"]).same(&["abcdefghij"]),
        case(ROW, TEXT, BASIC).same(&["äé漢", ""]).held(&["beer 🍺!"]),
        case(ROW, TEXT, BASIC).fit().is(&[("beer 🍺!", "beer \u{fffd}!")]),
        case(ROW, BASIC, TEXT).same(&["äé漢"]),
        case(ROW, TEXT, LATIN).same(&["äé€™"]).held(&["漢", "🍺"]),
        case(ROW, TEXT, LATIN).fit().is(&[("漢!", "?!")]),
        case(ROW, LATIN, TEXT).same(&["äé€™"]),
        case(ROW, TEXT, ASCII).same(&["abc"]).held(&["é"]),
        case(ROW, TEXT, ASCII).fit().is(&[("é", "?")]),
        // Its length is bytes, and the server counts them.
        case(ROW, TEXT, &["MA tinytext character set utf8mb4"]).same(&["abc", &"ä".repeat(127)]).held(&[&"🍺".repeat(100)]),
        case(ROW, LONG_TEXT, LONG_TEXT).same(&[&"0123456789abcdé🍺".repeat(1 << 16)]),
        case(PADDED, TEXT, CHAR).same(&["abc", "", "äöüäö", "🍺"]).held(&["abc ", "abcdef"]),
        case(PADDED, TEXT, CHAR).fit().is(&[("abc ", "abc"), ("abcdef", "abcde"), ("abcd ef", "abcd")]),
        case(PADDED, CHAR, CHAR).same(&["abc", "", " b"]),
        case(ROW, CHAR, TEXT).same(&["abc", "", " b"]),
    ]
}

fn labels() -> Vec<Case> {
    const SET: &[&str] = &["MA set('a','b','c')"];
    vec![
        case("enum → enum", LABELS, LABELS).same(&["sad", "ok", "it's"]),
        case("enum → enum", LABELS, &["MA enum('ok')"]).same(&["ok"]).held(&["sad"]),
        case("enum → text", LABELS, TEXT).same(&["sad", "it's"]),
        case("text → enum", TEXT, LABELS).same(&["ok", "it's"]).held(&["OK", "glad", "ok ", "1"]),
        case("text → enum", TEXT, LABELS).fit().held(&["OK"]),
        case("a type of its own → the same type", SET, SET).same(&["a,c", "", "b"]),
        case("a type of its own → text", SET, TEXT).one_way().same(&["a,c", "b"]),
        case("a type of its own → text", SET, &["P varchar(2)"]).one_way().same(&["a"]).held(&["a,c"]),
    ]
}

const ALL_BYTES: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
const UUID_TEXT: &str = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
const UUID_BYTES: &str = "a0eebc999c0b4ef8bb6d6bb9bd380a11";

fn bytes() -> Vec<Case> {
    const ROW: &str = "bytes → bytes";
    const SIXTEEN: &[&str] = &["P bytea", "MA binary(16)", "MA varbinary(16)", "S BLOB"];
    vec![
        case(ROW, BYTES, BYTES).same(&[ALL_BYTES, "", "00", "6100", "6120", &ALL_BYTES.repeat(1 << 12)]),
        case(ROW, BYTES, &["MA varbinary(4)"]).same(&["01020304", "", "0100"]).held(&["0102030405"]),
        case(ROW, BYTES, &["MA varbinary(4)"]).fit().is(&[("0102030405", "01020304")]),
        case(ROW, BYTES, &["MA binary(4)"]).same(&["01020304", "01000000"]).held(&["010203", "0102030405", ""]),
        case(ROW, BYTES, &["MA binary(4)"]).fit().is(&[("010203", "01020300"), ("0102030405", "01020304")]),
        case(ROW, &["MA binary(4)", "MA varbinary(4)"], BYTES).same(&["01020304", "01000000"]),
        case("uuid → uuid", UUID, UUID).same(&[UUID_TEXT, "00000000-0000-0000-0000-000000000000"]),
        case("uuid ↔ bytes", UUID, SIXTEEN).is(&[(UUID_TEXT, UUID_BYTES)]),
        case("uuid ↔ bytes", SIXTEEN, UUID).is(&[(UUID_BYTES, UUID_TEXT)]),
        case("uuid ↔ bytes", BYTES, UUID).held(&["a0eebc", ""]),
        case("text → uuid", TEXT, UUID)
            .is(&[
                (UUID_TEXT, UUID_TEXT),
                ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", UUID_TEXT),
                ("{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", UUID_TEXT),
                ("a0eebc999c0b4ef8bb6d6bb9bd380a11", UUID_TEXT),
            ])
            .held(&["a0eebc99", ""]),
    ]
}

fn dates() -> Vec<Case> {
    const DAY: &str = "date → date";
    const CLOCK: &str = "time → another engine's time";
    const CUT: &str = "time, datetime, instant → fewer digits of a second";
    const SPECIAL: &str = "`infinity`, a zero date, … → the same type or text";
    const MYSQL: &[&str] = &["MA date"];
    vec![
        case(DAY, DATE, DATE).same(&["2026-12-31", "2000-02-29", "1000-01-01", "9999-12-31", "1970-01-01", "1900-03-01"]),
        case(DAY, &["P date"], &["P date"]).same(&["0044-03-15 BC", "12026-12-31", "5874897-12-31", "4713-01-01 BC"]),
        case(DAY, &["P date"], &["S DATE"]).is(&[("0044-03-15 BC", "-0043-03-15"), ("12026-12-31", "+12026-12-31")]),
        case(DAY, &["S DATE"], &["P date"]).is(&[("-0043-03-15", "0044-03-15 BC"), ("+12026-12-31", "12026-12-31")]),
        case(DAY, &["P date"], MYSQL).held(&["0044-03-15 BC", "12026-12-31"]),
        case(SPECIAL, &["P date"], &["P date"]).same(&["infinity", "-infinity"]),
        case(SPECIAL, &["P date"], MYSQL).held(&["infinity"]),
        case(SPECIAL, &["P date"], &["S DATE"]).held(&["infinity"]),
        case(SPECIAL, &["P date"], TEXT).same(&["infinity", "-infinity"]),
        case(SPECIAL, MYSQL, MYSQL).same(&["0000-00-00", "2026-00-00"]),
        case(SPECIAL, MYSQL, &["P date", "S DATE"]).held(&["0000-00-00", "2026-00-00"]),
        case(SPECIAL, MYSQL, TEXT).same(&["0000-00-00", "2026-00-00"]),
        case(SPECIAL, &["P numeric"], &["P numeric"]).same(&["NaN", "Infinity", "-Infinity"]),
        case(SPECIAL, &["P numeric"], &["MA decimal(65,30)", "S NUMERIC"]).held(&["NaN", "Infinity"]),
        case(SPECIAL, &["P numeric"], TEXT).is(&[("NaN", "NaN"), ("-Infinity", "-infinity")]),
        case(CLOCK, TIME, TIME).same(&["00:00:00", "23:59:59.999999", "12:30:00.5", "24:00:00"]),
        case(CLOCK, &["MA time(6)"], &["MA time(6)"]).same(&["838:59:59", "-838:59:59", "-00:00:01.5", "24:00:01"]),
        case(CLOCK, &["MA time(6)"], &["P time", "S TIME"]).held(&["838:59:59", "-00:00:01.5", "24:00:01"]),
        case(SPECIAL, &["MA time(6)"], TEXT).same(&["838:59:59", "-00:00:01.5"]),
        case(CUT, TIME, &["P time(0)", "MA time"]).same(&["12:30:00"]).held(&["12:30:00.5", "23:59:59.999999"]),
        case(CUT, TIME, &["P time(0)", "MA time"]).fit().is(&[("12:30:00.5", "12:30:00"), ("23:59:59.999999", "23:59:59")]),
    ]
}

fn moments() -> Vec<Case> {
    const ROW: &str = "datetime → datetime";
    const BOTH: &str = "datetime ↔ instant";
    const DAY: &str = "date ↔ datetime, instant";
    const CUT: &str = "time, datetime, instant → fewer digits of a second";
    const MYSQL: &str = "datetime, instant → MySQL `datetime`, `timestamp`";
    const SPECIAL: &str = "`infinity`, a zero date, … → the same type or text";
    vec![
        case(ROW, DATETIME, DATETIME).same(&[
            "2026-12-31 23:59:59.6",
            "2026-12-31 23:59:59.999999",
            "2026-02-28 00:00:00",
            "1000-01-01 00:00:00",
            "9999-12-31 23:59:59.999999",
            "1969-12-31 23:59:59.999999",
            "2026-03-29 02:30:00",
            "2026-10-25 02:30:00",
        ]),
        case(ROW, &["P timestamp"], &["P timestamp"]).same(&["0044-03-15 12:00:00 BC", "294276-12-31 23:59:59.999999"]),
        case(ROW, &["P timestamp"], &["S DATETIME"]).held(&["0044-03-15 12:00:00 BC", "12026-01-01 00:00:00"]),
        case(CUT, DATETIME, SECONDS).same(&["2026-12-31 23:59:59"]).held(&[
            "2026-12-31 23:59:59.4",
            "2026-12-31 23:59:59.5",
            "2026-12-31 23:59:59.6",
            "2026-12-31 23:59:59.999999",
        ]),
        case(CUT, DATETIME, SECONDS).fit().is(&[
            ("2026-12-31 23:59:59.4", "2026-12-31 23:59:59"),
            ("2026-12-31 23:59:59.5", "2026-12-31 23:59:59"),
            ("2026-12-31 23:59:59.6", "2026-12-31 23:59:59"),
            ("2026-12-31 23:59:59.999999", "2026-12-31 23:59:59"),
            ("1969-12-31 23:59:59.5", "1969-12-31 23:59:59"),
        ]),
        case("instant → instant", INSTANT, INSTANT).same(&[
            // Both half past two of that night in Copenhagen, and the hour that was not.
            "2026-10-25 00:30:00Z",
            "2026-10-25 01:30:00Z",
            "2026-03-29 01:00:00Z",
            "1970-01-01 00:00:01Z",
            "2038-01-19 03:14:07Z",
            "2026-12-31 23:59:59.999999Z",
        ]),
        case("instant → instant", &["P timestamptz", "S TIMESTAMPTZ"], &["P timestamptz", "S TIMESTAMPTZ"])
            .same(&["1899-12-31 23:00:00Z", "1900-01-01 00:00:00Z"]),
        case(CUT, INSTANT, &["P timestamptz(0)", "MA timestamp"])
            .same(&["2026-12-31 23:59:59Z"])
            .held(&["2026-12-31 23:59:59.5Z"]),
        case(CUT, INSTANT, &["P timestamptz(0)", "MA timestamp"]).fit().is(&[("2026-12-31 23:59:59.5Z", "2026-12-31 23:59:59Z")]),
        case(MYSQL, &["P timestamptz", "S TIMESTAMPTZ"], &["MA timestamp(6)"]).held(&[
            "1970-01-01 00:00:00Z",
            "1899-12-31 23:00:00Z",
            "2106-02-07 06:28:16Z",
            "9999-12-31 00:00:00Z",
        ]),
        case(MYSQL, &["P timestamptz", "S TIMESTAMPTZ"], &["M timestamp(6)"]).held(&["2038-01-19 03:14:08Z"]),
        case(MYSQL, &["P timestamp"], &["MA datetime(6)"]).held(&["0044-03-15 12:00:00 BC", "12026-01-01 00:00:00"]),
        case(BOTH, DATETIME, INSTANT).is(&[("2026-10-25 00:30:00.5", "2026-10-25 00:30:00.5Z")]),
        case(BOTH, INSTANT, DATETIME).is(&[("2026-10-25 00:30:00.5Z", "2026-10-25 00:30:00.5")]),
        case(DAY, DATE, DATETIME).is(&[("2026-12-31", "2026-12-31 00:00:00"), ("9999-12-31", "9999-12-31 00:00:00")]),
        case(DAY, DATE, INSTANT).is(&[("2026-12-31", "2026-12-31 00:00:00Z")]),
        case(DAY, DATETIME, DATE).is(&[("2026-12-31 00:00:00", "2026-12-31")]).held(&["2026-12-31 12:00:00"]),
        case(DAY, DATETIME, DATE).fit().is(&[("2026-12-31 23:59:59.9", "2026-12-31")]),
        case(SPECIAL, &["P timestamp"], &["P timestamp"]).same(&["infinity", "-infinity"]),
        case(SPECIAL, &["P timestamptz"], &["P timestamptz"]).same(&["infinity", "-infinity"]),
        case(SPECIAL, &["P timestamp", "P timestamptz"], &["MA datetime(6)", "S DATETIME"]).held(&["infinity"]),
        case(SPECIAL, &["MA datetime(6)"], &["MA datetime(6)"]).same(&["0000-00-00 00:00:00"]),
        case(SPECIAL, &["MA datetime(6)"], &["P timestamp", "S DATETIME"]).held(&["0000-00-00 00:00:00"]),
        case(SPECIAL, &["MA datetime(6)"], TEXT).same(&["0000-00-00 00:00:00"]),
        case(SPECIAL, &["MA timestamp(6)"], &["P timestamptz", "S TIMESTAMPTZ"]).held(&["0000-00-00 00:00:00Z"]),
    ]
}

/// Other kinds in text columns, both ways.
fn spellings() -> Vec<Case> {
    const TO: &str = "boolean, number, date, time, uuid … → text";
    const FROM: &str = "text → boolean, number, date, time …";
    const SHORT: &[&str] = &["P varchar(3)", "MA varchar(3)"];
    vec![
        case(TO, BOOLEAN, TEXT).same(&["true", "false"]),
        case(FROM, TEXT, BOOLEAN).same(&["true", "false"]).held(&["TRUE", "yes", "1", "t", ""]),
        case(FROM, TEXT, BOOLEAN).fit().is(&[(" TRUE ", "true")]).held(&["yes"]),
        case(TO, BIGINT, TEXT).same(&["-42", "9223372036854775807"]),
        case(TO, UNSIGNED, TEXT).same(&["18446744073709551615"]),
        case(TO, BIGINT, SHORT).same(&["123", "-42"]).held(&["1234"]),
        case(TO, BIGINT, SHORT).fit().held(&["1234"]),
        case(FROM, TEXT, BIGINT).same(&["-42", "9223372036854775807"]).held(&[
            "042",
            "+42",
            " 42",
            "4 2",
            "1e3",
            "",
            "9223372036854775808",
            "12/*3*/",
        ]),
        case(FROM, TEXT, BIGINT).fit().is(&[(" +42 ", "42"), ("042", "42")]).held(&["1,5"]),
        case(TO, PRICE, TEXT).is(&[("19.9", "19.90"), ("-0.5", "-0.50")]),
        // Any decimal, in a column SQLite takes for text (D7).
        case(TO, &["P numeric"], &["S TEXT"]).is(&[("1e40", "10000000000000000000000000000000000000000")]),
        case(TO, DECIMAL, TEXT).same(&[DIGITS_38]),
        case(TO, &["MA decimal(65,30)"], TEXT).same(&[DIGITS_65]),
        case(TO, &["P numeric"], TEXT)
            .is(&[(DIGITS_65, "12345678901234567890123456789012345.012345678901234567890123456789"), ("1.10", "1.1")]),
        case(TO, NUMBER, TEXT).same(&["9223372036854775807"]),
        case(FROM, TEXT, PRICE).same(&["19.90"]).held(&["19.9", "1.005", "19,90", ""]),
        case(FROM, TEXT, PRICE).fit().is(&[("+19.9", "19.90"), ("1.005", "1.01")]).held(&["19,90"]),
        case(TO, DOUBLE, TEXT).same(&["0.1", "-2.5"]).is(&[("1e21", "1000000000000000000000")]),
        case(TO, SINGLE, TEXT).same(&["0.1"]),
        case(FROM, TEXT, DOUBLE).same(&["0.1"]).held(&["1e-1", ".1", "", "NaN", "Infinity"]),
        case(TO, DATE, TEXT).same(&["2026-12-31"]),
        case(TO, &["P date"], TEXT).is(&[("0044-03-15 BC", "-0043-03-15"), ("12026-12-31", "+12026-12-31")]),
        case(FROM, TEXT, DATE).same(&["2026-12-31"]).held(&["31.12.2026", "2026-02-31", "0000-00-00", "today", ""]),
        case(TO, TIME, TEXT).same(&["23:59:59.5", "12:00:00"]),
        case(FROM, TEXT, TIME).same(&["23:59:59.5", "12:00:00"]).held(&["12:00", "23:59:60", "12:00:00.1234567", ""]),
        case(TO, DATETIME, &["P char(5)", "MA varchar(5)"]).held(&["2026-12-31 00:00:00"]),
        case(TO, DATETIME, TEXT).is(&[("2026-12-31 23:59:59.5", "2026-12-31T23:59:59.5")]),
        case(FROM, TEXT, DATETIME).is(&[("2026-12-31T23:59:59.5", "2026-12-31 23:59:59.5")]).held(&[
            "2026-12-31 23:59:59.5",
            "2026-12-31T23:59:59Z",
            "",
        ]),
        case(FROM, TEXT, DATETIME).fit().is(&[("2026-12-31 23:59:59.5", "2026-12-31 23:59:59.5")]),
        case(TO, INSTANT, TEXT).is(&[("2026-12-31 23:59:59.5Z", "2026-12-31T23:59:59.5Z")]),
        case(FROM, TEXT, INSTANT).is(&[("2026-12-31T23:59:59.5Z", "2026-12-31 23:59:59.5Z")]).held(&[
            "2026-12-31T23:59:59+02:00",
            "2026-12-31T23:59:58",
            "",
        ]),
        case(FROM, TEXT, INSTANT).fit().is(&[("2026-12-31T23:59:59+02:00", "2026-12-31 21:59:59Z")]),
        case(TO, UUID, TEXT).same(&[UUID_TEXT]),
    ]
}

/// D18, with a number that is exact everywhere.
const DOCUMENT: &str = r#"{"bb":1,"a":2,"n":1.10,"t":"é 🍺 \" \\","l":[1,[],{}],"z":null,"max":18446744073709551615}"#;
const TWICE: &str = r#"{"bb":1,"a":2,"a":3}"#;
const BIG: &str = r#"{"big":12345678901234567890123}"#;
const PRECISE: &str = r#"[0.12345678901234567890]"#;

fn documents() -> Vec<Case> {
    const ROW: &str = "json → json";
    const ALL: &[&str] = &["P json", "P jsonb", "MA json", "S JSON"];
    const KEPT: &[&str] = &["P json", "A json", "S JSON"];
    const ESCAPED: &str = r#"["a\u0000b"]"#;
    vec![
        case(ROW, KEPT, KEPT).same(&[DOCUMENT, TWICE, BIG, PRECISE, "[ 1 ]", "null", "\"x\"", "true"]),
        case(ROW, ALL, &["P jsonb", "M json"]).same(&[DOCUMENT, "[]", "null", "\"x\""]),
        case(ROW, &["P json", "MA json"], &["P json", "P jsonb", "MA json"]).same(&["1.5", "-0.1"]),
        case(ROW, &["P json", "A json"], &["P json", "A json"]).same(&["1.10"]),
        // A document that is but a number is one for SQLite.
        case(ROW, &["P json", "MA json"], &["S JSON"]).is(&[("1.5", "real 1.5"), ("5", "integer 5")]),
        case(ROW, &["P json", "A json"], &["S JSON"]).held(&["12345678901234567890123"]),
        case(ROW, &["S JSON"], &["P json", "P jsonb", "MA json"]).is(&[("real 1.5", "1.5"), ("integer 5", "5")]),
        // The last of two equal keys counts.
        case(ROW, KEPT, &["P jsonb", "M json"]).is(&[(TWICE, r#"{"bb":1,"a":3}"#)]),
        case(ROW, &["P json", "P jsonb", "A json", "S JSON"], &["P jsonb"]).same(&[BIG, PRECISE]),
        case(ROW, &["P jsonb", "M json"], &["P jsonb", "M json"]).same(&[DOCUMENT]),
        case("json → MySQL's `json`", &["P json", "P jsonb", "A json", "S JSON"], &["M json"])
            .same(&["[9007199254740993, -9223372036854775808, 18446744073709551615, 0.1, 1e300]"])
            .held(&[BIG, PRECISE, "[18446744073709551616]"]),
        case("json → MySQL's `json`", &["P json", "P jsonb", "A json", "S JSON"], &["M json"])
            .fit()
            .is(&[(BIG, r#"{"big":1.2345678901234568e22}"#)]),
        case("json → MySQL's `json`", TEXT, &["M json"]).held(&[BIG]),
        case("json → `jsonb`", &["P json", "MA json", "S JSON"], &["P jsonb"]).held(&[ESCAPED]),
        case("json → json", KEPT, KEPT).same(&[ESCAPED, r#"["\\u0000"]"#]),
        case("text → json", TEXT, KEPT).same(&[r#"{"a":1}"#, "[ 1.10 ]"]).held(&["no json", "", "{a:1}"]),
        case("text → json", TEXT, &["P jsonb", "M json"]).same(&[r#"{"a":1}"#]).held(&["no json", ""]),
        case("json → text", KEPT, TEXT).same(&[DOCUMENT, TWICE, "[ 1.10 ]"]),
        case("json → text", KEPT, &["P varchar(9)", "MA varchar(9) character set utf8mb4"]).same(&["[1, 2]"]).held(&[DOCUMENT]),
    ]
}

fn anything() -> Vec<Case> {
    const ROW: &str = "anything → any value";
    const BACK: &str = "any value → anything";
    vec![
        case(ROW, NO_TYPE, NO_TYPE).same(&["integer 5", "real 0.5", "text 5", "blob 00ff", "text ", "blob "]),
        case(ROW, BOOLEAN, NO_TYPE).is(&[("true", "integer 1"), ("false", "integer 0")]),
        case(ROW, BIGINT, NO_TYPE).is(&[("9223372036854775807", "integer 9223372036854775807")]),
        case(ROW, UNSIGNED, NO_TYPE).is(&[("18446744073709551615", "text 18446744073709551615")]),
        case(ROW, PRICE, NO_TYPE).is(&[("19.9", "text 19.90")]),
        case(ROW, DOUBLE, NO_TYPE).is(&[("0.1", "real 0.1")]),
        case(ROW, &["P double precision"], NO_TYPE).held(&["NaN"]).is(&[("-0.0", "real -0"), ("inf", "real inf")]),
        case(ROW, TEXT, NO_TYPE).is(&[("", "text "), ("5", "text 5"), ("a  ", "text a  ")]),
        case(ROW, BYTES, NO_TYPE).is(&[("00ff", "blob 00ff"), ("", "blob ")]),
        case(ROW, DATE, NO_TYPE).is(&[("2026-12-31", "text 2026-12-31")]),
        case(ROW, UUID, NO_TYPE).is(&[(UUID_TEXT, &format!("text {UUID_TEXT}"))]),
        case(ROW, &["P interval"], NO_TYPE).one_way().is(&[("1 mon", "text P1M")]),
        case(BACK, NO_TYPE, &["P text", "MA text"])
            .is(&[("integer 5", "5"), ("real 0.5", "0.5"), ("text a", "a")])
            .held(&["blob 00"]),
        case(BACK, NO_TYPE, &["P bigint", "MA bigint"])
            .is(&[("integer 5", "5"), ("real 5", "5"), ("text 5", "5")])
            .held(&["text a", "blob 00"]),
    ]
}

fn own_types() -> Vec<Case> {
    const SAME: &str = "a type of its own → the same type";
    const TO_TEXT: &str = "a type of its own → text";
    vec![
        case(SAME, &["P integer[]"], &["P integer[]"]).same(&["{1,NULL,3}", "[2:3]={1,2}", "{{1,2},{3,4}}", "{}"]),
        case(SAME, &["P text[]"], &["P text[]"]).same(&["{NULL,\"NULL\",\"\",\"a,b\"}"]),
        // Equal for the server's `=`, not for us (D5).
        case(SAME, &["P interval"], &["P interval"]).same(&[
            "1 mon",
            "30 days",
            "-00:00:01",
            "1 year 2 mons 3 days 04:05:06.789",
        ]),
        case(SAME, &["P int4range"], &["P int4range"]).same(&["[1,5)", "empty", "(,5)"]),
        case(SAME, &["P hstore"], &["P hstore"]).same(&["\"a\"=>\"1\", \"b\"=>NULL"]),
        case(SAME, &["P inet"], &["P inet"]).same(&["10.0.0.1/8", "::1/128"]),
        case(SAME, &["P xml"], &["P xml"]).same(&["<a>b</a>"]),
        case(SAME, &["P money"], &["P money"]).same(&["$1,234.50"]),
        case(SAME, &["P time with time zone"], &["P time with time zone"]).same(&["12:00:00+02"]),
        case(SAME, &["P bit(4)"], &["P bit(4)"]).same(&["1010"]),
        case(SAME, &["P bit varying(9)"], &["P bit varying(9)"]).same(&["1", "101010101"]),
        case(SAME, &["P point"], &["P point"]).same(&["(1.5,-2)"]),
        case(SAME, &["MA point"], &["MA point"]).same(&["POINT(1.5 -2)"]),
        case(SAME, &["A inet6"], &["A inet6"]).same(&["::1"]),
        case(TO_TEXT, &["P integer[]"], TEXT).one_way().same(&["{1,NULL,3}"]),
        case(TO_TEXT, &["P interval"], TEXT).one_way().is(&[("1 mon", "P1M"), ("30 days", "P30D")]),
        case(TO_TEXT, &["P inet"], TEXT).one_way().same(&["10.0.0.1/8"]),
        case(TO_TEXT, &["P hstore"], TEXT).one_way().same(&["\"a\"=>\"1\""]),
        case(TO_TEXT, &["P interval"], &["MA varchar(5)", "P varchar(5)"])
            .one_way()
            .is(&[("1 mon", "P1M")])
            .held(&["1 year 2 mons 3 days"]),
    ]
}
