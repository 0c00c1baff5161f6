# What the host has that root inside is after, and what the host sees of an attempt. To be sourced by
# a case; the attempts themselves are the program `breakout`.

breakout=/usr/libexec/breakout
place=/usr/breakout
own=/var/lib/breakout
table=/root/vm/breakouts.md
victims='freeze handle kill signal trace'
# What the attempts change on the machine: a file below /proc/sys or /sys, and what it is otherwise.
declare -A settings=(
    [/proc/sys/fs/lease-break-time]=45
    [/proc/sys/vm/stat_interval]=1
    [/proc/sys/vm/page-cluster]=3
    [/proc/sys/kernel/core_pattern]=core
    [/sys/kernel/mm/ksm/sleep_millisecs]=20
    [/sys/kernel/mm/ksm/pages_to_scan]=100
    [/sys/kernel/mm/ksm/stable_node_chains_prune_millisecs]=2000
)

secret() {
    printf 'breakout-secret-%s-%s' "$1" "$seed"
}

# --- what is there to be had ----------------------------------------------------------------------

# A service that tries everything when it is told to reload: as a descendant of the container's
# first process, with what that has. Its own start does nothing.
install_breakout() {
    local tree=/var/tmp/breakout
    mkdir -p $tree/{DEBIAN,usr/lib/systemd/system,var/lib/breakout}
    printf '%s\n' 'Package: breakout' 'Version: 1' 'Architecture: all' \
        'Maintainer: The tests <root@localhost>' 'Description: a service that tries to get out' \
        >$tree/DEBIAN/control
    printf '%s\n' '[Unit]' 'Description=A service that tries to get out' '[Service]' 'Type=oneshot' \
        'RemainAfterExit=yes' 'TasksMax=infinity' 'ExecStart=/bin/true' \
        "ExecReload=$breakout all --to $own/tried" >$tree/usr/lib/systemd/system/breakout.service
    dpkg-deb --root-owner-group --build $tree /var/tmp/breakout.deb >/dev/null
    dpkg --install /var/tmp/breakout.deb >/dev/null
    systemctl daemon-reload
}

# Secrets where root inside must not read, and a sound setting of what it must not change.
install_victims() {
    seed=$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
    useradd --create-home --password "$(secret shadow)" mallory
    secret root >/root/breakout-secret
    secret var >/var/lib/breakout-secret
    secret key | keyctl padd user breakout @u >/dev/null
    mkdir -p $place
    echo 'of the host' >$place/file
    printf '#!/bin/sh\ntouch %s/agent-ran\n' $place >$place/agent
    chmod 0755 $place/agent
    "$vss" create -u breakout.service --confinement reduced other >/dev/null
    secret content >"$(content other)/etc/breakout-secret"
    modprobe vsock_loopback
    modprobe binfmt_misc
    systemd-run --quiet --unit=breakout-sockets --property=Type=notify --property=NotifyAccess=all \
        python3 -c "$sockets" "$(secret abstract)" "$(secret vsock)"
}

# A socket without a place, and one of the hypervisor's kind, which both tell a secret.
sockets='
import os, select, socket, sys
unix = socket.socket(socket.AF_UNIX)
unix.bind("\0breakout")
vsock = socket.socket(socket.AF_VSOCK)
vsock.bind((socket.VMADDR_CID_ANY, 7777))
told = {unix: sys.argv[1], vsock: sys.argv[2]}
for s in told:
    s.listen()
ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ready.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    for s in select.select(list(told), [], [])[0]:
        peer = s.accept()[0]
        try:
            peer.sendall(told[s].encode())
        except OSError:
            pass
        peer.close()
'

# A file in the content of a container that has the label of another, and its own root as its owner.
leave_foreign() {
    local file
    file=$(content "$1")$own/foreign
    secret foreign >"$file"
    chmod 0600 "$file"
    chown --reference="${file%/*}" "$file"
    ! selinuxenabled || chcon --reference="$(content other)/etc/breakout-secret" "$file"
}

# The containers that try, one for each level; they run afterwards.
make_containers() {
    local level options names=()
    for level; do
        options=(--confinement "${level%+userns}")
        [[ $level != *+userns ]] || options+=(--private-users)
        "$vss" create -u breakout.service "${options[@]}" "$(named "$level")" >/dev/null
        leave_foreign "$(named "$level")"
        names+=("$(named "$level")")
    done
    "$vss" start "${names[@]}"
}

