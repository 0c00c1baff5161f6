# A machine under QEMU: started, waited for, spoken to by ssh, frozen and thawed. To be sourced.
#
# A frozen machine is a directory with its disk (an overlay on the one it came from), its memory, and
# the boot's parameters. What is thawed from it runs on an overlay of its own, so a frozen machine
# never changes and any number can be thawed from it.
#
# Nothing here waits by the clock. The machine says "ready" on a port when a boot is complete, QEMU's
# end is written to the same place, and a machine that hangs is ended by the watchdog of the caller.

# With KVM where hardware virtualises. A KVM of another kind may not run stock kernels.
accelerator() {
    if [[ -w /dev/kvm && ( -d /sys/module/kvm_intel || -d /sys/module/kvm_amd ) ]]; then
        echo kvm
    else
        echo tcg,thread=multi
    fi
}

# What makes a machine's saved memory good for another QEMU.
machine_facts() {
    qemu-system-x86_64 --version | head -n 1
    accelerator
    declare -f processor machine_hardware kernel_line
}

# An emulated processor is the faster the less it has.
processor() {
    case $(accelerator) in
        kvm) echo max,la57=off ;;
        *) echo Nehalem ;;
    esac
}

machine_hardware() {
    printf '%s\n' -nodefaults -no-user-config -display none -M q35 -accel "$(accelerator)" \
        -cpu "$(processor)" -smp 2 -m 3072 -device virtio-rng-pci -device virtio-serial-pci
}

# The kernel's parameters for a kind of host.
kernel_line() {
    local line='root=/dev/vda rw console=ttyS0 loglevel=6 panic=-1 net.ifnames=0'
    # what an emulated processor need not be protected from takes time
    line+=' mitigations=off init_on_alloc=0'
    case $1 in
        enforcing) printf '%s security=selinux selinux=1 enforcing=1\n' "$line" ;;
        plain) printf '%s\n' "$line" ;;
    esac
}

# Starts a machine: machine_start KIND DIRECTORY [FROZEN]
#
# DIRECTORY has disk.qcow2 and gets console, qemu.log, pid. With FROZEN it goes on from that one's
# memory, else it boots the kernel beside $image/disk.raw.
machine_start() {
    local kind=$1 dir=$2 frozen=${3-} options
    mapfile -t options < <(machine_hardware)
    options+=(
        -kernel "$image/vmlinuz" -initrd "$image/initrd.img" -append "$(kernel_line "$kind")"
        -drive "file=$dir/disk.qcow2,if=virtio,cache=unsafe,discard=unmap"
        -netdev 'user,id=outside,restrict=on,hostfwd=tcp:127.0.0.1:0-:22'
        -device 'virtio-net-pci,netdev=outside'
        -chardev "file,id=console,path=$dir/console" -serial chardev:console
        -chardev "file,id=ready,path=$dir/ready,append=on" -device 'virtserialport,chardev=ready,name=vm.ready'
        -chardev "pipe,id=qmp,path=$dir/qmp" -mon 'chardev=qmp,mode=control'
    )
    [[ -z $frozen ]] || options+=(-incoming defer)
    rm -f "$dir"/{ready,qmp.in,qmp.out,pid}
    mkfifo "$dir"/{ready,qmp.in,qmp.out,pid}
    # Open for both, so that neither side waits for the other to open.
    exec {ready_line}<>"$dir/ready" {qmp_in}<>"$dir/qmp.in" {qmp_out}<>"$dir/qmp.out"
    # shellcheck disable=SC2016 # for the inner shell
    setpriv --pdeathsig KILL bash -c '
        dir=$1; shift
        setpriv --pdeathsig KILL "$@" </dev/null >"$dir/qemu.log" 2>&1 &
        echo $! >"$dir/pid"
        wait $!
        echo "gone $?" | tee "$dir/ready" >"$dir/qmp.out"' \
        machine "$dir" qemu-system-x86_64 "${options[@]}" 2>/dev/null &
    machine_shell=$!
    read -r machine_pid <"$dir/pid"
    machine_dir=$dir machine_told=
    qmp '{"execute": "qmp_capabilities"}' >/dev/null
    if [[ -n $frozen ]]; then
        machine_thaw "$frozen/memory"
    fi
    qmp '{"execute": "human-monitor-command", "arguments": {"command-line": "info usernet"}}'
    machine_port=$(sed -n 's/.*HOST_FORWARD\] *[0-9]* *127\.0\.0\.1 *\([0-9]*\) .*/\1/p' <<<"$qmp_answer")
    [[ -n $machine_port ]] || { machine_lost 'no port is forwarded'; return 1; }
}

