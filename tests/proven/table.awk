# Reads the list of all tests, the engines of each pair of databases (tests/scenarios/scene.rs), and wanted.txt,
# in this order; prints the table. Variables: names=1 prints every test.

function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }

# ---------------------------------------------------------------- the list of tests

FILENAME == list {
    if (/^ +Running unittests src\/lib/) binary = "unit"
    else if (/^ +Running unittests/) binary = "main"
    else if (/^ +Running tests\//) { binary = $2; sub(/^tests\//, "", binary); sub(/\/.*/, "", binary) }
    else if (/^ +Doc-tests/) binary = "doc"
    if (!/: test$/) next
    test = $0; sub(/: test$/, "", test)
    test = binary "::" test
    there[test] = 1
    count++
    module = test; sub(/::[^:]*$/, "", module)
    in_module[module] = in_module[module] " " test
    # What only `./test --matrix` runs proves nothing in an ordinary run.
    if (test !~ /::[a-z]+(13|17|118)(_|:|$)/) by_name(test)
    next
}

# The ids a name begins with: s4_39_to_41_x has S4-39, S4-40, S4-41; i8_rule4_x has I8 and RULE4.
function by_name(test,   name, id, first, last, number, family) {
    name = test; sub(/.*::/, "", name)
    while (match(name, /^(s[0-4]_[0-9]+|rule_?[0-9]+|[a-gix][0-9]+)(_|$)/)) {
        id = substr(name, 1, RLENGTH); sub(/_$/, "", id)
        name = substr(name, RLENGTH + 1)
        if (id ~ /^s/) sub(/_/, "-", id)
        sub(/^rule_/, "rule", id)
        id = toupper(id)
        by_id[id] = by_id[id] " " test
        family = id; sub(/[0-9]+$/, "", family)
        first = id; sub(/.*[^0-9]/, "", first)
        if (match(name, /^(to|and)_[0-9]+(_|$)/)) {
            last = substr(name, 1, RLENGTH); gsub(/[^0-9]/, "", last)
            if (name ~ /^and/) first = last - 1
            for (number = first + 1; number <= last; number++) by_id[family number] = by_id[family number] " " test
            name = substr(name, RLENGTH + 1)
        }
    }
}

# ---------------------------------------------------------------- the engines of each pair

# pub async fn postgres_sqlite() -> Labs {
#     [postgres::pg15().await, sqlite::lab().await]
FILENAME == scene {
    if (/pub async fn [a-z0-9_]+\(\) -> Labs/) { pair = $4; sub(/\(.*/, "", pair); next }
    if (pair != "" && /\[.*\(\)\.await, .*\(\)\.await\]/) {
        sub(/^ *\[/, ""); sub(/\] *$/, "")
        split($0, lab, ", ")
        source[pair] = engine_of(lab[1]); target[pair] = engine_of(lab[2])
        pair = ""
    }
    next
}

function engine_of(lab) {
    sub(/\(.*/, "", lab)
    if (lab ~ /^sqlite::/) return "sqlite"
    sub(/^[a-z]+::/, "", lab)
    sub(/^pg/, "postgres", lab)
    return lab
}

function kind(engine) { sub(/[0-9]+$/, "", engine); return engine }

# ---------------------------------------------------------------- what is wanted

/^[ \t]*(#|$)/ { next }

/^columns / {
    name = $2; sub(/:$/, "", name)
    columns[name] = $0; sub(/^[^:]*: */, "", columns[name])
    next
}

/^\[/ { end_of_row(); topic = $0; gsub(/[][]/, "", topic); headed = 0; printf "\n%s\n", topic; next }

/^[^ \t]/ {
    end_of_row()
    bar = index($0, " | ")
    if (!bar) { wrong("no columns: " $0); next }
    row = trim(substr($0, 1, bar - 1))
    cells = trim(substr($0, bar + 3))
    group = ""
    if (cells in columns) { group = cells; cells = columns[cells] }
    width = split(cells, cell, " ")
    split("", wanted_cell); split("", proof); split("", unfit)
    for (i = 1; i <= width; i++) wanted_cell[cell[i]] = 1
    next
}

{
    if (row == "") { wrong("no statement before: " $0); next }
    line = trim($0)
    if (line ~ /^n\/a /) {
        reason = line; sub(/^[^:]*: */, "", reason)
        sub(/^n\/a +/, "", line); sub(/:.*/, "", line)
        n = split(line, of, " ")
        for (i = 1; i <= n; i++) {
            if (!(of[i] in wanted_cell)) wrong("no such column: " of[i] " of: " row)
            unfit[of[i]] = reason
        }
        next
    }
    if (line ~ /^id /) { sub(/^id +/, "", line); n = split(by_id[line], found, " "); for (i = 1; i <= n; i++) prove("once", found[i]); next }
    at = index(line, " @ ")
    if (at) { only = substr(line, at + 3); line = trim(substr(line, 1, at - 1)) } else only = ""
    expand(line, only)
}

# A test that proves something for one column.
function prove(column, test) { if (column in wanted_cell && !(column in unfit)) proof[column] = proof[column] " " test }

function exact(column, test) { if (test in there) { prove(column, test); met = 1 } }

# A name with a hole is a test for each engine, or each pair; a name without one is that test.
function expand(name, only,   before, hole, after, n, i, one, p, of) {
    met = 0
    if (!match(name, /\{[a-z]+\}/)) {
        if (only == "") only = cells
        n = split(only, of, " ")
        for (i = 1; i <= n; i++) exact(of[i], name)
        if (!met) wrong("no such test: " name)
        return
    }
    before = substr(name, 1, RSTART - 1); hole = substr(name, RSTART + 1, RLENGTH - 2); after = substr(name, RSTART + RLENGTH)
    if (hole == "suite" || hole == "own" || hole == "engine") {
        n = split(columns["engines"], of, " ")
        for (i = 1; i <= n; i++) {
            one = of[i]
            if (only != "" && index(" " only " ", " " one " ") == 0) continue
            if (hole == "engine") exact(one, before one after)
            else if (hole == "own") exact(one, own(one, before, after))
            else if (after == "::*") whole(one, before suite(one))
            else exact(one, before suite(one) after)
        }
    } else for (p in source) {
        # (The pairs of other versions are not in an ordinary run.)
        if (source[p] ~ /13|17|118/ || target[p] ~ /13|17|118/) continue
        if (hole == "to") { exact(kind(source[p]) "-" kind(target[p]), before kind(source[p]) "_to_" kind(target[p]) after); continue }
        if (!(before p after in there)) continue
        if (hole == "source" || hole == "either") exact(source[p], before p after)
        if (hole == "target" || hole == "either" && source[p] != target[p]) exact(target[p], before p after)
        if (hole == "pair") exact(kind(source[p]) "-" kind(target[p]), before p after)
    }
    if (!met) wrong("no such test: " name)
}

function suite(engine) {
    if (engine ~ /^postgres/) { sub(/^postgres/, "postgres::v", engine); return engine }
    if (engine == "sqlite") return "sqlite::wal"
    return "mysql::" engine
}

function own(engine, before, after) {
    if (engine ~ /^postgres/) { sub(/^postgres/, "postgres::own", engine); return before engine after }
    if (engine == "sqlite") return before "sqlite::own" after
    return before "mysql" after "::" engine
}

function whole(engine, module,   n, i, of) {
    n = split(in_module[module], of, " ")
    for (i = 1; i <= n; i++) exact(engine, of[i])
}

# ---------------------------------------------------------------- the table

function shown(column,   n, of, key) {
    wanted++
    if (column in unfit) { inapplicable++; return "n/a" }
    # Each test once, however many lines name it.
    n = split(proof[column], of, " "); split("", seen)
    for (key = 1; key <= n; key++) seen[of[key]] = 1
    n = 0
    for (key in seen) n++
    if (n) { proven++; return n }
    empty++
    empties = empties sprintf("  %s: %s: %s\n", topic, row, column)
    return "-"
}

function end_of_row(   i, text, line) {
    if (row == "") return
    if (group == "engines" && !headed++) printf "  %-70s%s\n", "", heading()
    text = row
    # A long statement goes on in the next line.
    while (length(text) > 70) {
        for (i = 70; i > 40 && substr(text, i, 1) != " "; i--);
        printf "  %s\n", substr(text, 1, i - 1); text = "  " substr(text, i + 1)
    }
    if (group == "engines") {
        line = ""
        for (i = 1; i <= width; i++) line = line sprintf("%7s", shown(cell[i]))
        printf "  %-70s%s\n", text, line
    } else if (group == "once") {
        printf "  %-70s%7s\n", text, shown("once")
    } else {
        printf "  %s\n", text
        for (i = 1; i <= width; i++) printf "%s%-17s %3s%s", i % 4 == 1 ? "      " : "   ", cell[i], shown(cell[i]), i % 4 == 0 || i == width ? "\n" : ""
    }
    if (names) for (i = 1; i <= width; i++) {
        if (cell[i] in unfit) printf "      %s: n/a: %s\n", cell[i], unfit[cell[i]]
        else for (line = 1; line <= split(proof[cell[i]], of, " "); line++) printf "      %s: %s\n", cell[i], of[line]
    }
    row = ""
}

function heading(   line, i) {
    line = ""
    for (i = 1; i <= width; i++) {
        text_ = cell[i]; sub(/^postgres/, "pg", text_); sub(/^mariadb/, "maria", text_)
        line = line sprintf("%7s", text_)
    }
    return line
}

function wrong(what) { mistakes = mistakes "  " what "\n"; errors++ }

END {
    end_of_row()
    if (mistakes != "") printf "\nwrong in wanted.txt:\n%s", mistakes
    if (empties != "") printf "\nempty:\n%s", empties
    printf "\n%d tests; %d cells wanted, %d proven, %d empty, %d can't apply\n", count, wanted, proven, empty, inapplicable
    exit empty > 0 || errors > 0 || count == 0 || proven == 0
}