named() {
    printf 'by-%s' "${1/+/-}"
}

# --- before and after attempts --------------------------------------------------------------------

freezer() {
    printf '/sys/fs/cgroup/system.slice/breakout-%s.service/cgroup.freeze' "$1"
}

main_pid() {
    systemctl show --value --property MainPID "breakout-$1.service"
}

# Makes everything as it was before an attempt, and tells the container NAME what it may know.
arm() {
    local name=$1 victim path
    for victim in $victims; do
        if ! systemctl --quiet is-active "breakout-$victim.service"; then
            systemctl reset-failed "breakout-$victim.service" 2>/dev/null || true
            systemd-run --quiet --unit="breakout-$victim" --setenv=SECRET="$(secret environment)" \
                sleep infinity
        fi
        echo 0 >"$(freezer $victim)"
    done
    for path in "${!settings[@]}"; do
        echo "${settings[$path]}" >"$path"
    done
    rm -f $place/{remount-usr,user-namespace,agent-ran} /dev/breakout-* /breakout-handle-write
    rm -f "$(content "$name")"/{breakout-remount-root,var/lib/breakout/{linked,tried}}
    if grep -q breakout /proc/swaps; then
        # By its name on the host, of whichever container it is.
        for path in "$(content '')"*"$own/swap"; do
            swapoff "$path" 2>/dev/null || true
        done
    fi
    [[ ! -e /proc/sys/fs/binfmt_misc/breakout ]] || echo -1 >/proc/sys/fs/binfmt_misc/breakout
    mount -o remount,commit=5,max_batch_time=15000 /
    dmesg --clear
    secret log >/dev/kmsg
    init=$(init_of "$name")
    pid_to_kill=$(main_pid signal)
    limit
    printf '%s\n' "other=$(content other)/etc/breakout-secret" disk-major=$((0x$(stat -c %t /dev/vda))) \
        disk-minor=$((0x$(stat -c %T /dev/vda))) disk-name=vda "process-to-kill=$pid_to_kill" \
        "process-to-trace=$(main_pid trace)" "hierarchy=breakout-$SRANDOM" vsock-port=7777 more-than-limit=400 \
        cgroup-to-freeze=/system.slice/breakout-freeze.service \
        cgroup-to-kill=/system.slice/breakout-kill.service \
        cgroup-by-handle=/system.slice/breakout-handle.service \
        "cgroup-with-limit=$limited" | tee $own/facts >"$(content "$name")$own/facts"
}

# A limit on the number of processes, on the cgroup that libvirt has made for the container.
limit() {
    cgroup=$(sed -n 's/^0:://p' "/proc/$init/cgroup")
    limited=${cgroup%%/libvirt/*}
    echo 300 >"/sys/fs/cgroup$limited/pids.max"
}

# seen NAME ATTEMPT EVIDENCE: whether the host sees that the attempt got out. 2: it can't tell.
seen() {
    local name=$1 attempt=$2 evidence=$3
    case $attempt in
        host-shadow | handle-shadow | proc-root | mount-disk | descriptors | chroot)
            [[ $evidence == "$(secret shadow)" ]] ;;
        host-root) [[ $evidence == "$(secret root)" ]] ;;
        host-var) [[ $evidence == "$(secret var)" ]] ;;
        other-content | handle-content) [[ $evidence == "$(secret content)" ]] ;;
        foreign-label) [[ $evidence == "$(secret foreign)" ]] ;;
        host-processes) [[ $evidence == "$(secret environment)" ]] ;;
        kernel-log) [[ $evidence == "$(secret log)" ]] ;;
        root-keyring) [[ $evidence == "$(secret key)" ]] ;;
        abstract-socket) [[ $evidence == "$(secret abstract)" ]] ;;
        vsock) [[ $evidence == "$(secret vsock)" ]] ;;
        link-usr) (($(stat -c %h $place/file) > 1)) ;;
        remount-root) [[ -e $(content "$name")/breakout-remount-root ]] ;;
        remount-usr | user-namespace) [[ -e $place/$attempt ]] ;;
        remount-proc-sys) changed /proc/sys/fs/lease-break-time ;;
        remount-host) has_option commit=6 ;;
        reconfigure-host) has_option max_batch_time=14999 ;;
        new-proc) changed /proc/sys/vm/stat_interval ;;
        user-namespace-proc) changed /proc/sys/vm/page-cluster ;;
        core-pattern) changed /proc/sys/kernel/core_pattern ;;
        remount-sys) changed /sys/kernel/mm/ksm/sleep_millisecs ;;
        new-sysfs) changed /sys/kernel/mm/ksm/pages_to_scan ;;
        user-namespace-sysfs) changed /sys/kernel/mm/ksm/stable_node_chains_prune_millisecs ;;
        binfmt-misc) [[ -e /proc/sys/fs/binfmt_misc/breakout ]] ;;
        handle-write) [[ -e /breakout-handle-write ]] ;;
        handle-cgroup) [[ $(<"$(freezer handle)") == 1 ]] ;;
        cgroup-freeze) [[ $(<"$(freezer freeze)") == 1 ]] ;;
        cgroup-kill) happens "${evidence##*/}" cgroup.kill eval '! systemctl --quiet is-active breakout-kill.service' ;;
        cgroup-limit) [[ $(<"/sys/fs/cgroup$limited/pids.max") == max ]] ;;
        release-agent) happens "$evidence" triggered test -e $place/agent-ran ;;
        sysrq) dmesg | grep -q 'sysrq: HELP' ;;
        devtmpfs) [[ -e /dev/breakout-devtmpfs ]] ;;
        kill) happens "$evidence" "$pid_to_kill" test ! -e "/proc/$pid_to_kill" ;;
        swap) grep -q breakout /proc/swaps ;;
        *) return 2 ;;
    esac
}

