# A hostile content and the host's own tree that it is after. To be sourced by a case, after host.sh.
#
# The numbers are those of docs/threats.md. Each function does what its item says by root inside, and
# where he is refused that, by the host's root in his stead, as far as it could have been there before
# the confinement was. `outcome` compares what he managed with the table in docs/breakouts.md.

victim=/srv/victim
expendable=/srv/expendable

# Who tries, for whom, and what nobody may touch.
install_hostile() {
    read_items
    install_breakout
    useradd --create-home mallory
    mkdir -p $own
    echo 'machine=vm' >$own/facts
    make_victim $victim
    before=$(state $victim)
}

# A tree that nobody may touch, with files of the names that a content has.
make_victim() {
    mkdir -p "$1/inner"
    echo "of the victim" | tee "$1"/{file,passwd,secret} >"$1/inner/file"
    setfattr -n trusted.breakout -v untouched "$1/file"
}

# All that can be seen of a tree. The time of a change tells what else happened.
state() {
    find "$1" -printf '%p %y %M %U %G %s %T@ %C@ %l\n' | sort
    find "$1" -type f -exec md5sum {} + | sort
    find "$1" -type f -exec getfattr --absolute-names -d -m - {} + 2>/dev/null
}

# untouched WHAT: the victim is what it was.
untouched() {
    same "$level: $1: the host's tree is untouched" "$(state $victim)" "$before"
}

declare -A items

# The cells of the table's rows, by item and level.
read_items() {
    local line fields column levels=(none reduced userns selinux selinux+userns)
    while IFS= read -r line; do
        [[ $line == '| A'[0-9]* ]] || continue
        IFS='|' read -ra fields <<<"${line// /}"
        for column in "${!levels[@]}"; do
            items[${fields[1]},${levels[column]}]=${fields[column + 3]}
        done
    done <$table
}

# outcome ITEM GOT: what root inside managed is what the table says: held, he does it and gets nowhere;
# refused, he can't even do it.
outcome() {
    same "$level: $1: $2, as the table says" "$2" "${items[$1,$level]-no row}"
}

# racing COMMAND...: starts a racer, and returns once it races.
racing() {
    local line
    coproc RACER { exec "$@"; }
    racer=$RACER_PID
    read -r line <&"${RACER[0]}" || line='nothing'
    same "it races: $*" "$line" racing
}

race_over() {
    kill "$racer" 2>/dev/null || true
    wait "$racer" 2>/dev/null || true
}

# --- one level ------------------------------------------------------------------------------------

# hostile_at LEVEL: all of it, by root inside a container of that confinement.
hostile_at() {
    # The log of a unit has what all of its name have said.
    local level=$1 name=held-${1/+/-} options=(--confinement "${1%+userns}")
    [[ $level != *+userns ]] || options+=(--private-users)
    a02_copies_of_what_is_swapped
    made
    "$vss" start "$name" >/dev/null

    # Each of these looks at the host while it is so; the restart is one for all.
    a10_sockets_replaced
    a11_configs_inside
    a09_programs_overwritten
    a13_journal_replaced
    a06_devices_replaced
    a05_kernel_files_replaced
    check "$level: restart" "$vss" restart "$name"
    restarted

    a01_directories_replaced
    a12_deletion_of_one_that_runs
    made
    a12_mounts_left
    a12_deletion_while_somebody_is_left
}

# Makes the container of the level; it doesn't run.
made() {
    check "$level: create" "$vss" create -u breakout.service -N none "${options[@]}" "$name"
    tree=$(content "$name")
    cp $own/facts "$tree$own/facts"
    config=/etc/libvirt-sandbox/services/$name.sandbox
}

inside() {
    "$vss" execute "$name" -- sh -euc "$*"
}

# managed ITEM COMMAND: root inside does it, or is refused that, which got tells.
managed() {
    local told
    told=$(inside "$2" 2>&1) || {
        got=refused
        matches "$level: $1: it is the kernel that refuses him that" "$told" "$refusal"
    }
}

refusal='[Pp]ermission denied|not permitted|Read-only file system|must be superuser'

# Whoever asks for the container's state; what comes of it is the checks' afterwards.
looked_at() {
    "$vss" status "$name" >/dev/null 2>&1 || true
    "$vss" list >/dev/null
    "$vss" execute "$name" -- true </dev/null >/dev/null 2>&1 || true
}

