# What `outside_N` of a case finds, on the machine's own side of the line, beside what inside.sh has.
#
# $results is the directory that the case's results are in: what is put there is kept.

# shellcheck source=tests/vm/machine.sh
. "$here/machine.sh"
# shellcheck source=tests/vm/inside.sh
. "$here/inside.sh"

# forward ADDRESS PORT: prints the port of this side's loopback that leads, through the machine, to
# that port of an address that the machine can reach.
forward() {
    local port
    for port in $(shuf --input-range 20000-32000 --head-count 50); do
        if ssh -q -F none -o ControlPath="$sockets/ssh-$machine_pid" -O forward \
            -L "127.0.0.1:$port:$1:$2" root@127.0.0.1; then
            printf '%s\n' "$port"
            return
        fi
    done
    return 1
}

# browse URL PICTURE: opens a page in a browser that has never been used before, prints the document
# that it made of it and takes a picture of what it shows. Speaks to nothing but that page.
browse() {
    local profile action
    for action in --dump-dom "--screenshot=$2"; do
        profile=$(mktemp -d)
        chromium --headless --no-sandbox --disable-gpu --disable-background-networking \
            --disable-component-update --disable-sync --no-first-run --no-proxy-server \
            --user-data-dir="$profile" --window-size=800,600 "$action" "$1" 2>"$results/browser.log"
        rm -rf -- "$profile"
    done
}