changed() {
    [[ $(<"$1") != "${settings[$1]}" ]]
}

# An option of the file system that the host's root is on.
has_option() {
    [[ ,$(findmnt --noheadings --output FS-OPTIONS /), == *,$1,* ]]
}

# happens EVIDENCE WANTED COMMAND...: the command succeeds, in a while if the evidence is what is wanted.
happens() {
    local said=$1 wanted=$2
    shift 2
    if [[ $said == "$wanted" ]]; then
        until "$@"; do sleep 0.1; done
    fi
    "$@"
}

# --- what the table says --------------------------------------------------------------------------

# The columns after the attempt and what it is.
columns=(none reduced userns selinux selinux+userns permissive otherwise)
declare -A wanted

read_table() {
    local line fields column
    while IFS= read -r line; do
        [[ $line == '| `'* ]] || continue
        IFS='|' read -ra fields <<<"${line// /}"
        for column in "${!columns[@]}"; do
            wanted[${fields[1]//\`/},${columns[column]}]=${fields[column + 3]//\`/}
        done
    done <$table
}

# tried NAME LEVEL HOW FILE: each line of the program's is what the table says, and what the host sees.
tried() {
    local name=$1 level=$2 how=$3 attempt verdict why result status what ended=
    while read -r attempt verdict why; do
        if [[ $attempt == all ]]; then
            ended=1
            break
        fi
        what="$level, $how: $attempt"
        case $verdict in
            out) result=out ;;
            refused) result=held ;;
            *)
                not_ok "$what was tried" "$why"
                continue
                ;;
        esac
        status=0
        seen "$name" "$attempt" "$why" || status=$?
        if [[ $status == 0 && $result == held || $status == 1 && $result == out ]]; then
            not_ok "$what: the host sees what it says" "it says: $verdict $why"
        elif [[ $result == "${wanted[$attempt,$level]-}" ]]; then
            printf 'ok - %s: %s (%s)\n' "$what" "$result" "$why"
        else
            not_ok "$what: ${wanted[$attempt,$level]-no row}, says the table" "$verdict $why"
        fi
    done <"$4"
    same "$level, $how: all was tried" "$ended" 1
}

# try_all LEVEL [NAME]: by a command that enters and by the container's own service.
try_all() {
    local level=$1 name=${2-$(named "$1")}
    arm "$name"
    "$vss" execute "$name" -- $breakout all >/var/tmp/tried
    tried "$name" "$level" command /var/tmp/tried
    arm "$name"
    "$vss" execute "$name" -- systemctl reload breakout.service
    tried "$name" "$level" service "$(content "$name")$own/tried"
}