gone() {
    same "$level: $1: nothing is left" "$(left_of "$1")" ''
}

# Content, config, unit and what is remembered of a container; the reservations have its name inside.
left_of() {
    find /var/lib/libvirt/filesystems /var/lib/libvirt-sandbox /etc/libvirt-sandbox /etc/systemd/system \
        -path '*/filesystems/*/*' -prune -o \
        -regextype posix-extended -regex ".*/(\.?|[^/]*@)$1(\.[^/]*)?" -print 2>/dev/null
    # Who has nothing to remember has no directory for it.
    grep -rlsw -- "$1" /var/lib/libvirt-sandbox || true
}

# What a restart makes of all that was bent.
restarted() {
    same "$level: a05: it starts with a /proc of the kernel" "$("$vss" execute "$name" -- cat /proc/1/comm)" systemd
    check "$level: a06, the pair: with a terminal of its own devpts" "$vss" execute -t "$name" -- test -t 0
    check "$level: a10: and its systemd answers" "$vss" status "$name"
    same "$level: a11: only the config of the host counts" "$(claims)" "$claimed"
    inside 'echo the new journal is heard | systemd-cat'
    said "$level: a13: its journal gets to the host by no file" "breakout@$name.service" 'the new journal is heard'
    untouched 'after a restart'
}

# --- items ----------------------------------------------------------------------------------------

# A02, A03, A04: what is copied, given an owner and a label is what was opened.
a02_copies_of_what_is_swapped() {
    local told
    install -d -o mallory -g mallory /srv/hostile
    racing setpriv --reuid=mallory --regid=mallory --clear-groups \
        sh -c "exec $breakout race /srv/hostile $victim"
    if told=$("$vss" create -u breakout.service -N none "${options[@]}" --copy /srv/hostile copied 2>&1); then
        note "$level: a02: all was copied"
        same "$level: a02: nothing of the victim was copied" \
            "$(grep -r 'of the victim' "$(content copied)/srv/hostile" 2>&1)" ''
        check "$level: a02: delete" "$vss" delete --yes copied
    else
        note "$level: a02: create gave up"
        matches "$level: a02: it says what changed" "$told" \
            '/srv/hostile/.* (is being changed by somebody else|is a .*, not a )'
    fi
    gone copied
    race_over
    rm -rf /srv/hostile
    untouched 'a02 a03 a04'
    # Where there are no labels, it has an attribute at least.
    lacks "$level: a04: nothing of the victim has a label of contents" \
        "$(getfattr --absolute-names -R -d -m - $victim)" virt_sandbox
    outcome A02 held
    outcome A03 held
    outcome A04 held
}

# A10: what the host asks inside, it asks inside.
a10_sockets_replaced() {
    local socket=hostile-${level/+/-}
    systemd-run --quiet --unit="$socket" --property=Type=notify --property=NotifyAccess=all \
        --description='A socket of the host' python3 -c "$listener" "/srv/$socket"
    inside "mv /run/systemd/private /run/systemd/aside; ln -s /srv/$socket /run/systemd/private"
    looked_at
    # The pair: a path string into the container, as the absolute link in it is followed outside.
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' \
        "/proc/$(init_of "$name")/root/run/systemd/private"
    said "$level: a10, the pair: by a path string one comes to it" "$socket" '^somebody came$'
    # The socket tells in the order in which one comes.
    same "$level: a10: nobody came to the host's socket but that one" \
        "$(journalctl -o cat -u "$socket" | grep -c '^somebody came$')" 1
    outcome A10 held
}

listener='
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ready.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    server.accept()
    print("somebody came", flush=True)
'

# What the tool says that confines a container, and which content it has.
claims() {
    "$vss" inspect "$name" | grep -E '"(confinement|content|uuid)"'
}

