#!/usr/bin/env bash
# ./test --proven [-v]: which of tests/proven/wanted.txt is proven, and where. A behaviour is proven by
# a test that has its id in its name (s4_53_…, s4_39_to_41_…), an engine or a pair by the tests in its
# module. With -v, every such test by its name. Exits 1 if a cell is empty.
#
# It reads names only. A test that was skipped in a run proved nothing in it: ./test says which.
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
names=0
[ "${1:-}" != -v ] || names=1

list=$(mktemp) && trap 'rm -f "$list"' EXIT
cargo test --no-fail-fast -- --list --format terse >"$list" 2>&1 || {
    grep -E '^error' "$list" >&2
    echo "the tests can't be listed" >&2
    exit 2
}

awk -v names=$names '
    function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }

    # Where a test runs: the engine or pair in its path, else the kind of test.
    function place(test,   parts, n, i, p) {
        n = split(test, parts, "::")
        for (i = 2; i < n || (i == n && n == 2); i++) {
            p = parts[i]
            if (p == "postgres" && parts[i + 1] ~ /^(v|own)[0-9]+$/) { sub(/^[a-z]+/, "", parts[i + 1]); return p parts[i + 1] }
            if (p == "mysql" && parts[i + 1] == "mariadb") return "mariadb"
            if (p ~ /^(postgres|mysql|mariadb|sqlite|kinto)(_|[0-9]|$)/) return p
        }
        if (parts[n] ~ /^(postgres|mysql|mariadb|sqlite)_(postgres|mysql|mariadb|sqlite)$/) return parts[n]
        if (test ~ /_from_(postgres|mysql|mariadb)$/) { sub(/.*_from_/, "", test); return test }
        return parts[1]
    }

    # The ids a name begins with: s4_39_to_41_x has S4-39, S4-40, S4-41; i8_rule4_x has I8 and RULE4.
    function ids(name, found,   n, id, first, last, number, family) {
        n = 0
        while (match(name, /^(s[0-4]_[0-9]+|rule[0-9]+|[a-gix][0-9]+)(_|$)/)) {
            id = substr(name, 1, RLENGTH); sub(/_$/, "", id)
            name = substr(name, RLENGTH + 1)
            if (id ~ /^s/) sub(/_/, "-", id)
            id = toupper(id)
            found[++n] = id
            family = id; sub(/[0-9]+$/, "", family)
            first = id; sub(/.*[^0-9]/, "", first)
            if (match(name, /^(to|and)_[0-9]+(_|$)/)) {
                last = substr(name, 1, RLENGTH); gsub(/[^0-9]/, "", last)
                if (name ~ /^and/) first = last - 1
                for (number = first + 1; number <= last; number++) found[++n] = family number
                name = substr(name, RLENGTH + 1)
            }
        }
        return n
    }

    FNR == NR {
        if ($0 ~ /^ +Running unittests src\/lib/) binary = "pure"
        else if ($0 ~ /^ +Running unittests/) binary = "main"
        else if ($0 ~ /^ +Running tests\//) { binary = $2; sub(/^tests\//, "", binary); sub(/\/.*/, "", binary) }
        else if ($0 ~ /^ +Doc-tests/) binary = "doc"
        if ($0 !~ /: test$/) next
        test = $0; sub(/: test$/, "", test)
        test = binary "::" test
        tests[++count] = test
        name = test; sub(/.*::/, "", name)
        split("", found)
        n = ids(name, found)
        for (i = 1; i <= n; i++) by_id[found[i]] = by_id[found[i]] " " count
        next
    }

    /^[ \t]*(#|$)/ { next }
    {
        split($0, cell, ";")
        item = trim(cell[1]); what = trim(cell[2]); where = trim(cell[3]); title = trim(cell[4])
        proof = ""
        if (where == "") proof = by_id[what]
        else for (i = 1; i <= count; i++) if (tests[i] ~ where) proof = proof " " i
        n = split(trim(proof), of, " ")
        split("", in_place)
        places = ""
        for (i = 1; i <= n; i++) {
            spot = place(tests[of[i]])
            if (!(spot in in_place)) places = places " " spot
            in_place[spot]++
        }
        k = split(trim(places), spots, " ")
        shown = ""
        for (i = 1; i <= k; i++) shown = shown (i > 1 ? ", " : "") spots[i] (in_place[spots[i]] > 1 ? " " in_place[spots[i]] : "")
        wanted++
        if (n == 0) { empty++; shown = "-" }
        if (item != before) printf "\n%s\n", item
        before = item
        printf "  %-26s %-66s %s\n", what, title, shown
        if (names) for (i = 1; i <= n; i++) printf "  %-26s   %s\n", "", tests[of[i]]
    }
    END {
        printf "\n%d tests; %d of %d wanted are proven by a name, %d are empty\n", count, wanted - empty, wanted, empty
        exit empty > 0 || count == 0
    }
' "$list" tests/proven/wanted.txt
