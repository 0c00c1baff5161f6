#!/bin/bash
# Many containers at once, by the command itself; nothing clever in it.
#
# usage: containers.sh create PREFIX COUNT [-j N] [OPTION OF create]...
#        containers.sh start|stop|delete PREFIX COUNT [-j N]
#        delete removes running ones too, and asks nothing
#
# The containers are PREFIX1 to PREFIXCOUNT. What fails is named by the command; the others are
# done all the same, and the exit status is 1.
set -euo pipefail

usage() {
    sed -n 's/^# \{0,1\}//; 4,6p' "$0" >&2
    exit 2
}

(($# >= 3)) || usage
verb=$1 prefix=$2 count=$3 jobs=$(nproc)
shift 3
[[ $count =~ ^[1-9][0-9]*$ ]] || usage
if [[ ${1-} == -j ]]; then
    [[ ${2-} =~ ^[1-9][0-9]*$ ]] || usage
    jobs=$2
    shift 2
fi
case $verb in
    create) (($#)) || usage ;;
    start | stop) (($# == 0)) || usage ;;
    delete) (($# == 0)) || usage; set -- --force --yes ;;
    *) usage ;;
esac
seq -f "$prefix%.0f" "$count" |
    xargs -P "$jobs" -I '{}' virt-sandbox-service "$verb" "$@" '{}' || exit 1
