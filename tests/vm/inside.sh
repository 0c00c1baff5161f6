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

# becomes UNIT PROPERTY VALUE: waits until a property of a unit of the host is that; what never comes
# is the watchdog's.
becomes() {
    until [[ $(unit_is "$1" "$2") == "$3" ]]; do
        sleep 0.2
    done
}

# said WHAT UNIT PATTERN: the log of a unit of the host has a line that matches, now or in a while: it
# takes its way from the journal inside over the console.
said() {
    if grep -qE -m 1 -- "$3" < <(exec journalctl --follow --lines all -o cat -u "$2" 2>&1); then
        printf 'ok - %s\n' "$1"
    else
        not_ok "$1" "$(journalctl -o cat -n 20 -u "$2")" "wanted a line that matches: $3"
    fi
}

# The pid of a container's first process.
init_of() {
    "$vss" status --format json "$1" | sed -n 's/.*"init_pid": *\([0-9]*\).*/\1/p'
}

# What a service of the tests' own does is told from outside, through its files: a package with a unit
# `probe.service`, made and installed here.
install_probe() {
    local tree=/var/tmp/probe
    mkdir -p $tree/{DEBIAN,etc/probe,usr/libexec,usr/lib/systemd/system,var/lib/probe}
    printf '%s\n' 'Package: probe' 'Version: 1' 'Architecture: all' 'Depends: bash' \
        'Maintainer: The tests <root@localhost>' 'Description: a service that does as it is told' \
        >$tree/DEBIAN/control
    printf '/etc/probe/start\n' >$tree/DEBIAN/conffiles
    printf 'ok\n' >$tree/etc/probe/start
    cat >$tree/usr/libexec/probe <<'PROBE'
#!/bin/bash
# Does what is written to /var/lib/probe/told: "exit STATUS". Its start fails unless it may.
state=/var/lib/probe
case $1 in
    run)
        if [[ $(</etc/probe/start) != ok ]]; then
            echo 'the probe is not to start' >&2
            exit 7
        fi
        rm -f $state/told
        mkfifo $state/told
        echo 'the probe is up'
        systemd-notify --ready --status='as told'
        while read -r word status <>$state/told; do
            echo "the probe is told: $word $status"
            [[ $word != exit ]] || exit "$status"
        done
        ;;
    reload) echo 'the probe reads its configuration' ;;
    stop)
        sleep 4
        echo "whole" >$state/saved
        sync $state/saved
        ;;
esac
PROBE
    chmod 0755 $tree/usr/libexec/probe
    cat >$tree/usr/lib/systemd/system/probe.service <<'UNIT'
[Unit]
Description=A service that does as it is told
ConditionPathExists=!/etc/probe/not-here

[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/libexec/probe run
ExecReload=/usr/libexec/probe reload
ExecStop=/usr/libexec/probe stop
KillMode=mixed

[Install]
WantedBy=multi-user.target
UNIT
    dpkg-deb --root-owner-group --build $tree /var/tmp/probe.deb >/dev/null
    dpkg --install /var/tmp/probe.deb >/dev/null
    systemctl daemon-reload
    "$vss" create -u probe.service --confinement reduced "$@" >/dev/null
}

# The content of a container, on the host.
content() {
    printf '/var/lib/libvirt/filesystems/%s\n' "$1"
}

tell() {
    printf '%s\n' "$2" >"$(content "$1")/var/lib/probe/told"
}