# Sends a command to QEMU and reads its answer into qmp_answer.
qmp() {
    printf '%s\n' "$1" >&"$qmp_in"
    qmp_until '"return"'
}

# Reads what QEMU says until a line has a text.
qmp_until() {
    while IFS= read -r qmp_answer <&"$qmp_out"; do
        case $qmp_answer in
            gone*) machine_lost "QEMU ended (status ${qmp_answer#gone })"; return 1 ;;
            *'"error"'* | *'"status": "failed"'*) machine_lost "QEMU: $qmp_answer"; return 1 ;;
            *"$1"*) return 0 ;;
        esac
    done
}

# Waits until the boot that is under way is complete.
machine_ready() {
    local line
    IFS= read -r line <&"$ready_line"
    case $line in
        ready*) ;;
        *) machine_lost "QEMU ended before the machine was ready ($line)"; return 1 ;;
    esac
}

machine_dir=
# Whether it was told why a machine is lost.
machine_told=

machine_lost() {
    machine_told=1
    printf 'vm: %s\n' "$1" >&2
    [[ -n $machine_dir ]] || return 0
    printf -- '--- the last lines of %s\n' "$machine_dir/console" "$machine_dir/qemu.log" >&2
    tail -n 25 -- "$machine_dir/console" "$machine_dir/qemu.log" >&2 || true
}

# The seconds of a processor that the machine has taken: what a busy host of it doesn't change.
machine_worked() {
    local hertz
    hertz=$(getconf CLK_TCK)
    awk -v hertz="$hertz" '{ print int(($14 + $15) / hertz) }' "/proc/$machine_pid/stat" 2>/dev/null || echo 0
}

# Runs a command line in the machine as root, as an administrator does who logs in. The key exchange
# is one that an emulated processor is quick at.
machine() {
    ssh -q -F none -i "$image/key" -p "$machine_port" \
        -o ControlMaster=auto -o ControlPath="$sockets/ssh-$machine_pid" -o ControlPersist=yes \
        -o KexAlgorithms=curve25519-sha256 -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        root@127.0.0.1 "$@"
}

machine_terminal() {
    machine -t "$@"
}

# The connection that the machine's end or reboot leaves dead.
machine_hang_up() {
    ssh -q -F none -o ControlPath="$sockets/ssh-$machine_pid" -O exit root@127.0.0.1 2>/dev/null || true
}

# How memory is written and read: each page at its own place, so that untouched memory takes none.
machine_memory_form() {
    qmp '{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [
        {"capability": "events", "state": true}, {"capability": "mapped-ram", "state": true}]}}'
}

# Stops the machine and writes its memory beside its disk.
machine_freeze() {
    machine_hang_up
    machine_memory_form
    qmp '{"execute": "migrate", "arguments": {"uri": "file:'"$machine_dir/memory"'"}}'
    qmp_until '"status": "completed"'
    machine_end
}

machine_thaw() {
    machine_memory_form
    qmp '{"execute": "migrate-incoming", "arguments": {"uri": "file:'"$1"'"}}'
    qmp_until '"status": "completed"'
}

# Ends the machine as a power cut does.
machine_end() {
    machine_hang_up
    kill -KILL "$machine_pid" 2>/dev/null || true
    wait "$machine_shell" 2>/dev/null || true
    exec {ready_line}>&- {qmp_in}>&- {qmp_out}>&-
    rm -f "$machine_dir"/{ready,qmp.in,qmp.out,pid}
    machine_pid=
}

# The disk of a machine that starts from another's: machine_overlay BACKING FORMAT DIRECTORY
machine_overlay() {
    mkdir -p "$3"
    qemu-img create -q -f qcow2 -F "$2" -b "$1" "$3/disk.qcow2"
}
