# A hostile content and the host's own tree that it is after. To be sourced by a case.

victim=/srv/victim
expendable=/srv/expendable

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
