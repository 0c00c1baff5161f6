# What a case finds when it runs, inside the machine. See `tests/vm/run --help` for the form of a case.
#
# A check prints one line, "ok" or "not ok", and with the latter its evidence. A case goes on after a
# check that failed; a command that fails outside a check ends it.

vss=virt-sandbox-service

# check WHAT COMMAND...: the command succeeds.
check() {
    local what=$1 output status=0
    shift
    output=$("$@" 2>&1) || status=$?
    if ((status == 0)); then
        printf 'ok - %s\n' "$what"
    else
        not_ok "$what" "\$ $*" "$output" "[exit status $status]"
    fi
}

# refused WHAT PATTERN COMMAND...: the command fails, and its output matches the pattern.
refused() {
    local what=$1 pattern=$2 output status=0
    shift 2
    output=$("$@" 2>&1) || status=$?
    if ((status != 0)) && grep -qE -- "$pattern" <<<"$output"; then
        printf 'ok - %s\n' "$what"
    else
        not_ok "$what" "\$ $*" "$output" "[exit status $status; wanted: a failure that says $pattern]"
    fi
}

# same WHAT GOT WANTED: two texts are equal.
same() {
    if [[ $2 == "$3" ]]; then
        printf 'ok - %s\n' "$1"
    else
        not_ok "$1" "got:    $2" "wanted: $3"
    fi
}

# matches WHAT TEXT PATTERN: a line of the text matches the extended regular expression.
matches() {
    if grep -qE -- "$3" <<<"$2"; then
        printf 'ok - %s\n' "$1"
    else
        not_ok "$1" "$2" "wanted a line that matches: $3"
    fi
}

# lacks WHAT TEXT PATTERN: no line of the text matches.
lacks() {
    if grep -qE -- "$3" <<<"$2"; then
        not_ok "$1" "$2" "wanted no line that matches: $3"
    else
        printf 'ok - %s\n' "$1"
    fi
}

not_ok() {
    printf 'not ok - %s\n' "$1"
    shift
    printf '%s\n' "$@" | sed 's/^/    /'
}

note() {
    printf '# %s\n' "$*"
}

# The address of a container.
address_of() {
    "$vss" list --no-legend | awk -v name="$1" '$1 == name { print $5 }'
}

# A page of a container, fetched by the host.
page_of() {
    curl -sS --noproxy '*' "http://$(address_of "$1")/${2-}"
}

# A property of a unit of the host.
unit_is() {
    systemctl show --value --property "$2" "$1"
}
