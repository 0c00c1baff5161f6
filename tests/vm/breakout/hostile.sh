# A hostile content and the host's own tree that it is after. To be sourced by a case.

victim=/srv/victim
expendable=/srv/expendable

# Who tries, for whom, and what nobody may touch.
install_hostile() {
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
    same "$1: the host's tree is untouched" "$(state $victim)" "$before"
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

# A07: root inside bends the way to his /etc and reboots; whoever starts the container anew, it does not
# come up with a directory of the host's.
reboot_bent() {
    local name=$1
    "$vss" execute "$name" -- sh -euc "mount -o remount,bind,rw /; umount -l /etc; mv /etc /etc.aside
        ln -s ../../../../..$victim /etc"
    "$vss" execute "$name" -- /usr/bin/systemctl reboot || true
    becomes "breakout@$name.service" ActiveState failed
    said 'a07: after a reboot it starts from no link' "breakout@$name.service" 'is a link|a link leads to it'
    rm "$(content "$name")/etc"
    mv "$(content "$name")"/etc{.aside,}
    check 'a07, the pair: with its own /etc it starts' "$vss" start "$name"
    same 'a07, the pair: and shows it' "$("$vss" execute "$name" -- cat /etc/hostname)" "$name"
}

# made NAME OPTIONS...: a container, running.
made() {
    local name=$1
    shift
    "$vss" create -u breakout.service -N none "$@" "$name" >/dev/null 2>&1
    cp $own/facts "$(content "$name")$own/facts"
    "$vss" start "$name" >/dev/null
}

inside() {
    local name=$1
    shift
    "$vss" execute "$name" -- sh -euc "$*"
}

gone() {
    same "$1: nothing is left" "$(ls -d "$(content "$1")"* "$(content ".$1.")"* "/etc/libvirt-sandbox/services/$1"* 2>/dev/null)" ''
}

# A02, A03, A04: what is copied, given an owner and a label is what was opened.
a02_copies_of_what_is_swapped() {
    local level=$1 round told
    install -d -o mallory -g mallory /srv/hostile
    racing setpriv --reuid=mallory --regid=mallory --clear-groups \
        sh -c "exec $breakout race /srv/hostile $victim"
    for round in 1 2; do
        if told=$("$vss" create -u breakout.service -N none --confinement "$level" --copy /srv/hostile \
            copied 2>&1); then
            lacks "a02, round $round: nothing of the victim was copied" \
                "$(grep -r 'of the victim' "$(content copied)/srv/hostile" 2>&1)" 'of the victim'
            check "a02, round $round: delete" "$vss" delete --yes copied
            gone copied
        else
            matches "a02, round $round: it says what changed" "$told" '/srv/hostile'
            gone copied
        fi
    done
    race_over
    untouched 'a02 a03 a04'
}

# A01, A07: what the host opens, and what the next start mounts, leads to the host.
a01_directories_replaced() {
    local name=$1 top
    inside "$name" 'mount -o remount,bind,rw /; for top in etc var; do
        umount -l /$top && mv /$top /$top.aside && ln -s '$victim' /$top; done'
    for top in etc var; do
        same "a01: a path string leads out of /$top" "$(cat "$(content "$name")/$top/file")" 'of the victim'
    done
    "$vss" status "$name" >/dev/null 2>&1 || true
    "$vss" list >/dev/null
    check 'a01: stop' "$vss" stop "$name"
    refused 'a01 a07: no start with links in the way' '/etc is a link' "$vss" start "$name"
    rm "$(content "$name")/etc"
    mv "$(content "$name")"/etc{.aside,}
    refused 'a01 a07: nor with one' '/var is a link' "$vss" start "$name"
    untouched 'a01 a07'
}

# A process that has survived the container's end goes on.
a12_deletion_while_somebody_is_left() {
    local name=$1 tries=0
    racing $breakout race "$(echo "$(content ".$name.")"*)/var.aside" $victim
    until "$vss" delete --yes "$name" >/dev/null 2>&1 || ((++tries == 5)); do :; done
    race_over
    note "$tries deletions gave up while it raced"
    [[ ! -e /etc/libvirt-sandbox/services/$name.sandbox ]] ||
        check 'a12: delete, afterwards' "$vss" delete --yes "$name"
    gone "$name"
    untouched 'a12, somebody left'
}

a12_deletion_of_one_that_runs() {
    local name=$1
    racing "$vss" execute "$name" -- $breakout race $own $victim
    check 'a12: status while it races' "$vss" status "$name"
    check 'a12: delete while it races' "$vss" delete --yes --force "$name"
    race_over
    gone "$name"
    untouched 'a12, one that runs'
}

# A05: what says that it is /proc and is not.
a05_kernel_files_replaced() {
    local name=$1
    inside "$name" 'mount -t tmpfs tmpfs /proc && mkdir -p /proc/self/attr && echo fake >/proc/self/attr/exec'
    same 'a05: a command runs' "$("$vss" execute "$name" -- cat /proc/self/attr/exec)" fake
    check 'a05: stop' "$vss" stop "$name"
    check 'a05: it starts anew' "$vss" start "$name"
    same 'a05: with a /proc of the kernel' "$("$vss" execute "$name" -- cat /proc/1/comm)" systemd
}

a06_devices_replaced() {
    local name=$1 bait
    bait=$(content "$name")/var/tmp/bait
    inside "$name" 'echo bait >/var/tmp/bait
        for device in pts ptmx null tty; do umount -l /dev/$device || true; done
        for device in pts ptmx null tty; do
            rm -rf /dev/$device && ln -s /var/tmp/bait /dev/$device; done' 2>/dev/null
    refused 'a06: no terminal but of the container'"'"'s own devpts' 'terminal|pts|ptmx' \
        "$vss" execute -t "$name" -- true
    "$vss" execute "$name" -- true </dev/null >/dev/null 2>&1 || true
    same 'a06: nothing was written where the links lead' "$(cat "$bait")" bait
    check 'a06: stop' "$vss" stop "$name"
    check 'a06: it starts anew' "$vss" start "$name"
    check 'a06, the pair: a terminal of its own devpts' "$vss" execute -t "$name" -- test -t 0
}

# A10: what the host asks inside, it asks inside.
a10_sockets_replaced() {
    local name=$1 socket=victim-socket-$1 replace
    replace="mv /run/systemd/private /run/systemd/aside; ln -s /srv/$socket /run/systemd/private"
    systemd-run --quiet --unit="$socket" --property=Type=notify --property=NotifyAccess=all \
        --description='A socket of the host' python3 -c "$listener" "/srv/$socket"
    inside "$name" "$replace"
    "$vss" status "$name" >/dev/null 2>&1 || true
    "$vss" execute "$name" -- true
    check 'a10: stop' "$vss" stop "$name"
    lacks 'a10: nobody came to the host'"'"'s socket' "$(journalctl -o cat -u "$socket")" '^somebody came$'
    check 'a10: start' "$vss" start "$name"
    inside "$name" "$replace"
    # The pair: a path string into the container, as the absolute link in it is followed outside.
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' \
        "/proc/$(init_of "$name")/root/run/systemd/private"
    said 'a10, the pair: by a path string one comes to it' "$socket" '^somebody came$'
    check 'a10: restart' "$vss" restart "$name"
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

# A11: what lies in the content is nobody's configuration.
a11_configs_inside() {
    local name=$1 config=/etc/libvirt-sandbox/services/$1.sandbox wanted
    inside "$name" 'mount -o remount,bind,rw /'
    wanted=$("$vss" inspect "$name" | grep -E '"(confinement|content|uuid)"')
    sed 's/"none"/"reduced"/' "$config" >"$(content "$name")/.sandbox"
    cp "$(content "$name")/.sandbox" "$(content "$name")/$name.sandbox"
    install -D -m 0644 "$(content "$name")/.sandbox" "$(content "$name")$config"
    check 'a11: restart' "$vss" restart "$name"
    same 'a11: only the config of the host counts' \
        "$("$vss" inspect "$name" | grep -E '"(confinement|content|uuid)"')" "$wanted"
    "$vss" stop "$name"
    chown mallory "$config"
    refused 'a11: and only as long as it is root'"'"'s' "$config" "$vss" start "$name"
    chown root "$config"
    sed -i.before 's/"none"/"reduced"/' "$config"
    check 'a11, the pair: a change there' "$vss" start "$name"
    matches 'a11, the pair: does count' "$("$vss" list --no-legend)" "^$name .* reduced "
    mv "$config.before" "$config"
    check 'a11: restart' "$vss" restart "$name"
}

# A12: a mount that somebody has left in a content.
a12_mounts_left() {
    local name=$1 left
    left=$(content "$name")/var.aside/left
    mkdir "$left"
    mount --bind $victim "$left"
    refused 'a12: a mount is not removed' 'something is mounted on .*/left' "$vss" delete --yes "$name"
    untouched 'a12, a mount'
    # The deletion goes on where it is now.
    left=$(findmnt --raw --noheadings --output TARGET | grep '/left$')
    umount "$left"
    make_victim $expendable
    mount --bind $expendable "$left"
    $breakout careless remove "$left"
    umount "$left"
    same 'a12, the pair: a careless removal goes on into it' "$(find $expendable -type f)" ''
}

# A13: the journal inside is not what the host reads.
a13_journal_replaced() {
    local name=$1
    inside "$name" "mv /var/log/journal /var/log/aside 2>/dev/null || true; ln -s $victim /var/log/journal"
    same 'a13: a path string leads out' "$(cat "$(content "$name")/var/log/journal/file")" 'of the victim'
    "$vss" status "$name" >/dev/null 2>&1 || true
    check 'a13: restart' "$vss" restart "$name"
    check 'a13: the log on the host' journalctl --no-pager -n 5 -u "breakout@$name.service"
    untouched 'a13'
}

careless_pairs() {
    rm -rf $expendable
    make_victim $expendable
    careless copy grep -qr 'of the victim' /srv/copied
    careless own sh -c "find $expendable -uid 12 | grep -q ."
    careless label sh -c "getfattr -R --absolute-names -d -m trusted $expendable | grep -q labelled"
    careless remove test ! -e $expendable/file
    untouched 'all of it'
}
