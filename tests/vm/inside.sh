# What a case finds when it runs, inside the machine. See `tests/vm/run --help` for the form of a case.
#
# A check prints one line, "ok" or "not ok", and with the latter its evidence. A case goes on after a
# check that failed; a command that fails outside a check ends it.

shopt -s extglob
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
        not_ok "$1" 'wanted (<), got (>):' "$(diff <(printf '%s\n' "$3") <(printf '%s\n' "$2"))"
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

# lacks WHAT TEXT PATTERN: there is a text, and no line of it matches. What may be no text at all is for
# `same`.
lacks() {
    if [[ -z $2 ]]; then
        not_ok "$1" "wanted a text without a line that matches: $3"
    elif grep -qE -- "$3" <<<"$2"; then
        not_ok "$1" "$2" "wanted no line that matches: $3"
    else
        printf 'ok - %s\n' "$1"
    fi
}

# silent WHAT COMMAND...: the command succeeds and says nothing.
silent() {
    local what=$1 status=0 text
    shift
    text=$("$@" 2>&1) || status=$?
    if [[ $status == 0 && -z $text ]]; then
        printf 'ok - %s\n' "$what"
    else
        not_ok "$what" "status $status" "$text"
    fi
}

# vanishes WHAT COMMAND...: waits until the command says nothing, whatever its status: the host's daemons
# tidy up after a container in their own time. What never comes is the watchdog's.
vanishes() {
    local what=$1
    shift
    until [[ -z $("$@" 2>&1) ]]; do
        sleep 0.3
    done
    printf 'ok - %s\n' "$what"
}

# provoked CHECK...: runs one of the above, whose command SELinux is to refuse something. Denials
# meanwhile are what the check is about, and don't fail the case.
provoked() {
    auditctl -m vm-provoked-begin >/dev/null
    "$@"
    auditctl -m vm-provoked-end >/dev/null
}

# It counts at the beginning of a line, and a command may have ended in the middle of one.
not_ok() {
    printf '\nnot ok - %s\n' "$1"
    shift
    printf '%s\n' "$@" | sed 's/^/    /'
}

note() {
    printf '# %s\n' "$*"
}

# All files of the host's policy with their digests, but for the number of changes so far.
policy_files() {
    (cd "$1" && find etc/selinux var/lib/selinux usr/share/selinux -name commit_num -o -type f -print0 |
        sort -z | xargs -0 sha256sum)
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

# becomes UNIT PROPERTY VALUE: waits until a property of a unit of the host is that; what never comes
# is the watchdog's.
becomes() {
    until [[ $(unit_is "$1" "$2") == "$3" ]]; do
        sleep 0.3
    done
}

# said WHAT UNIT PATTERN: the log of a unit of the host has a line that matches. While the unit is up
# the line may take a while, from the journal inside over the console.
said() {
    local status=0
    if [[ $(unit_is "$2" ActiveState) != @(inactive|failed) ]]; then
        grep -qE -m 1 -- "$3" < <(exec journalctl --follow --lines all -o cat -u "$2" 2>&1) || status=1
    else
        journalctl --sync
        journalctl -o cat -u "$2" | grep -E -- "$3" >/dev/null || status=1
    fi
    if ((status == 0)); then
        printf 'ok - %s\n' "$1"
    else
        not_ok "$1" "$(journalctl -o cat -n 20 -u "$2")" "wanted a line that matches: $3"
    fi
}

# The state of a container and the pid of its first process, as "running 123".
life_of() {
    "$vss" status --format json "$1" |
        sed -n 's/^  "state": "\([a-z]*\)".*/\1/p; s/^  "init_pid": \([0-9]*\).*/\1/p' | paste -sd' '
}

# The pid of a container's first process.
init_of() {
    "$vss" status --format json "$1" | sed -n 's/.*"init_pid": *\([0-9]*\).*/\1/p'
}

# renewed WHAT NAME PID: a container has a first process, which is not that one.
renewed() {
    local pid
    pid=$(init_of "$2") || true
    if [[ $3 =~ ^[0-9]+$ && $pid =~ ^[0-9]+$ && $pid != "$3" ]]; then
        printf 'ok - %s\n' "$1"
    else
        not_ok "$1" "the pid was \"$3\" and is \"$pid\""
    fi
}

# reborn NAME PID: waits until a container runs, with a first process that is not that one.
reborn() {
    local life
    until life=$(life_of "$1") && [[ $life =~ ^running\ [0-9]+$ && $life != *" $2" ]]; do
        sleep 0.3
    done
}

# Makes this a host whose packages rpm manages: dpkg's database counts where there is one.
become_fedora() {
    mv /var/lib/dpkg /var/lib/dpkg.aside
}

# Installs a package with a service that does as it is told from outside, through its files
# (vm/probe).
install_probe_package() {
    mkdir -p vm/probe/var/lib/probe
    dpkg-deb -Znone --root-owner-group --build vm/probe /var/tmp/probe.deb >/dev/null
    dpkg --install /var/tmp/probe.deb >/dev/null
    systemctl daemon-reload
}

# create_probe CONFINEMENT NAME...: containers of its service.
create_probe() {
    local confinement=$1 name
    shift
    for name in "$@"; do
        "$vss" create -u probe.service --confinement "$confinement" "$name" >/dev/null
    done
}

# install_probe NAME...: that package, and containers with the users of the host.
install_probe() {
    install_probe_package
    create_probe reduced "$@"
}

# The content of a container, on the host.
content() {
    printf '/var/lib/libvirt/filesystems/%s\n' "$1"
}

tell() {
    printf '%s\n' "$2" >"$(content "$1")/var/lib/probe/told"
}

# --- a terminal -----------------------------------------------------------------------------------

# open_session COMMAND...: runs something with a shell in it on a terminal, for typed.
open_session() {
    local command
    printf -v command '%q ' "$@"
    coproc terminal { exec script --quiet --return --flush --command "$command" /dev/null; }
    # a subshell sees only descriptors that are no coprocess's
    exec {typed_in}>&"${terminal[1]}" {typed_out}<&"${terminal[0]}"
    # what is typed before the prompt may be lost to whoever sets the terminal up
    IFS= read -r -d '#' -u "$typed_out"
}

# typed COMMAND: types a line and prints what the shell said to it, less the echo; returns its status.
typed() {
    local line
    printf '%s; echo "[its ""status $?]"\n' "$1" >&"$typed_in"
    while IFS= read -r -u "$typed_out" line && [[ $line != *'[its ""status'* ]]; do :; done
    while IFS= read -r -u "$typed_out" line; do
        line=${line%$'\r'}
        line=${line//$'\e['*([0-9;?])[a-zA-Z]/}
        line=${line##*$'\r'}
        if [[ $line =~ (.*)'[its status '([0-9]+)']'$ ]]; then
            [[ -z ${BASH_REMATCH[1]} ]] || printf '%s\n' "${BASH_REMATCH[1]}"
            return "${BASH_REMATCH[2]}"
        fi
        printf '%s\n' "$line"
    done
    return 255
}

# Leaves the session by a key or a command, and waits for its end.
close_session() {
    printf '%s' "$1" >&"$typed_in"
    wait "$terminal_PID"
    exec {typed_in}>&- {typed_out}<&-
}