# --- the pairs ------------------------------------------------------------------------------------

# joined NAMESPACE COMMAND...: in the namespaces of the container that was armed but this one, and with
# all that the host's root has otherwise: every capability, no filter, the host's cgroups and devices.
joined() {
    local left_out=$1 kind options=()
    shift
    for kind in mount uts ipc net pid cgroup; do
        [[ $kind == "$left_out" ]] || options+=("--$kind")
    done
    nsenter --target "$init" "${options[@]}" -- "$@"
}

# Where it is held even by `none`: that one protection is taken away, and it gets out.
without() {
    local name=$1 protection=$2 attempt=$3
    case $protection in
        capabilities) joined '' $breakout try "$attempt" ;;
        mounts) joined mount $breakout try "$attempt" ;;
        processes) joined pid $breakout try "$attempt" ;;
        network) joined net $breakout try "$attempt" ;;
        cgroups)
            (
                echo "$BASHPID" >"/sys/fs/cgroup$cgroup/cgroup.procs"
                joined cgroup $breakout try "$attempt"
            )
            ;;
        root) $breakout try --root "$(content "$name")" "$attempt" ;;
        descriptors) joined '' $breakout try "$attempt" 9</ ;;
        *) echo "$attempt untried: no such protection: $protection" ;;
    esac
}

pairs() {
    local name=$1 attempt protection said status
    arm "$name"
    for attempt in $($breakout list); do
        protection=${wanted[$attempt,otherwise]-}
        [[ -n $protection ]] || continue
        said=$(without "$name" "$protection" "$attempt" 2>&1) || true
        status=0
        seen "$name" "$attempt" "${said#* * }" || status=$?
        if [[ $said != "$attempt out "* ]]; then
            not_ok "without $protection: $attempt gets out" "$said"
        elif ((status == 1)); then
            not_ok "without $protection: the host sees $attempt" "$said"
        else
            printf 'ok - without %s: %s gets out (%s)\n' "$protection" "$attempt" "${said#* * }"
        fi
    done
    arm "$name"
}

# --- a program of root's for a user of the host ---------------------------------------------------

# Ways to the program that the container has left in its content: by the content, and by a process of
# the container's while there is one.
run_by_user() {
    local path
    for path in "$(content "$1")$own/set-uid" /proc/*/root$own/set-uid; do
        # setpriv itself still has root's capabilities when it looks for the program.
        setpriv --reuid=mallory --regid=mallory --clear-groups sh -c 'exec "$0" whoami' "$path" 2>&1 ||
            true
    done
}

# became_another NAME UID: it ran, as the host's root or as the container's.
became_another() {
    grep -qE "^euid (0|$2)\$" <<<"$(run_by_user "$1")"
}

# set_uid LEVEL [NAME]: what a user of the host gets by it, the container running and stopped. The pair,
# while it runs: the directory that all contents are in lets the host's users through. Whom the program
# makes of one is the container's root, who with users of its own is another than the host's.
set_uid() {
    local level=$1 name=${2-$(named "$1")} running=held stopped=held before who
    who=$(stat -c %u "$(content "$name")/etc")
    [[ $level != *userns ]] || check "$level: the container's root is not the host's" test "$who" -gt 0
    matches "$level: root inside leaves a set-uid program" \
        "$("$vss" execute "$name" -- $breakout leave-set-uid $own/set-uid)" '^set-uid out'
    ! became_another "$name" "$who" || running=out
    same "$level: set-uid-running" "$running" "${wanted[set-uid-running,$level]}"
    before=$(getfacl --absolute-names "$(content .)")
    chmod 0711 "$(content .)"
    matches "$level, without the mode of the directory: it runs" "$(run_by_user "$name")" "^euid $who\$"
    setfacl --restore=- <<<"$before"
    "$vss" stop "$name"
    ! became_another "$name" "$who" || stopped=out
    same "$level: set-uid-stopped" "$stopped" "${wanted[set-uid-stopped,$level]}"
}

# The pair: the directory that all contents are in lets the host's users through.
set_uid_pair() {
    local before
    before=$(getfacl --absolute-names "$(content .)")
    chmod 0711 "$(content .)"
    matches 'without the mode of the directory: set-uid-stopped gets out' "$(run_by_user "$1")" '^euid 0$'
    setfacl --restore=- <<<"$before"
}