# A11: what lies in the content is nobody's configuration.
a11_configs_inside() {
    local other=none got=held
    [[ $level != none ]] || other=reduced
    claimed=$(claims)
    sed "s/^confinement = .*/confinement = \"$other\"/" "$config" >"$tree$own/config"
    inside "mkdir -p ${config%/*}; cp $own/config $config"
    managed a11 "mount -o remount,bind,rw /; cp $own/config /.sandbox; cp $own/config /$name.sandbox"
    cp "$tree$own/config" "$tree/.sandbox"
    cp "$tree$own/config" "$tree/$name.sandbox"
    looked_at
    same "$level: a11: only the config of the host counts" "$(claims)" "$claimed"
    sed -i.before "s/^confinement = .*/confinement = \"$other\"/" "$config"
    matches "$level: a11, the pair: a change there does count" "$(claims)" "\"$other"
    mv "$config.before" "$config"
    chown mallory "$config"
    refused "$level: a11: as long as it is root's" "$config.* is owned by uid $(id -u mallory); chown it to root" \
        "$vss" restart "$name"
    chown root "$config"
    outcome A11 "$got"
}

# Whoever enters may be held by who lies in wait. That is told from a machine that stalls by minutes, and
# by less than a machine is given that says nothing (tests/vm/run).
held_for=300

# A09: root inside lies in wait for the program that enters, has it run itself, and takes hold of it.
a09_programs_overwritten() {
    local program sum shell got
    program=$(readlink -e "$(command -v "$vss")")
    sum=$(sha256sum <"$program")
    lie_in_wait virt-sandbox-se
    entered "$vss" execute "$name" -- /var/tmp/sh
    got=$(waited_for)
    [[ $got != refused ]] || same "$level: a09: a label refuses him that" "$(refused_to_run)" 1
    same "$level: a09: the program that executes is what it was" "$(sha256sum <"$program")" "$sum"

    # connect runs what the container says that root's shell is.
    shell=$(grep '^root:' "$tree/etc/passwd")
    inside "sed -i 's|^root:.*|${shell%:*}:/var/tmp/sh|' /etc/passwd"
    lie_in_wait virt-sandbox-se
    entered script --quiet --return --command "$vss connect $name" /dev/null </dev/null
    same "$level: a09: he gets as far by connect" "$(waited_for)" "$got"
    [[ $got != refused ]] || same "$level: a09: and is refused it alike" "$(refused_to_run)" 2
    same "$level: a09: the program that connects is what it was" "$(sha256sum <"$program")" "$sum"
    inside "sed -i 's|^root:.*|$shell|' /etc/passwd"
    outcome A09 "$got"

    # The pair: a program that enters without that precaution, where nobody else stops him.
    [[ $level == @(none|reduced) ]] || return 0
    cp /usr/bin/perl /usr/local/bin/careless-perl
    lie_in_wait careless-perl
    timeout $held_for /usr/local/bin/careless-perl vm/attacks/enter.pl "$(init_of "$name")" >/dev/null 2>&1 || true
    same "$level: a09, the pair: one that is no copy is overwritten" \
        "$(waited_for) $(head -c 11 /usr/local/bin/careless-perl)" 'written overwritten'
    rm /usr/local/bin/careless-perl
}

# entered COMMAND...: a program that enters where somebody waits for it comes to an end, whichever.
entered() {
    local status=0
    timeout $held_for "$@" >/dev/null 2>&1 || status=$?
    ((status != 124)) || not_ok "$level: a09: it ends: $*"
}

# How often the container was refused to run the program that enters. Whoever asked for that is told
# nothing: the kernel has begun with it by then, and kills it.
refused_to_run() {
    local log=/var/log/audit/audit.log mark=vm-a09-$SRANDOM label
    label=$(ps -o label= -p "$(init_of "$name")")
    auditctl -m "$mark" >/dev/null
    until grep -q "$mark" $log; do sleep 0.1; done
    grep -c "denied  { map } .* scontext=$label tcontext=[^ ]*:virt_sandbox_memory_t:" $log || true
}

# lie_in_wait PROGRAM: has the attack begin inside.
lie_in_wait() {
    rm -f "$tree"/var/tmp/{hold,log,sh} "$tree/etc/ld.so.preload"
    cp vm/attacks/overwrite.pl "$tree/var/tmp/attack.pl"
    inside 'printf "#!/proc/self/exe -e1\n" >/var/tmp/sh; chmod 0755 /var/tmp/sh'
    inside "setsid perl /var/tmp/attack.pl $1 </dev/null >/dev/null 2>&1 &"
    until grep -qs ready "$tree/var/tmp/log"; do sleep 0.1; done
}

# What came of it: written; held, the program was got hold of and no more; or refused even that.
waited_for() {
    if grep -q '^held' "$tree/var/tmp/log"; then
        until grep -qE '^(written|refused)' "$tree/var/tmp/log"; do sleep 0.1; done
    fi
    case $(<"$tree/var/tmp/log") in
        *written*) echo written ;;
        *held*) echo held ;;
        *) echo refused ;;
    esac
    # Whoever waits no longer does, for the pipe neither.
    rm -f "$tree/etc/ld.so.preload"
    pkill -f 'perl /var/tmp/attack.pl' || true
}

# A13: the journal inside is not what the host reads.
a13_journal_replaced() {
    inside "mv /var/log/journal /var/log/aside 2>/dev/null || true; ln -s $victim /var/log/journal"
    same "$level: a13: a path string leads out" "$(cat "$tree/var/log/journal/file")" 'of the victim'
    looked_at
    untouched a13
    outcome A13 held
}

# A06: whatever he may do to the devices, a terminal is one of the container's own devpts, or there is
# none.
a06_devices_replaced() {
    local bait=$tree/var/tmp/bait told links device got=held
    # What anybody inside says to nobody goes to a file of its own.
    told=$(inside 'echo bait >/var/tmp/bait
        for device in pts ptmx tty null; do
            umount -l /dev/$device || true
            bait=bait
            [ $device != null ] || bait=nothing
            rm -rf /dev/$device && ln -s /var/tmp/$bait /dev/$device || true
        done' 2>&1)
    links=$(inside 'find /dev -lname "/var/tmp/*"')
    # A terminal is opened by one of the two.
    grep -qxE '/dev/(pts|ptmx)' <<<"$links" || {
        got=refused
        for device in pts ptmx; do
            matches "$level: a06: it is the kernel that refuses him $device" "$told" "/dev/$device.*($refusal)"
        done
    }
    told=$("$vss" execute -t "$name" -- stat -f -c %T /proc/self/fd/0 2>&1) || told="refused: $told"
    note "$level: a06: ${links//$'\n'/ }: $told"
    matches "$level: a06: a terminal of its own devpts or none" "$told" '^(devpts|refused: .*(terminal|pts|ptmx))'
    looked_at
    same "$level: a06: nothing was written where the links lead" "$(cat "$bait")" bait
    outcome A06 "$got"
}

# A05: what says that it is /proc and is not must not have a command run with less to confine it.
a05_kernel_files_replaced() {
    local running pid= got=held
    managed a05 'mount -t tmpfs tmpfs /proc; mkdir -p /proc/self/attr; echo fake >/proc/self/attr/exec'
    [[ $got != held ]] || same "$level: a05, the pair: a command sees it" \
        "$("$vss" execute "$name" -- cat /proc/self/attr/exec)" fake
    "$vss" execute "$name" -- sleep 98765 >$own/said 2>&1 &
    running=$!
    until pid=$(pgrep -f '^sleep 98765$') || ! kill -0 $running 2>/dev/null; do sleep 0.1; done
    if [[ -n $pid ]]; then
        note "$level: a05: $(ps -o label=,args= -p "$pid")"
        same "$level: a05: a command is confined as the first process is" \
            "$(confinement_of "$pid")" "$(confinement_of "$(init_of "$name")")"
    else
        note "$level: a05: the command is refused"
        matches "$level: a05: it says why" "$(<$own/said)" "/proc is not the kernel's procfs"
    fi
    kill $running 2>/dev/null || true
    wait $running || true
    outcome A05 "$got"
}

# What holds a process, as its own kernel tells.
confinement_of() {
    cat "/proc/$1/attr/current" 2>/dev/null | tr -d '\0' || true
    grep -E '^(CapBnd|CapEff|Seccomp):' "/proc/$1/status"
    cat "/proc/$1/uid_map"
    readlink "/proc/$1/ns/"{cgroup,mnt,pid,user}
}

# A01, A07: root inside bends the way to his own directories; what the host opens then, and what the
# next start mounts, leads nowhere. First by a reboot, which libvirt alone starts anew.
a01_directories_replaced() {
    local top got=held
    for top in etc var; do
        managed a01 "mount -o remount,bind,rw /; umount -l /$top
            mv /$top /$top.aside; ln -s ../../../../..$victim /$top"
        [[ -L $tree/$top ]] || {
            mv "$tree/$top"{,.aside}
            ln -s $victim "$tree/$top"
        }
        same "$level: a01: a path string leads out of /$top" "$(cat "$tree/$top/file")" 'of the victim'
    done
    looked_at
    untouched a01
    "$vss" execute "$name" -- /usr/bin/systemctl reboot || true
    becomes "breakout@$name.service" ActiveState failed
    said "$level: a07: after a reboot it starts from no link" "breakout@$name.service" 'is a link|a link leads to it'
    refused "$level: a01 a07: no start with links in the way" '/etc is a link' "$vss" start "$name"
    rm "$tree/etc"
    mv "$tree/etc"{.aside,}
    refused "$level: a01 a07: nor with one" '/var is a link' "$vss" start "$name"
    untouched 'a01 a07'
    rm "$tree/var"
    mv "$tree/var"{.aside,}
    check "$level: a01 a07, the pair: with its own directories it starts" "$vss" start "$name"
    same "$level: a01 a07, the pair: and shows them" "$("$vss" execute "$name" -- cat /etc/hostname)" "$name"
    outcome A01 "$got"
    outcome A07 "$got"
}

# A12: what is deleted while somebody swaps it for links.
a12_deletion_of_one_that_runs() {
    local trace traces
    traces=$(left_of "$name")
    for trace in "filesystems/$name" "services/$name.sandbox" "breakout@$name.service" \
        "lib/libvirt-sandbox/$name" 'lib/libvirt-sandbox/\.labels/.*'; do
        matches "$level: a12, the pair: as long as it is there, $trace is" "$traces" "/$trace\$"
    done
    racing "$vss" execute "$name" -- $breakout race $own $victim
    check "$level: a12: status while it races" "$vss" status "$name"
    check "$level: a12: delete while it races" "$vss" delete --yes --force "$name"
    race_over
    gone "$name"
    untouched 'a12, one that runs'
    outcome A12 held
}

# A12: a mount that somebody has left in a content.
a12_mounts_left() {
    local left=$tree/var/left
    mkdir "$left"
    mount --bind $victim "$left"
    refused "$level: a12: a mount is not removed" 'something is mounted on .*/left' "$vss" delete --yes "$name"
    untouched 'a12, a mount'
    # The deletion goes on where it is now.
    left=$(findmnt --raw --noheadings --output TARGET | grep '/left$')
    umount "$left"
    make_victim $expendable
    mount --bind $expendable "$left"
    $breakout careless remove "$left"
    umount "$left"
    same "$level: a12, the pair: a careless removal goes on into it" "$(find $expendable -type f)" ''
}

# A12: a process that has survived the container's end goes on in what is being deleted.
a12_deletion_while_somebody_is_left() {
    local tries=0
    racing $breakout race "$(echo "$(content ".$name.")"*)/var" $victim
    until "$vss" delete --yes "$name" >/dev/null 2>&1 || ((++tries == 5)); do :; done
    race_over
    note "$tries deletions gave up while it raced"
    [[ ! -e $config ]] || check "$level: a12: delete, afterwards" "$vss" delete --yes "$name"
    gone "$name"
    untouched 'a12, somebody left'
}

# --- the pairs of the races -----------------------------------------------------------------------

# What a walk by path strings does to a tree that has been prepared for it: again and again, until
# the links that are put in its way have led it out. careless WHAT SIGN...: until SIGN succeeds.
careless() {
    local what=$1
    shift
    rm -rf /srv/swapped /srv/copied
    mkdir /srv/swapped
    racing $breakout race /srv/swapped $expendable
    until "$@"; do
        if [[ $what == copy ]]; then
            $breakout careless copy /srv/swapped /srv/copied
        else
            $breakout careless "$what" /srv/swapped
        fi
        # It ends where all is gone.
        if ! kill -0 "$racer" 2>/dev/null; then
            racing $breakout race /srv/swapped $expendable
        fi
    done >/dev/null
    race_over
    printf 'ok - the pair: a careless %s is led out\n' "$what"
}

careless_pairs() {
    local level=pairs
    rm -rf $expendable
    make_victim $expendable
    careless copy grep -qr 'of the victim' /srv/copied
    careless own sh -c "find $expendable -uid 12 | grep -q ."
    careless label sh -c "getfattr -R --absolute-names -d -m trusted $expendable | grep -q labelled"
    careless remove test ! -e $expendable/file
    untouched 'all of it'
}
